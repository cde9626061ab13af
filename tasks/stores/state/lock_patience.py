"""Waits for a lock that another run holds, for whoever would rather be late than not work at all."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from tasks.oci.errors import LockHeldError, StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tasks.stop import Stop

LOOK_EVERY = 2.0
"""Seconds between two looks of a short wait."""
LATE = 0.02
"""How much later than the lock is free a long wait may end, in parts of it: a look costs a bucket some requests."""

logger = logging.getLogger(__name__)


@contextmanager
def held_within(seconds: float, lock: Callable[[], AbstractContextManager[object]], stop: Stop) -> Iterator[None]:
    """Hold the lock that `lock` makes, once whoever holds it lets go, within so many seconds.

    A state that was seen to be there is waited for, too: in an hour of looks, one may fail that the next does not.

    Raises on entering:
        LockHeldError: they did not.
        InterruptedRunError: the run is to end.
        StateError: as the lock itself, at the first look or the last.
    """
    began_at = time.monotonic()
    is_told = False
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(lock())
            except (LockHeldError, StateError) as error:
                waited = time.monotonic() - began_at
                left = seconds - waited
                if left <= 0 or not (is_told or isinstance(error, LockHeldError)):
                    raise
                if not is_told:
                    logger.warning("%s; this run waits for it, for %.0f s at the most", error, left)
                    is_told = True
                stop.wait(min(max(LOOK_EVERY, waited * LATE), left))
            else:
                break
        yield
