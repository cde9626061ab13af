"""Keeps all workers of a run within what the target permits and the user allows.

One gate serves one registry host: when it tells one worker to wait, all of them do.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.oci.errors import InterruptedRunError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.oci.descriptor import Descriptor
    from tasks.ports import BlobContent, Buffer


class Stop:
    """Tells every worker of a run that it is over; waits through it end early."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Ask all workers to leave."""
        self._event.set()

    @property
    def requested(self) -> bool:
        """Whether the run is to end."""
        return self._event.is_set()

    def check(self) -> None:
        """Leave here if the run is to end.

        Raises:
            InterruptedRunError: it is.
        """
        if self._event.is_set():
            raise InterruptedRunError("the run was interrupted before this was done")

    def pause(self, seconds: float) -> None:
        """Wait so long, or until the run is to end."""
        self._event.wait(seconds)

    def wait(self, seconds: float) -> None:
        """Wait, or leave as soon as the run is to end.

        Raises:
            InterruptedRunError: it is.
        """
        self._event.wait(seconds)
        self.check()


class Pace:
    """Lets at most `per_second` units (requests or bytes) pass, in order of arrival; None is no limit."""

    def __init__(self, per_second: float | None, stop: Stop) -> None:
        self._per_second = per_second
        self._stop = stop
        self._lock = threading.Lock()
        self._next = 0.0

    def take(self, units: float = 1.0) -> None:
        """Wait until `units` may pass.

        Raises:
            InterruptedRunError: the run ended meanwhile.
        """
        if self._per_second is None:
            return
        with self._lock:
            now = time.monotonic()
            start = max(self._next, now)
            self._next = start + units / self._per_second
        if start > now:
            self._stop.wait(start - now)


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
            InterruptedRunError: the run ended meanwhile.
        """
        self._stop.check()
        while (remaining := self._open_at - time.monotonic()) > 0:
            self._stop.wait(remaining)
        self._pace.take()

    def pause(self, seconds: float) -> None:
        """Let no request of any worker pass for so long from now."""
        with self._lock:
            self._open_at = max(self._open_at, time.monotonic() + seconds)


@dataclass(frozen=True, slots=True)
class PacedContent:
    """A `BlobContent` whose bytes pass a `Pace`, and which ends with the run."""

    content: BlobContent
    pace: Pace
    stop: Stop

    @property
    def descriptor(self) -> Descriptor:
        """See `BlobContent.descriptor`."""
        return self.content.descriptor

    def read(self) -> bytes:
        """See `BlobContent.read`."""
        self.pace.take(self.descriptor.size)
        return self.content.read()

    @contextmanager
    def chunks(self) -> Iterator[Iterator[Buffer]]:
        """See `BlobContent.chunks`."""
        with self.content.chunks() as chunks:
            yield self._paced(chunks)

    def _paced(self, chunks: Iterator[Buffer]) -> Iterator[Buffer]:
        for chunk in chunks:
            self.stop.check()
            self.pace.take(len(chunk))
            yield chunk
