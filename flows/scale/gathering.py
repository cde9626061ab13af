"""Takes over into a run what came of its shards, and tells what became of those that nobody could do."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING

from tasks.oci.codes import Remark
from tasks.oci.errors import ShardLostError
from tasks.operations.reports.counts import counted
from tasks.operations.running.shard_watch import RESTART_DELAYS
from tasks.ports import Finding
from tasks.shard_results import absorb

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.ports import Shard
    from tasks.runs import Run

logger = logging.getLogger(__name__)


class Gathering:
    """See the module; `run` is the whole one."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.restarts: Counter[Shard] = Counter()
        """How often each shard was begun again."""
        self._told: dict[Shard, int] = {}

    def note_bytes(self, shard: Shard, bytes_read: int) -> None:
        """Count what a shard at work has read so far; less than before is that of another process."""
        before = self._told.get(shard, 0)
        self._told[shard] = bytes_read
        self.run.progress.note_bytes(bytes_read - before if bytes_read >= before else bytes_read)

    def take(self, shard: Shard, pages: Sequence[str]) -> None:
        """Take a shard's report over.

        Raises:
            ShardLostError: the pages are not a whole report; nothing was taken over.
        """
        tags = absorb(self.run, shard, pages, bytes_told=self._told.get(shard, 0))
        logger.info("shard %d: %s of %s", shard.number, counted(tags, "tag"), _repositories_of(shard))

    def again(self, shard: Shard, why: str) -> float | None:
        """Count a further attempt at a shard; the seconds before it, None where it is given up after so many."""
        restarts = self.restarts[shard]
        if restarts == len(RESTART_DELAYS):
            self.give_up(shard, ShardLostError(f"{restarts + 1} attempts failed, the last: {why}"))
            return None
        self.restarts[shard] += 1
        self._note_restart(shard, why)
        return RESTART_DELAYS[restarts]

    def give_up(self, shard: Shard, error: ShardLostError) -> None:
        """Name every repository of a shard that nobody could do."""
        logger.error("shard %d is given up: %s", shard.number, error)
        for path in shard.repositories:
            self.run.log.note(Finding(path, error.code, f"shard {shard.number}: {error}"))
        self.run.tree.note_done_elsewhere(shard.repositories)

    def _note_restart(self, shard: Shard, why: str) -> None:
        """Say that a shard is done again by somebody else."""
        message = f"shard {shard.number} with {_repositories_of(shard)} was taken up again: {why}"
        logger.warning("%s", message)
        self.run.log.note(Finding(".", Remark.SHARD_RESTARTED, message))


def _repositories_of(shard: Shard) -> str:
    return counted(len(shard.repositories), "repository")
