"""Has the shards of a migration done by flow runs of a deployment, wherever the workers of its pool are."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from flows.shard_runs import ShardRuns
from tasks.oci.errors import ShardLostError
from tasks.operations.shard_watch import ShardWatch, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flows.scale_parameters import ScaledMigrateParameters
    from flows.scaling import Gathering
    from tasks.ports import Shard

LOOK_SECONDS = 2.0
UNATTENDED_SECONDS = 300.0
"""After so long without any shard begun, somebody should look at the workers."""

logger = logging.getLogger(__name__)


def work_on_pool(given: ScaledMigrateParameters, gathering: Gathering, shards: Sequence[Shard]) -> None:
    """Start a flow run for each shard, wait for all, and take over what came of them.

    Raises:
        ConfigurationError: there is no such deployment.
    """
    if not shards:
        return
    settings = given.of_part(len(shards)).model_dump(mode="json")
    with ShardRuns(given.shard_deployment, settings, gathering.run.title, len(shards)) as runs:
        _Pool(gathering, runs, shards).work()


class _Pool:
    def __init__(self, gathering: Gathering, runs: ShardRuns, shards: Sequence[Shard]) -> None:
        self._gathering = gathering
        self._stop = gathering.run.tree.stop
        self._runs = runs
        self._waiting = {shard: ShardWatch() for shard in shards}
        self._begun = time.monotonic()
        self._attended = False

    def work(self) -> None:
        """See `work_on_pool`; a run that is told to stop has its shards cancelled."""
        for shard in self._waiting:
            self._runs.start(shard, attempt=0, delay=0.0)
        while self._waiting and not self._stop.requested:
            self._stop.pause(LOOK_SECONDS)
            self._look()

    def _look(self) -> None:
        seen = self._runs.look()
        for shard, watch in list(self._waiting.items()):
            state, sign, message = seen.get(shard, ("", None, None))
            self._attended = self._attended or state not in {"", "SCHEDULED"}
            step = watch.next_step(state, sign, time.monotonic())
            if step is Step.GATHER:
                self._gather(shard, watch, message)
            elif step is Step.AGAIN:
                self._again(shard, watch, f"its flow run was {state.lower()}: {message or 'it gave no sign of life'}")
        if not self._attended and time.monotonic() - self._begun > UNATTENDED_SECONDS:
            self._attended = True
            logger.warning("no worker has taken up a shard: has the deployment's pool workers with free slots?")

    def _gather(self, shard: Shard, watch: ShardWatch, message: str | None) -> None:
        try:
            self._gathering.take(shard, self._runs.pages(shard))
        except ShardLostError as error:
            self._again(shard, watch, message or str(error))
        else:
            self._runs.forget(shard)
            del self._waiting[shard]

    def _again(self, shard: Shard, watch: ShardWatch, why: str) -> None:
        delay = watch.begin_again()
        self._runs.put_an_end_to(shard)
        if delay is None:
            self._gathering.give_up(shard, ShardLostError(f"{watch.attempt + 1} attempts failed, the last: {why}"))
            del self._waiting[shard]
            return
        self._gathering.note_restart(shard, why)
        self._runs.start(shard, attempt=watch.attempt, delay=delay)
