"""Decides what to do about a shard that another process does: wait for it, take its report, or have it done again.

That a process died is mostly told by its worker. Where the worker died with it nobody tells, so a shard also shows
signs of life; one that can't show them any more ends itself well before somebody else takes its work up.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

BEAT_SECONDS = 5.0
FENCE_SECONDS = 40.0
"""A shard that could not show a sign of life for so long ends itself."""
SILENCE_SECONDS = 75.0
"""A shard that showed none for so long is done again by another worker."""
LATE_SECONDS = SILENCE_SECONDS - FENCE_SECONDS - BEAT_SECONDS
"""How late an answer to a sign of life counts as just given: the server may have noted the sign long before."""
BEGIN_SECONDS = 600.0
"""How long a shard's process may take to its first sign of life."""
NODE_SECONDS = 3_300.0
"""How long a worker may take to start that process: a pod waits for its image, or for a node.

The server's automation gives it an hour, and calls it crashed then: a pod that comes later begins all the same.
"""
RESTART_DELAYS = (0.0, 30.0, 60.0)
"""Seconds before each further attempt: by the last one, the lock of a process that died unseen has expired."""


class ShardStep(Enum):
    """What comes next."""

    WAIT = "wait"
    GATHER = "gather"
    AGAIN = "again"


GONE = ""
"""Stands for the state of a flow run that the server does not know any more, since somebody deleted it."""
_ENDED = {
    "COMPLETED": ShardStep.GATHER,
    "FAILED": ShardStep.GATHER,
    "CRASHED": ShardStep.AGAIN,
    "CANCELLED": ShardStep.AGAIN,
}
_SHOWS_LIFE = {"RUNNING", "CANCELLING"}
_PATIENCE = {"PENDING": NODE_SECONDS, GONE: SILENCE_SECONDS} | dict.fromkeys(_SHOWS_LIFE, BEGIN_SECONDS)


@dataclass(slots=True)
class ShardWatch:
    """What is known of one attempt at a shard; times are of the monotonic clock."""

    seen: tuple[str, str | None] | None = None
    changed: float = 0.0

    def next_step(self, state: str, sign: str | None, now: float) -> ShardStep:
        """What to do, given the type of its flow run's state or GONE, and its last sign of life, however that looks.

        Waiting for a worker, or paused by somebody, it may be as long as it is.
        """
        if (state, sign) != self.seen:
            self.seen, self.changed = (state, sign), now
        if state in _ENDED:
            return _ENDED[state]
        patience = SILENCE_SECONDS if sign is not None and state in _SHOWS_LIFE else _PATIENCE.get(state)
        return ShardStep.AGAIN if patience is not None and now - self.changed > patience else ShardStep.WAIT
