"""Tells what fails by itself from a source or target of which nothing succeeds, as when the store behind it is gone.

The mount, or whatever stands before the store, answers then, so that only the requests show it: each ends late, and
with an error that may pass.
"""

from __future__ import annotations

import logging
import threading
import time

LEAST_FAILURES = 3
"""Of one file or request alone, or two, nothing is concluded for the others."""

SILENT_SECONDS = 600.0
"""How long all that one is asked for may fail as if for the moment, before each further tag would wait, too."""

logger = logging.getLogger(__name__)


class Silence:
    """What became of what a source or target was asked for; shared by all who ask."""

    def __init__(self, seconds: float) -> None:
        """After `seconds` in which it was asked, and nothing succeeded, it counts as gone."""
        self._seconds = seconds
        self._lock = threading.Lock()
        self._last_success = 0.0
        self._failures = 0
        self._since = 0.0
        self._last_failed = 0.0
        self._is_told = False

    def end(self) -> None:
        """Take note that something succeeded."""
        self._last_success = time.monotonic()
        self._failures = 0
        self._is_told = False

    def tell(self, name: str, asked: float, why: str = "the mount answers, its store may not") -> None:
        """Say, once for all, that something is waited for since it was asked for, and nothing else was read since."""
        if not self._is_told and self._last_success < asked:
            self._is_told = True
            waited = time.monotonic() - asked
            logger.warning("%s is waited for since %.0f s, and nothing else was read: %s", name, waited, why)

    def lasts(self, asked: float) -> bool:
        """Take note that what was asked for then failed for the moment; whether all has for too long by now."""
        with self._lock:
            if not self._failures:
                self._since = self._last_failed = max(asked, self._last_success)
            self._since += max(0.0, asked - self._last_failed)  # while nobody asks, as in hours off, nothing is read
            self._failures, self._last_failed = self._failures + 1, time.monotonic()
            return self._failures >= LEAST_FAILURES and self._last_failed - self._since >= self._seconds
