"""A tree of image layouts in a directory: a mounted bucket, or a plain disk.

Knows nothing of tags. Nothing outside the root is ever read: whatever a path or link looks like, the file that was
really opened is asked where it is.
"""

from __future__ import annotations

import errno
import io
import os
import stat
import time
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from tasks.oci import image_layout
from tasks.oci.digest import Digest
from tasks.oci.errors import (
    ContentNotFoundError,
    InvalidDigestError,
    InvalidLayoutError,
    OutsideSourceError,
    SizeMismatchError,
    SourceError,
    SourceReadError,
    SourceUnavailableError,
    is_transient,
)
from tasks.ports import BlobStat, Finding, IndexFile
from tasks.stores.directory.directory_files import DirectoryFiles
from tasks.stores.directory.file_errors import FIRST_PAUSE, READ_ATTEMPTS, PassingAbsenceError, translate, translated
from tasks.stores.directory.layout_search import find_layouts, wait_alone
from tasks.stores.first_try import first_tried
from tasks.stores.resuming_stream import resuming
from tasks.stores.sibling_blobs import SiblingBlobs
from tasks.stores.silence import SILENT_SECONDS, Silence
from tasks.stores.verified_content import ByteStream, VerifiedContent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tasks.oci.descriptor import Descriptor

_TAIL = 16
"""Bytes in which the end of a JSON document is looked for."""
_Value = TypeVar("_Value")
_LOOK_FLAGS = os.O_PATH | os.O_CLOEXEC
# O_NONBLOCK: a file that another program holds a lease on must not be waited for.
_OPEN_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


class LayoutDirectory:
    """A `Source` over the directory `root`."""

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        retry_wait: float = FIRST_PAUSE,
        pause: Callable[[float], object] = wait_alone,
    ) -> None:
        """Take `root` as the source; nothing is read yet.

        `retry_wait` is in seconds, and doubles; `pause` is called with seconds, and may end with the run.
        """
        self._given = os.fspath(root)
        self._root = os.path.realpath(self._given)
        self._inside = self._root.rstrip("/") + "/"
        self._retry_wait = retry_wait
        self._retry = Retrying(
            stop=stop_after_attempt(READ_ATTEMPTS),
            wait=wait_exponential(multiplier=retry_wait, max=5),
            retry=retry_if_exception(is_transient),
            reraise=True,
        )
        self._pause = pause
        self._silence = Silence(SILENT_SECONDS)
        self._siblings = SiblingBlobs(self.list_layouts, self._size_of, self._sizes)

    def list_layouts(self) -> Iterator[str | Finding]:
        """See `Source.list_layouts`."""
        if not os.path.isdir(self._root):  # noqa: PTH112 - Path.is_dir lets the errors of a dead mount through
            raise SourceUnavailableError(f"the source {self._root} is not a directory; is the bucket mounted?")
        return find_layouts(self._root, self._scan, self._pause)

    def read_index(self, path: str) -> IndexFile:
        """See `LayoutReader.read_index`; one that ends too early is read once more, as somebody may be writing it."""
        image_layout.check_marker(self._read_small(path, image_layout.MARKER, image_layout.MAX_MARKER_SIZE))
        raw = self._read_small(path, image_layout.INDEX, image_layout.MAX_INDEX_SIZE)
        if not raw[-_TAIL:].rstrip().endswith(b"}"):  # oras empties the file before it writes it anew
            self._pause(self._retry_wait)
            raw = self._read_small(path, image_layout.INDEX, image_layout.MAX_INDEX_SIZE)
        return IndexFile(raw, Digest.of(raw))

    def blob(self, path: str, descriptor: Descriptor) -> VerifiedContent:
        """See `LayoutReader.blob`."""
        return VerifiedContent(descriptor, partial(self.open_blob, path, descriptor))

    def open_blob(self, path: str, descriptor: Descriptor) -> AbstractContextManager[ByteStream]:
        """The bytes of a blob as they are, not checked but for their number; read on after passing faults.

        Raises:
            ContentError: it is absent or of another size.
            SourceError: it can't be read.
        """
        relative = f"{path}/{image_layout.blob_path(descriptor.digest)}"
        return resuming(partial(self._open_at, relative, descriptor), self._again)

    def stat_blob(self, path: str, digest: Digest) -> BlobStat | None:
        """See `LayoutReader.stat_blob`."""
        relative = f"{path}/{image_layout.blob_path(digest)}"
        try:
            found = self._again(self._stat, relative)
        except ContentNotFoundError:
            return None
        sibling = self._siblings.find(digest, None) if image_layout.is_placeholder(found.size, digest) else None
        return found if sibling is None else self._again(self._stat, sibling)

    def open_files(self) -> DirectoryFiles:
        """All files of the source, to be looked at and not to be changed."""
        return DirectoryFiles(self._root)

    def old_indexes(self, path: str, since: float) -> tuple[bytes, ...]:
        """See `PlanTools.old_indexes`; a directory keeps none."""
        del path, since
        return ()

    def _stat(self, relative: str) -> BlobStat:
        with self._found_inside(relative) as place, translated(relative):
            found = os.fstat(place)
        return BlobStat(found.st_size, found.st_mtime)

    def _scan(self, path: str) -> list[os.DirEntry[str]]:
        def scan() -> list[os.DirEntry[str]]:
            name = self._given if path == "." else path
            with translated(name), os.scandir(f"{self._root}/{path}") as entries:
                return list(entries)

        asked = time.monotonic()
        try:
            entries: list[os.DirEntry[str]] = self._again(scan)
        except SourceReadError as error:
            if self._silence.lasts(asked):
                waited = f"for {SILENT_SECONDS:.0f} s"
                raise SourceUnavailableError(f"nothing could be listed {waited}: {error}") from error
            raise
        self._silence.end()
        return entries

    def _again(self, act: Callable[..., _Value], *arguments: object) -> _Value:
        """Call `act` until it succeeds or fails for good; what is still absent then is absent for good."""
        try:
            return first_tried(self._retry, partial(act, *arguments))
        except PassingAbsenceError as error:
            raise ContentNotFoundError(str(error)) from error

    def _read_small(self, path: str, name: str, limit: int) -> bytes:
        """Read a file whose size nothing tells, whole or not at all."""
        try:
            return self._again(self._read_whole, f"{path}/{name}", limit)
        except ContentNotFoundError as error:
            raise image_layout.missing(name) from error

    def _read_whole(self, relative: str, limit: int) -> bytes:
        with self._open(relative) as stream:
            size, written = _size_and_time(stream, relative)
            if size > limit:
                raise InvalidLayoutError(f"{relative} has {size} bytes, more than the {limit} that it may have")
            raw: bytes = _given(stream.readall, relative)
            _, written_since = _size_and_time(stream, relative)
        if len(raw) != size:
            raise SourceReadError(f"{relative} changed while it was read: {size} bytes announced, {len(raw)} read")
        if written_since != written:  # in place, as oras does: the end may be of another state than the beginning
            raise SourceReadError(f"{relative} changed while it was read: it was written meanwhile")
        return raw

    @contextmanager
    def _open_at(self, relative: str, descriptor: Descriptor, offset: int) -> Iterator[ByteStream]:
        with self._open(relative) as stream:
            actual, _ = _size_and_time(stream, relative)
            if actual == descriptor.size:
                if offset:
                    with translated(relative):
                        stream.seek(offset)
                yield _TranslatedStream(stream, relative)
                return
        if not image_layout.is_placeholder(actual, descriptor.digest):
            raise SizeMismatchError(f"{relative} has {actual} bytes, its descriptor says {descriptor.size}")
        sibling = self._siblings.require(relative, descriptor)
        with self._open_at(sibling, descriptor, offset) as stream_of_sibling:
            yield stream_of_sibling

    def _size_of(self, relative: str) -> int | None:
        try:
            return self._stat(relative).size
        except ContentNotFoundError:
            return None

    def _sizes(self, path: str) -> Iterator[tuple[Digest, int]]:
        """The blobs of a layout that are regular files, none behind links."""
        blobs = f"{path}/{image_layout.BLOBS}"
        for folder in self._entries(blobs, stat.S_ISDIR):
            for name, found in self._entries(f"{blobs}/{folder}", stat.S_ISREG).items():
                with suppress(InvalidDigestError):  # what else lies there is nobody's blob
                    yield Digest(f"{folder}:{name}"), found.st_size

    def _entries(self, path: str, is_wanted: Callable[[int], bool]) -> dict[str, os.stat_result]:
        """What a folder holds of one kind; nothing where it is absent, or a link leaves the source."""
        if not f"{os.path.realpath(f'{self._root}/{path}')}/".startswith(self._inside):
            return {}
        try:
            entries = self._scan(path)
        except ContentNotFoundError:
            return {}
        found: dict[str, os.stat_result] = {}
        for entry in entries:
            with suppress(ContentNotFoundError), translated(path):  # it may go meanwhile
                found[entry.name] = entry.stat(follow_symlinks=False)
        return {name: status for name, status in found.items() if is_wanted(status.st_mode)}

    def _open(self, relative: str) -> io.FileIO:
        with self._found_inside(relative) as place, translated(relative):
            return io.FileIO(os.open(f"/proc/self/fd/{place}", _OPEN_FLAGS), "rb")

    @contextmanager
    def _found_inside(self, relative: str) -> Iterator[int]:
        """A descriptor that stands for a file that is not open: to open a device or pipe does something to it."""
        with translated(relative):
            place = os.open(f"{self._root}/{relative}", _LOOK_FLAGS)
        try:
            with translated(relative):
                self._check_found(place, relative)
            yield place
        finally:
            os.close(place)

    def _check_found(self, place: int, relative: str) -> None:
        found = os.readlink(f"/proc/self/fd/{place}")  # noqa: PTH115 - one system call a blob
        if not found.startswith(self._inside):
            raise OutsideSourceError(f"{relative} is a link that leaves the source; it was not opened")
        if not stat.S_ISREG(os.fstat(place).st_mode):
            raise SourceError(f"{relative} is not a regular file")


class _TranslatedStream:
    """A file whose errors are ours, so that no `OSError` of a mount is taken for one of the network."""

    def __init__(self, stream: io.FileIO, name: str) -> None:
        self._stream = stream
        self._name = name

    def readinto(self, buffer: memoryview, /) -> int:
        count: int = _given(lambda: self._stream.readinto(buffer), self._name)
        return count


def _size_and_time(stream: io.FileIO, name: str) -> tuple[int, int]:
    """The size of an open file, and when it was last written."""
    with translated(name):
        found = os.fstat(stream.fileno())
    return found.st_size, found.st_mtime_ns


def _given(read: Callable[[], _Value | None], name: str) -> _Value:
    """What a read gives; for a mount that says to ask again (EAGAIN, as goofys does), Python gives None."""
    with translated(name):
        given = read()
    if given is None:
        raise translate(BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)), name)
    return given
