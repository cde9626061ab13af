"""Objects are read in order and whole, in bounded memory, from one version, over connections that break."""

import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from unittest.mock import Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.oci.errors import SizeMismatchError, SourceError, SourceReadError
from tasks.stores.bucket.object_stream import PARTS_AT_ONCE, RESUMES, ObjectReader
from tasks.stores.bucket.s3_bucket import OpenObject
from tasks.stores.verified_content import fill
from tests.support.layouts import random_bytes


@dataclass
class Body:
    """A body that ends, or breaks, after `breaks_at` bytes."""

    content: memoryview
    breaks_at: int
    closed: threading.Semaphore
    given: int = 0

    def readinto(self, buffer: memoryview, /) -> int:
        if self.given >= self.breaks_at:
            if self.given < len(self.content):
                raise SourceReadError("the connection broke")
            return 0
        part = self.content[self.given : min(self.breaks_at, self.given + len(buffer), self.given + 700)]
        buffer[: len(part)] = part
        self.given += len(part)
        return len(part)

    def close(self) -> None:
        self.closed.release()


@dataclass
class OneObject:
    """A bucket with one object; answers break as often as told, and may be of another version or whole."""

    content: bytes
    breaks: Iterator[int] = field(default_factory=lambda: iter(()))
    knows_ranges: bool = True
    etag: str = '"1"'
    asked: list[tuple[int, int | None]] = field(default_factory=list)
    closed: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def get(self, key: str, start: int = 0, stop: int | None = None) -> OpenObject:
        self.asked.append((start, stop))
        if start and start >= len(self.content):
            raise SizeMismatchError(f"{key} has fewer bytes than its descriptor says")
        if not self.knows_ranges:
            start, stop = 0, None
        part = memoryview(self.content)[start:stop]
        body = Body(part, next(self.breaks, len(part)), self.closed)
        return OpenObject(key, key, body, start, start + len(part), len(self.content), self.etag, None)


def read(bucket: OneObject, size: int | None = None, *, part: int = 1000, at_a_time: int = 999) -> bytes:
    read, buffer = bytearray(), memoryview(bytearray(at_a_time))
    reader = ObjectReader(bucket, part_size=part, large=2 * part)
    with reader.open("key", len(bucket.content) if size is None else size) as stream:
        while count := stream.readinto(buffer):
            read += buffer[:count]
    return bytes(read)


@settings(deadline=None)
@given(st.integers(0, 30_000), st.integers(100, 5_000), st.integers(1, 7_000), st.lists(st.integers(1, 900)))
def test_whatever_breaks_the_bytes_are_those_of_the_object(
    size: int, part: int, at_a_time: int, breaks: list[int]
) -> None:
    content = random_bytes(size, size)
    bucket = OneObject(content, iter(breaks))
    assert read(bucket, part=part, at_a_time=at_a_time) == content


def test_a_small_object_is_one_request_and_a_large_one_is_read_in_ranges() -> None:
    small, large = OneObject(bytes(2000)), OneObject(bytes(3500))
    read(small)
    read(large)
    assert small.asked == [(0, None)]
    assert sorted(large.asked) == [(n, min(n + 1000, 3500)) for n in (0, 1000, 2000, 3000)]


def test_a_connection_that_always_breaks_is_given_up() -> None:
    bucket = OneObject(bytes(1000), iter([10, *[0] * (RESUMES + 1)]))
    with pytest.raises(SourceReadError):
        read(bucket)
    assert len(bucket.asked) == 1 + RESUMES


@pytest.mark.parametrize("now", [None, 400], ids=["as large", "shorter than what was read"])
@pytest.mark.parametrize("size", [1000, 9000])
def test_an_object_that_changes_in_mid_read_is_told(size: int, now: int | None) -> None:
    bucket = OneObject(bytes(size), iter([500]))
    reader = ObjectReader(bucket, part_size=1000, large=2000)
    with reader.open("key", size) as stream:
        bucket.etag, bucket.content = '"2"', bytes(now or size)
        with pytest.raises(SourceReadError, match="changed while it was read"):
            fill(stream, memoryview(bytearray(size)))


@pytest.mark.parametrize("size", [0, 999, 1001, 5000])
def test_another_size_is_refused_before_a_byte_is_read(size: int) -> None:
    with pytest.raises(SizeMismatchError, match="1000 bytes"):
        read(OneObject(bytes(1000)), size)


def test_a_store_without_ranges_is_read_from_one_answer() -> None:
    content = random_bytes(1, 9000)
    assert read(OneObject(content, knows_ranges=False)) == content
    with pytest.raises(SourceError, match="ranges"):
        read(OneObject(content, iter([100]), knows_ranges=False))


@dataclass
class OtherPart(OneObject):
    """A store, or a cache before it, that sends another part than it was asked for; the first answers are right."""

    right: int = 0
    shift: tuple[int, int] = (0, 0)

    def get(self, key: str, start: int = 0, stop: int | None = None) -> OpenObject:
        end = len(self.content) if stop is None else stop
        if len(self.asked) >= self.right:
            start, end = start + self.shift[0], end + self.shift[1]
        return super().get(key, start, end)


@pytest.mark.parametrize("shift", [(5, 0), (0, -5), (5, 5)], ids=["later", "shorter", "moved"])
@pytest.mark.parametrize(("size", "right"), [(900, 0), (5000, 1)], ids=["whole", "in ranges"])
def test_another_part_than_was_asked_for_is_never_taken_for_it(size: int, right: int, shift: tuple[int, int]) -> None:
    reader = ObjectReader(OtherPart(random_bytes(5, size), right=right, shift=shift), part_size=1000, large=2000)
    with pytest.raises(SourceError), reader.open("key", size) as stream:
        fill(stream, memoryview(bytearray(size)))
    if right == 0:
        with pytest.raises(SourceError):
            reader.read("key", size)


def test_every_connection_and_buffer_is_given_back() -> None:
    bucket = OneObject(bytes(50_000))
    reader = ObjectReader(bucket, part_size=1000, large=2000)
    for _ in range(5):
        with reader.open("key", 50_000) as stream:
            stream.readinto(memoryview(bytearray(10)))
    for _ in bucket.asked:
        assert bucket.closed.acquire(timeout=5)
    with ExitStack() as permits:
        for _ in range(PARTS_AT_ONCE):
            assert reader._parts._free.acquire(timeout=5)
            permits.callback(reader._parts._free.release)


def test_where_no_thread_can_be_had_it_is_read_without_and_no_buffer_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = OneObject(random_bytes(1, 20_000))
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", Mock(side_effect=RuntimeError("can't start new thread")))
        reader = ObjectReader(bucket, part_size=1000, large=2000)
        read, buffer = bytearray(), memoryview(bytearray(700))
        with reader.open("key", 20_000) as stream:
            while count := stream.readinto(buffer):
                read += buffer[:count]
    assert read == bucket.content
    assert reader._parts._free._value == PARTS_AT_ONCE


def test_memory_is_bounded_however_many_large_objects_are_read_at_once() -> None:
    part, size, readers = 64 * 1024, 8 * 1024 * 1024, 12
    bucket = OneObject(bytes(size))
    reader = ObjectReader(bucket, part_size=part, large=2 * part)
    totals = []

    def consume() -> None:
        buffer, total = memoryview(bytearray(4096)), 0
        with reader.open("key", size) as stream:
            while count := stream.readinto(buffer):
                total += count
        totals.append(total)

    threads = [threading.Thread(target=consume) for _ in range(readers)]
    tracemalloc.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert totals == [size] * readers
    assert peak < PARTS_AT_ONCE * part + 2 * 1024 * 1024
