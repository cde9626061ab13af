"""The reports of shards at a real Prefect server: read once, and none left there whatever came of the shard."""

import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from prefect import flow, get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.shard_runs import PAGES_AT_ONCE, REPORT, ShardRuns
from infra.real_parts.prefect_worker import ask
from tasks.ports import Shard
from tests.support.fault_proxy import FaultProxy, Say
from tests.support.prefect_history import PrefectHistory


@flow
def waits() -> None:
    """Nobody takes up the runs of its deployment."""


@pytest.fixture
def api(prefect_environment: dict[str, str]) -> Iterator[str]:
    """The server's, which Prefect's client asks in this process, too."""
    url = f"{PrefectHistory.of(prefect_environment).url}/api"
    with temporary_settings({PREFECT_API_URL: url}):
        yield url


@pytest.fixture
def runs(api: str) -> ShardRuns:
    with get_client(sync_client=True) as client:
        client.create_deployment(client.create_flow(waits), "for-nobody")
    return ShardRuns("waits/for-nobody", {}, f"bucket → {uuid.uuid4()}", 1)


@pytest.fixture
def shard() -> Shard:
    return Shard(str(uuid.uuid4()), 1, ("app",))


def started(api: str, runs: ShardRuns, shard: Shard, attempt: int = 0) -> str:
    """Have an attempt begun; its flow run's id."""
    runs.start(shard, attempt=attempt, delay=0.0)
    key = {"flow_runs": {"idempotency_key": {"any_": [f"{shard.run}-1-{attempt}"]}}}
    (run,) = ask(api, "flow_runs/filter", key)
    return str(run["id"])


def hand_in(api: str, run: str, count: int) -> list[str]:
    """The pages of a report, the last one first; in order."""
    pages = [f"page {number} of {run}" for number in range(count)]
    for number, text in reversed(list(enumerate(pages))):
        ask(api, "artifacts/", {"type": REPORT, "data": {"page": number, "text": text}, "flow_run_id": run})
    return pages


def left(api: str, run: str) -> list[Any]:
    wanted = {"type": {"any_": [REPORT]}, "flow_run_id": {"any_": [run]}}
    found: list[Any] = ask(api, "artifacts/filter", {"artifacts": wanted})
    return found


def state_of(api: str, run: str) -> str:
    (found,) = ask(api, "flow_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
    return str(found["state_type"])


def test_a_report_is_read_in_order_and_then_removed(api: str, runs: ShardRuns, shard: Shard) -> None:
    with runs:
        run = started(api, runs, shard)
        pages = hand_in(api, run, PAGES_AT_ONCE + 2)
        assert runs.pages(shard) == pages
        runs.forget(shard)
        assert left(api, run) == []


def test_what_an_attempt_that_was_given_up_handed_in_is_neither_read_nor_left(
    api: str, runs: ShardRuns, shard: Shard
) -> None:
    with runs:
        first = started(api, runs, shard)
        runs.look()
        hand_in(api, first, 1)
        runs.put_an_end_to(shard)
        assert state_of(api, first) == "CRASHED"
        hand_in(api, first, 1)
        second = started(api, runs, shard, attempt=1)
        pages = hand_in(api, second, 1)
        assert runs.pages(shard) == pages
        runs.forget(shard)
    assert left(api, first) == []
    assert left(api, second) == []


def test_runs_that_are_left_at_the_end_are_cancelled_and_their_reports_removed(
    api: str, runs: ShardRuns, shard: Shard
) -> None:
    with runs:
        run = started(api, runs, shard)
        hand_in(api, run, 1)
    assert state_of(api, run) == "CANCELLED"
    assert left(api, run) == []


def test_an_end_that_the_server_did_not_take_is_put_again(api: str, runs: ShardRuns, shard: Shard) -> None:
    proxy = FaultProxy(api.removeprefix("http://").removesuffix("/api"))
    proxy.when("POST", "/api/flow_runs/.*/set_state", Say(500, {}, b"{}"), times=1)
    try:
        with temporary_settings({PREFECT_API_URL: f"http://{proxy.host}/api"}), runs:
            run = started(api, runs, shard)
            runs.look()
            with pytest.raises(httpx.HTTPStatusError):
                runs.put_an_end_to(shard)
            assert runs.look()[shard][0] == "SCHEDULED"
            runs.put_an_end_to(shard)
            assert state_of(api, run) == "CRASHED"
    finally:
        proxy.stop()
