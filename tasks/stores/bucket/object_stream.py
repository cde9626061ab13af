"""Streams of objects of a bucket: resumed where a connection breaks, and large ones read ahead in ranges.

A stream begins with the ETag of its first answer and never goes on with another.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from tasks.oci.errors import SizeMismatchError, SourceError, SourceReadError
from tasks.stores.bucket.s3_errors import ChangedError
from tasks.stores.verified_content import fill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tasks.stores.bucket.s3_bucket import OpenObject, S3Bucket
    from tasks.stores.verified_content import ByteStream

PART_SIZE = 8 * 1024 * 1024
"""Bytes of a range; what S3 itself recommends is 8 to 16 MB."""
LARGE = 2 * PART_SIZE
"""Bytes above which an object is read in ranges."""
PARTS_AHEAD = 3
"""How many ranges of one object are fetched while an earlier one is handed out."""
PARTS_AT_ONCE = 8
"""How many ranges are held in memory over all objects: 64 MiB."""
RESUMES = 3


class BodyStream:
    """The bytes of an answer; where the connection breaks, the rest is asked for."""

    def __init__(self, bucket: S3Bucket, opened: OpenObject) -> None:
        self._bucket = bucket
        self._opened = opened
        self._position = opened.start
        self._failures = 0

    def readinto(self, buffer: memoryview, /) -> int:
        """See `ByteStream.readinto`.

        Raises:
            SourceReadError: the connection breaks again and again, or the object is another one by now.
        """
        while self._position < self._opened.stop:
            try:
                count = self._read(buffer[: self._opened.stop - self._position])
            except SourceReadError as error:
                self._resume(error)
                continue
            self._position += count
            self._failures = 0
            return count
        return 0

    def close(self) -> None:
        """Let the connection go."""
        self._opened.close()

    def _read(self, buffer: memoryview) -> int:
        count = self._opened.readinto(buffer)
        if not count:
            raise SourceReadError(f"{self._opened.name} ended early, at byte {self._position}")
        return count

    def _resume(self, error: SourceReadError) -> None:
        self._failures += 1
        if self._failures > RESUMES:
            raise error
        broken = self._opened
        broken.close()
        self._opened = _open_range(self._bucket, broken, self._position, broken.stop)


def _open_range(bucket: S3Bucket, known: OpenObject, start: int, stop: int) -> OpenObject:
    """Asked for without `If-Match`: some stores take none for met, and others any."""
    try:
        opened = bucket.get(known.key, start, stop)
    except SizeMismatchError:  # it had these bytes when it was opened
        raise ChangedError(f"{known.name} changed while it was read") from None
    is_other = "" not in (opened.etag, known.etag) and opened.etag != known.etag
    if (opened.start, opened.stop) == (start, stop) and not is_other:
        return opened
    opened.close()
    if is_other:
        raise ChangedError(f"{known.name} changed while it was read")
    raise SourceError(f"{known.name} can't be read from byte {start} on: the store does not know ranges")


def _from_its_start(opened: OpenObject, *, whole: bool) -> OpenObject:
    """What was opened, if it begins where the object does, and is all of it where that was asked for."""
    if opened.start == 0 and (opened.stop == opened.size or not whole):
        return opened
    opened.close()
    raise SourceError(f"{opened.name} can't be read: the store sent another part of it than it was asked for")


class ObjectReader:
    """Opens objects of a bucket as streams; the ranges that all of them read ahead share one bound."""

    def __init__(self, bucket: S3Bucket, *, part_size: int = PART_SIZE, large: int = LARGE) -> None:
        self._bucket = bucket
        self._part_size = part_size
        self._large = large
        self._parts = _Parts(part_size)

    @contextmanager
    def open(self, key: str, expected_size: int) -> Iterator[ByteStream]:
        """The stream of an object, which must have the size.

        Raises:
            ContentNotFoundError: there is no such object.
            SizeMismatchError: it has another size.
            SourceError: it can't be read.
        """
        in_ranges = expected_size > self._large
        asked = self._bucket.get(key, 0, self._part_size) if in_ranges else self._bucket.get(key)
        opened = _from_its_start(asked, whole=not in_ranges)
        if opened.size != expected_size:
            opened.close()
            raise SizeMismatchError(f"{opened.name} has {opened.size} bytes, its descriptor says {expected_size}")
        whole = opened.stop == opened.size
        stream = BodyStream(self._bucket, opened) if whole else _RangedStream(self._bucket, opened, self._parts)
        try:
            yield stream
        finally:
            stream.close()

    def read(self, key: str, limit: int) -> tuple[bytes, OpenObject]:
        """All of an object, and its answer's head.

        Raises:
            ContentNotFoundError: there is no such object.
            SizeMismatchError: it has more than `limit` bytes; none of them is read then.
            SourceError: it can't be read.
        """
        opened = _from_its_start(self._bucket.get(key), whole=True)
        stream = BodyStream(self._bucket, opened)
        try:
            if opened.size > limit:
                raise SizeMismatchError(
                    f"{opened.name} has {opened.size} bytes, more than the {limit} that it may have"
                )
            content = bytearray(opened.size)
            fill(stream, memoryview(content))
        finally:
            stream.close()
        return bytes(content), opened


class _Parts:
    """A fixed number of buffers, each with a thread to fill it; whoever finds none free reads on without.

    No process waits in its end for what is still being fetched, which may be as slow as the store.
    """

    def __init__(self, part_size: int) -> None:
        self.part_size = part_size
        self._free = threading.Semaphore(PARTS_AT_ONCE)
        self._idle: deque[bytearray] = deque()

    def begin(self, length: int, fill: Callable[[memoryview], None]) -> _Part | None:
        """Have `fill` called with a buffer of `length`, or nothing where all buffers are lent."""
        if not self._free.acquire(blocking=False):
            return None
        try:
            whole = self._idle.pop()
        except IndexError:
            whole = bytearray(self.part_size)
        buffer, filled = memoryview(whole)[:length], Future[None]()
        try:
            threading.Thread(target=_settle, args=(filled, partial(fill, buffer)), name="range", daemon=True).start()
        except RuntimeError:  # the system allows no further thread just now
            self._return(buffer)
            return None
        return _Part(buffer, filled, self._return)

    def _return(self, buffer: memoryview) -> None:
        whole = buffer.obj
        if isinstance(whole, bytearray):
            self._idle.append(whole)
        self._free.release()


def _settle(future: Future[None], act: Callable[[], None]) -> None:
    try:
        act()
    except BaseException as error:  # noqa: BLE001 - whoever waits for it has it raised
        future.set_exception(error)
    else:
        future.set_result(None)


class _Part:
    """A range on its way into a buffer."""

    def __init__(self, buffer: memoryview, filled: Future[None], give_back: Callable[[memoryview], None]) -> None:
        self._buffer = buffer
        self._filled = filled
        self._give_back = give_back

    def wait(self) -> memoryview:
        """The range; raises what its reader raised."""
        self._filled.result()
        return self._buffer

    def release(self) -> None:
        """Give the buffer back, as soon as nobody writes into it any more. To be called once."""
        self._filled.add_done_callback(lambda _: self._give_back(self._buffer))


class _RangedStream:
    """An object in ranges, handed out in order: one from its connection or a buffer, the next being fetched."""

    def __init__(self, bucket: S3Bucket, first: OpenObject, parts: _Parts) -> None:
        self._bucket = bucket
        self._first = first
        self._parts = parts
        self._part_size = parts.part_size
        self._next = first.stop
        self._direct: BodyStream | None = BodyStream(bucket, first)
        self._current: _Part | None = None
        self._left = memoryview(b"")
        self._ahead: deque[_Part] = deque()
        self._read_ahead()

    def readinto(self, buffer: memoryview, /) -> int:
        """See `ByteStream.readinto`."""
        while True:
            if self._left:
                count = min(len(self._left), len(buffer))
                buffer[:count] = self._left[:count]
                self._left = self._left[count:]
                return count
            if self._direct is not None and (count := self._direct.readinto(buffer)):
                return count
            if not self._turn_to_next():
                return 0

    def close(self) -> None:
        """Give everything back; what is being fetched ends by itself."""
        self._leave_current()
        while self._ahead:
            self._ahead.popleft().release()

    def _turn_to_next(self) -> bool:
        self._leave_current()
        if self._ahead:
            self._current = self._ahead.popleft()
        elif self._next < self._first.size:
            start, stop = self._take_range()
            opened = _open_range(self._bucket, self._first, start, stop)
            self._direct = BodyStream(self._bucket, opened)
        else:
            return False
        self._read_ahead()
        if self._current is not None:
            self._left = self._current.wait()
        return True

    def _leave_current(self) -> None:
        if self._direct is not None:
            self._direct.close()
            self._direct = None
        if self._current is not None:
            self._left = memoryview(b"")
            self._current.release()
            self._current = None

    def _read_ahead(self) -> None:
        while len(self._ahead) < PARTS_AHEAD and self._next < self._first.size:
            start, stop = self._next, min(self._next + self._part_size, self._first.size)
            part = self._parts.begin(stop - start, partial(self._fetch, start, stop))
            if part is None:
                return
            self._take_range()
            self._ahead.append(part)

    def _take_range(self) -> tuple[int, int]:
        start, self._next = self._next, min(self._next + self._part_size, self._first.size)
        return start, self._next

    def _fetch(self, start: int, stop: int, buffer: memoryview) -> None:
        stream = BodyStream(self._bucket, _open_range(self._bucket, self._first, start, stop))
        try:
            fill(stream, buffer)
        finally:
            stream.close()
