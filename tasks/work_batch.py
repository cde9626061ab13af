"""The Prefect task that does one batch of a run."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import task_run

from tasks.operations.running.batches import Slice
from tasks.operations.running.tree_run import RETRY_DELAYS
from tasks.run_context import retry_if_transient, shared_run


@task(
    task_run_name="{label}",
    retries=len(RETRY_DELAYS),
    retry_delay_seconds=list(RETRY_DELAYS),
    retry_jitter_factor=0.5,
    retry_condition_fn=retry_if_transient,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def work_batch(run_id: str, batch: list[tuple[str, int, int | None]], label: str) -> None:  # noqa: ARG001 - the name
    """Do the tags of a batch; outcomes go to the run's record, not to Prefect."""
    last = (task_run.run_count or 1) > len(RETRY_DELAYS)
    shared_run(run_id).execute(tuple(Slice(*part) for part in batch), last_attempt=last)
