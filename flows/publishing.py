"""Does the batches of a run as Prefect tasks, and shows in the dashboard what comes of them."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from flows.announcing import announce_begun, announce_ended
from tasks.operations.reporting import failure_rows, human_bytes, summary_markdown
from tasks.run_context import shared
from tasks.work_batch import work_batch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from tasks.operations.planning import Batch
    from tasks.runs import Run

PROGRESS_EVERY = 5.0
"""Seconds between updates of the progress artifact; each is a request to the Prefect server."""


logger = logging.getLogger(__name__)


def work_as_tasks(run: Run, batches: tuple[Batch, ...]) -> None:
    """Submit each batch as a task of the flow that this is called from, and wait for all."""
    for name in ("flows", "tasks"):
        logging.getLogger(name).setLevel(logging.INFO)  # Prefect sends their records to the run, but sets no level
    logger.info("%s: %d tags in %d batches", run.title, run.progress.expected, len(batches))
    announce_begun(run)
    with shared(run), _progress_artifact(run):
        futures = [
            work_batch.submit(run.run_id, [(part.path, part.start, part.stop) for part in batch], _label(run, batch))
            for batch in batches
        ]
        for future in futures:
            future.result()


def publish(run: Run) -> None:
    """Leave a summary, and a table of what has a problem, and tell who waits for how it ended."""
    announce_ended(run)
    summary = summary_markdown(run.header(), run.totals, run.findings)
    rows = failure_rows(run.results())
    with _only_noted():
        create_markdown_artifact(summary, key=f"{run.kind}-summary", description="What became of each tag")
        if rows:
            key = f"{run.kind}-problems"
            create_table_artifact(rows, key=key, description="Each tag with a problem, and what to do")


@contextmanager
def _only_noted() -> Iterator[None]:
    """What the dashboard shows is a courtesy: a run does not fail because Prefect's server does not answer."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - Prefect raises its own, httpx's and others
        logger.warning("the dashboard could not be told: %s", type(error).__name__)


def _label(run: Run, batch: Batch) -> str:
    first = batch[0]
    span = f" [{first.start}:{'' if first.stop is None else first.stop}]" if first.start or first.stop else ""
    more = f" and {len(batch) - 1} more" if len(batch) > 1 else ""
    return f"{run.kind} {first.path}{span}{more}"


@contextmanager
def _progress_artifact(run: Run) -> Iterator[None]:
    """Keep an artifact that shows how many of the tags are done, updated by a thread of its own."""
    artifact: UUID | None = None
    with _only_noted():
        artifact = cast("UUID", create_progress_artifact(0.0, description=_described(run)))
    done = threading.Event()

    def update() -> None:
        if artifact is not None:
            with _only_noted():
                update_progress_artifact(artifact, _percent(run), description=_described(run))

    def keep_updating() -> None:
        while not done.wait(PROGRESS_EVERY):
            update()

    updater = threading.Thread(target=keep_updating, name="progress", daemon=True)
    updater.start()
    try:
        yield
    finally:
        done.set()
        updater.join()
        update()


def _percent(run: Run) -> float:
    return min(100.0, 100.0 * run.totals.tags / max(1, run.progress.expected))


def _described(run: Run) -> str:
    sent = human_bytes(run.totals.traffic.bytes_pushed)
    return f"{run.totals.tags} tags of {run.progress.expected}, {sent} sent"
