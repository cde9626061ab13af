"""Whose the area of a benchmark is: the marker in it, and the names of what its runs put there."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from tasks.oci.errors import LockHeldError
from tasks.stores.state.lock_holder import LockHolder

MARKER = ".layoutlift-benchmark"
OTHERS_HOLD = timedelta(hours=24)
"""How long a run on another machine, or of another boot, keeps others out: whether that still runs can't be told."""
_RUN = re.compile(r"run-[0-9]{8}T[0-9]{6}-[0-9a-f]{6}")


def run_name(run_id: str) -> str:
    """The name of a run's own prefix or folder."""
    return f"run-{run_id}"


def is_run_name(name: str) -> bool:
    """Whether a name is one that runs give theirs."""
    return _RUN.fullmatch(name) is not None


def refuse_living(content: bytes, written: datetime, where: str) -> None:
    """Refuse an area whose marker belongs to a run that may still be at work.

    Raises:
        LockHeldError: that run may still be at work.
    """
    holder = LockHolder.parse(content)
    if holder is None or holder.is_dead:
        return
    if not holder.is_here and datetime.now(UTC) - written > OTHERS_HOLD:
        return
    raise LockHeldError(
        f"{where} is in use by the benchmark {holder.run} on {holder.host} (pid {holder.pid}) since {holder.started}"
    )
