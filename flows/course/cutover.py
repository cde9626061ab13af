"""The cut-over: proves that both sides are equal and nobody writes any more, then lists what replaces what."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field, field_validator

from flows.course.driving import drive, work_here
from flows.forms.parameters import ComparingParameters
from flows.forms.quantities import seconds, waiting_time
from tasks.endpoints import close_source, open_source, own_name
from tasks.oci.errors import IncompleteError, InterruptedRunError, RefusedError
from tasks.operations.in_step.cutover import (
    OLD_REFERENCE,
    check_template,
    refuse_changes,
    refuse_shared_names,
    replacements,
)
from tasks.operations.source.index_marks import index_marks
from tasks.run_options import RunKind
from tasks.stores.mapping_files import RowList, check_files, write_lists
from tasks.stores.source_checks import refuse_within

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flows.terminal.console import Console
    from tasks.operations.in_step.cutover import Replacement
    from tasks.run_options import RunOptions

SCHEMA = 1

FrozenFor = Annotated[
    str,
    Field(description="Watch the source for so long (30m), and write nothing if an index changes meanwhile"),
    AfterValidator(waiting_time),
]
Output = Annotated[
    list[str], Field(description="Write old reference, new reference and digest to this .csv or .json")
]
WayBack = Annotated[str | None, Field(description="Write the list for the way back to this .csv or .json")]
OldReference = Annotated[str, Field(description="How users name a tag today, of {source}, {repository} and {tag}")]


class CutoverParameters(ComparingParameters):
    """Parameters of `cutover`."""

    frozen_for: FrozenFor = "0s"
    output: Output = []  # noqa: RUF012 - pydantic copies it
    way_back: WayBack = None
    old_reference: OldReference = OLD_REFERENCE

    @field_validator("old_reference")
    @classmethod
    def _names_a_tag(cls, value: str) -> str:
        check_template(value)
        return value


def cut_over(parameters: CutoverParameters, console: Console, say: Callable[[str], None]) -> None:
    """Verify, watch the source to the end of the time, and write the files; `say` what was done.

    Raises:
        IncompleteError: the sides are not equal; no file was written.
        RefusedError: an index changed while the source was watched; no file was written.
        ConfigurationError: a file can't be written, or one old reference would stand for two new ones.
    """
    _check_files(parameters)
    options = parameters.to_options()
    selection = options.selection
    watched_until = time.monotonic() + seconds(parameters.frozen_for)
    source = open_source(options.source, console.stop, options.bucket_access, by_name=options.split_by_name)
    try:
        before = index_marks(source, selection)
        _verify(options, console)
        equal_at = _moment_of(console, before)
        found = _replacements(parameters, console)
        if (left := watched_until - time.monotonic()) > 0:
            until = datetime.now(UTC) + timedelta(seconds=left)
            say(f"all tags are verified; the source is watched until {until.isoformat(timespec='seconds')}")
            console.stop.pause(left)
        if console.stop.requested:
            raise InterruptedRunError("interrupted while the source was watched; no file was written")
        refuse_changes(before, index_marks(source, selection))
    finally:
        close_source(source)
    say(f"source and target were equal at {equal_at}, and the source did not change while it was watched")
    for name in _write(parameters, found, equal_at):
        say(f"{name} written")


def _check_files(parameters: CutoverParameters) -> None:
    for name in parameters.output:
        refuse_within(parameters.source, "--output", name)
    refuse_within(parameters.source, "--way-back", parameters.way_back)
    check_files([Path(name) for name in (*parameters.output, *filter(None, [parameters.way_back]))])


def _verify(options: RunOptions, console: Console) -> None:
    try:
        drive(RunKind.VERIFY, options, console, work_here)
    except IncompleteError as error:
        raise IncompleteError(f"{error}; no file was written") from None


def _moment_of(console: Console, before: Mapping[str, str]) -> str:
    """The moment that the verification names, if it read the indexes of which the marks were noted `before`.

    Raises:
        RefusedError: it names none, or read others.
    """
    run = console.run
    if run is None or run.ends.equality.at is None:
        reason = "it did not run" if run is None else run.ends.equality.reason
        raise RefusedError(f"no moment can be named at which both sides were equal ({reason}); no file was written")
    refuse_changes(before, run.log.indexes)
    return run.ends.equality.at


def _replacements(parameters: CutoverParameters, console: Console) -> list[Replacement]:
    """What replaces what, each old reference once."""
    results = () if console.run is None else console.run.results()
    own = own_name(parameters.source)
    found = replacements(results, parameters.source, parameters.old_reference, own_name=own)
    refuse_shared_names(found)
    return found


def _write(parameters: CutoverParameters, found: Sequence[Replacement], equal_at: str) -> list[str]:
    """Write the files; their names."""
    header = {
        "schema": SCHEMA,
        "source": parameters.source,
        "target": parameters.target,
        "equal_at": equal_at,
        "watched": parameters.frozen_for,
    }
    there = [asdict(each) for each in found]
    lists = [RowList(Path(name), there) for name in parameters.output]
    if parameters.way_back:
        back = [{"new": each.new, "old": each.old, "digest": each.digest} for each in found]
        lists.append(RowList(Path(parameters.way_back), back))
    write_lists(lists, header)
    return [str(each.path) for each in lists]
