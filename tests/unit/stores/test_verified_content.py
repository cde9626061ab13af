"""Bytes are handed out to the end only when all of them are what their descriptor says."""

import contextlib
import io
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import ContentError, DigestMismatchError, SizeMismatchError
from tasks.stores.verified_content import CHUNK_SIZE, VerifiedContent


class Drip:
    """A stream that gives at most `step` bytes a read, as sockets and mounts may."""

    def __init__(self, content: bytes, step: int) -> None:
        self.stream = io.BytesIO(content)
        self.step = step

    def readinto(self, buffer: memoryview) -> int:
        return self.stream.readinto(buffer[: self.step])


def content(claimed: bytes, real: bytes | None = None, step: int = CHUNK_SIZE) -> VerifiedContent:
    real = claimed if real is None else real
    descriptor = Descriptor("application/x", Digest.of(claimed), len(claimed))
    return VerifiedContent(descriptor, lambda: contextlib.nullcontext(Drip(real, step)))


def handed_out(given: VerifiedContent) -> tuple[bytes, ContentError | None]:
    """What a reader gets, and how it ends."""
    parts: list[bytes] = []
    try:
        with given.chunks() as chunks:
            for chunk in chunks:
                parts.append(bytes(chunk))  # noqa: PERF401 - keeps what came before an error
    except ContentError as error:
        return b"".join(parts), error
    return b"".join(parts), None


@given(st.binary(max_size=200), st.integers(1, 64))
def test_good_content_is_read_whole_however_it_drips(data: bytes, step: int) -> None:
    assert content(data, step=step).read() == data


@given(st.binary(max_size=200), st.binary(max_size=200), st.integers(1, 64))
def test_other_content_never_is(claimed: bytes, real: bytes, step: int) -> None:
    got, error = handed_out(content(claimed, real, step))
    assert (error is None) == (claimed == real)
    assert error is None or not claimed or len(got) < len(claimed)


@pytest.mark.parametrize("length", [1, CHUNK_SIZE - 1, CHUNK_SIZE, CHUNK_SIZE + 1, 3 * CHUNK_SIZE])
@pytest.mark.parametrize("flipped", [0, -1], ids=["first byte", "last byte"])
def test_the_last_part_of_altered_content_is_held_back(length: int, flipped: int) -> None:
    claimed = bytes(length)
    altered = bytearray(claimed)
    altered[flipped] = 1
    got, error = handed_out(content(claimed, bytes(altered)))
    assert isinstance(error, DigestMismatchError)
    assert len(got) < length


@pytest.mark.parametrize("real", [b"abc", b"abcdefg", b""])
def test_a_wrong_length_is_said_so(real: bytes) -> None:
    got, error = handed_out(content(b"abcdef", real))
    assert isinstance(error, SizeMismatchError)
    assert len(got) < 6


def test_content_that_should_be_empty_and_is_not_is_refused() -> None:
    with pytest.raises(SizeMismatchError):
        content(b"", b"x").read()


def test_a_digest_that_is_not_that_of_nothing_is_refused() -> None:
    wrong = Descriptor("application/x", Digest.of(b"x"), 0)
    with pytest.raises(DigestMismatchError):
        VerifiedContent(wrong, lambda: contextlib.nullcontext(io.BytesIO())).read()


def test_sha512_is_checked_with_sha512() -> None:
    descriptor = Descriptor("application/x", Digest.of(b"x", "sha512"), 1)
    assert VerifiedContent(descriptor, lambda: contextlib.nullcontext(io.BytesIO(b"x"))).read() == b"x"
    with pytest.raises(DigestMismatchError):
        VerifiedContent(descriptor, lambda: contextlib.nullcontext(io.BytesIO(b"y"))).read()


class Zeros:
    """So many zero bytes that nobody holds."""

    def __init__(self, size: int) -> None:
        self.left = size

    def readinto(self, buffer: memoryview) -> int:
        count = min(self.left, len(buffer))
        buffer[:count] = bytes(count)
        self.left -= count
        return count


def drained(chunks: Iterator[object]) -> int:
    return sum(1 for _ in chunks)


def test_memory_does_not_grow_with_the_content() -> None:
    size = 64 * CHUNK_SIZE
    hasher = Digest.of(b"").hasher()
    for _ in range(64):
        hasher.update(bytes(CHUNK_SIZE))
    descriptor = Descriptor("application/x", Digest(f"sha256:{hasher.hexdigest()}"), size)
    tracemalloc.start()
    try:
        with VerifiedContent(descriptor, lambda: contextlib.nullcontext(Zeros(size))).chunks() as chunks:
            assert drained(chunks) == 64
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * CHUNK_SIZE


def test_two_readers_at_once_do_not_share_a_buffer() -> None:
    with content(b"aaaa").chunks() as first, content(b"bbbb").chunks() as second:
        one, two = next(first), next(second)
        assert (bytes(one), bytes(two)) == (b"aaaa", b"bbbb")
