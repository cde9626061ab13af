"""Parts on a Dask cluster, as the run sees them that waits for them."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, Self

import pytest

from flows.forms.scale_parameters import ScaledMigrateParameters, TaskRunner
from flows.scale import dask_work, gathering
from flows.scale.dask_work import work_on_dask
from tasks.oci.errors import ConfigurationError, LockHeldError
from tasks.operations.choosing.by_age import Ages
from tasks.ports import Shard
from tasks.run_options import RunOptions
from tests.support.gathered import Gathered

SHARD = Shard("run", 1, ("app",))
EXPIRY_SECONDS = 0.1


@dataclass
class Cluster:
    """Workers that find the lock of one that died held, as long as it has not expired."""

    expiry: float = EXPIRY_SECONDS
    error: Exception = field(default_factory=lambda: LockHeldError("a worker that died has the lock"))
    threads: int = 0
    is_lost: bool = False
    begun: float = field(default_factory=time.monotonic)
    rates: list[float | None] = field(default_factory=list)
    shares: list[int] = field(default_factory=list)
    given: list[RunOptions] = field(default_factory=list)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @property
    def client(self) -> Any:
        return SimpleNamespace(scheduler_info=lambda **_: {"workers": {"one": {"nthreads": self.threads}}})

    def submit(self, _: object, parameters: dict[str, Any]) -> Any:
        self.given.append(parameters["options"])
        self.rates.append(parameters["options"].limit_rate)
        self.shares.append(parameters["options"].shard.of)
        if self.is_lost and len(self.shares) > 1:
            raise RuntimeError("Client is closed. Can't send update-graph message.")
        return SimpleNamespace(result=self._result, wrapped_future=SimpleNamespace(done=lambda: True))

    def _result(self) -> list[str]:
        if time.monotonic() - self.begun < self.expiry:
            raise self.error
        return ["page"]


GIVEN = ScaledMigrateParameters(source="/bucket", target="h", task_runner=TaskRunner.DASK, limit_rate="1M")


def done(
    cluster: Cluster,
    shards: Sequence[Shard],
    monkeypatch: pytest.MonkeyPatch,
    given: ScaledMigrateParameters = GIVEN,
) -> Gathered:
    monkeypatch.setattr(dask_work, "_runner", lambda _: cluster)
    monkeypatch.setattr(dask_work, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(gathering, "RESTART_DELAYS", (0.0, EXPIRY_SECONDS / 2, EXPIRY_SECONDS))
    gathered = Gathered()
    work_on_dask(given, gathered, shards)
    return gathered


def test_each_part_counts_ages_from_the_moment_of_the_whole_run(monkeypatch: pytest.MonkeyPatch) -> None:
    given = ScaledMigrateParameters(source="/bucket", target="h", task_runner=TaskRunner.DASK, older_than="6h")
    cluster = Cluster(expiry=0)
    done(cluster, [replace(SHARD, moment=1_000.0), replace(SHARD, number=2, moment=1_000.0)], monkeypatch, given)
    counted = [options.counted_choosing.selection().ages for options in cluster.given]
    assert counted == [Ages(None, 21_600.0, 1_000.0)] * 2


def test_where_nothing_was_selected_no_cluster_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cluster, "__enter__", pytest.fail)
    assert done(Cluster(), [], monkeypatch).taken == []


def test_the_lock_of_a_worker_that_died_on_another_machine_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    gathered = done(Cluster(), [SHARD], monkeypatch)
    assert (gathered.taken, gathered.given_up) == ([["page"]], [])
    assert gathered.why_again


def test_a_part_that_nobody_can_do_is_given_up_after_some_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    gathered = done(Cluster(expiry=3600.0), [SHARD], monkeypatch)
    assert (gathered.taken, len(gathered.why_again)) == ([], 3)
    assert ["4 attempts failed" in str(error) for error in gathered.given_up] == [True]


def test_whatever_a_part_ends_with_costs_an_attempt_and_not_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    error = RuntimeError("GET http://lifter:hunter2@prefect/api: 500\nfor more information")
    gathered = done(Cluster(error=error), [SHARD], monkeypatch)
    assert (gathered.taken, gathered.given_up) == ([["page"]], [])
    assert set(gathered.why_again) == {"RuntimeError: GET http://prefect/api: 500"}


def test_what_is_left_when_the_scheduler_is_lost_is_given_up_and_not_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gathered = done(Cluster(expiry=0.0, is_lost=True), [SHARD, replace(SHARD, number=2)], monkeypatch)
    assert gathered.taken == [["page"]]
    assert ["the last: RuntimeError: Client is closed" in str(error) for error in gathered.given_up] == [True]


@pytest.mark.parametrize("threads", [0, 2])
def test_a_cluster_without_any_worker_is_not_waited_for_without_a_word(
    threads: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(dask_work, "UNATTENDED_SECONDS", 0.0)
    done(Cluster(threads=threads), [SHARD], monkeypatch)
    assert ("the Dask cluster has no worker" in caplog.text) == (threads == 0)


def test_an_address_that_is_no_scheduler_s_is_named_with_its_option() -> None:
    given = ScaledMigrateParameters(source="/b", target="h", task_runner=TaskRunner.DASK, dask_scheduler="nowhere")
    with pytest.raises(
        ConfigurationError, match=r"--dask-scheduler nowhere: it can't be used: .*missing port number"
    ):
        work_on_dask(given, Gathered(), [SHARD])


@pytest.mark.parametrize(("threads", "share"), [(2, 2), (16, 3), (0, 3)])
def test_rates_are_shared_out_among_the_parts_that_can_be_at_work_at_once(
    threads: int, share: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(expiry=0.0, threads=threads)
    done(cluster, [Shard("run", number, ("app",)) for number in (1, 2, 3)], monkeypatch)
    assert cluster.rates == [math.ceil(2**20 / share)] * 3
    assert cluster.shares == [share] * 3, "of limits that are changed meanwhile, too"
