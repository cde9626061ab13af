"""Has the parts of a run done by the workers of a Dask cluster, one or several processes on any machines."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from flows.course.driving import drive, work_here
from flows.course.watching import NoWatcher
from flows.dashboard.blocks import resolved
from flows.dashboard.dashboard_limits import limits_reader
from tasks.oci.errors import ConfigurationError, IncompleteError, LayoutliftError, ShardLostError
from tasks.operations.reports.counts import counted
from tasks.run_options import RunKind, RunOptions  # noqa: TC001 - Prefect evaluates annotations
from tasks.shard_results import pages_of
from tasks.stores.hidden_secrets import without_secrets

try:
    import dask.config
    from prefect_dask.task_runners import DaskTaskRunner
except ImportError as error:
    raise ConfigurationError("--task-runner dask: install layoutlift[dask]") from error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prefect_dask.task_runners import PrefectDaskFuture

    from flows.forms.scale_parameters import ScaledParameters
    from flows.scale.gathering import Gathering
    from tasks.ports import Shard

LOOK_SECONDS = 0.2
UNATTENDED_SECONDS = 300.0
"""After so long without any worker in the cluster, somebody should look at it."""

logger = logging.getLogger(__name__)


@task(task_run_name="{label}", cache_policy=NO_CACHE, persist_result=False)
def work_part(kind: RunKind, options: RunOptions, label: str) -> list[str]:  # noqa: ARG001 - the name
    """Do one part in the process of a Dask worker; its report, whatever became of its tags."""
    pages: list[str] = []
    try:
        drive(
            kind,
            resolved(options),
            NoWatcher(),
            work_here,
            lambda run: pages.extend(pages_of(run)),
            limits=limits_reader,
        )
    except IncompleteError:
        return pages  # each problem is in it
    return pages


def work_on_dask(given: ScaledParameters, gathering: Gathering, shards: Sequence[Shard]) -> None:
    """Submit each part as a task to the cluster, and take over what came of it as it comes.

    Raises:
        ConfigurationError: there is no scheduler where one was named.
    """
    if not shards:
        return  # a cluster takes seconds to begin
    with _runner(given.dask_scheduler) as runner:
        threads = _threads(_client(runner, given.dask_scheduler)) or len(shards)  # none: they are still to come
        at_once = min(threads, len(shards))
        _Cluster(given.of_part(at_once).to_options(), gathering, runner, at_once).work(shards)


def _runner(scheduler: str | None) -> DaskTaskRunner:
    if scheduler is not None:
        return DaskTaskRunner(address=scheduler)
    # A worker of Python 3.11 can freeze while Dask samples what its threads do (gh-106883 of CPython).
    dask.config.set({"distributed.worker.profile.enabled": False})
    processes = {"n_workers": os.cpu_count() or 1, "threads_per_worker": 1, "processes": True}
    # Without certificates, whoever is on this machine could have the workers run anything, with our secrets.
    return DaskTaskRunner(cluster_kwargs=processes | {"dashboard_address": None, "security": True})


def _client(runner: DaskTaskRunner, scheduler: str | None) -> Any:
    """Dask's own client, which connects when it is asked for first; it has no annotations."""
    try:
        return runner.client
    except Exception as error:
        if scheduler is None:
            raise
        raise ConfigurationError(f"--dask-scheduler {scheduler}: it can't be used: {_why(error)}") from error


def _threads(client: Any) -> int:
    return sum(worker["nthreads"] for worker in client.scheduler_info(n_workers=-1)["workers"].values())


def _dask(future: PrefectDaskFuture[list[str]]) -> Any:
    """Dask's own future, which has no annotations."""
    return future.wrapped_future


class _Cluster:
    """Submits parts, and submits again what a worker could not do."""

    def __init__(self, options: RunOptions, gathering: Gathering, runner: DaskTaskRunner, at_once: int) -> None:
        self._options = options
        self._at_once = at_once
        self._gathering = gathering
        self._run = gathering.run
        self._runner = runner
        self._futures: dict[Shard, PrefectDaskFuture[list[str]]] = {}
        self._due: dict[Shard, float] = {}
        self._attended = time.monotonic()

    def work(self, shards: Sequence[Shard]) -> None:
        """See `work_on_dask`; of a run that is told to stop, what is at work is left to end by itself."""
        stop = self._run.tree.stop
        for shard in shards:
            self._submit(shard)
        while (self._futures or self._due) and not stop.requested:
            stop.pause(LOOK_SECONDS)
            for shard in [each for each, due in self._due.items() if due <= time.monotonic()]:
                del self._due[shard]
                self._submit(shard)
            for shard in [each for each, future in self._futures.items() if _dask(future).done()]:
                self._take(shard)
            self._miss_workers()
        for future in self._futures.values():
            _dask(future).cancel()

    def _submit(self, shard: Shard) -> None:
        label = f"{self._run.kind} part {shard.number}: {counted(len(shard.repositories), 'repository')}"
        options = replace(self._options, shard=replace(shard, of=self._at_once))
        parameters = {"kind": self._run.kind, "options": options, "label": label}
        try:
            self._futures[shard] = self._runner.submit(work_part, parameters)
        except Exception as error:  # noqa: BLE001 - Dask raises of its own once it has given its scheduler up
            self._again(shard, _why(error))

    def _miss_workers(self) -> None:
        """Say from time to time that the cluster has no worker: Dask itself waits for one without a word."""
        if time.monotonic() - self._attended < UNATTENDED_SECONDS:
            return
        self._attended = time.monotonic()
        try:
            attended = _threads(self._runner.client) > 0
        except Exception:  # noqa: BLE001 - what Dask raises of a scheduler that is gone, each part tells
            return
        if not attended:
            logger.warning("the Dask cluster has no worker: start some, or end this run")

    def _take(self, shard: Shard) -> None:
        try:
            pages = self._futures.pop(shard).result()
        except Exception as error:  # noqa: BLE001 - Dask, Prefect and what a worker lacks raise of their own
            self._again(shard, _why(error))
            return
        try:
            self._gathering.take(shard, pages)
        except ShardLostError as error:
            self._again(shard, str(error))

    def _again(self, shard: Shard, why: str) -> None:
        """Not at once: the lock of a worker that died on another machine has to expire first."""
        if (delay := self._gathering.again(shard, why)) is not None:
            self._due[shard] = time.monotonic() + delay


def _why(error: Exception) -> str:
    """What a part ended with, in one line without secrets: httpx names whole addresses."""
    if isinstance(error, LayoutliftError):
        return str(error)
    line = next(iter(str(error).splitlines()), "")
    return without_secrets(f"{type(error).__name__}: {line}")
