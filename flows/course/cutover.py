"""The cut-over: proves that both sides are equal and nobody writes any more, then lists what replaces what."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
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
from tasks.operations.reports.shown_text import printable
from tasks.operations.source.index_marks import index_marks
from tasks.run_options import RunKind
from tasks.stores.mapping_files import RowList, check_files, write_lists
from tasks.stores.source_checks import refuse_within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from flows.terminal.console import Console
    from tasks.operations.in_step.cutover import Replacement
    from tasks.ports import Source
    from tasks.runs import Run
    from tasks.stores.pacing import Stop

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


@dataclass(frozen=True, slots=True)
class _Watched:
    """An open source, and the marks that its indexes had before anything was verified."""

    parameters: CutoverParameters
    source: Source
    marks: Mapping[str, str]

    def refuse_changes(self, marks: Mapping[str, str] | None = None) -> None:
        """See that its indexes have the same marks now, or had them when `marks` were read.

        Raises:
            RefusedError: they have others.
        """
        if marks is None:
            marks = index_marks(self.source, self.parameters.to_options().selection)
        refuse_changes(self.parameters.source, self.marks, marks)


@dataclass(frozen=True, slots=True)
class _Equal:
    """A source and a target, the moment at which they were equal, and what replaces what then."""

    source: str
    target: str
    at: str
    found: Sequence[Replacement]

    @property
    def json(self) -> dict[str, str]:
        """As files name it."""
        return {"source": self.source, "target": self.target, "equal_at": self.at}


def cut_over(
    pairs: Sequence[CutoverParameters], console: Console, say: Callable[[str], None], show: Callable[[Run], None]
) -> None:
    """Verify each pair, watch all sources to the end of the time, and write the files; `say` what was done.

    What is about no one source or target is the same in all pairs. Each verification is shown when it has ended, and
    the first that does not find both sides equal is the last.

    Raises:
        IncompleteError: the sides are not equal; no file was written.
        RefusedError: an index changed while its source was watched; no file was written.
        ConfigurationError: a file can't be written, or one old reference would stand for two new ones.
    """
    whole = pairs[0]
    _check_files(pairs)
    with ExitStack() as opened:
        watched = [opened.enter_context(_watched(pair, console.stop)) for pair in pairs]
        until = time.monotonic() + seconds(whole.frozen_for)
        equal = [_verified(each, console, show) for each in watched]
        refuse_shared_names(chain.from_iterable(each.found for each in equal))
        _wait(until, console, say)
        for each in watched:
            each.refuse_changes()
    for pair in equal:
        shown = printable(f"{pair.source} and {pair.target}")
        say(f"{shown} were equal at {pair.at}, and the source did not change until now")
    for name in _write(whole, equal):
        say(f"{name} written")


def _check_files(pairs: Sequence[CutoverParameters]) -> None:
    whole = pairs[0]
    for pair in pairs:
        for name in whole.output:
            refuse_within(pair.source, "--output", name)
        refuse_within(pair.source, "--way-back", whole.way_back)
    check_files([Path(name) for name in (*whole.output, *filter(None, [whole.way_back]))])


@contextmanager
def _watched(pair: CutoverParameters, stop: Stop) -> Iterator[_Watched]:
    options = pair.to_options()
    source = open_source(options.source, stop, options.bucket_access, by_name=options.split_by_name)
    try:
        yield _Watched(pair, source, index_marks(source, options.selection))
    finally:
        close_source(source)


def _verified(watched: _Watched, console: Console, show: Callable[[Run], None]) -> _Equal:
    """Verify, show the run that did, and say what replaces what.

    Raises:
        IncompleteError: the sides are not equal.
        RefusedError: no moment can be named at which they were, or the run read other indexes.
    """
    pair = watched.parameters
    console.forget_run()
    try:
        drive(RunKind.VERIFY, pair.to_options(), console, work_here)
    except IncompleteError as error:
        raise IncompleteError(f"{pair.source} → {pair.target}: {error}; no file was written") from None
    finally:
        if console.run is not None and console.run.report_path is not None:
            show(console.run)
    return _moment_of(watched, console.run)


def _moment_of(watched: _Watched, run: Run | None) -> _Equal:
    if run is None or run.ends.equality.at is None:
        reason = "it did not run" if run is None else run.ends.equality.reason
        raise RefusedError(f"no moment can be named at which both sides were equal ({reason}); no file was written")
    watched.refuse_changes(run.log.indexes)
    pair = watched.parameters
    own = own_name(pair.source)
    found = replacements(run.results(), pair.source, pair.old_reference, own_name=own)
    return _Equal(pair.source, pair.target, run.ends.equality.at, found)


def _wait(until: float, console: Console, say: Callable[[str], None]) -> None:
    """Let the time pass in which nobody may write.

    Raises:
        InterruptedRunError: it was told to stop.
    """
    if (left := until - time.monotonic()) > 0:
        end = datetime.now(UTC) + timedelta(seconds=left)
        say(f"all tags are verified; the indexes are watched until {end.isoformat(timespec='seconds')}")
        console.stop.pause(left)
    if console.stop.requested:
        raise InterruptedRunError("interrupted while the source was watched; no file was written")


def _write(whole: CutoverParameters, equal: Sequence[_Equal]) -> list[str]:
    """Write the files; their names."""
    moments = [each.json for each in equal]
    header = {"schema": SCHEMA, **(moments[0] if len(moments) == 1 else {"mappings": moments})}
    found = sorted(chain.from_iterable(each.found for each in equal))
    there = [asdict(each) for each in found]
    lists = [RowList(Path(name), there) for name in whole.output]
    if whole.way_back:
        back = [{"new": each.new, "old": each.old, "digest": each.digest} for each in found]
        lists.append(RowList(Path(whole.way_back), back))
    write_lists(lists, header | {"watched": whole.frozen_for})
    return [str(each.path) for each in lists]
