"""Does the batches of a run as Prefect tasks, and shows in the dashboard what comes of them."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.futures import wait

from flows.dashboard.announcing import announce_begun, announce_ended
from flows.dashboard.dashboard_limits import ended_by_a_pause
from flows.dashboard.shown_progress import only_noted, refusal_noted, show_end, shown_progress
from tasks.operations.reports.counts import counted
from tasks.operations.reports.findings import harmful_first
from tasks.operations.reports.shown_text import printable
from tasks.operations.reports.summary import failure_rows, summary_markdown
from tasks.work_batch import shared_run, work_batch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prefect.futures import PrefectFuture

    from tasks.operations.running.batches import Batch
    from tasks.operations.running.source_survey import Survey
    from tasks.runs import Run

LETS_GO_SECONDS = 8.0
"""A worker kills what has not ended half a minute after it was told to."""

logger = logging.getLogger(__name__)


@contextmanager
def shown_work(run: Run, parts: str) -> Iterator[None]:
    """Have the dashboard show a run's work until the end of the block, and have a pause there end it in order."""
    logger.info("%s: %s in %s", run.options.title, counted(run.progress.expected, "tag"), parts)
    announce_begun(run)
    with ended_by_a_pause(run.tree.end_early), shown_progress(run):
        yield


def work_as_tasks(run: Run, survey: Survey) -> None:
    """Submit each batch as a task of the flow that this is called from, and wait for all."""
    batches = survey.batches
    with shared_run(run), shown_work(run, counted(len(batches), "batch")), _ended_in_order(run) as futures:
        for batch in batches:
            parts = [(part.path, part.start, part.stop) for part in batch]
            futures.append(work_batch.submit(run.run_id, parts, _label(run, batch)))
        for future in futures:
            future.result()


@contextmanager
def _ended_in_order(run: Run) -> Iterator[list[PrefectFuture[None]]]:
    """Where the flow is ended from outside, as by a worker, let what is at work say so for the report first."""
    futures: list[PrefectFuture[None]] = []
    try:
        yield futures
    except BaseException:
        run.tree.end_early()
        wait(futures, timeout=LETS_GO_SECONDS)
        raise


def publish(run: Run) -> None:
    """Tell who waits for how it ended, leave a summary and a table of what has a problem, and show how it went.

    What counts most comes first, and the rest is not tried where the server is away: its client tries each for
    minutes, with the lock of the pair held.
    """
    announce_ended(run)
    findings = harmful_first(run.log.findings)
    summary = summary_markdown(run.header(), run.totals, run.closing(), findings, run.report_places)
    rows = failure_rows(run.results())
    with only_noted():
        with refusal_noted():
            create_markdown_artifact(summary, key=f"{run.kind}-summary", description="What became of each tag")
        with refusal_noted():
            _show_problems(run, rows)
        show_end(run)


def _show_problems(run: Run, rows: list[dict[str, str]]) -> None:
    if rows:
        told = _told_of(len(rows), run.totals.problems)
        create_table_artifact(rows, key=f"{run.kind}-problems", description=told)


def _told_of(rows: int, problems: int) -> str:
    shown = "Each tag" if rows >= problems else f"The first {rows} of {counted(problems, 'tag')}"
    return f"{shown} with a problem, and what to do"


def _label(run: Run, batch: Batch) -> str:
    first = batch[0]
    span = f" [{first.start}:{'' if first.stop is None else first.stop}]" if first.start or first.stop else ""
    more = f" and {len(batch) - 1} more" if len(batch) > 1 else ""
    return printable(f"{run.kind} {first.path}{span}{more}")  # Prefect prints the name, and keeps only UTF-8
