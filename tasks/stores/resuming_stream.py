"""A stream that is opened again where it broke, so that a passing fault does not cost what was read before it."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from tasks.oci.errors import LayoutliftError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tasks.stores.verified_content import ByteStream


class _ResumingStream:
    def __init__(
        self,
        open_at: Callable[[int], AbstractContextManager[ByteStream]],
        again: Callable[[Callable[[], int]], int],
        stack: ExitStack,
    ) -> None:
        self._open_at = open_at
        self._again = again
        self._stack = stack
        self._stream: ByteStream | None = None
        self._offset = 0

    def readinto(self, buffer: memoryview, /) -> int:
        try:
            return self._read(buffer)
        except LayoutliftError as error:
            if not error.transient:
                raise
            return self._again(lambda: self._read(buffer))

    def open(self) -> ByteStream:
        if self._stream is None:
            self._stream = self._stack.enter_context(self._open_at(self._offset))
        return self._stream

    def _read(self, buffer: memoryview) -> int:
        try:
            count = self.open().readinto(buffer)
        except BaseException:
            self._stream = None
            self._stack.close()
            raise
        self._offset += count
        return count


@contextmanager
def resuming(
    open_at: Callable[[int], AbstractContextManager[ByteStream]], again: Callable[[Callable[[], int]], int]
) -> Iterator[ByteStream]:
    """A stream over what `open_at` opens at an offset; reads that fail for the moment are tried by `again`."""
    with ExitStack() as stack:
        stream = _ResumingStream(open_at, again, stack)
        again(lambda: bool(stream.open()))
        yield stream
