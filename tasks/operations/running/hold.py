"""Limits that may change while a run goes on, and the place where its workers wait while they may begin nothing."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.operations.reports.progress import HeldTime

if TYPE_CHECKING:
    from datetime import datetime

    from tasks.operations.running.hours import Hours
    from tasks.stop import Stop

LOOK_SECONDS = 0.5

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """How hard a run may press its target, and when; None is no limit."""

    bytes_per_second: float | None = None
    requests_per_second: float | None = None
    hours: Hours | None = None
    paused: bool = False

    def reason_to_hold(self, now: datetime) -> str | None:
        """Why nothing new may begin now, None when it may."""
        if self.paused:
            return "paused"
        if self.hours is None or self.hours.are_open(now):
            return None
        return f"outside the allowed hours {self.hours.text}, until {self.hours.opening(now):%Y-%m-%d %H:%M %Z}"


class Hold:
    """Keeps workers from beginning anything while there is a reason to; what they have begun they finish."""

    def __init__(self) -> None:
        self._reason: str | None = None
        self.time = HeldTime()

    @property
    def reason(self) -> str | None:
        """Why the run holds, None while it works."""
        return self._reason

    def is_on(self) -> bool:
        """Whether there is one now, for whoever would rather not wait."""
        return self._reason is not None

    def change(self, reason: str | None) -> None:
        """Hold for this reason, or with None go on."""
        if reason != self._reason:
            logger.warning("%s", f"holding: {reason}; what has begun is finished" if reason else "going on")
        self._reason = reason
        self.time.change(is_held=reason is not None)

    def wait(self, stop: Stop) -> bool:
        """Wait until there is no reason any more, or the run is to end; whether there was anything to wait for."""
        was_held = self._reason is not None
        while self._reason is not None and not stop.requested:
            stop.pause(LOOK_SECONDS)
        return was_held
