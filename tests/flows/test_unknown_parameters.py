"""A run that could not begin, because of a parameter that its flow has no more, is a failure that names it."""

import importlib
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from prefect import State, get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.settings import PREFECT_API_URL, temporary_settings

from deployments.check import DEPLOYMENTS
from flows.server.own_flow import flow, name_unknown_parameters
from tests.support.prefect_history import PrefectHistory

CRASHED = State(type=StateType.CRASHED, message="Process exited with status code: 1")


@flow(name="lifts")
def lifts(*, source: str, jobs: int = 8) -> None:
    """Nothing."""


@pytest.fixture
def client(prefect_environment: dict[str, str]) -> Iterator[SyncPrefectClient]:
    with (
        temporary_settings({PREFECT_API_URL: f"{PrefectHistory.of(prefect_environment).url}/api"}),
        get_client(sync_client=True) as opened,
    ):
        yield opened


def crashed(client: SyncPrefectClient, **parameters: Any) -> FlowRun:
    """What became of a run that crashed, after Prefect has called what it calls then."""
    deployment = client.create_deployment(client.create_flow(lifts), f"nightly-{uuid.uuid4()}")
    run = client.create_flow_run_from_deployment(deployment, parameters=parameters)
    client.set_flow_run_state(run.id, CRASHED, force=True)
    name_unknown_parameters(flow=lifts, flow_run=client.read_flow_run(run.id), state=CRASHED)
    return client.read_flow_run(run.id)


def test_a_parameter_that_the_flow_does_not_have_is_named(client: SyncPrefectClient) -> None:
    run = crashed(client, source="/mnt/bucket", jobz=4, depht="content")
    assert (run.state.type, run.state.name) == (StateType.FAILED, "Failed")
    assert "lifts has no parameter depht, jobz:" in run.state.message


def test_a_run_that_crashed_otherwise_stays_what_it_is(client: SyncPrefectClient) -> None:
    run = crashed(client, source="/mnt/bucket", jobs=4)
    assert (run.state.type, run.state.message) == (StateType.CRASHED, CRASHED.message)


def test_every_flow_that_is_deployed_is_told_of_its_crashes() -> None:
    for each in yaml.safe_load(DEPLOYMENTS.read_text())["deployments"]:
        module, _, name = each["entrypoint"].rpartition(".")
        assert name_unknown_parameters in getattr(importlib.import_module(module), name).on_crashed_hooks
