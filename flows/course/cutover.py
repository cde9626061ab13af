"""The cut-over: proves that both sides are equal and nobody writes any more, then lists what replaces what."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from flows.course.driving import drive, work_here
from flows.forms.quantities import seconds
from tasks.endpoints import close_source, open_source, own_name
from tasks.oci.errors import IncompleteError, InterruptedRunError, InvalidLayoutError, RefusedError, SourceError
from tasks.operations.in_step.replacements import (
    OLD_REFERENCE,
    refuse_changes,
    refuse_shared_names,
    refuse_two_ways_back,
    replacements,
)
from tasks.operations.reports.shown_text import printable
from tasks.operations.source.index_marks import index_marks
from tasks.run_options import RunKind
from tasks.stores.mapping_files import RowList, check_files, write_lists
from tasks.stores.source_checks import refuse_within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from flows.forms.cutover_parameters import CutoverParameters
    from flows.terminal.console import Console
    from tasks.operations.choosing.selection import Selection
    from tasks.operations.in_step.replacements import Replacement
    from tasks.ports import Source
    from tasks.runs import Run
    from tasks.stop import Stop

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class _Watched:
    """A source and its target, how to look at the marks of the source's indexes, and what they were at first."""

    pair: CutoverParameters
    look: Callable[[], Mapping[str, str]]
    marks: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Equal:
    """A source and a target, the moment at which they were equal, if only in `part`, and what replaces what then."""

    source: str
    target: str
    at: str
    part: bool
    found: Sequence[Replacement]

    @property
    def line(self) -> str:
        """As it is told."""
        pair = f"{self.source} and {self.target}"
        if not self.part:
            return f"{pair} were equal at {self.at}, and the source did not change until now"
        equal = f"what was chosen was equal on both sides at {self.at}"
        return f"{pair}: {equal}, and its indexes did not change until now"

    @property
    def json(self) -> dict[str, str]:
        """As files name it."""
        chosen = "part" if self.part else "all"
        return {"source": self.source, "target": self.target, "chosen": chosen, "equal_at": self.at}


class Teller(Protocol):
    """Tells somebody how a cut-over goes on."""

    def begin(self, pair: CutoverParameters) -> None:
        """Tell which source and target are verified now."""

    def show(self, run: Run) -> None:
        """Show the run that has verified them, whatever it has found; it has a report."""

    def say(self, line: str) -> None:
        """Say what is done, or was."""


def cut_over(pairs: Sequence[CutoverParameters], console: Console, teller: Teller) -> None:
    """Verify each pair, watch all sources to the end of the time, and write the files.

    What is about no one source or target is the same in all pairs. The first that does not prove to be equal is the
    last.

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
        equal = [_verified(each, console, teller) for each in watched]
        found = sorted({*chain.from_iterable(each.found for each in equal)})
        _refuse_shared(whole, found)
        _wait(until, console, teller)
        for each in watched:
            refuse_changes(each.pair.source, each.marks, each.look())
    for pair in equal:
        teller.say(printable(pair.line))
    for name in _write(whole, equal, found):
        teller.say(f"{name} written")


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
    selection = options.choosing.selection()  # once: the list that it may come from is not what is watched
    source = open_source(options.source, stop, options.bucket_access, by_name=options.split_by_name)
    try:
        look = partial(_marks, pair.source, source, selection)
        yield _Watched(pair, look, look())
    finally:
        close_source(source)


def _marks(name: str, source: Source, selection: Selection) -> Mapping[str, str]:
    """The marks of a source's indexes; an error says which source it is about, as there may be several.

    Raises:
        SourceError, InvalidLayoutError: one can't be read.
    """
    try:
        return index_marks(source, selection)
    except (SourceError, InvalidLayoutError) as error:
        raise type(error)(str(error) if name in str(error) else f"{name}: {error}") from error


def _verified(watched: _Watched, console: Console, teller: Teller) -> _Equal:
    """Verify, show the run that did, and say what replaces what.

    Raises:
        IncompleteError: the sides are not equal.
        RefusedError: no moment can be named at which they were, or the run read other indexes.
    """
    console.run = None
    teller.begin(watched.pair)
    try:
        drive(RunKind.VERIFY, watched.pair.to_options(), console, work_here, told_as="cutover")
    except IncompleteError as error:
        raise IncompleteError(f"{error}; no file was written") from None
    finally:
        if (run := console.latest_run) is not None and run.report_path is not None:
            teller.show(run)
    return _equal(watched, console)


def _equal(watched: _Watched, console: Console) -> _Equal:
    run, pair = console.run, watched.pair
    if run is None or run.ends.equality.at is None:
        reason = "it did not run" if run is None else run.ends.equality.reason
        raise RefusedError(f"no moment can be named at which both sides were equal ({reason}); no file was written")
    refuse_changes(pair.source, watched.marks, run.log.indexes)
    found = replacements(run.results(), pair.source, pair.old_reference, own_name=own_name(pair.source))
    part = pair.to_options().leaves_out
    return _Equal(pair.source, pair.target, run.ends.equality.at, part, found)


def _wait(until: float, console: Console, teller: Teller) -> None:
    """Let the time pass in which nobody may write.

    Raises:
        InterruptedRunError: it was told to stop.
    """
    if (left := until - time.monotonic()) > 0:
        end = datetime.now(UTC) + timedelta(seconds=left)
        teller.say(f"all tags are verified; the indexes are watched until {end.isoformat(timespec='seconds')}")
        console.stop.pause(left)
    if console.stop.requested:
        raise InterruptedRunError("interrupted while the source was watched; no file was written")


def _refuse_shared(whole: CutoverParameters, found: Sequence[Replacement]) -> None:
    """See that each name stands for one thing in each list, also in those that a later cut-over is to write.

    One source may go to two targets, or two to one, as long as nobody wants a list of that.
    """
    if whole.output or whole.old_reference != OLD_REFERENCE:
        refuse_shared_names(found)
    if whole.way_back:
        refuse_two_ways_back(found)


def _write(whole: CutoverParameters, equal: Sequence[_Equal], found: Sequence[Replacement]) -> list[str]:
    """Write the files; their names."""
    moments = [each.json for each in equal]
    about = moments[0] if len(moments) == 1 else {"mappings": moments}
    header = {"schema": SCHEMA, "version": version("layoutlift"), **about}
    there = [asdict(each) for each in found]
    lists = [RowList(Path(name), there) for name in whole.output]
    if whole.way_back:
        back = [{"new": each.new, "old": each.old, "digest": each.digest} for each in found]
        lists.append(RowList(Path(whole.way_back), back))
    write_lists(lists, header | {"watched": whole.frozen_for})
    return [str(each.path) for each in lists]
