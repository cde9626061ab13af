"""Keeps all workers of a run within what the target permits and the user allows.

One gate serves one registry host: when it tells one worker to wait, all of them do.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tasks.oci.descriptor import Descriptor
    from tasks.ports import BlobContent, Buffer
    from tasks.stop import Stop


CHANGE_SECONDS = 1.0
"""How soon those who wait for their turn notice that the rate has changed."""
TURN_SECONDS = 0.1
"""How long the turn of one is at most: so long each of all others sends nothing, and proxies cut what is silent."""


class Pace:
    """Lets at most `per_second` units (requests or bytes) pass, in order of arrival; None is no limit."""

    def __init__(self, per_second: float | None, stop: Stop) -> None:
        self._per_second = per_second
        self._stop = stop
        self._lock = threading.Lock()
        self._next = 0.0

    def change(self, per_second: float | None) -> None:
        """Let so many pass from now on, those who wait already among them."""
        with self._lock:
            if per_second != self._per_second:
                self._per_second = per_second
                self._next = 0.0

    def turn(self, units: int) -> int:
        """How many of `units` to take at once, so that nobody else waits for long."""
        rate = self._per_second
        return units if rate is None else min(units, max(1, int(rate * TURN_SECONDS)))

    def take(self, units: float = 1.0) -> None:
        """Wait until `units` may pass.

        Raises:
            InterruptedRunError: the run is to end, or ended meanwhile.
        """
        self._stop.check()
        while True:
            with self._lock:
                rate = self._per_second
                if rate is None:
                    return
                start = max(self._next, time.monotonic())
                self._next = start + units / rate
            if self._waited_until(start, rate):
                return

    def _waited_until(self, moment: float, rate: float) -> bool:
        """Wait; whether the rate stayed the same, since another one makes another moment."""
        while (remaining := moment - time.monotonic()) > 0:
            self._stop.wait(min(remaining, CHANGE_SECONDS))
            if self._per_second != rate:
                return False
        return True


class RequestGate:
    """What each request to one host passes first: the user's rate limit, and pauses that the host asked for."""

    def __init__(self, stop: Stop, max_per_second: float | None = None) -> None:
        self._stop = stop
        self._pace = Pace(max_per_second, stop)
        self._lock = threading.Lock()
        self._open_at = 0.0

    def enter(self) -> None:
        """Wait until a request may be sent.

        Raises:
            InterruptedRunError: the run is to end, or ended meanwhile.
        """
        while True:
            self.wait_open()
            self._pace.take()
            if self.is_open:
                return  # else the host asked for a pause in the meantime, and this turn has passed

    @property
    def is_open(self) -> bool:
        """Whether no pause is left that the host asked for."""
        return self._open_at <= time.monotonic()

    def wait_open(self) -> None:
        """Wait until the pauses are over that the host asked for.

        Raises:
            InterruptedRunError: the run ended meanwhile.
        """
        while (remaining := self._open_at - time.monotonic()) > 0:
            self._stop.wait(remaining)

    def change(self, max_per_second: float | None) -> None:
        """Let so many requests pass a second from now on."""
        self._pace.change(max_per_second)

    def pause(self, seconds: float) -> bool:
        """Let no request of any worker pass for so long from now; whether there was no pause already."""
        with self._lock:
            was_open = self.is_open
            self._open_at = max(self._open_at, time.monotonic() + seconds)
        return was_open


@dataclass(frozen=True, slots=True)
class PacedContent:
    """A `BlobContent` whose bytes pass a `Pace`, and which ends with the run; `note` is told of them as they pass."""

    content: BlobContent
    pace: Pace
    note: Callable[[int], None]

    @property
    def descriptor(self) -> Descriptor:
        """See `BlobContent.descriptor`."""
        return self.content.descriptor

    def read(self) -> bytes:
        """See `BlobContent.read`."""
        left = self.descriptor.size
        while left:
            left -= (turn := self.pace.turn(left))
            self.pace.take(turn)
        raw = self.content.read()
        self.note(len(raw))
        return raw

    @contextmanager
    def chunks(self) -> Iterator[Iterator[Buffer]]:
        """See `BlobContent.chunks`."""
        with self.content.chunks() as chunks:
            yield self._paced(chunks)

    def _paced(self, chunks: Iterator[Buffer]) -> Iterator[Buffer]:
        for chunk in chunks:
            left = memoryview(chunk)
            while len(turn := left[: self.pace.turn(len(left))]):
                left = left[len(turn) :]
                self.note(len(turn))
                self.pace.take(len(turn))
                yield turn
