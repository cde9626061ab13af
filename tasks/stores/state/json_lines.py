"""A file of JSON lines that several threads append to: buffered, written within a second, torn ends tolerated."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from tasks.stores.state.line_buffer import LineBuffer
from tasks.stores.state.state_errors import as_state_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

FLUSH_SECONDS = 1.0
_BUFFERED_BYTES = 256 * 1024
_encoded = json.JSONEncoder(separators=(",", ":")).encode  # `json.dumps` makes an encoder for each line


def json_line(value: object) -> bytes:
    """One line of plain ASCII; names that are not UTF-8 (lone surrogates) are escaped and come back as they were."""
    return _encoded(value).encode("ascii") + b"\n"


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
    """Appends to a file, which comes to be with the first line; what was appended outlives us a second later.

    A machine that loses its power may lose some more of it.
    """

    def __init__(self, path: Path, *, fresh: bool = False) -> None:
        """Write to `path`, after what is there, or in its place if `fresh`; nothing is opened yet."""
        self._path = path
        self._flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | (os.O_TRUNC if fresh else 0)
        self._descriptor: int | None = None
        self.has_begun = False
        """Whether the file has come to be."""
        self._may_be_torn = False
        """Whether the last line of the file, as it was found, may lack its end."""
        self._lines = LineBuffer(self._write, seconds=FLUSH_SECONDS, most_bytes=_BUFFERED_BYTES)

    def append(self, value: Mapping[str, object], *, at_once: bool = False) -> None:
        """Add a line; see `LineBuffer.append`."""
        self._lines.append(json_line(value), at_once=at_once)

    def flush(self) -> None:
        """See `LineBuffer.flush`."""
        self._lines.flush()

    def close(self) -> None:
        """Write what is still buffered and let go of the file; see `LineBuffer.close`."""
        try:
            self._lines.close()
        finally:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def _write(self, lines: bytes) -> None:
        with as_state_error(self._path):
            descriptor = self._opened()
            if self._may_be_torn:
                lines = b"\n" + lines
                self._may_be_torn = False
            while lines:
                lines = lines[os.write(descriptor, lines) :]

    def _opened(self) -> int:
        if self._descriptor is None:
            self._descriptor = os.open(self._path, self._flags, 0o666)
            self._flags &= ~os.O_TRUNC
            self.has_begun = True
            self._may_be_torn = os.fstat(self._descriptor).st_size > 0
        return self._descriptor
