"""What a user can say of how many processes and machines a run takes."""

from __future__ import annotations

import math
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field, ValidationInfo, field_validator

from flows.course.live_limits import VARIABLE
from flows.forms.block_names import block_name
from flows.forms.parameters import MigrateParameters, VerifyParameters
from flows.forms.source_parameters import Parameters
from tasks.operations.work.planning import OnConflict


class TaskRunner(StrEnum):
    """What works on the batches of a run."""

    THREADS = "threads"
    DASK = "dask"


def check_deployment(name: str) -> str:
    """Return what names a deployment as Prefect takes it: by its flow's name and its own, or by its id.

    Raises:
        ValueError: it is neither.
    """
    if re.fullmatch(r"[^/]+/[^/]+", name):
        return name
    try:
        return str(UUID(name))
    except ValueError:
        raise ValueError("it must be FLOW/DEPLOYMENT, such as migrate-shard/shard") from None


Shards = Annotated[
    int,
    Field(
        description="Split the repositories into so many parts, each a flow run that workers of a pool take up",
        ge=1,
        le=200,
    ),
]
ShardDeployment = Annotated[
    str,
    Field(description="Deployment whose flow runs do the parts of --shards"),
    AfterValidator(check_deployment),
]
TaskRunnerChoice = Annotated[
    TaskRunner,
    Field(description="What works on the batches: threads of the run's process, or a Dask cluster"),
]
DaskScheduler = Annotated[
    str | None, Field(description="Address of a Dask scheduler; a cluster of this machine's cores if this is empty")
]
_PATHS = ("source", "tags_from", "state", "ca_file", "limits_from")


class ScaleParameters(Parameters):
    """How many processes may do a run, and which."""

    part_flow: ClassVar[str]
    """The flow that does a part of such a run."""

    shards: Shards = 1
    shard_deployment: ShardDeployment
    task_runner: TaskRunnerChoice = TaskRunner.THREADS
    dask_scheduler: DaskScheduler = None

    @field_validator("task_runner")
    @classmethod
    def _one_way(cls, value: TaskRunner, info: ValidationInfo) -> TaskRunner:
        if value is TaskRunner.DASK and info.data.get("shards", 1) > 1:
            raise ValueError("either this or --shards: both split the run into processes")
        return value

    @field_validator("dask_scheduler")
    @classmethod
    def _has_a_use(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("task_runner") is not TaskRunner.DASK:
            raise ValueError("it is of use with --task-runner dask only")
        return value

    @property
    def is_scaled(self) -> bool:
        """Whether it takes more than this process."""
        return self.shards > 1 or self.task_runner is not TaskRunner.THREADS


class ScaledMigrateParameters(MigrateParameters, ScaleParameters):
    """Parameters of `migrate`, which may use more than one process."""

    part_flow: ClassVar[str] = "migrate-shard"
    shard_deployment: ShardDeployment = "migrate-shard/shard"

    def of_part(self, parts: int) -> MigrateParameters:
        """The parameters of one of so many parts, at most all of which are at work at once.

        What the whole run does once is none of theirs: the report, the metrics, the wait for another run, the look
        for conflicts before anything is written. Rates are shared out evenly.
        """
        once = {"on_conflict": OnConflict.REFUSE} if self.on_conflict is OnConflict.FAIL else {}
        return MigrateParameters(**_shared(self, MigrateParameters, parts) | once | {"lock_timeout": "0s"})


class ScaledVerifyParameters(VerifyParameters, ScaleParameters):
    """Parameters of `verify`, which may use more than one process."""

    part_flow: ClassVar[str] = "verify-shard"
    shard_deployment: ShardDeployment = "verify-shard/shard"

    def of_part(self, parts: int) -> VerifyParameters:
        """As for `ScaledMigrateParameters`."""
        return VerifyParameters(**_shared(self, VerifyParameters, parts))


ScaledParameters = ScaledMigrateParameters | ScaledVerifyParameters


def _shared(whole: ScaledParameters, model: type[BaseModel], parts: int) -> dict[str, Any]:
    """The fields of one of so many parts, whatever kind of run it is of."""
    given = whole.model_dump(include=set(model.model_fields))
    rate = None if whole.rate is None else str(math.ceil(whole.rate / parts))
    requests = None if whole.max_requests is None else whole.max_requests / parts
    paths = {name: _whole_path(given[name]) for name in _PATHS}
    return given | {"report": None, "metrics": None, "limit_rate": rate, "max_requests": requests} | paths


def _whole_path(place: str | None) -> str | None:
    """A path as a process finds it that begins in another folder; buckets, blocks and variables are none."""
    if not place or "://" in place or block_name(place) or place.startswith(VARIABLE):
        return place
    return str(Path(place).absolute())
