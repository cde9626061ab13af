"""The reports of shards at a real Prefect server: read once, and none left there whatever came of the shard."""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from prefect import flow, get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.scale import shard_life
from flows.scale.shard_runs import LIFE, PAGES_AT_ONCE, REPORT, ShardRuns, newest_signs
from infra.real_parts.prefect_worker import ask
from tasks.ports import Shard
from tests.support.fault_proxy import FaultProxy, LoseAnswer, Say
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


@pytest.fixture
def faults(api: str) -> Iterator[FaultProxy]:
    """Stands between the server and whoever asks it at `asked_through`."""
    proxy = FaultProxy(api.removeprefix("http://").removesuffix("/api"))
    yield proxy
    proxy.stop()


def asked_through(proxy: FaultProxy) -> AbstractContextManager[object]:
    return temporary_settings({PREFECT_API_URL: f"http://{proxy.host}/api"})


def started(api: str, runs: ShardRuns, shard: Shard, attempt: int = 0) -> str:
    """Have an attempt begun; its flow run's id."""
    runs.start(shard, attempt=attempt, delay=0.0)
    key = {"flow_runs": {"idempotency_key": {"any_": [f"{shard.run}-{shard.number}-{attempt}"]}}}
    (run,) = ask(api, "flow_runs/filter", key)
    return str(run["id"])


@pytest.fixture(autouse=True)
def _reports_of_any_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take pages themselves for the run that they are the report of."""
    monkeypatch.setattr(shard_life, "pages_of", lambda run: run.pages)
    monkeypatch.setattr(shard_life, "publish", lambda _: None)


def hand_in(run: str, count: int) -> list[str]:
    """Hand in a report of so many pages, as the process of a flow run does; its pages in order."""
    pages = [f"page {number} of {uuid.uuid4()}" for number in range(count)]
    done: Any = SimpleNamespace(pages=pages, tree=SimpleNamespace(ended_early=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT__FLOW_RUN_ID", run)
        shard_life.hand_in(done)
    return pages


def show_life(api: str, run: str) -> str:
    """Give the first of a process's signs of life; its id."""
    made = ask(api, "artifacts/", {"type": LIFE, "data": {"beats": 0}, "flow_run_id": run})
    return str(made["id"])


def beat(api: str, sign: str) -> None:
    httpx.patch(f"{api}/artifacts/{sign}", json={"data": {"beats": 1, "bytes_read": 5}}).raise_for_status()


def left(api: str, run: str) -> list[Any]:
    wanted = {"type": {"any_": [REPORT, LIFE]}, "flow_run_id": {"any_": [run]}}
    found: list[Any] = ask(api, "artifacts/filter", {"artifacts": wanted})
    return found


def state_of(api: str, run: str) -> str:
    (found,) = ask(api, "flow_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
    return str(found["state_type"])


def test_a_report_is_read_in_order_and_then_removed(api: str, runs: ShardRuns, shard: Shard) -> None:
    with runs:
        run = started(api, runs, shard)
        show_life(api, run)
        pages = hand_in(run, PAGES_AT_ONCE + 2)
        assert runs.pages(shard) == pages
        runs.forget(shard)
        assert left(api, run) == []


def test_a_page_that_was_sent_again_because_its_answer_was_lost_is_one_page(
    api: str, faults: FaultProxy, runs: ShardRuns, shard: Shard
) -> None:
    faults.when("POST", "/api/artifacts/", LoseAnswer(), times=1)
    with runs:
        run = started(api, runs, shard)
        with asked_through(faults):
            pages = hand_in(run, 2)
        assert len(left(api, run)) == 3
        assert runs.pages(shard) == pages
        runs.forget(shard)
        assert left(api, run) == []


def test_of_a_run_that_was_paused_when_it_had_handed_in_the_report_after_the_resumption_is_read(
    api: str, runs: ShardRuns, shard: Shard
) -> None:
    with runs:
        run = started(api, runs, shard)
        hand_in(run, 3)
        pages = hand_in(run, 2)
        assert runs.pages(shard) == pages


def test_what_could_not_be_removed_at_once_is_removed_at_the_end(
    api: str, faults: FaultProxy, runs: ShardRuns, shard: Shard
) -> None:
    faults.when("DELETE", "/api/artifacts/.*", Say(500, {}, b"{}"), times=1)
    with asked_through(faults), runs:
        run = started(api, runs, shard)
        hand_in(run, 2)
        runs.forget(shard)
        assert left(api, run)
    assert left(api, run) == []


def test_what_an_attempt_that_was_given_up_handed_in_is_neither_read_nor_left(
    api: str, runs: ShardRuns, shard: Shard
) -> None:
    with runs:
        first = started(api, runs, shard)
        runs.look()
        show_life(api, first)
        hand_in(first, 1)
        runs.put_an_end_to(shard)
        assert state_of(api, first) == "CRASHED"
        hand_in(first, 1)
        second = started(api, runs, shard, attempt=1)
        pages = hand_in(second, 1)
        assert runs.pages(shard) == pages
        runs.forget(shard)
    assert left(api, first) == []
    assert left(api, second) == []


def test_a_process_that_begins_after_its_attempt_was_given_up_ends_at_once(
    api: str, runs: ShardRuns, shard: Shard, prefect_environment: dict[str, str]
) -> None:
    """A pod that gets a node after an hour; Prefect lets a run that crashed begin."""
    with runs:
        run = started(api, runs, shard)
        ask(api, f"flow_runs/{run}/set_state", {"state": {"type": "PENDING", "name": "InfrastructurePending"}})
        assert runs.look()[shard].state == "PENDING"
        runs.put_an_end_to(shard)
        execute = [sys.executable, "-m", "prefect", "flow-run", "execute"]
        own = os.environ | prefect_environment | {"PREFECT_API_URL": api, "PREFECT__FLOW_RUN_ID": run}
        ended = subprocess.run(execute, env=own, timeout=60, check=False, capture_output=True, text=True)
        assert "is already in Cancelled state, skipping" in ended.stdout + ended.stderr
        assert state_of(api, run) == "CANCELLED"


def test_runs_that_are_left_at_the_end_are_cancelled_and_their_reports_removed(
    api: str, runs: ShardRuns, shard: Shard
) -> None:
    with runs:
        run = started(api, runs, shard)
        hand_in(run, 1)
    assert state_of(api, run) == "CANCELLED"
    assert left(api, run) == []


def test_what_nobody_read_because_the_run_died_goes_with_a_later_run_and_nothing_younger(
    api: str, runs: ShardRuns, shard: Shard, monkeypatch: pytest.MonkeyPatch
) -> None:
    abandoned, at_work = started(api, runs, shard), started(api, runs, Shard(shard.run, 2, ("lib",)))
    for run in (abandoned, at_work):
        hand_in(run, PAGES_AT_ONCE + 2)
        show_life(api, run)
    ended = {"state": {"type": "COMPLETED", "name": "Completed"}, "force": True}
    ask(api, f"flow_runs/{abandoned}/set_state", ended)
    remaining = []
    for days in (1, 0):
        monkeypatch.setattr("flows.scale.shard_runs.ABANDONED", timedelta(days=days))
        with ShardRuns("waits/for-nobody", {}, f"bucket → {uuid.uuid4()}", 1) as later:
            started(api, later, Shard(str(uuid.uuid4()), 1, ("app",)))
        remaining.append([len(left(api, run)) for run in (abandoned, at_work)])
    assert remaining == [[PAGES_AT_ONCE + 3] * 2, [0, PAGES_AT_ONCE + 3]]


def test_an_end_that_the_server_did_not_take_is_put_again(
    api: str, faults: FaultProxy, runs: ShardRuns, shard: Shard
) -> None:
    faults.when("POST", "/api/flow_runs/.*/set_state", Say(500, {}, b"{}"), times=1)
    with asked_through(faults), runs:
        run = started(api, runs, shard)
        runs.look()
        with pytest.raises(httpx.HTTPStatusError):
            runs.put_an_end_to(shard)
        assert runs.look()[shard][0] == "SCHEDULED"
        runs.put_an_end_to(shard)
        assert state_of(api, run) == "CRASHED"


def test_a_run_that_somebody_deleted_is_gone_and_may_be_done_again(api: str, runs: ShardRuns, shard: Shard) -> None:
    with runs:
        run = started(api, runs, shard)
        hand_in(run, 1)
        httpx.delete(f"{api}/flow_runs/{run}").raise_for_status()
        assert runs.look() == {}
        runs.put_an_end_to(shard)
        assert state_of(api, started(api, runs, shard, attempt=1)) == "SCHEDULED"
    assert left(api, run) == []


def test_one_that_was_paused_and_resumed_is_seen_to_live(api: str, runs: ShardRuns, shard: Shard) -> None:
    """Each process of it gives signs of its own, and the server lists them in the order of random ids."""
    with runs:
        run = started(api, runs, shard)
        for _ in range(6):
            sign = show_life(api, run)
            before = runs.look()[shard]
            beat(api, sign)
            after = runs.look()[shard]
            assert (after.sign != before.sign, before.bytes_read, after.bytes_read) == (True, 0, 5)
    assert left(api, run) == []


def test_a_sign_of_life_at_a_full_second_is_not_newer_than_those_after_it() -> None:
    times = ("2026-11-26T14:03:50.25Z", "2026-11-26T14:03:50Z", "2026-11-26T14:03:49.999Z")
    newest = newest_signs({"flow_run_id": "one", "updated": each} for each in times)
    assert newest["one"]["updated"] == times[0]


def test_more_shards_than_the_server_lists_at_once_are_seen(
    api: str, runs: ShardRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.scale.shard_runs.RUNS_AT_ONCE", 2)
    title = str(uuid.uuid4())
    shards = [Shard(title, number, ("app",)) for number in range(1, 6)]
    with runs:
        for each in shards:
            show_life(api, started(api, runs, each))
        seen = runs.look()
    assert set(seen) == set(shards)
    assert all(each.sign for each in seen.values())
