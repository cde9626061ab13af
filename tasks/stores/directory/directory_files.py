"""The files of a source in a directory, looked at one by one: the reading half, which can change nothing.

Nothing outside the root is ever touched, and nothing through a link: the folder that was really opened is asked
where it is. What a link leads to belongs to another layout, whose index says what of it is needed.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from tasks.file_ports import FileContent, StoredFile, below
from tasks.oci.errors import ContentNotFoundError, OutsideSourceError, SourceReadError
from tasks.oci.image_layout import BLOBS, INDEX, MARKER, MAX_INDEX_SIZE
from tasks.stores.directory.file_errors import MOUNT_PAUSES, translated
from tasks.stores.directory.layout_search import wait_alone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tasks.file_ports import UnfinishedUpload

_Value = TypeVar("_Value")

_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK

_OF_A_LAYOUT = frozenset({INDEX, MARKER, BLOBS})
"""Without these a layout counts as removed. Much else is rightly absent, as what is to be written."""


class DirectoryFiles:
    """A `FileReader` over the directory `root`."""

    def __init__(self, root: str | os.PathLike[str], *, is_mount: bool = False) -> None:
        """Take `root` as the source; nothing is read yet.

        On a mount, what a layout has is looked for again before it counts as absent.
        """
        self._pauses = MOUNT_PAUSES if is_mount else ()
        self._root = os.path.realpath(os.fspath(root))
        self._inside = self._root.rstrip("/") + "/"

    def list_files(self, folder: str) -> Iterator[StoredFile]:
        """See `FileReader.list_files`."""
        pending = [folder]
        while pending:
            here = pending.pop()
            found = self._unless_absent(here, partial(self._entries, here))
            if found is None:
                if here != folder:
                    raise SourceReadError(f"{here} was there a moment ago and is gone")
                return
            for name, status in found.items():
                path = below(here, name)
                if stat.S_ISDIR(status.st_mode):
                    pending.append(path)
                else:
                    yield stored(path, status)

    def stat_file(self, path: str, *, waits: bool = True) -> StoredFile | None:
        """See `FileReader.stat_file`."""
        return self._unless_absent(path, partial(self._stat, path), waits=waits)

    def read_file(self, path: str) -> FileContent | None:
        """See `FileReader.read_file`; its mark is a hash of the content, which no clock can fool."""
        return self._unless_absent(path, partial(self._read, path))

    def link_target(self, path: str) -> str | None:
        """See `FileReader.link_target`."""
        folder, name = split(path)
        with translated(path), self._folder(folder) as opened:
            if not stat.S_ISLNK(os.stat(name, dir_fd=opened, follow_symlinks=False).st_mode):
                return None
            real = os.path.realpath(f"{self._root}/{path}")
        return real.removeprefix(self._inside) if real.startswith(self._inside) else None

    def list_uploads(self, folder: str) -> Iterator[UnfinishedUpload]:
        """See `FileReader.list_uploads`; a directory shows none, even where a bucket behind it has some."""
        del folder
        return iter(())

    def now(self) -> float:
        """See `FileReader.now`: this machine's clock."""
        return time.time()

    def _unless_absent(self, path: str, look: Callable[[], _Value], *, waits: bool = True) -> _Value | None:
        """What a look gives, None where what it is for is absent."""
        for seconds in self._pauses if waits and split(path)[1] in _OF_A_LAYOUT else ():
            with suppress(ContentNotFoundError):
                return look()
            wait_alone(seconds)
        try:
            return look()
        except ContentNotFoundError:
            return None

    def _stat(self, path: str) -> StoredFile:
        folder, name = split(path)
        with translated(path), self._folder(folder) as opened:
            return stored(path, os.stat(name, dir_fd=opened, follow_symlinks=False))

    def _read(self, path: str) -> FileContent:
        folder, name = split(path)
        with translated(path), self._folder(folder) as opened:
            descriptor = os.open(name, _FILE_FLAGS, dir_fd=opened)
            with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor, not a path
                raw = _read_whole(file.fileno(), path)
        return FileContent(raw, content_mark(raw))

    def _entries(self, folder: str) -> dict[str, os.stat_result]:
        """What is in a folder; what goes while it is looked at costs none of the others.

        Raises:
            SourceReadError: some of it is said not to be there and goes on being listed: it did not go, and nobody
                may take the rest for all.
        """
        found, missed = self._look(folder)
        for seconds in (0.0, *MOUNT_PAUSES):  # without a mount, too: it is rare there, and harms as much if left out
            if not missed:
                break
            wait_alone(seconds)
            again, missed_again = self._look(folder)
            found |= again
            missed &= missed_again
        if missed:
            raise SourceReadError(
                f"{below(folder, min(missed))} is listed, and said not to be there; "
                "where s3fs says so each time, mount with -o compat_dir"
            )
        return found

    def _look(self, folder: str) -> tuple[dict[str, os.stat_result], set[str]]:
        """What is in a folder, and the names of what is listed and said not to be there."""
        found: dict[str, os.stat_result] = {}
        missed: set[str] = set()
        with translated(folder), self._folder(folder) as opened, os.scandir(opened) as entries:
            for entry in entries:
                try:
                    found[entry.name] = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    missed.add(entry.name)
        return found, missed

    @contextmanager
    def _folder(self, path: str) -> Iterator[int]:
        """A descriptor of a folder of the source.

        Raises:
            OutsideSourceError: a link leads there.
        """
        descriptor = os.open(f"{self._root}/{path}", _FOLDER_FLAGS)
        try:
            opened = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - one system call a folder
            if not f"{opened}/".startswith(self._inside):
                raise OutsideSourceError(f"{path} is reached by a link that leaves the source; it was left alone")
            place = os.path.normpath(f"{self._inside}{path}")
            if opened not in {place, f"{place} (deleted)"}:  # so a mount may call one that it looks up anew
                raise OutsideSourceError(f"{path} is reached by a link; nothing is cleaned up through links")
            yield descriptor
        finally:
            os.close(descriptor)


def split(path: str) -> tuple[str, str]:
    """Folder and name of a path; the folder of a file at the source itself is `.`."""
    folder, _, name = path.rpartition("/")
    return folder or ".", name


def stored(path: str, status: os.stat_result) -> StoredFile:
    """What a file system says of a file; its mark is made of time and size, where inodes mean nothing."""
    regular = stat.S_ISREG(status.st_mode)
    etag = f"{status.st_mtime_ns:x}-{status.st_size:x}" if regular else ""
    return StoredFile(path, status.st_size, status.st_mtime, etag)


def content_mark(raw: bytes) -> str:
    """The mark of a small file's content."""
    return hashlib.sha256(raw).hexdigest()


def _read_whole(descriptor: int, path: str) -> bytes:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_INDEX_SIZE:
        raise SourceReadError(f"{path} is no file of a size that can be read at once")
    parts = []
    while part := os.read(descriptor, max(status.st_size, 1) + 1):
        parts.append(part)
    raw = b"".join(parts)
    if len(raw) != status.st_size:
        raise SourceReadError(f"{path} changed while it was read: {status.st_size} bytes announced, {len(raw)} read")
    return raw
