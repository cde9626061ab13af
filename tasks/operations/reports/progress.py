"""What a run has done so far, for whoever watches: counters that are read while they grow."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.operations.reports.results import Totals
from tasks.operations.reports.shown_text import human_bytes, human_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.operations.reports.results import TagResult, Traffic


class HeldTime:
    """For how long a run did nothing because it was held; what it had begun it finishes first. Safe to share."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_held = False
        self._since = 0.0
        self._before = 0.0

    @property
    def is_held(self) -> bool:
        """Whether the run is held now."""
        return self._is_held

    @property
    def seconds(self) -> float:
        """How long that was in all."""
        with self._lock:
            return self._before + self._present(time.monotonic())

    def change(self, *, is_held: bool) -> None:
        """Note whether the run is held from now on."""
        with self._lock:
            now = time.monotonic()
            self._before += self._present(now)
            self._is_held, self._since = is_held, now

    def note_work(self) -> None:
        """Have the hold count from now on, as the run was at work until now."""
        if self._is_held:  # as it seldom is; this is called for each piece that is sent
            with self._lock:
                self._since = time.monotonic()

    def _present(self, now: float) -> float:
        return now - self._since if self._is_held else 0.0


@dataclass(slots=True)
class Progress:
    """Counters of one run; safe to share. `expected` is the number of tags found at the source, once `is_counted`."""

    expected: int = 0
    is_counted: bool = False
    bytes_read: int = 0
    started: float = field(default_factory=time.monotonic)
    held: HeldTime = field(default_factory=HeldTime)
    totals: Totals = field(default_factory=Totals)
    _in_work: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def expect(self, tags: int) -> None:
        """Note that so many more tags will have an outcome."""
        with self._lock:
            self.expected += tags
            self.is_counted = True

    @contextmanager
    def at_work_on(self, tags: int) -> Iterator[None]:
        """Count so many tags as in work until they have their outcomes."""
        with self._lock:
            self._in_work += tags
        try:
            yield
        finally:
            with self._lock:
                self._in_work -= tags

    def note(self, result: TagResult) -> None:
        """Count the outcome of a tag."""
        self.held.note_work()
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
        self.held.note_work()
        with self._lock:
            self.bytes_read += count

    @property
    def unreached(self) -> int:
        """How many tags have no outcome; at the end of a run, those of repositories that it could not look into.

        Of such a repository all count that the survey expected, whichever are chosen.
        """
        return max(0, self.expected - self.totals.tags)

    @property
    def line(self) -> str:
        """How many tags are done, of how many; before they are counted, that they are looked for."""
        if not self.is_counted:
            return "looking through the source"
        return f"{self.totals.tags:,} of {self.expected:,} tags"

    @property
    def bytes_expected(self) -> int:
        """How many will be sent if the tags to come are like those before; 0 before any is done.

        A tag has as much as is sent of one that has begun, those in work among them, with what is on its way; half
        of one is still to come for each of these. While there are any, it is never less than is sent.
        """
        done, sent = self.totals.tags, self.totals.traffic.bytes_pushed
        begun = done + self._in_work
        if self._in_work:
            sent = max(sent, self.bytes_read)
        return sent * (2 * max(self.expected, begun) + self._in_work) // (2 * begun) if done else 0

    @property
    def sent(self) -> str:
        """How much is sent, of how much where that can be told."""
        said, expected = f"{human_bytes(self.bytes_read)} sent", self.bytes_expected
        return f"{said} of about {human_bytes(expected)}" if expected > self.bytes_read else said

    @property
    def time_left(self) -> str | None:
        """How long the rest takes if it goes on like this; None where that can't be told, or nobody is at work."""
        done = self.totals.tags
        if self.held.is_held or not 0 < done < self.expected:
            return None
        return f"about {human_seconds(self.seconds_at_work / done * (self.expected - done))} left"

    @property
    def seconds(self) -> float:
        """How long the run has lasted."""
        return time.monotonic() - self.started

    @property
    def seconds_at_work(self) -> float:
        """How long it was not held, or finished what it had begun."""
        return self.seconds - self.held.seconds

    @property
    def rate(self) -> int:
        """Bytes a second while the run was at work."""
        return int(self.bytes_read / max(self.seconds_at_work, 0.001))
