"""Gathers bytes of several threads, and has them written together: in time, when they are many, or when asked."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tasks.oci.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable


class LineBuffer:
    """What was appended is written after `seconds`; a failure to write is told by the next call."""

    def __init__(self, write: Callable[[bytes], None], *, seconds: float, most_bytes: int) -> None:
        """`write` raises `StateError` where it can't; it is never called by two threads at once."""
        self._write = write
        self._seconds = seconds
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._buffer = bytearray()
        self._timer: threading.Timer | None = None
        self._failure: StateError | None = None
        self._failure_was_told = False

    def append(self, line: bytes, *, at_once: bool = False) -> None:
        """Add a line, and write it `at_once` with what waits.

        Raises:
            StateError: this or an earlier line could not be written.
        """
        with self._lock:
            self._tell_failure()
            self._buffer += line
            if at_once or len(self._buffer) >= self._most_bytes:
                self._write_buffer()  # a timer goes on: to begin one costs more than to write
                self._tell_failure()
            elif self._timer is None:
                self._timer = threading.Timer(self._seconds, self._flush_in_time)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Write what is still buffered.

        Raises:
            StateError: this or an earlier line could not be written.
        """
        with self._lock:
            self._write_out()
            self._tell_failure()

    def close(self) -> None:
        """Write what is still buffered; may be called twice.

        Raises:
            StateError: a line could not be written, and no earlier call said so.
        """
        with self._lock:
            self._write_out()
            if not self._failure_was_told:
                self._tell_failure()

    def _tell_failure(self) -> None:
        if self._failure is not None:
            self._failure_was_told = True
            raise self._failure

    def _flush_in_time(self) -> None:
        with self._lock:
            self._write_out()

    def _write_out(self) -> None:
        """Write the buffer; a failure is kept for the next call of a user, as this may be the timer's thread."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._write_buffer()

    def _write_buffer(self) -> None:
        if self._failure is None and self._buffer:
            try:
                self._write(bytes(self._buffer))
            except StateError as error:
                self._failure = error
        self._buffer.clear()
