"""Who does the work of a migration is known, and is there, before its run is begun."""

import sys
import uuid
from types import SimpleNamespace
from typing import Any, Self

import pytest
from prefect.exceptions import ObjectNotFound

from flows.forms.scale_parameters import ScaledMigrateParameters, ScaledVerifyParameters, TaskRunner
from flows.scale import scaling, shard_runs
from flows.scale.scaling import work_for
from tasks.oci.errors import ConfigurationError


def test_without_its_extra_dask_is_refused_before_a_run_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "flows.scale.dask_work", raising=False)
    monkeypatch.setitem(sys.modules, "prefect_dask.task_runners", None)
    given = ScaledMigrateParameters(source="/mnt/bucket", target="registry.example", task_runner=TaskRunner.DASK)
    with pytest.raises(ConfigurationError, match=r"layoutlift\[dask\]"):
        work_for(given)


@pytest.mark.parametrize("split", [{"shards": 2}, {"task_runner": TaskRunner.DASK}])
def test_what_one_process_can_read_is_refused_where_several_have_to(split: dict[str, Any]) -> None:
    given = {"source": "/mnt/bucket", "target": "registry.example", "tags_from": "-"}
    with pytest.raises(ConfigurationError, match="--tags-from -: other processes"):
        work_for(ScaledMigrateParameters(**given, **split))
    assert work_for(ScaledMigrateParameters(**given)) is scaling.work_as_tasks


WRITES = {"source": "/mnt/bucket", "target": "registry.example", "shards": 2}


@pytest.mark.parametrize(
    ("model", "named", "flow"),
    [
        (ScaledVerifyParameters, "migrate-shard/shard-docker", "migrate-shard"),
        (ScaledMigrateParameters, "verify-shard/shard", "verify-shard"),
    ],
)
@pytest.mark.parametrize("by_id", [False, True])
def test_a_verification_has_no_parts_that_migrate_nor_a_migration_any_that_verify(
    monkeypatch: pytest.MonkeyPatch, model: Any, named: str, flow: str, by_id: bool
) -> None:
    """As where one variable of the environment names the deployment of both: `migrate-shard` takes either's words."""
    server = DeploymentsOf(flow)
    monkeypatch.setattr(shard_runs, "get_client", lambda **_: server)
    given = model(**WRITES, shard_deployment=str(server.id) if by_id else named)
    with pytest.raises(ConfigurationError, match=f"its flow is {flow}, and parts of this run are done by"):
        work_for(given)
    assert work_for(given.model_copy(update={"shards": 1})) is scaling.work_as_tasks, "it is of no use there"


def test_a_deployment_of_the_flow_for_the_parts_may_have_any_name_and_one_that_is_missing_is_told_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = DeploymentsOf("verify-shard")
    monkeypatch.setattr(shard_runs, "get_client", lambda **_: server)
    for deployment in ("verify-shard/my-own", str(server.id), str(uuid.uuid4())):
        assert work_for(ScaledVerifyParameters(**WRITES, shard_deployment=deployment)) is not scaling.work_as_tasks


class DeploymentsOf:
    """A Prefect server by way of its client, with one deployment of this flow."""

    def __init__(self, flow: str) -> None:
        self.flow = flow
        self.id = uuid.uuid4()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def read_deployment(self, deployment: uuid.UUID) -> Any:
        if deployment != self.id:
            raise ObjectNotFound(http_exc=RuntimeError("404"))
        return SimpleNamespace(flow_id="of this flow")

    def read_flow(self, flow_id: str) -> Any:
        return SimpleNamespace(name={"of this flow": self.flow}[flow_id])
