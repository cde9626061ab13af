"""The clock that dates a store's files, asked seldom: in between, ours goes on from what it said.

To ask is to write one and the same name, and each step of a cleanup wants the time. Stores let a name be written
once a second, and keep each of its versions where they keep any.
"""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING

from tasks.uptime import uptime

if TYPE_CHECKING:
    from collections.abc import Callable

ASKED_ANEW_SECONDS = 60.0
_SLOWER = 0.999
"""Each of two clocks may go wrong by half a thousandth while it is being set right."""


class StoreClock:
    """What time it is by a store's clock; any thread may ask."""

    def __init__(self, ask: Callable[[], float]) -> None:
        """Take what writes a file and gives the time that the store dates it with; nothing is asked yet."""
        self._ask = ask
        self._lock = threading.Lock()
        self._asked = -math.inf, -math.inf
        self._answered = 0.0
        self._said = 0.0

    def now(self) -> float:
        """Seconds since 1970, never later than a file would be dated that is written now, and never going back.

        Whole seconds are added, as many stores date by such: what ran on could be later by a part of one.
        """
        with self._lock:
            asked = _clocks()
            if any(clock - then >= ASKED_ANEW_SECONDS for clock, then in zip(asked, self._asked, strict=True)):
                self._said, self._answered = self._ask(), _clocks()[0]
                self._asked = asked  # from before: what took long, as over a sleep, is old at once
            return self._said + int((_clocks()[0] - self._answered) * _SLOWER)


def _clocks() -> tuple[float, float]:
    """One that goes on while the machine sleeps, and one that is set after a virtual one was stopped."""
    return uptime(), time.clock_gettime(time.CLOCK_REALTIME)
