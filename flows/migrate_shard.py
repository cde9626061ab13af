"""The flow that does one part of a migration that another flow run has split up; nobody starts it by hand."""

from __future__ import annotations

from typing import Any

from prefect import State

from flows.forms.filled_in import filled_in
from flows.forms.flow_forms import takes
from flows.forms.shard_parameters import MigrateShardParameters
from flows.scale.shard_body import run_shard
from flows.server.own_flow import OF_BATCHES, flow
from tasks.run_options import RunKind


@flow(name="migrate-shard", **OF_BATCHES)
@takes(MigrateShardParameters)
def migrate_shard(**given: Any) -> State[None] | None:
    """Lift some repositories of a migration, and hand the report to the run that it is a part of."""
    return run_shard(RunKind.MIGRATE, filled_in(MigrateShardParameters, given))
