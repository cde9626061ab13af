"""Several who want the same lock at the same moment."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tasks.oci.errors import LockHeldError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager


def how_many_get_in(locks: Sequence[AbstractContextManager[object]]) -> int:
    """Enter each lock in a thread of its own, all at once; whoever gets in stays until all others have tried."""
    inside, barrier = [], threading.Barrier(len(locks))

    def race(lock: AbstractContextManager[object]) -> None:
        barrier.wait()
        try:
            with lock:
                inside.append(1)
                barrier.wait()
        except LockHeldError:
            barrier.wait()

    racers = [threading.Thread(target=race, args=(lock,)) for lock in locks]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    return len(inside)
