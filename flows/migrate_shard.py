"""The flow that does one part of a migration that another flow run has split up; nobody starts it by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, cast

from prefect import State
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import Field

from flows.flow_body import run_as_flow
from flows.own_flow import flow
from flows.parameters import MigrateParameters
from flows.shard_life import ShardWatcher, hand_in
from flows.watching import watched_by
from tasks.operations.shards import unquoted
from tasks.operations.tree_run import BATCHES_AT_ONCE
from tasks.ports import Shard
from tasks.runs import RunKind


@flow(
    name="migrate-shard",
    task_runner=cast("Any", ThreadPoolTaskRunner(max_workers=BATCHES_AT_ONCE)),  # its annotation can't be inferred
    persist_result=False,
)
def migrate_shard(
    *,
    settings: MigrateParameters,
    run: Annotated[str, Field(description="The run that this is a part of")],
    number: Annotated[int, Field(description="Which part it is", ge=1)],
    repositories: Annotated[list[str], Field(description="Paths at the source, percent-encoded", min_length=1)],
) -> State[None] | None:
    """Lift some repositories of a migration, and hand the report to the run that it is a part of.

    Raises:
        LayoutliftError: as `drive` does.
    """
    watcher = ShardWatcher()
    options = replace(settings.to_options(), shard=Shard(run, number, unquoted(repositories)))
    with watched_by(watcher), watcher.shows_life():
        return run_as_flow(RunKind.MIGRATE, options, publish=hand_in)
