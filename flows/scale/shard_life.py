"""How a shard's flow run shows that it lives, learns that it is over, and hands in its report."""

from __future__ import annotations

import logging
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx
from prefect import get_client
from prefect.runtime import flow_run

from flows.course.repeating import every
from flows.course.watching import NoWatcher
from flows.dashboard.publishing import publish
from flows.scale.shard_runs import LIFE, REPORT
from tasks.operations.running.shard_watch import BEAT_SECONDS, FENCE_SECONDS, LATE_SECONDS
from tasks.shard_results import pages_of
from tasks.uptime import uptime

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prefect.client.orchestration import SyncPrefectClient

    from tasks.runs import Run

logger = logging.getLogger(__name__)


class ShardWatcher(NoWatcher):
    """Watches a shard's run for the run that it is a part of."""

    def __init__(self) -> None:
        super().__init__()
        self._run: Run | None = None

    @contextmanager
    def watch(self, run: Run) -> Iterator[None]:
        """See `Watcher.watch`."""
        self._run = run
        yield

    @property
    def bytes_read(self) -> int:
        """How many bytes the shard has read on their way to the target so far."""
        return self._run.progress.bytes_read if self._run is not None else 0

    def end(self, why: str) -> None:
        """Have the shard end in order, without a report: another process is to do it."""
        logger.warning("this shard ends: %s", why)
        if self._run is not None:
            self._run.tree.end_early()
        self.stop.set()

    @contextmanager
    def shows_life(self) -> Iterator[None]:
        """Give signs of life until the end of the block; who can't, or is told that it is over, ends."""
        with get_client(sync_client=True) as client:
            life = _Life(self, client)
            life.beat()
            with every(BEAT_SECONDS, life.beat, name="sign of life"), every(1.0, life.see, name="fence"):
                yield


class _Life:
    def __init__(self, watcher: ShardWatcher, client: SyncPrefectClient) -> None:
        self._watcher = watcher
        self._client = client
        self._own = str(flow_run.get_id())
        self._sign: str | None = None
        self._last = uptime()
        self._beats = 0

    def beat(self) -> None:
        if self._watcher.stop.requested:
            return
        asked = uptime()
        try:
            over = self._told_that_it_is_over()
        except (httpx.HTTPError, ValueError, LookupError) as error:  # the latter where a proxy answers with a page
            logger.warning("no sign of life was given: %s", type(error).__name__)
            return
        self._last = min(uptime(), asked + LATE_SECONDS)
        if over:
            self._watcher.end("its flow run was ended at the Prefect server")

    def see(self) -> None:
        """Prefect's client may try for a minute, so this is looked at beside it."""
        if uptime() - self._last > FENCE_SECONDS and not self._watcher.stop.requested:
            self._watcher.end(f"the Prefect server has not answered for {FENCE_SECONDS:.0f} s")

    def _told_that_it_is_over(self) -> bool:
        answer = self._client.request("GET", "/flow_runs/{id}", path_params={"id": self._own}).json()
        if answer["state_type"] in {"CRASHED", "CANCELLED", "FAILED", "COMPLETED"}:
            return True  # its signs may have been removed
        self._beats += 1
        self._give_sign({"beats": self._beats, "bytes_read": self._watcher.bytes_read})
        return False

    def _give_sign(self, data: dict[str, Any]) -> None:
        if self._sign is None:
            self._sign = str(_add(self._client, self._own, LIFE, data)["id"])
        else:
            self._client.request("PATCH", "/artifacts/{id}", json={"data": data}, path_params={"id": self._sign})


def hand_in(run: Run) -> None:
    """Publish a shard's run as any other, and hand its report to the run that it is a part of."""
    publish(run)
    if run.tree.ended_early:
        return
    own, report = str(flow_run.get_id()), uuid.uuid4().hex
    with get_client(sync_client=True) as client:
        for number, text in enumerate(pages_of(run)):
            _add(client, own, REPORT, {"report": report, "page": number, "text": text})


def _add(client: SyncPrefectClient, own: str, kind: str, data: dict[str, Any]) -> dict[str, Any]:
    body = {"type": kind, "data": data, "flow_run_id": own}
    answer: dict[str, Any] = client.request("POST", "/artifacts/", json=body).json()
    return answer
