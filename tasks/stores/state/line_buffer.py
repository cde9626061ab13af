"""Gathers bytes of several threads, and has them written together: in time, when they are many, or when asked."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from tasks.oci.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable


class LineBuffer:
    """What was appended is written after `seconds`; a failure to write is told by the next call.

    While lines are written, more can be appended: they are written together after that, by whoever asks first.
    """

    def __init__(self, write: Callable[[bytes], None], *, seconds: float, most_bytes: int) -> None:
        """`write` raises `StateError` where it can't; it is never called by two threads at once."""
        self._write = write
        self._seconds = seconds
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._settled = threading.Condition(self._lock)
        self._buffer = bytearray()
        self._under_way = 0
        """How many bytes, the first of the buffer, a thread writes just now; it does so without the lock."""
        self._written = 0
        self._timer: threading.Timer | None = None
        self._failure: StateError | None = None
        self._failure_was_told = False

    def append(self, line: bytes, *, at_once: bool = False) -> None:
        """Add a line, and write it `at_once` with what waits, or where too much does.

        Raises:
            StateError: this or an earlier line could not be written.
        """
        with self._lock:
            self._tell_failure()
            self._buffer += line
            is_due = at_once or len(self._buffer) - self._under_way >= self._most_bytes
            if not is_due and self._timer is None:
                self._begin_timer()
        if is_due:
            self.flush()

    def flush(self) -> None:
        """Write what was appended until now, or wait until another thread has.

        Raises:
            StateError: this or an earlier line could not be written.
        """
        self._write_out()  # a timer goes on: to begin one costs more than to write
        self._tell_failure()

    def close(self) -> None:
        """Write what is still buffered; may be called twice.

        Raises:
            StateError: a line could not be written, and no earlier call said so.
        """
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        self._write_out()
        if not self._failure_was_told:
            self._tell_failure()

    def _tell_failure(self) -> None:
        if self._failure is not None:
            self._failure_was_told = True
            raise self._failure

    def _begin_timer(self) -> None:
        timer = threading.Timer(self._seconds, self._flush_in_time)
        timer.daemon = True
        with contextlib.suppress(RuntimeError):  # no thread can be had just now: the next line asks for one again
            timer.start()
            self._timer = timer

    def _flush_in_time(self) -> None:
        """Write what there is, and begin another timer for what came meanwhile: a write that hangs has one wait."""
        try:
            self._write_out()
        finally:
            with self._lock:
                self._end_timer()

    def _end_timer(self) -> None:
        if self._timer is not threading.current_thread():  # closed meanwhile
            return
        self._timer = None
        if self._buffer and self._failure is None:
            self._begin_timer()

    def _write_out(self) -> None:
        """See that the buffer as it is now is written: who waits for another thread may find that done."""
        with self._lock:
            wanted = self._written + len(self._buffer)
            self._settled.wait_for(lambda: self._written >= wanted or not self._under_way)
            if self._written >= wanted:
                return
            lines = bytes(self._buffer)
            self._under_way = len(lines)
        done = 0
        try:
            done = self._write_or_fail(lines)
        finally:
            with self._lock:
                del self._buffer[:done]
                self._written += done
                self._under_way = 0
                self._settled.notify_all()

    def _write_or_fail(self, lines: bytes) -> int:
        """Be done with lines; a failure is kept for the next call of a user, as this may be the timer's thread."""
        if self._failure is None:
            try:
                self._write(lines)
            except StateError as error:
                self._failure = error
        return len(lines)
