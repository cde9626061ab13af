"""For how long what the target said is believed, before something is written or deleted on the strength of it.

See docs/decisions/056-tags-that-others-push.md.
"""

from __future__ import annotations

import time

FRESH_SECONDS = 5.0
"""What was said earlier is asked again: pauses of the target may lie between, and others write tags, too."""


def now() -> float:
    """This moment, by a clock that goes on while the machine sleeps: others push meanwhile."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def is_fresh(as_of: float) -> bool:
    """Whether what was asked at this moment of that clock is believed still."""
    return now() - as_of < FRESH_SECONDS
