"""The clock by which it is told how long ago something was: it goes on while the machine sleeps, and is never set."""

from __future__ import annotations

import time


def uptime() -> float:
    """This moment, in seconds since the machine was started: others go on while it sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
