"""What the dashboard shows of a cleanup: its plan, what came of it, and what was wrong."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.dashboard.shown_progress import only_noted
from flows.terminal.cleanup_outcome_output import entry_name, outcome_parts
from tasks.operations.reports.advice import advice_on
from tasks.operations.reports.counts import counted
from tasks.operations.reports.shown_text import escape_markdown, human_bytes, printable, table_cell

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tasks.operations.cleanup.applying.apply_tools import RepositoryOutcome
    from tasks.ports import Finding

SHOWN = 200
logger = logging.getLogger(__name__)


def publish_plan(text: str) -> None:
    """Leave a plan as an artifact, for whoever has to approve it."""
    with only_noted():
        create_markdown_artifact(text, key="cleanup-plan", description="What would go, and why")


@dataclass(slots=True)
class Applied:
    """What came of a plan; `show` is what is handed to `apply_plan`."""

    run: str = ""
    rows: list[str] = field(default_factory=list)
    more: int = 0
    problems: list[Finding] = field(default_factory=list)
    repositories: int = 0
    bytes_freed: int = 0
    is_for_good: bool = False
    """Whether all of it is done, and nothing of it can be put back."""

    def show(self, run: str, outcomes: Iterable[RepositoryOutcome]) -> bool:
        """See what comes of each repository, tell the run's log, and leave it as artifacts."""
        self.run = run
        logger.info("run %s; to put back what it takes: layoutlift cleanup undo %s", run, run)
        undoable = 0
        try:
            for outcome in outcomes:
                self._see(outcome)
                undoable += outcome.may_be_undone
            self.is_for_good = not undoable
        finally:
            self._publish()
        return not self.problems

    def _see(self, outcome: RepositoryOutcome) -> None:
        self.problems += outcome.problems
        self.bytes_freed += outcome.bytes_freed
        done = [*outcome_parts(outcome)]
        said = [*done, *_skipped(outcome)]
        if not said:
            return
        self.repositories += bool(done)
        logger.info("%s: %s", printable(outcome.path), printable("; ".join(said)))
        if len(self.rows) < SHOWN:
            self.rows.append(f"| {escape_markdown(outcome.path)} | {escape_markdown('; '.join(said))} |")
        else:
            self.more += 1

    def _publish(self) -> None:
        lines = [
            f"# {counted(self.repositories, 'repository')} changed, {human_bytes(self.bytes_freed)} came back",
            "",
            f"Run {self.run} took nothing that can be put back."
            if self.is_for_good
            else f"To put back what it took: `layoutlift cleanup undo {self.run}`",
            "",
            *(["| repository | what was done |", "|---|---|", *self.rows] if self.rows else []),
            *(["", f"and {self.more:,} more, in the log of this run"] if self.more else []),
        ]
        rows = [_problem_row(each) for each in self.problems[:SHOWN]]
        with only_noted():
            create_markdown_artifact("\n".join(lines) + "\n", key="cleanup-applied", description="What was done")
            if rows:
                create_table_artifact(rows, key="cleanup-problems", description=self._told_of_problems())

    def _told_of_problems(self) -> str:
        number = len(self.problems)
        of = f"; the first {SHOWN} of {number:,}" if number > SHOWN else ""
        return f"What is wrong, and what to do{of}"


def _skipped(outcome: RepositoryOutcome) -> Iterator[str]:
    if outcome.skipped:
        names = ", ".join(entry_name(entry) for entry in outcome.skipped[:5])
        yield f"{counted(len(outcome.skipped), 'entry')} left, changed since the plan ({names})"


def _problem_row(problem: Finding) -> dict[str, str]:
    return {
        "repository": table_cell(problem.path),
        "code": problem.code,
        "what happened": table_cell(problem.message),
        "what to do": advice_on(problem.code),
    }
