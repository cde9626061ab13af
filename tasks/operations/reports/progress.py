"""What a run has done so far, for whoever watches: counters that are read while they grow."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.operations.reports.results import Totals

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.operations.reports.results import TagResult, Traffic


@dataclass(slots=True)
class Progress:
    """Counters of one run; safe to share. `expected` is the number of tags found at the source, once `is_counted`.

    `held` says for how many seconds since it began the run was not to begin anything.
    """

    expected: int = 0
    is_counted: bool = False
    bytes_read: int = 0
    started: float = field(default_factory=time.monotonic)
    held: Callable[[], float] = lambda: 0.0
    totals: Totals = field(default_factory=Totals)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def expect(self, tags: int) -> None:
        """Note that so many more tags will have an outcome."""
        with self._lock:
            self.expected += tags
            self.is_counted = True

    def note(self, result: TagResult) -> None:
        """Count the outcome of a tag."""
        with self._lock:
            self.totals.outcomes[result.outcome] += 1
            self.totals.problems += result.is_problem

    def note_traffic(self, traffic: Traffic) -> None:
        """Count what was moved."""
        with self._lock:
            self.totals.traffic.add(traffic)

    def note_problem(self) -> None:
        """Count something broken at the source that is no tag."""
        with self._lock:
            self.totals.other_problems += 1

    def note_bytes(self, count: int) -> None:
        """Count bytes on their way to the target."""
        with self._lock:
            self.bytes_read += count

    @property
    def line(self) -> str:
        """How many tags are done, of how many; before they are counted, that they are looked for."""
        if not self.is_counted:
            return "looking through the source"
        return f"{self.totals.tags:,} of {self.expected:,} tags"

    @property
    def seconds(self) -> float:
        """How long the run has lasted."""
        return time.monotonic() - self.started

    @property
    def seconds_at_work(self) -> float:
        """How long it was not held."""
        return self.seconds - self.held()

    @property
    def rate(self) -> int:
        """Bytes a second while the run was at work."""
        return int(self.bytes_read / max(self.seconds_at_work, 0.001))
