"""The table of repositories that ends a run's output: what came of the tags of each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import TYPE_CHECKING

from rich.cells import cell_len

from tasks.operations.reports.counts import counted
from tasks.operations.reports.findings import RUN_WIDE
from tasks.operations.reports.results import Outcome
from tasks.operations.reports.shown_text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tasks.operations.reports.results import TagResult

SHOWN = 25
WIDEST = 60
"""Characters that a column is wide at most."""
_HEADINGS = {Outcome.TO_COPY: "to copy", Outcome.COPIED: "copied", Outcome.UP_TO_DATE: "up to date"}


@dataclass(slots=True)
class _Row:
    """One repository; `target` is where its tags go, if anywhere."""

    target: str = "-"
    tags: int = 0
    problems: int = 0
    skipped: int = 0
    not_done: int = 0
    good: Counter[str] = field(default_factory=Counter)

    def add(self, result: TagResult) -> None:
        self.tags += 1
        if result.outcome in {Outcome.REFUSED, Outcome.FAILED}:
            self.not_done += result.code in RUN_WIDE
            self.skipped += not result.is_problem
            self.problems += result.is_problem and result.code not in RUN_WIDE
        if result.outcome in _HEADINGS:
            self.good[_HEADINGS[result.outcome]] += 1
        if result.target is not None:
            self.target = result.target.rpartition("@" if result.tag is None else ":")[0]

    @property
    def rank(self) -> int:
        """Its place where not all fit: behind problems comes what has work, and last what is only up to date."""
        is_new = self.good.total() > self.good[_HEADINGS[Outcome.UP_TO_DATE]]
        left = self.not_done or self.skipped
        return 0 if self.problems else 1 if is_new else 2 if left else 3


def repository_lines(results: Iterable[TagResult], *, verified: bool = False) -> Iterator[str]:
    """The table's lines, a repository each, by their paths.

    Where a screen can't take them all, those that are of interest come first, and the others are only counted.
    `verified` names what was verified only.
    """
    rows: dict[str, _Row] = {}
    for result in results:
        rows.setdefault(result.repository, _Row()).add(result)
    fits = len(rows) <= SHOWN
    shown = dict(nsmallest(SHOWN, rows.items(), key=lambda each: (0 if fits else each[1].rank, each[0])))
    if not shown:
        return
    cells = [("repository", "target", "tags", "outcome")] + [
        (printable(path), row.target, f"{row.tags:,}", _outcome(row, verified=verified))
        for path, row in shown.items()
    ]
    if all(row.target == "-" for row in shown.values()):
        cells = [(path, "", tags, outcome) for path, _, tags, outcome in cells]
    left, right = (_width([row[column] for row in cells]) for column in (0, 1))
    for path, target, tags, outcome in cells:
        yield f"  {_padded(path, left)}  {_padded(target, right)}  {tags:>6}  {outcome}"
    if not fits:
        yield f"  … and {counted(len(rows) - SHOWN, 'more repository')}, in the report"


def _width(column: Sequence[str]) -> int:
    """A column's width: that of its longest cell, but for very long ones, which push only their own line aside."""
    return max(min(cell_len(cell), WIDEST) for cell in column)


def _padded(cell: str, width: int) -> str:
    """A cell of a column: a terminal gives two places to a character of Chinese or Japanese."""
    return cell + " " * (width - cell_len(cell))


def _outcome(row: _Row, *, verified: bool) -> str:
    good = Counter(verified=row.good.total()) if verified else row.good
    bad = {"with problems": row.problems, "not done": row.not_done}
    counts = {**bad, "skipped": row.skipped, **{name: good[name] for name in ("verified", *_HEADINGS.values())}}
    parts = {name: count for name, count in counts.items() if count}
    if len(parts) == 1 and not any(bad.values()):
        return next(iter(parts))
    return ", ".join(f"{count:,} {name}" for name, count in parts.items())
