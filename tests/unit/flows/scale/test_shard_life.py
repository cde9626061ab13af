"""A shard shows that it lives as long as it may, and ends where another may be about to take its work up."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from flows.scale import shard_life
from flows.scale.shard_life import ShardWatcher
from infra.real_parts import wait_until
from tasks.operations.running.shard_watch import FENCE_SECONDS, SILENCE_SECONDS
from tests.support.sleeping import sleep_of_machine

REFUSED = httpx.ConnectError("refused")


@dataclass
class Server:
    """A Prefect server that knows one flow run; `failing` are the requests to come that get no answer."""

    state: str = "RUNNING"
    failing: int = 0
    error: Exception = REFUSED
    signs: list[dict[str, Any]] = field(default_factory=list)

    def request(self, method: str, _: str, **given: Any) -> Any:
        if self.failing:
            self.failing -= 1
            raise self.error
        if method == "GET":
            return SimpleNamespace(json=lambda: {"state_type": self.state})
        self.signs.append(given["json"])
        return SimpleNamespace(json=lambda: {"id": "sign"})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server()

    @contextmanager
    def client(*_: object, **__: object) -> Iterator[Server]:
        yield made

    monkeypatch.setattr(shard_life, "get_client", client)
    monkeypatch.setattr(shard_life, "BEAT_SECONDS", 0.01)
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "run")
    return made


@pytest.fixture
def ended() -> threading.Event:
    return threading.Event()


@pytest.fixture
def watcher(ended: threading.Event) -> Iterator[ShardWatcher]:
    """Of a run that says when it is ended early."""
    made = ShardWatcher()
    run: Any = SimpleNamespace(tree=SimpleNamespace(end_early=ended.set), progress=SimpleNamespace(bytes_read=77))
    with made.watch(run):
        yield made


def more_signs(server: Server) -> Callable[[], bool]:
    before = len(server.signs)
    return lambda: len(server.signs) > before + 2


def test_it_gives_signs_of_life_until_it_has_ended(server: Server, watcher: ShardWatcher) -> None:
    with watcher.shows_life():
        assert server.signs[0]["data"] == {"beats": 1, "bytes_read": 77}, "the first one comes at once"
        wait_until(more_signs(server), what="further signs", deadline_seconds=5)
    assert not watcher.stop.requested


@pytest.mark.parametrize("error", [REFUSED, json.JSONDecodeError("", "<html>", 0), KeyError("state_type")])
def test_a_server_that_fails_for_a_moment_costs_no_attempt(
    server: Server, watcher: ShardWatcher, error: Exception
) -> None:
    server.failing, server.error = 3, error
    with watcher.shows_life():
        wait_until(more_signs(server), what="signs", deadline_seconds=5)
    assert not watcher.stop.requested


@pytest.mark.parametrize("state", ["CRASHED", "CANCELLED", "FAILED", "COMPLETED"])
def test_one_whose_flow_run_was_ended_ends(
    server: Server, watcher: ShardWatcher, ended: threading.Event, state: str
) -> None:
    with watcher.shows_life():
        server.state = state
        assert ended.wait(5)
        wait_until(lambda: watcher.stop.requested, what="the run is told to stop", deadline_seconds=5)


def test_one_that_can_not_reach_its_server_ends_in_time(
    server: Server, watcher: ShardWatcher, ended: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_life, "FENCE_SECONDS", 0.2)
    with watcher.shows_life():
        server.failing = 10**9
        assert ended.wait(5)
    assert watcher.stop.requested


@pytest.mark.parametrize("answered_after", [2.0, 36.0])
def test_one_whose_last_sign_was_answered_late_ends_before_somebody_else_takes_it_up(
    watcher: ShardWatcher, monkeypatch: pytest.MonkeyPatch, answered_after: float
) -> None:
    """Whoever waits for it counts from the sign, which the server may have noted at once."""
    now = 100.0

    def answered(*_: object, **__: object) -> Any:
        nonlocal now
        now += answered_after / 2  # there are two questions
        return SimpleNamespace(json=lambda: {"state_type": "RUNNING", "id": "sign"})

    monkeypatch.setattr(shard_life, "uptime", lambda: now)
    client: Any = SimpleNamespace(request=answered)
    life = shard_life._Life(watcher, client)
    life.beat()
    now = 100.0 + FENCE_SECONDS
    life.see()
    assert not watcher.stop.requested, "it had an answer since"
    now = 100.0 + SILENCE_SECONDS - 1.0
    life.see()
    assert watcher.stop.requested


def test_one_whose_machine_slept_ends_when_it_wakes(watcher: ShardWatcher, monkeypatch: pytest.MonkeyPatch) -> None:
    slept = sleep_of_machine(monkeypatch)
    life = shard_life._Life(watcher, SimpleNamespace())  # type: ignore[arg-type]
    life.see()
    assert not watcher.stop.requested
    slept.seconds = 8 * 3600.0
    life.see()
    assert watcher.stop.requested


def test_one_that_was_ended_early_hands_in_nothing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shard_life, "publish", lambda _: None)
    monkeypatch.setattr(shard_life, "pages_of", lambda _: ["page"])
    for early, pages in ((True, 0), (False, 1)):
        run: Any = SimpleNamespace(tree=SimpleNamespace(ended_early=early))
        shard_life.hand_in(run)
        assert len(server.signs) == pages
