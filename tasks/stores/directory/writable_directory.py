"""The files of a source in a directory, and ways to change them: the writing half.

A file is replaced by a new one under its name, written and synced before: readers see the old or the new. Neither
a disk nor a mount compares and writes in one step, so a writer between the last look and the rename may be
overwritten; see docs/decisions/025-changing-a-source.md.
"""

from __future__ import annotations

import errno
import os
import secrets
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from tasks.file_ports import DRAFTS, OWN_FOLDER
from tasks.oci.errors import ContentNotFoundError, SourceChangedError, SourceUnavailableError, SourceWriteError
from tasks.stores.directory.directory_files import DirectoryFiles, content_mark, split
from tasks.stores.directory.file_errors import translate
from tasks.stores.directory.layout_directory import LayoutDirectory
from tasks.stores.store_clock import StoreClock
from tasks.stores.whole_files import keep_rights

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tasks.file_ports import StoredFile, UnfinishedUpload

_NEW_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_CLOCK_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_CLOCK = f"{OWN_FOLDER}/clock"
_CLOCK_IS_SET = threading.Lock()
"""Some mounts, as rclone's, refuse to open a file for writing that is being written."""
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
_NEEDS_ROOM = (
    "what changes a source notes each step there before it takes it, so some hundred KiB have to be made free "
    "before a cleanup can give room back"
)
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES})


class DirectoryWriter(DirectoryFiles):
    """A `FileWriter` over the directory `root`."""

    is_conditional = False
    keeps_versions = False
    _was_mount = False

    def __init__(self, root: str | os.PathLike[str], *, is_mount: bool = False) -> None:
        """Take `root` as the source, looked at as `DirectoryFiles` does; nothing is read or changed yet."""
        super().__init__(root, is_mount=is_mount)
        self._clock = StoreClock(self._dated_now)

    def now(self) -> float:
        """See `FileReader.now`: the clock of whatever serves the directory."""
        return self._clock.now()

    def _dated_now(self) -> float:
        with _CLOCK_IS_SET, _writing(_CLOCK):
            folder, name = split(_CLOCK)
            with self._made_folder(folder) as opened:
                descriptor = os.open(name, _CLOCK_FLAGS, 0o666, dir_fd=opened)
                try:
                    os.write(descriptor, b"now")
                finally:
                    os.close(descriptor)
                return os.stat(name, dir_fd=opened, follow_symlinks=False).st_mtime

    def write_file(self, path: str, raw: bytes, expected: str | None) -> str:
        """See `FileWriter.write_file`."""
        with _writing(path), self._draft(path, raw) as draft:
            self._check_mark(path, expected)
            if expected is None:
                self._publish_new(draft, path)
            else:
                self._rename(draft, path)
            written = self.read_file(path)
        mark = content_mark(raw)
        if written is None or written.etag != mark:
            raise SourceChangedError(f"somebody else wrote {path} at the same moment; what they wrote is there")
        return mark

    def hide_files(self, files: Sequence[StoredFile], trash: str | None) -> tuple[StoredFile, ...]:
        """See `FileWriter.hide_files`."""
        folder = _folder_of(trash)
        return tuple(file for file in files if self._hide(file, folder))

    def restore_files(self, paths: Sequence[str], trash: str | None) -> frozenset[str]:
        """See `FileWriter.restore_files`."""
        folder = _folder_of(trash)
        for path in paths:
            if self.stat_file(path) is None and self.stat_file(f"{folder}/{path}") is not None:
                with _writing(path):
                    self._rename(f"{folder}/{path}", path)
        return frozenset(path for path in paths if self.stat_file(path) is not None)

    def purge_files(self, paths: Sequence[str], trash: str | None) -> None:
        """See `FileWriter.purge_files`."""
        folder = _folder_of(trash)
        for path in paths:
            self._unlink(f"{folder}/{path}")
            self._remove_empty(f"{folder}/{path}")

    def delete_files(self, files: Sequence[StoredFile]) -> tuple[StoredFile, ...]:
        """See `FileWriter.delete_files`."""
        present = tuple(file for file in files if self._is_unchanged(file))
        for file in present:
            self._unlink(file.path)
            self._remove_empty(file.path)
        return present

    def abort_upload(self, upload: UnfinishedUpload) -> None:
        """See `FileWriter.abort_upload`; a directory lists none."""
        raise SourceWriteError(f"the upload of {upload.path} can be aborted only through the bucket itself")

    def _hide(self, file: StoredFile, trash: str) -> bool:
        """Move one file aside; what the mount says of it is not taken for done until the file is seen there."""
        if not self._is_unchanged(file):
            return False
        moved = f"{trash}/{file.path}"
        try:
            with _writing(file.path):
                self._rename(file.path, moved)
        except ContentNotFoundError:
            return False
        found = self.stat_file(moved)
        if found is None or found.size != file.size:
            raise SourceWriteError(f"{file.path} was moved to {moved} and is not there in full")
        return True

    def _is_unchanged(self, file: StoredFile) -> bool:
        return bool(file.etag) and self.stat_file(file.path) == file

    def _check_mark(self, path: str, expected: str | None) -> None:
        found = self.read_file(path)
        if (None if found is None else found.etag) != expected:
            raise SourceChangedError(f"{path} is another one by now; it was left alone")

    @contextmanager
    def _draft(self, path: str, raw: bytes) -> Iterator[str]:
        """A new file of ours with this content on its way to `path`; gone afterwards, whatever happens."""
        draft = f"{DRAFTS}/{secrets.token_hex(8)}"
        with self._made_folder(DRAFTS) as opened:
            name = split(draft)[1]
            descriptor = os.open(name, _NEW_FLAGS, 0o666, dir_fd=opened)
            try:
                with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
                    self._keep_owner(file.fileno(), path)
                    file.write(raw)
                    file.flush()
                    os.fsync(file.fileno())
                yield draft
            finally:
                with suppress(OSError):
                    os.unlink(name, dir_fd=opened)

    def _keep_owner(self, descriptor: int, path: str) -> None:
        """Give a draft the owner and rights of what it takes the place of, whose writers are to go on with it."""
        folder, name = split(path)
        with suppress(FileNotFoundError), self._folder(folder) as opened:
            keep_rights(descriptor, os.stat(name, dir_fd=opened))

    def _publish_new(self, draft: str, path: str) -> None:
        """Give a draft its name if nothing has it; in one step where the file system knows hard links."""
        (folder, name), (drafts, draft_name) = split(path), split(draft)
        with self._folder(drafts) as source, self._made_folder(folder) as target:
            try:
                os.link(draft_name, name, src_dir_fd=source, dst_dir_fd=target)
            except FileExistsError:
                raise SourceChangedError(f"{path} is there by now") from None
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                os.rename(draft_name, name, src_dir_fd=source, dst_dir_fd=target)
            _sync(target)

    def _rename(self, path: str, to: str) -> None:
        (folder, name), (to_folder, to_name) = split(path), split(to)
        with self._folder(folder) as source, self._made_folder(to_folder) as target:
            os.rename(name, to_name, src_dir_fd=source, dst_dir_fd=target)
            _sync(target)

    def _unlink(self, path: str) -> None:
        folder, name = split(path)
        with suppress(ContentNotFoundError), _writing(path), self._folder(folder) as opened:
            os.unlink(name, dir_fd=opened)

    def _remove_empty(self, path: str) -> None:
        """Remove the folders of ours that a file was the last of; those of a layout stay."""
        while (path := split(path)[0]).startswith(f"{OWN_FOLDER}/"):
            parent, name = split(path)
            try:
                with self._folder(parent) as opened:
                    os.rmdir(name, dir_fd=opened)
            except OSError:
                return

    @contextmanager
    def _made_folder(self, path: str) -> Iterator[int]:
        """A descriptor of a folder, which is made where it is missing, part by part and only inside the source."""
        parts = path.split("/")
        for place in range(1, len(parts) + 1):
            parent, name = split("/".join(parts[:place]))
            with self._folder(parent) as opened, suppress(FileExistsError):
                if place == 1:
                    self._refuse_bare(opened)
                os.mkdir(name, dir_fd=opened)
        with self._folder(path) as opened:
            yield opened

    def _refuse_bare(self, root: int) -> None:
        """See that a mount on the source is not gone: what is made below it would keep it from being mounted again.

        Raises:
            SourceUnavailableError: it is, since it was last looked at.
        """
        is_mount = _is_mount(root)
        if self._was_mount and not is_mount:
            raise SourceUnavailableError("the mount of the source was taken away; nothing is written below it")
        self._was_mount = is_mount


def _is_mount(folder: int) -> bool:
    return os.fstat(folder).st_dev != os.stat("..", dir_fd=folder).st_dev


class WritableDirectory:
    """A `WritableSource` over the directory `root`."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        """Take `root` as the source; nothing is read or changed yet."""
        self._root = root
        self.files = DirectoryWriter(root)

    def open_layouts(self) -> LayoutDirectory:
        """See `WritableSource.open_layouts`."""
        return LayoutDirectory(self._root)


def _folder_of(trash: str | None) -> str:
    """The folder of a quarantine.

    Raises:
        SourceWriteError: it is none, but the old versions of a bucket, which no mount shows.
    """
    if trash is None:
        raise SourceWriteError(
            "an earlier run hid this as old versions of the bucket, which no directory or mount shows: "
            "clean the source up natively again, as s3://…"
        )
    return trash


@contextmanager
def _writing(name: str) -> Iterator[None]:
    """Raise what the file system raises within the block as the error of ours that it is."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.EXDEV:
            raise SourceWriteError(
                f"{name} is on another file system; clean that up as a source of its own"
            ) from error
        if error.errno in _NO_ROOM:
            raise SourceWriteError(f"{name} can't be written: {error.strerror}; {_NEEDS_ROOM}") from error
        ours = translate(error, name)
        if isinstance(ours, ContentNotFoundError | SourceUnavailableError):
            raise ours from error
        raise SourceWriteError(f"{name} can't be written: {error.strerror or type(error).__name__}") from error


def _sync(folder: int) -> None:
    """Have a rename outlive a power cut; mounts that don't know how keep no promise either way."""
    with suppress(OSError):
        os.fsync(folder)
