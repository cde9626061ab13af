"""What is printed of a cleanup that was applied or undone: each repository, what was wrong, and how to undo it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import click

from flows.terminal.finding_lines import print_advice, print_findings
from tasks.operations.reports.counts import counted
from tasks.operations.reports.shown_text import human_bytes, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tasks.operations.cleanup.applying.apply_tools import RepositoryOutcome
    from tasks.operations.cleanup.values import IndexEntry


NOTHING_DONE = "nothing was changed: all is as the plan wants it already"


def print_outcomes(
    run: str, outcomes: Iterable[RepositoryOutcome], *, as_json: bool, undone: str | None = None
) -> bool:
    """Print outcomes as they come; whether none of them has a problem.

    `undone` is the run that this one undoes: where not all of that came back, it is to be undone again.
    """
    is_idle, is_for_good = True, True
    alone = 0
    codes: dict[str, None] = {}
    if as_json:
        click.echo(f'{{"schema": 1, "run": {json.dumps(run)}, "repositories": [', nl=False)
    closing = f"run {run}; to put back what it took: layoutlift cleanup undo {run}"
    try:
        for place, outcome in enumerate(outcomes):
            codes |= dict.fromkeys(problem.code for problem in outcome.problems)
            is_idle = is_idle and _is_idle(outcome)
            is_for_good = is_for_good and not outcome.may_be_undone
            alone += outcome.left_alone
            if as_json:
                click.echo(("," if place else "") + "\n" + json.dumps(outcome.to_json()), nl=False)
            else:
                _print_outcome(outcome)
        if is_idle:
            closing = _nothing_done(alone, undone)
        elif undone is not None and codes:
            closing = f"run {run}; when that is mended, for what did not come back: layoutlift cleanup undo {undone}"
        elif is_for_good:
            closing = f"run {run}"
    finally:  # a run that is ended early can be undone, too, and leaves a document that can be read
        click.echo("\n]}" if as_json else closing)
        if not as_json:
            print_advice(codes, err=True)
    return not codes


def _nothing_done(alone: int, undone: str | None) -> str:
    """What is said of a run that did nothing, which nobody can undo; so many repositories were left alone."""
    if alone:
        return f"nothing was changed: {counted(alone, 'repository', 'are')} left alone"
    return NOTHING_DONE if undone is None else f"nothing is left to put back of what {undone} took"


def _is_idle(outcome: RepositoryOutcome) -> bool:
    """Whether nothing was done with a repository, and nothing was to be done that was not."""
    return not (any(outcome_parts(outcome)) or outcome.skipped or outcome.problems)


@dataclass(slots=True)
class AppliedPart:
    """What was applied, as the last member of the JSON document of its plan; null where nothing was begun."""

    is_begun: bool = False

    def __enter__(self) -> Self:
        click.echo(', "applied": ', nl=False)
        return self

    def __exit__(self, *_: object) -> None:
        click.echo("}" if self.is_begun else "null}")

    def show(self, run: str, outcomes: Iterable[RepositoryOutcome]) -> bool:
        """See `print_outcomes`."""
        self.is_begun = True
        return print_outcomes(run, outcomes, as_json=True)


def _print_outcome(outcome: RepositoryOutcome) -> None:
    parts = list(outcome_parts(outcome))
    if parts:
        click.echo(printable(f"{outcome.path}: {'; '.join(parts)}"))
    for entry in outcome.skipped:
        click.echo(f"skip   {printable(f'{outcome.path}:{entry_name(entry)}')}\tit was changed since the plan")
    print_findings(outcome.problems)


def outcome_parts(outcome: RepositoryOutcome) -> Iterator[str]:
    """What was done, in words; nothing of what was not."""
    counts = {
        ("entry", "taken out"): len(outcome.removed),
        ("entry", "put in"): len(outcome.added),
        ("blob", "marked as unreferenced"): outcome.marked,
        ("blob", "back from the quarantine"): len(outcome.restored),
        ("blob", "gone for good"): outcome.purged,
        ("leftover", "of writers deleted"): outcome.files_deleted,
    }
    yield from (f"{counted(count, noun)} {words}" for (noun, words), count in counts.items() if count)
    if outcome.hidden:
        yield f"{counted(outcome.hidden, 'blob')} into the quarantine ({human_bytes(outcome.bytes_hidden)})"
    if outcome.bytes_freed:
        yield f"{human_bytes(outcome.bytes_freed)} came back"
    if outcome.dropped:
        yield "the empty layout is gone"
    if outcome.remade:
        yield "the layout is back"


def entry_name(entry: IndexEntry) -> str:
    """What an entry is called: its tag, or its digest."""
    return entry.tag if entry.tag is not None else entry.descriptor.digest
