"""What a flow tells of a run that did not begin, and how a pause ends one wherever it is."""

import threading
import uuid
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from prefect._flow_run_suspension import FlowRunSuspensionRequest
from prefect.client.schemas.objects import State, StateType
from prefect.exceptions import Pause

from flows.course import flow_body
from flows.course.flow_body import AGAIN_SECONDS, run_as_flow
from flows.dashboard import announcing, dashboard_limits
from flows.dashboard.announcing import CONFLICTS
from flows.dashboard.dashboard_limits import ended_by_a_pause
from flows.forms.parameters import MigrateParameters
from tasks.oci.errors import ConflictsError, LockHeldError, RefusedError
from tasks.operations.work.planning import OnConflict
from tasks.run_options import RunKind, RunOptions
from tasks.stores.state.lock_holder import EXPIRY_SECONDS, HEARTBEAT_SECONDS


@pytest.mark.parametrize(("tags", "told"), [(2, [(CONFLICTS, 2)]), (0, [])], ids=["there are some", "nobody knows"])
def test_conflicts_that_keep_a_run_from_beginning_are_told_to_whoever_waits_for_some(
    monkeypatch: pytest.MonkeyPatch, tags: int, told: list[tuple[str, int]]
) -> None:
    sent: list[tuple[str, int]] = []

    def send(event: str, resource: dict[str, str], payload: dict[str, int]) -> None:
        assert resource["prefect.resource.id"].startswith("layoutlift.migrate."), "what the alert waits for"
        assert resource["prefect.resource.name"] == "/bucket → registry.example"
        sent.append((event, payload["conflicts"]))

    def drive(*_: Any, **__: Any) -> None:
        raise ConflictsError("nothing was changed", tags)

    monkeypatch.setattr(announcing, "emit_event", send)
    monkeypatch.setattr(flow_body, "drive", drive)
    options = MigrateParameters(source="/bucket", target="registry.example", on_conflict=OnConflict.FAIL).to_options()
    with pytest.raises(ConflictsError):
        run_as_flow(RunKind.MIGRATE, options)
    assert sent == told


def test_names_that_end_a_run_are_escaped_before_prefect_sends_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its client can't send what is not UTF-8, and the log of a worker is read at a terminal."""

    def drive(*_: Any, **__: Any) -> None:
        raise RefusedError("caf\udce9\x1b]0;x\x07 is not understood")

    monkeypatch.setattr(flow_body, "drive", drive)
    with pytest.raises(RefusedError) as raised:
        run_as_flow(RunKind.MIGRATE, a_mapping())
    assert str(raised.value) == r"caf\udce9\x1b]0;x\x07 is not understood"


@pytest.fixture
def suspension(monkeypatch: pytest.MonkeyPatch) -> FlowRunSuspensionRequest:
    """What somebody at the dashboard asks for of the run of a mapping that this test is in."""
    request = FlowRunSuspensionRequest()
    run = SimpleNamespace(id=uuid.uuid4(), parent_task_run_id=uuid.uuid4(), deployment_id=None)
    context = SimpleNamespace(flow_run=run, flow_run_suspension_request=request)
    monkeypatch.setattr(dashboard_limits, "FlowRunContext", SimpleNamespace(get=lambda: context))
    return request


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[StateType]:
    """The states that the server is told of."""
    told: list[StateType] = []
    client = SimpleNamespace(set_flow_run_state=lambda run, state, force: told.append(state.type))
    monkeypatch.setattr(dashboard_limits, "get_client", lambda **_: client)
    return told


def a_mapping() -> RunOptions:
    return MigrateParameters(source="/bucket", target="registry.example").to_options()


def ask_for_a_pause(request: FlowRunSuspensionRequest) -> None:
    request.mark_requested(State(type=StateType.PAUSED, name="Suspended"))


def test_a_pause_is_heeded_wherever_a_run_is(
    monkeypatch: pytest.MonkeyPatch, suspension: FlowRunSuspensionRequest, told: list[StateType]
) -> None:
    """As while it waits for the lock of its pair, or for its hours: there is no batch, then."""
    waits = threading.Event()

    def drive(kind: RunKind, options: RunOptions, watcher: Any, *_: Any, **__: Any) -> None:
        waits.set()
        watcher.stop.wait(30)

    def pause() -> None:
        waits.wait(30)
        ask_for_a_pause(suspension)

    monkeypatch.setattr(flow_body, "drive", drive)
    somebody = threading.Thread(target=pause)
    somebody.start()
    with pytest.raises(Pause):
        run_as_flow(RunKind.MIGRATE, a_mapping())
    somebody.join()
    assert told == [StateType.CANCELLED]


def test_a_paused_run_that_meets_a_lock_is_paused_and_not_used_up(
    monkeypatch: pytest.MonkeyPatch, suspension: FlowRunSuspensionRequest, told: list[StateType]
) -> None:
    def drive(*_: Any, **__: Any) -> None:
        ask_for_a_pause(suspension)
        raise LockHeldError("another run has worked on this source and target since 12:00")

    monkeypatch.setattr(flow_body, "drive", drive)
    with pytest.raises(Pause):
        run_as_flow(RunKind.MIGRATE, a_mapping())
    assert told == [StateType.CANCELLED]


def test_a_paused_run_of_a_mapping_is_told_of_once_and_before_its_lock_is_let_go(
    monkeypatch: pytest.MonkeyPatch, suspension: FlowRunSuspensionRequest, told: list[StateType]
) -> None:
    """Behind that, a process that resumes it may be at work already, whose end would not count."""
    before: list[list[StateType]] = []

    def drive(*_: Any, **__: Any) -> None:
        ask_for_a_pause(suspension)
        try:
            with ended_by_a_pause(lambda: None):
                pass
        finally:
            before.append(list(told))

    monkeypatch.setattr(flow_body, "drive", drive)
    with pytest.raises(Pause):
        run_as_flow(RunKind.MIGRATE, a_mapping())
    assert before == [told] == [[StateType.CANCELLED]]


def test_a_paused_run_that_came_to_its_end_all_the_same_is_paused(
    monkeypatch: pytest.MonkeyPatch, suspension: FlowRunSuspensionRequest, told: list[StateType]
) -> None:
    """Prefect lets it be nothing else; a mapping's would be left Running."""
    monkeypatch.setattr(flow_body, "drive", lambda *_, **__: ask_for_a_pause(suspension))
    with pytest.raises(Pause):
        run_as_flow(RunKind.MIGRATE, a_mapping())
    assert told == [StateType.CANCELLED]


FIRST_BEGUN = datetime(2026, 6, 15, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("begun", "given", "waits"),
    [(0.0, "0s", 0.0), (0.0, "10m", 600.0), (20.0, "0s", AGAIN_SECONDS), (20.0, "10m", 600.0)],
    ids=["the first time", "the first time, with patience", "resumed", "resumed, with patience"],
)
def test_a_run_that_begins_again_waits_for_its_own_process_before(
    monkeypatch: pytest.MonkeyPatch, begun: float, given: str, waits: float
) -> None:
    """Resumed at once, it meets the lock of the process that is still ending; and Prefect counts no resuming."""
    found = []
    state = State(type=StateType.RUNNING, timestamp=FIRST_BEGUN + timedelta(seconds=begun))
    run = SimpleNamespace(start_time=FIRST_BEGUN, state=state, run_count=1)
    monkeypatch.setattr(
        flow_body, "FlowRunContext", SimpleNamespace(get=lambda: SimpleNamespace(flow_run=run)), raising=False
    )
    monkeypatch.setattr(flow_body, "drive", lambda kind, options, *_, **__: found.append(options.lock_timeout))
    options = MigrateParameters(source="/bucket", target="registry.example", lock_timeout=given).to_options()
    run_as_flow(RunKind.MIGRATE, options)
    assert found == [waits]


def test_a_run_that_begins_again_waits_longer_than_the_lock_of_a_machine_that_died_keeps_it_out() -> None:
    """In a folder, that is until it has expired and was watched for two heartbeats more."""
    assert AGAIN_SECONDS > EXPIRY_SECONDS + 2 * HEARTBEAT_SECONDS
