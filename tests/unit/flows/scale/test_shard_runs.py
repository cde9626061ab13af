"""A run that ends has its shards told of it, and does not wait for a Prefect server that does not answer."""

import json
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import httpx
import pytest

from flows.scale import shard_runs
from flows.scale.shard_runs import CANCELLED_AT_ONCE, ShardRuns
from infra.real_parts import wait_until
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
