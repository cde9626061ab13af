"""A machine that slept meanwhile."""

import time
from dataclasses import dataclass

import pytest


@dataclass
class Sleep:
    """For how many seconds it slept."""

    seconds: float = 0.0


def sleep_of_machine(monkeypatch: pytest.MonkeyPatch) -> Sleep:
    """A sleep after which only the clock that goes on in it is ahead."""
    clock, sleep = time.clock_gettime, Sleep()

    def clock_gettime(which: int) -> float:
        return clock(which) + (sleep.seconds if which == time.CLOCK_BOOTTIME else 0.0)

    monkeypatch.setattr(time, "clock_gettime", clock_gettime)
    return sleep
