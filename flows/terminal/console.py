"""What the command shows: progress while it works, and the outcome at the end."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from heapq import nsmallest
from itertools import chain
from typing import TYPE_CHECKING

import click

from flows.course.repeating import every
from flows.terminal.finding_lines import print_advice
from flows.terminal.kinds_of_terminals import draws_over_lines
from flows.terminal.outcome_table import repository_lines
from tasks.oci.codes import Refused
from tasks.oci.errors import InterruptedRunError, InvalidReferenceError, NameCollisionError
from tasks.operations.reports.counts import counted
from tasks.operations.reports.findings import RUN_WIDE, is_harmful
from tasks.operations.reports.results import Outcome
from tasks.operations.reports.shown_text import human_bytes, printable
from tasks.run_options import RunKind
from tasks.runs import open_run
from tasks.stop import Stop

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from contextlib import AbstractContextManager
    from typing import TypeAlias

    from flows.course.early_start import EarlyStart
    from tasks.operations.reports.results import TagResult
    from tasks.operations.source.source_graph import Census
    from tasks.ports import Finding
    from tasks.run_options import RunOptions
    from tasks.runs import Run

    _Rank: TypeAlias = tuple[bool, bool, int]

REFRESH = 0.25
"""Seconds between looks at the counters on a terminal."""
LINE_EVERY = 10.0
"""Seconds between lines where there is no terminal that takes bars."""
SHOWN_FAILURES = 20
_SAID_OF_EACH_TAG = frozenset({InvalidReferenceError.code, NameCollisionError.code, Refused.REPOSITORY_MISSING})


class Console:
    """Watches a run on standard error, with bars on a terminal and lines elsewhere; see `Watcher`."""

    def __init__(self) -> None:
        self.stop = Stop()
        self.run: Run | None = None
        self.interrupted = False
        self.has_shown = False
        """Whether it has shown the outcome of what it does not watch, as of a benchmark."""
        self.early: EarlyStart | None = None

    def interrupt(self) -> None:
        """Have the run end because somebody said so."""
        self.interrupted = True
        self.stop.set()

    def check(self) -> None:
        """Leave here if somebody said so.

        Raises:
            InterruptedRunError: the run was told to stop.
        """
        if self.interrupted:
            raise InterruptedRunError("the run was told to stop before Prefect had begun it")

    @property
    def latest_run(self) -> Run | None:
        """The run that is watched, or was opened to be."""
        return self.run if self.run is not None or self.early is None else self.early.opened

    def open(self, kind: RunKind, options: RunOptions) -> AbstractContextManager[Run]:
        """See `Watcher.open`; a run that was begun early is gone on with."""
        return open_run(kind, options, self.stop) if self.early is None else self.early.taken_over()

    @contextmanager
    def watch(self, run: Run) -> Iterator[None]:
        """See `Watcher.watch`."""
        self.run = run
        with _bars(run) if _takes_bars() else _lines(run):
            yield


def _takes_bars() -> bool:
    return sys.stderr.isatty() and draws_over_lines()


@contextmanager
def _lines(run: Run) -> Iterator[None]:
    with every(LINE_EVERY, lambda: click.echo(_progress_line(run), err=True), name="console"):
        yield


def _progress_line(run: Run) -> str:
    """A line for logs that put no time to what they keep, as those of cron and CI."""
    progress = run.progress
    said = [f"{datetime.now(UTC).isoformat(timespec='seconds')} {progress.line}"]
    said.append(counted(progress.totals.problems, "problem"))
    said += _sent(run, progress.sent)
    left = "holding" if progress.held.is_held else progress.time_left
    return ", ".join([*said, *([] if left is None else [left])])


def _sent(run: Run, amount: str) -> list[str]:
    """What was sent, and how fast, of a run that sends something."""
    return [amount, f"{human_bytes(run.progress.rate)}/s"] if run.kind is RunKind.MIGRATE else []


def _beside_bar(run: Run) -> str:
    """What there is to tell besides tags and time, as short as it can be: it takes room from the bar."""
    progress, problems = run.progress, run.progress.totals.problems
    said = _sent(run, human_bytes(progress.bytes_read))
    said += [counted(problems, "problem")] if problems else []
    return ", ".join([*said, *(["holding"] if progress.held.is_held else [])])


@contextmanager
def _bars(run: Run) -> Iterator[None]:
    from rich.console import Console as RichConsole  # noqa: PLC0415 - only where there is a terminal
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[beside]}"),
        TimeRemainingColumn(),
        console=RichConsole(stderr=True),
    )
    with bars:
        row = bars.add_task("tags", total=None, beside="")

        def update() -> None:
            progress = run.progress
            done, total = progress.totals.tags, progress.expected or None
            bars.update(row, completed=done, total=total, beside=_beside_bar(run))

        with every(REFRESH, update, name="console"):
            yield
        update()


def print_outcome(run: Run, command: str | None = None) -> None:
    """Print the table of outcomes and the first problems to standard output, as of a run of its kind or `command`."""
    click.echo(f"{command or run.kind} {printable(run.options.title)}")
    for line in repository_lines(run.results(), verified=run.kind.is_proof):
        click.echo(line)
    for name, count in _counts(run).items():
        click.echo(f"  {name:<14}{count:>9,}{_bytes_of(name, run)}")
    if run.kind is RunKind.MIGRATE:
        traffic = run.totals.traffic
        click.echo(
            f"  blobs: {traffic.blobs_pushed:,} sent ({human_bytes(traffic.bytes_pushed)}), "
            f"{traffic.blobs_mounted:,} mounted, {traffic.blobs_present:,} there already"
        )
    elif run.kind.has_census:
        click.echo(_census_line(run.census, run.totals.tags))
    if run.kind in {RunKind.MIGRATE, RunKind.VERIFY}:
        click.echo(_equality_line(run))
    if run.report_places:
        click.echo(f"  report: {', '.join(run.report_places)}")
    print_problems((r for r in run.results() if r.outcome in {Outcome.REFUSED, Outcome.FAILED}), run.log.findings)


def _equality_line(run: Run) -> str:
    at, reason = run.ends.equality.at, run.ends.equality.reason
    if at is None:
        return printable(f"  not known to be equal: {reason}")
    equal = "what was chosen was equal on both sides" if run.options.leaves_out else "both sides were equal"
    return f"  {equal} at {at}"


def _counts(run: Run) -> dict[str, int]:
    outcomes = run.totals.outcomes
    if run.kind.is_proof:
        return {"verified": outcomes[Outcome.UP_TO_DATE], "with problems": run.totals.problems}
    shown = [outcome for outcome in Outcome if outcomes[outcome] or outcome is not Outcome.TO_COPY]
    if run.kind is RunKind.PLAN:
        shown = [outcome for outcome in Outcome if outcome is not Outcome.COPIED]
    return {outcome.replace("_", " "): outcomes[outcome] for outcome in shown}


def _bytes_of(name: str, run: Run) -> str:
    """What is to be copied, in bytes; nobody has asked the target which of them it has."""
    is_to_copy = name == Outcome.TO_COPY.replace("_", " ") and run.totals.outcomes[Outcome.TO_COPY]
    return f" ({human_bytes(run.census.bytes_to_copy)}, less what is there)" if is_to_copy else ""


def _census_line(census: Census, tags: int) -> str:
    return (
        f"  chosen: {counted(census.repositories, 'repository')}, {counted(tags, 'tag')}, "
        f"{counted(census.referrers, 'referrer')}, "
        f"{census.untagged:,} untagged; {human_bytes(census.bytes_unique)} unique, "
        f"{human_bytes(census.bytes_shared)} more shared"
    )


def print_problems(results: Iterable[TagResult], findings: Collection[Finding]) -> None:
    """Print what is wrong, a line each, up to a limit, remarks last; and what to do about each code that occurred.

    There may be a million of them, so that no more are kept than are shown. What is said of a repository with each of
    its tags is not said once more.
    """
    untold = {(f.path, f.code, f.message) for f in findings if f.code in _SAID_OF_EACH_TAG}
    told = chain(
        _tags_told(results, untold),
        (
            _ProblemLine(is_harmful(f), "found", f.path, f.message, f.code, "repository")
            for f in findings
            if f.code not in _SAID_OF_EACH_TAG or (f.path, f.code, f.message) in untold
        ),
    )
    tally = _Tally()
    shown = nsmallest(SHOWN_FAILURES, tally.of(_left_together(told)), key=_ProblemLine.rank)
    for each in shown:
        click.echo(f"  ! {printable(each.line)} ({each.code})")
    if more := tally.number - sum(each.number for each in shown):
        click.echo(f"  … and {more:,} more, in the report")
    print_advice(sorted(tally.codes, key=lambda code: tally.codes[code]), err=False)


def _tags_told(results: Iterable[TagResult], untold: set[tuple[str, str, str]]) -> Iterator[_ProblemLine]:
    """A line for each tag; what it says is taken from what is `untold`."""
    for r in results:
        untold.discard((r.repository, r.code or "", r.message or ""))
        yield _ProblemLine(r.is_problem, str(r.outcome), r.place, r.message, r.code)


@dataclass(frozen=True, slots=True)
class _ProblemLine:
    """A line on what is wrong with one tag or repository, or with several."""

    is_problem: bool
    outcome: str
    place: str
    message: str | None
    code: str | None
    noun: str = "tag"
    number: int = 1

    @property
    def line(self) -> str:
        """What is said, without the code."""
        place = self.place if self.number == 1 else counted(self.number, self.noun)
        return f"{self.outcome} {place}: {self.message}"

    def rank(self) -> _Rank:
        """What is wrong with something comes first; then what the run did not get to, and why; then remarks."""
        return not self.is_problem, self.code in RUN_WIDE, self.number


class _Tally:
    """How many things are told of, and the place of each code among them, which is that of its first line."""

    def __init__(self) -> None:
        self.number = 0
        self.codes: dict[str | None, tuple[_Rank, int]] = {}

    def of(self, told: Iterable[_ProblemLine]) -> Iterator[_ProblemLine]:
        """Count each on its way."""
        for each in told:
            place = each.rank(), self.number
            self.codes[each.code] = min(place, self.codes.get(each.code, place))
            self.number += each.number
            yield each


def _left_together(told: Iterable[_ProblemLine]) -> Iterator[_ProblemLine]:
    """A line for each, but one for all that the run did not get to for one reason."""
    left: dict[tuple[str, str | None, str | None], _ProblemLine] = {}
    numbers: Counter[tuple[str, str | None, str | None]] = Counter()
    for each in told:
        if each.code in RUN_WIDE:
            reason = each.outcome, each.message, each.code
            left.setdefault(reason, each)
            numbers[reason] += 1
        else:
            yield each
    yield from (replace(first, number=numbers[reason]) for reason, first in left.items())
