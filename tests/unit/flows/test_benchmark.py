"""How the flow of a benchmark ends where it can't begin, or is not to go on."""

from types import SimpleNamespace
from typing import Any

import pytest
from prefect._flow_run_suspension import FlowRunSuspensionRequest
from prefect.client.schemas.objects import State, StateType
from prefect.exceptions import Pause

from flows.benchmark import benchmark
from flows.course.watching import watched_by
from flows.dashboard import dashboard_limits
from flows.terminal.console import Console
from tasks.oci.errors import LockHeldError
from tasks.stop import Stop


@pytest.fixture(autouse=True)
def bucket_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    def held(*_: object) -> None:
        raise LockHeldError("s3://bucket is in use by the benchmark before")

    monkeypatch.setattr("flows.benchmark.drive_benchmark", held)


def test_a_scheduled_benchmark_that_finds_the_one_before_at_work_has_not_failed() -> None:
    state = benchmark.fn(location="s3://bucket")
    assert state is not None
    assert (state.name, state.type.value) == ("Skipped", "CANCELLED")
    assert state.message == "s3://bucket is in use by the benchmark before"


def test_the_command_says_it_itself() -> None:
    with watched_by(Console()), pytest.raises(LockHeldError, match="is in use"):
        benchmark.fn(location="s3://bucket")


def test_a_pause_ends_it_in_the_middle_of_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefect would tell it so before the next size, which may be half an hour away."""
    request = FlowRunSuspensionRequest()
    request.mark_requested(State(type=StateType.PAUSED, name="Suspended"))
    run = SimpleNamespace(id="run", parent_task_run_id=None, deployment_id="deployment")
    context = SimpleNamespace(flow_run=run, flow_run_suspension_request=request)
    monkeypatch.setattr(dashboard_limits, "FlowRunContext", SimpleNamespace(get=lambda: context))

    def measure(_: Any, stop: Stop, *__: object) -> None:
        stop.wait(10.0)
        pytest.fail("it was measured to its end")

    monkeypatch.setattr("flows.benchmark.drive_benchmark", measure)
    with pytest.raises(Pause):
        benchmark.fn(location="s3://bucket")
