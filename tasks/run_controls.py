"""What of a run can be changed while it goes on, in one place: its rates, and whether it may begin anything new."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tasks.operations.running.hold import Hold, Limits
from tasks.stores.pacing import Pace, RequestGate

if TYPE_CHECKING:
    from tasks.stop import Stop

logger = logging.getLogger(__name__)


class RunControls:
    """The levers of one run; `given` are the limits that it was started with."""

    def __init__(self, given: Limits, stop: Stop) -> None:
        self.given = given
        self.pace = Pace(given.bytes_per_second, stop)
        self.gate = RequestGate(stop, given.requests_per_second)
        self.hold = Hold()
        self._now = given
        self.apply(given)

    def apply(self, limits: Limits) -> None:
        """Work within `limits` from now on; called again and again, since hours open and close."""
        if replace(limits, paused=False) != replace(self._now, paused=False):
            shown = (
                "none" if rate is None else f"{rate:,.0f}"
                for rate in (limits.bytes_per_second, limits.requests_per_second)
            )
            hours = limits.hours.text if limits.hours is not None else "any"
            logger.info("limits are now: %s bytes a second, %s requests a second, hours: %s", *shown, hours)
        self._now = limits
        self.pace.change(limits.bytes_per_second)
        self.gate.change(limits.requests_per_second)
        self.hold.change(limits.reason_to_hold(datetime.now(UTC)))
