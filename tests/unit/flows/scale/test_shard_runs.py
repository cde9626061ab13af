"""A run that ends has its shards told of it, and does not wait for a Prefect server that does not answer."""

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, Self

import httpx
import pytest
from prefect.client.schemas.objects import State, StateType
from prefect.exceptions import ObjectNotFound

from flows.scale import shard_runs
from flows.scale.shard_runs import CANCELLED_AT_ONCE, Seen, ShardRuns, newest_report
from infra.real_parts import wait_until
from tasks.oci.errors import ConfigurationError
from tasks.ports import Shard


@dataclass
class Server:
    """A Prefect server by way of its client; it takes no end of a run before it is `back`."""

    back: threading.Event = field(default_factory=threading.Event)
    ended: list[uuid.UUID] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def set_flow_run_state(self, run: uuid.UUID, *_: object) -> None:
        self.back.wait(60)
        self.ended.append(run)

    def request(self, method: str, path: str, **_: object) -> Any:
        self.asked.append((method, path))
        return self

    def read_flow_runs(self, **_: object) -> list[Any]:
        return []

    def json(self) -> list[Any]:
        return []


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    made = Server()
    monkeypatch.setattr(shard_runs, "get_client", lambda **_: made)
    yield made
    made.back.set()


def end_of(shards: int) -> float:
    """How long it takes a run to end that has so many shards at work."""
    with ShardRuns("migrate-shard/shard", {}, "bucket → host", shards) as runs:
        runs._runs = {Shard("run", number, ("app",)): uuid.uuid4() for number in range(shards)}
        begun = time.monotonic()
    return time.monotonic() - begun


def cancelling() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("cancel")]


def test_a_server_that_does_not_answer_holds_no_run_up_that_is_to_end(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shard_runs, "CANCEL_SECONDS", 0.1)
    assert end_of(200) < 10
    assert server.asked == [], "what the shards left is nothing to wait for either"
    assert "200 shards may go on" in caplog.text
    server.back.set()
    wait_until(lambda: not cancelling(), what="those that were under way end")
    assert len(server.ended) == CANCELLED_AT_ONCE, "what was not begun is not asked for later"


def test_all_shards_at_work_are_ended_and_what_they_left_is_looked_for(server: Server) -> None:
    server.back.set()
    end_of(200)
    assert len(server.ended) == 200
    assert server.asked == [("POST", "/artifacts/filter")] * 4


@pytest.mark.parametrize("call", ["read_flow_runs", "json"])
def test_a_page_of_a_proxy_in_place_of_an_answer_is_a_server_that_fails_for_the_moment(
    server: Server, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def no_answer(*_: object, **__: object) -> None:
        raise json.JSONDecodeError("Expecting value", "<html>", 0)

    server.back.set()
    with ShardRuns("migrate-shard/shard", {}, "bucket → host", 1) as runs:
        runs._runs = {Shard("run", 1, ("app",)): uuid.uuid4()}
        with monkeypatch.context() as patch:
            patch.setattr(Server, call, no_answer, raising=False)
            with pytest.raises(httpx.HTTPError, match="no answer of a Prefect server"):
                runs.look()
        assert set(runs.look()) == set()


SHARD = Shard("run", 3, ("caf\udce9",), of=4)


@pytest.mark.parametrize(("attempt", "again"), [(0, ""), (2, ", again (2)")])
@pytest.mark.parametrize(
    ("about", "more"),
    [
        ({}, {}),
        ({"layouts": ("l\udce9",)}, {"layouts": ["l%E9"]}),
        ({"listed": "a1b2"}, {"listed": "a1b2"}),
        ({"moment": 1000.5}, {"moment": 1000.5}),
    ],
)
def test_a_shard_is_begun_later_by_a_name_of_its_own_with_what_it_is_about(
    server: Server, monkeypatch: pytest.MonkeyPatch, attempt: int, again: str, about: Any, more: Any
) -> None:
    """An attempt whose answer was lost is not begun twice, and one after it is not taken for it."""
    begun: list[Any] = []

    def run_deployment(name: str, **given: Any) -> Any:
        begun.append((name, given))
        return SimpleNamespace(id=uuid.uuid4())

    monkeypatch.setattr(shard_runs, "run_deployment", run_deployment)
    server.back.set()
    before = datetime.now(UTC)
    with ShardRuns("migrate-shard/shard", {"jobs": 2}, "bucket → host", 5) as runs:
        runs.start(replace(SHARD, **about), attempt=attempt, delay=30.0)
    [(name, given)] = begun
    assert name == "migrate-shard/shard"
    assert before + timedelta(seconds=30) <= given.pop("scheduled_time") <= datetime.now(UTC) + timedelta(seconds=30)
    settings = {"settings": {"jobs": 2}, "run": "run", "number": 3, "of": 4, "repositories": ["caf%E9"]}
    assert given == {
        "parameters": settings | more,
        "flow_run_name": f"bucket → host: shard 3 of 5{again}",
        "idempotency_key": f"run-3-{attempt}",
        "timeout": 0,
    }


def test_a_deployment_that_nobody_made_is_named(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def run_deployment(*_: object, **__: object) -> None:
        raise ObjectNotFound(http_exc=RuntimeError("404"))

    monkeypatch.setattr(shard_runs, "run_deployment", run_deployment)
    missing = pytest.raises(ConfigurationError, match=r"--shard-deployment a/b: .* has no such deployment")
    with ShardRuns("a/b", {}, "bucket → host", 1) as runs, missing:
        runs.start(SHARD, attempt=0, delay=0.0)


def test_a_run_without_shards_asks_the_server_for_nothing(server: Server) -> None:
    server.back.set()
    end_of(0)
    assert server.asked == []


@dataclass
class Knowing(Server):
    """A server that knows flow runs and artifacts, and notes the states that runs are given."""

    runs: dict[uuid.UUID, State] = field(default_factory=dict)
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    states: list[tuple[uuid.UUID, StateType]] = field(default_factory=list)

    def set_flow_run_state(self, run: uuid.UUID, *states: Any, **_: object) -> None:
        self.states.append((run, states[0].type))

    def read_flow_runs(self, **_: object) -> list[Any]:
        return [SimpleNamespace(id=run, state=state) for run, state in self.runs.items()]

    def json(self) -> list[Any]:
        return self.artifacts


@pytest.fixture
def knowing(monkeypatch: pytest.MonkeyPatch) -> Knowing:
    made = Knowing()
    monkeypatch.setattr(shard_runs, "get_client", lambda **_: made)
    return made


def at_work(runs: ShardRuns, knowing: Knowing, kind: StateType) -> uuid.UUID:
    """Have the one shard's flow run be in such a state, and looked at."""
    run = uuid.uuid4()
    runs._runs = {SHARD: run}
    knowing.runs = {run: State(type=kind, message="as it is")}
    runs.look()
    return run


def test_a_shard_that_gave_no_sign_of_life_yet_has_none(knowing: Knowing) -> None:
    with ShardRuns("a/b", {}, "bucket → host", 1) as runs:
        run = at_work(runs, knowing, StateType.RUNNING)
        assert runs.look() == {SHARD: Seen("RUNNING", None, "as it is", 0)}
        sign = {"id": "1", "flow_run_id": str(run), "updated": "2026-11-26T14:03:50Z", "data": {"beats": 0}}
        knowing.artifacts = [sign]
        assert runs.look() == {SHARD: Seen("RUNNING", sign["updated"], "as it is", 0)}


@pytest.mark.parametrize(
    ("kind", "ended"),
    [
        (StateType.RUNNING, [StateType.CRASHED]),
        (StateType.PENDING, [StateType.CANCELLED]),
        (StateType.COMPLETED, []),
        (StateType.CRASHED, []),
    ],
)
def test_only_what_has_not_ended_is_put_an_end_to(knowing: Knowing, kind: StateType, ended: list[StateType]) -> None:
    with ShardRuns("a/b", {}, "bucket → host", 1) as runs:
        run = at_work(runs, knowing, kind)
        runs.put_an_end_to(SHARD)
        assert knowing.states == [(run, each) for each in ended]
    assert len(knowing.states) == len(ended), "it is none of those that are left"


def test_a_shard_whose_report_was_read_is_not_cancelled(knowing: Knowing) -> None:
    with ShardRuns("a/b", {}, "bucket → host", 1) as runs:
        at_work(runs, knowing, StateType.COMPLETED)
        runs.forget(SHARD)
    assert knowing.states == []


@pytest.mark.parametrize(
    ("kind", "told"), [(StateType.PAUSED, StateType.CANCELLED), (StateType.RUNNING, StateType.CANCELLING)]
)
def test_a_shard_that_waits_for_an_answer_is_cancelled_at_once_and_one_at_work_is_told_to_end(
    knowing: Knowing, kind: StateType, told: StateType
) -> None:
    """There is no process that could see that it is to end while it is paused."""
    with ShardRuns("a/b", {}, "bucket → host", 1) as runs:
        run = at_work(runs, knowing, kind)
    assert knowing.states == [(run, told)]


def test_an_end_that_the_server_does_not_take_is_told_and_fails_no_run(
    knowing: Knowing, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> None:
        raise httpx.ReadTimeout("it is late")

    monkeypatch.setattr(Knowing, "set_flow_run_state", fails)
    with ShardRuns("a/b", {}, "bucket → host", 1) as runs:
        at_work(runs, knowing, StateType.RUNNING)
    assert caplog.messages == ["the dashboard could not be told: ReadTimeout"]


@pytest.mark.parametrize("answer", [[{}], [{"created": "yesterday"}], [{"updated": "yesterday"}]])
@pytest.mark.parametrize("ask", [ShardRuns.look, lambda runs: runs.pages(SHARD)])
def test_an_answer_of_another_form_is_a_server_that_fails_for_the_moment(
    knowing: Knowing, answer: list[Any], ask: Callable[[ShardRuns], object]
) -> None:
    with ShardRuns("a/b", {}, "bucket → host", 1) as runs:
        at_work(runs, knowing, StateType.RUNNING)
        knowing.artifacts = answer
        with pytest.raises(httpx.DecodingError, match=r"no answer of a Prefect server: (KeyError|ValueError)"):
            ask(runs)
        knowing.artifacts = []


def page(created: str, report: str, number: int, text: str) -> dict[str, Any]:
    return {"created": f"2026-11-26T14:03:{created}Z", "data": {"report": report, "page": number, "text": text}}


def test_the_report_that_was_handed_in_last_is_read_in_the_order_of_its_pages() -> None:
    """In whichever order the server lists them; a full second comes without a fraction."""
    old = [page("49", "one", number, "of the first") for number in range(3)]
    new = [page("50.25", "two", 1, "b"), page("50", "two", 0, "a"), page("50.5", "two", 1, "b")]
    assert newest_report([*new, *old]) == ["a", "b"]
    assert newest_report([*old, page("50.25", "two", 0, "a"), page("50", "one", 3, "of the first")]) == ["a"]
