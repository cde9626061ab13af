"""The flow that does one part of a migration that another flow run has split up; nobody starts it by hand."""

from __future__ import annotations

from prefect import State

from flows.forms.parameters import MigrateParameters
from flows.scale import shard_body as s
from flows.server.own_flow import OF_BATCHES, flow
from tasks.run_options import RunKind


@flow(name="migrate-shard", **OF_BATCHES)
def migrate_shard(
    *,
    settings: MigrateParameters,
    run: s.WholeRun,
    number: s.Number,
    of: s.Of = 1,
    repositories: s.Repositories,
    layouts: s.Layouts = None,
    listed: s.Listed = None,
    moment: s.Moment = None,
) -> State[None] | None:
    """Lift some repositories of a migration, and hand the report to the run that it is a part of.

    Raises:
        LayoutliftError: as `drive` does.
    """
    shard = s.shard_of(run, number, of, repositories, layouts=layouts, listed=listed, moment=moment)
    return s.run_shard(RunKind.MIGRATE, settings.to_options(), shard)
