"""Who works on a run: this process, workers of a pool, or a Dask cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from flows.dashboard.publishing import shown_work, work_as_tasks
from flows.forms.scale_parameters import TaskRunner
from flows.scale.gathering import Gathering
from tasks.oci.errors import ConfigurationError
from tasks.operations.reports.counts import counted
from tasks.operations.running.shards import shards_of
from tasks.stores.given_files import STANDARD_INPUT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flows.course.driving import Work
    from flows.forms.scale_parameters import ScaledParameters
    from tasks.operations.running.source_survey import Survey
    from tasks.ports import Shard
    from tasks.runs import Run

    WorkOnParts = Callable[[ScaledParameters, Gathering, Sequence[Shard]], None]

DASK_PARTS = 32
"""Several for each process, so that the last ones to end are small; opening one costs some hundredths of a second."""


def work_for(given: ScaledParameters) -> Work:
    """What does the work of a run with these parameters; asked for before a run is begun.

    Raises:
        ConfigurationError: what it needs is not installed, or other processes would have to read this one's input, or
            those would do something else with each tag.
    """
    if given.is_scaled and given.tags_from == STANDARD_INPUT:
        raise ConfigurationError("--tags-from -: other processes than this one have to read it; name a file")
    if given.task_runner is TaskRunner.DASK:
        from flows.scale.dask_work import work_on_dask  # noqa: PLC0415 - an extra that not everybody installs

        return lambda run, survey: _on_dask(work_on_dask, given, run, survey)
    if given.shards > 1:
        _refuse_other_flow(given)
        return lambda run, survey: _on_pool(given, run, survey)
    return work_as_tasks


def _refuse_other_flow(given: ScaledParameters) -> None:
    """See that the parts are done by the flow for them: one that migrates takes what a verification says, and writes.

    Raises:
        ConfigurationError: the deployment is one of another flow.
    """
    from flows.scale.shard_runs import flow_of  # noqa: PLC0415 - only here

    named, slash, _ = given.shard_deployment.partition("/")
    flow = named if slash else flow_of(UUID(named))
    if flow not in {given.part_flow, None}:
        raise ConfigurationError(
            f"--shard-deployment {given.shard_deployment}: its flow is {flow}, and parts of this run are done by "
            f"{given.part_flow}; nothing was done"
        )


def _on_pool(given: ScaledParameters, run: Run, survey: Survey) -> None:
    from flows.scale.pool_work import work_on_pool  # noqa: PLC0415 - only here

    shards = shards_of(survey, run.run_id, given.shards)
    with shown_work(run, counted(len(shards), "shard")):
        work_on_pool(given, Gathering(run), shards)


def _on_dask(work: WorkOnParts, given: ScaledParameters, run: Run, survey: Survey) -> None:
    shards = shards_of(survey, run.run_id, DASK_PARTS)
    with shown_work(run, f"{counted(len(shards), 'part')} on Dask"):
        work(given, Gathering(run), shards)
