"""Has the shards of a migration done by flow runs of a deployment, wherever the workers of its pool are."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx

from flows.scale.shard_runs import Seen, ShardRuns
from tasks.oci.errors import ConfigurationError, ShardLostError
from tasks.operations.running.shard_watch import GONE, ShardStep, ShardWatch
from tasks.stores.hidden_secrets import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flows.forms.scale_parameters import ScaledParameters
    from flows.scale.gathering import Gathering
    from tasks.ports import Shard

LOOK_SECONDS = 2.0
UNATTENDED_SECONDS = 300.0
"""After so long without any shard at work, somebody should look at the workers."""
UNANSWERED_SECONDS = 300.0
"""A Prefect server that has not answered for so long is given up; Prefect's client itself tries for a minute."""

logger = logging.getLogger(__name__)


def work_on_pool(given: ScaledParameters, gathering: Gathering, shards: Sequence[Shard]) -> None:
    """Start a flow run for each shard, wait for all, and take over what came of them.

    Raises:
        ConfigurationError: there is no such deployment.
        HTTPError: the Prefect server refuses what it is asked, or has not answered for minutes.
    """
    if not shards:
        return
    settings = given.of_part(len(shards)).model_dump(mode="json")
    with ShardRuns(given.shard_deployment, settings, gathering.run.options.title, len(shards)) as runs:
        _Pool(gathering, runs, shards).work()


class _Pool:
    def __init__(self, gathering: Gathering, runs: ShardRuns, shards: Sequence[Shard]) -> None:
        self._gathering = gathering
        self._stop = gathering.run.tree.stop
        self._runs = runs
        self._waiting = {shard: ShardWatch() for shard in shards}
        self._to_start = dict.fromkeys(shards, 0.0)
        self._begun = False
        self._unanswered: float | None = None
        self._attended = time.monotonic()

    def work(self) -> None:
        """See `work_on_pool`; a run that is told to stop has its shards cancelled."""
        while self._waiting and not self._stop.requested:
            with self._server_may_fail():
                self._start()
                self._look()
            self._stop.pause(LOOK_SECONDS)

    @contextmanager
    def _server_may_fail(self) -> Iterator[None]:
        """What was not answered is asked again at the next look; the shards are at work meanwhile."""
        try:
            yield
        except httpx.HTTPError as error:
            now = time.monotonic()
            if self._unanswered is None:
                self._unanswered = now
                logger.warning("the Prefect server is asked again about the shards: %s", type(error).__name__)
            if _is_refusal(error) or now - self._unanswered > UNANSWERED_SECONDS:
                raise
        else:
            self._unanswered = None

    def _start(self) -> None:
        for shard, delay in list(self._to_start.items()):
            if self._stop.requested:
                return
            try:
                self._runs.start(shard, attempt=self._gathering.restarts[shard], delay=delay)
            except ConfigurationError as error:
                if not self._begun:
                    raise
                self._gathering.give_up(shard, ShardLostError(f"it was there when the run began: {error}"))
                del self._waiting[shard]
            self._begun = True
            del self._to_start[shard]

    def _look(self) -> None:
        seen = self._runs.look()
        for shard, watch in list(self._waiting.items()):
            state, sign, said, bytes_read = seen.get(shard, Seen(GONE))
            message = _shown(said)
            self._gathering.note_bytes(shard, bytes_read)
            if state not in {GONE, "SCHEDULED", "PENDING"}:
                self._attended = time.monotonic()
            step = watch.next_step(state, sign, time.monotonic())
            if step is ShardStep.GATHER:
                self._gather(shard, message)
            elif step is ShardStep.AGAIN:
                self._again(shard, _why_again(state, message))
        if time.monotonic() - self._attended > UNATTENDED_SECONDS:
            self._attended = time.monotonic()  # and told again when as much time has passed
            logger.warning("no shard is at work: has the pool workers with free slots, and room for them?")

    def _gather(self, shard: Shard, message: str | None) -> None:
        pages = self._runs.pages(shard)
        try:
            self._gathering.take(shard, pages)
        except ShardLostError as error:
            self._again(shard, str(error) if pages or not message else message)
        else:
            self._runs.forget(shard)
            del self._waiting[shard]

    def _again(self, shard: Shard, why: str) -> None:
        self._runs.put_an_end_to(shard)  # before it is counted: where the server fails, all of this is done once more
        delay = self._gathering.again(shard, why)
        if delay is None:
            del self._waiting[shard]
        else:
            self._waiting[shard], self._to_start[shard] = ShardWatch(), delay


def _shown(message: str | None) -> str | None:
    """What a flow run's state says, in one line without secrets: an error of httpx names whole addresses.

    Of a list, as of the parameters that the version of the worker does not know, the first is told.
    """
    first, *others = (message or "").splitlines() or [""]
    shown = f"{first} {others[0].lstrip(' -')}" if first.endswith(":") and others else first
    return without_secrets(shown) or None


def _why_again(state: str, message: str | None) -> str:
    if state == GONE:
        return "the Prefect server does not know its flow run any more"
    return f"its flow run was {state.lower()}: {message or 'it gave no sign of life'}"


def _is_refusal(error: httpx.HTTPError) -> bool:
    """Whether the same request would be refused again; too many of them, or one that took too long, may pass."""
    if not isinstance(error, httpx.HTTPStatusError):
        return False
    status = error.response.status_code
    return status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
