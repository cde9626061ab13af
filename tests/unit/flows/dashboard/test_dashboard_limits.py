"""What the dashboard's variable may say, and what a pause there leaves behind."""

import uuid
from types import SimpleNamespace
from typing import Any

import pytest
from prefect._flow_run_suspension import FlowRunSuspensionRequest
from prefect.client.schemas.objects import State, StateType
from prefect.exceptions import Pause

from flows.dashboard import dashboard_limits
from flows.dashboard.dashboard_limits import ended_by_a_pause
from tasks.oci.errors import ConfigurationError, InterruptedRunError


@pytest.mark.parametrize("value", ["fast", 5, None, [{"max_requests": 5}]])
def test_a_variable_that_is_no_object_is_told_what_it_is_to_be(value: object) -> None:
    with pytest.raises(ConfigurationError, match="layoutlift_limits: it is to be an object, such as"):
        dashboard_limits._limits("layoutlift_limits", value)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, State[Any]]]:
    """The states that the server is told of."""
    told: list[tuple[Any, State[Any]]] = []
    client = SimpleNamespace(set_flow_run_state=lambda run, state, force: told.append((run, state)))
    monkeypatch.setattr(dashboard_limits, "get_client", lambda **_: client)
    return told


def in_a_run(monkeypatch: pytest.MonkeyPatch, *, parent: bool, deployed: bool, paused: bool) -> uuid.UUID:
    """Have what follows belong to a flow run."""
    request, ids = FlowRunSuspensionRequest(), [uuid.uuid4() for _ in range(3)]
    if paused:
        request.mark_requested(State(type=StateType.PAUSED, name="Suspended"))
    run = SimpleNamespace(
        id=ids[0], parent_task_run_id=ids[1] if parent else None, deployment_id=ids[2] if deployed else None
    )
    context = SimpleNamespace(flow_run=run, flow_run_suspension_request=request)
    monkeypatch.setattr(dashboard_limits, "FlowRunContext", SimpleNamespace(get=lambda: context))
    return ids[0]


def work(ends_with: BaseException | None = None) -> None:
    with ended_by_a_pause(lambda: None):
        if ends_with is not None:
            raise ends_with


@pytest.mark.parametrize("end", [InterruptedRunError("told to stop"), Pause("a task's"), None])
def test_a_pause_of_a_file_s_run_leaves_no_run_of_a_mapping_as_running(
    monkeypatch: pytest.MonkeyPatch, told: list[tuple[Any, State[Any]]], end: BaseException | None
) -> None:
    run = in_a_run(monkeypatch, parent=True, deployed=False, paused=True)
    with pytest.raises(Pause):
        work(end)
    ((about, state),) = told
    assert (about, state.type) == (run, StateType.CANCELLED)


@pytest.mark.parametrize(
    ("parent", "deployed", "paused"), [(False, True, True), (True, True, True), (True, False, False)]
)
def test_other_runs_are_left_to_prefect(
    monkeypatch: pytest.MonkeyPatch, told: list[tuple[Any, State[Any]]], parent: bool, deployed: bool, paused: bool
) -> None:
    """A shard, too, is a part of another run; it has a deployment, and so is begun again by itself."""
    in_a_run(monkeypatch, parent=parent, deployed=deployed, paused=paused)
    if paused:
        with pytest.raises(Pause):
            work()
    else:
        work()
    assert told == []
