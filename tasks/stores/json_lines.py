"""A file of JSON lines that several threads append to: buffered, on disk within a second, torn ends tolerated."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING, Any

from tasks.oci.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

FLUSH_SECONDS = 1.0
_BUFFERED_BYTES = 256 * 1024


def state_error(what: str, error: OSError) -> StateError:
    """The one line that people see when the file `what` can't be read or written."""
    return StateError(f"{what} can't be written or read: {error.strerror or error}")


def json_line(value: object) -> bytes:
    """One line of plain ASCII; names that are not UTF-8 (lone surrogates) are escaped and come back as they were."""
    return json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n"


def read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file in order; lines that a crash tore, and whatever else is no object, are passed over.

    Raises:
        OSError: it can't be read.
    """
    with path.open("rb") as lines:
        yield from parse_json_lines(lines)


def parse_json_lines(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """The objects among `lines`; what is none is passed over."""
    for line in lines:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield value


class JsonLinesWriter:
    """Appends to a file, which comes to be with the first line; what was appended is on disk a second later."""

    def __init__(self, path: Path, *, fresh: bool = False) -> None:
        """Write to `path`, after what is there, or in its place if `fresh`; nothing is opened yet."""
        self._path = path
        self._flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | (os.O_TRUNC if fresh else 0)
        self._lock = threading.Lock()
        self._buffer = bytearray()
        self._descriptor: int | None = None
        self._timer: threading.Timer | None = None
        self._failure: StateError | None = None
        self._failure_was_told = False

    def append(self, value: Mapping[str, object]) -> None:
        """Add a line.

        Raises:
            StateError: this or an earlier line could not be written.
        """
        line = json_line(value)
        with self._lock:
            self._tell_failure()
            self._buffer += line
            if len(self._buffer) >= _BUFFERED_BYTES:
                self._write_out()
                self._tell_failure()
            elif self._timer is None:
                self._timer = threading.Timer(FLUSH_SECONDS, self._flush_in_time)
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
        """Write what is still buffered and let go of the file; may be called twice.

        Raises:
            StateError: a line could not be written, and no earlier call said so.
        """
        with self._lock:
            self._write_out()
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None
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
        if self._failure is None and self._buffer:
            try:
                self._write(self._opened())
            except OSError as error:
                self._failure = state_error(str(self._path), error)
        self._buffer.clear()

    def _write(self, descriptor: int) -> None:
        rest = bytes(self._buffer)
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    def _opened(self) -> int:
        if self._descriptor is None:
            self._descriptor = os.open(self._path, self._flags, 0o666)
            self._flags &= ~os.O_TRUNC
            if os.fstat(self._descriptor).st_size:
                self._buffer[:0] = b"\n"  # the last line there may be torn
        return self._descriptor
