"""The Prefect task that does one batch of a run."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import task_run

from tasks.oci.errors import is_transient
from tasks.operations.reports.told_errors import told_plainly
from tasks.operations.running.batches import Slice
from tasks.operations.source.looking_again import RETRY_DELAYS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prefect import Task
    from prefect.client.schemas.objects import State, TaskRun

    from tasks.runs import Run

_runs: dict[str, Run] = {}


@contextmanager
def shared_run(run: Run) -> Iterator[None]:
    """Let the tasks of this process find a run by its id until the end of the block."""
    _runs[run.run_id] = run
    try:
        yield
    finally:
        del _runs[run.run_id]


def _retry_if_transient(task: Task[Any, Any], task_run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001 - Prefect's form
    """Whether Prefect should try a batch again; must be a plain function, Prefect ignores anything else."""
    return isinstance(state.data, BaseException) and is_transient(state.data)


@task(
    task_run_name="{label}",
    retries=len(RETRY_DELAYS),
    retry_delay_seconds=list(RETRY_DELAYS),
    retry_jitter_factor=0.5,
    retry_condition_fn=_retry_if_transient,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def work_batch(run_id: str, batch: list[tuple[str, int, int | None]], label: str) -> None:  # noqa: ARG001 - the name
    """Do the tags of a batch; the run is named, as Prefect stores arguments, and keeps what comes of it itself."""
    last = (task_run.run_count or 1) > len(RETRY_DELAYS)
    with told_plainly():
        _runs[run_id].execute(tuple(Slice(*part) for part in batch), last_attempt=last)
