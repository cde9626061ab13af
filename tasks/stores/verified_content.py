"""Content that is hashed and counted while it is read, whatever it is read from.

Used for every byte that comes from a source, and for those read back from a target: there is one place
that decides whether bytes are what their descriptor says.
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tasks.oci.errors import DigestMismatchError, SizeMismatchError

if TYPE_CHECKING:
    import hashlib
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tasks.oci.descriptor import Descriptor
    from tasks.ports import Buffer

CHUNK_SIZE = 1024 * 1024
"""Bytes read, hashed and sent at a time: large enough for FUSE's read-ahead, small beside 250 MB of memory."""


class ByteStream(Protocol):
    """An open file or answer, positioned at its start."""

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the buffer as far as one read does; 0 at the end."""
        ...


class _BufferPool:
    """Lends buffers again instead of allocating: fresh pages cost more system time than the copy itself."""

    def __init__(self) -> None:
        self._idle: deque[bytearray] = deque()

    @contextmanager
    def lend(self) -> Iterator[memoryview]:
        try:
            buffer = self._idle.pop()
        except IndexError:
            buffer = bytearray(CHUNK_SIZE)
        try:
            yield memoryview(buffer)
        finally:
            self._idle.append(buffer)


_pool = _BufferPool()


@dataclass(frozen=True, slots=True)
class VerifiedContent:
    """A `BlobContent` over anything that can be opened as a stream of bytes."""

    descriptor: Descriptor
    open_stream: Callable[[], AbstractContextManager[ByteStream]]

    def read(self) -> bytes:
        """See `BlobContent.read`."""
        with self.chunks() as chunks:
            return b"".join(bytes(chunk) for chunk in chunks)

    @contextmanager
    def chunks(self) -> Iterator[Iterator[Buffer]]:
        """See `BlobContent.chunks`."""
        with self.open_stream() as stream, _pool.lend() as buffer:
            yield self._verified(stream, buffer)

    def _verified(self, stream: ByteStream, buffer: memoryview) -> Iterator[Buffer]:
        hasher = self.descriptor.digest.hasher()
        remaining = self.descriptor.size
        while remaining:
            count = fill(stream, buffer[: min(remaining, len(buffer))])
            if count == 0:
                raise self._wrong_size(f"only {self.descriptor.size - remaining}")
            hasher.update(buffer[:count])
            remaining -= count
            if remaining:
                yield buffer[:count]
            else:
                self._check_end(stream, hasher)
                yield buffer[:count]
        if self.descriptor.size == 0:
            self._check_end(stream, hasher)

    def _check_end(self, stream: ByteStream, hasher: hashlib._Hash) -> None:
        if stream.readinto(memoryview(bytearray(1))):
            raise self._wrong_size("more")
        if hasher.hexdigest() != self.descriptor.digest.encoded:
            raise DigestMismatchError(
                f"{self.descriptor.digest} is altered: its {self.descriptor.size} bytes hash to "
                f"{self.descriptor.digest.algorithm}:{hasher.hexdigest()}"
            )

    def _wrong_size(self, found: str) -> SizeMismatchError:
        return SizeMismatchError(
            f"{self.descriptor.digest} should have {self.descriptor.size} bytes, but there are {found}"
        )


def fill(stream: ByteStream, buffer: memoryview) -> int:
    """Read until the buffer is full or the stream ends; small parts cost a system call and a send each."""
    filled = 0
    while filled < len(buffer):
        count = stream.readinto(buffer[filled:])
        if not count:
            break
        filled += count
    return filled
