"""Tells a file that can't be read from a source of which nothing can, as when the store behind a mount is gone.

The mount, or whatever stands before the store, answers then, so that only the reads show it: each ends late, and with
an error that may pass.
"""

from __future__ import annotations

import logging
import threading
import time

LEAST_FAILURES = 3
"""Of one file alone, or two, nothing is concluded for the others."""

SILENT_SECONDS = 600.0
"""How long all that a source is asked for may fail as if for the moment, before each further tag would wait, too."""

logger = logging.getLogger(__name__)


class SourceSilence:
    """What became of the reads of a source; shared by all who read from it."""

    def __init__(self, seconds: float) -> None:
        """After `seconds` of reads, and none that could be done, the source counts as gone."""
        self._seconds = seconds
        self._lock = threading.Lock()
        self._last_read = 0.0
        self._failures = 0
        self._since = 0.0
        self._last_failed = 0.0
        self._is_told = False

    def end(self) -> None:
        """Take note that something could be read."""
        self._last_read = time.monotonic()
        self._failures = 0
        self._is_told = False

    def tell(self, name: str, asked: float) -> None:
        """Say, once for all, that something is waited for since it was asked for, and nothing else was read since."""
        if not self._is_told and self._last_read < asked:
            self._is_told = True
            waited = time.monotonic() - asked
            logger.warning(
                "%s is waited for since %.0f s, and nothing else was read: the mount answers, its store may not",
                name,
                waited,
            )

    def lasts(self, asked: float) -> bool:
        """Take note that what was asked for then failed for the moment; whether all has for too long by now."""
        with self._lock:
            if not self._failures:
                self._since = self._last_failed = max(asked, self._last_read)
            self._since += max(0.0, asked - self._last_failed)  # while nobody asks, as in hours off, nothing is read
            self._failures, self._last_failed = self._failures + 1, time.monotonic()
            return self._failures >= LEAST_FAILURES and self._last_failed - self._since >= self._seconds
