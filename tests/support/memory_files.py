"""A source in memory that may be changed: every change is a step, so that a trial may stop between any two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.file_ports import FileContent, StoredFile
from tasks.oci.errors import SourceChangedError
from tests.support.memory_stores import MemorySource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tasks.file_ports import UnfinishedUpload


@dataclass(frozen=True, slots=True)
class _File:
    raw: bytes
    modified: float
    etag: str


class MemoryFiles:
    """A `FileWriter` over files in memory, as conditional as a good bucket.

    `on_step` is called before each change of a single file, with what it is; whatever it raises stops the store
    there, as the death of a process would.
    """

    is_conditional = True
    keeps_versions = False

    def __init__(self, clock: Callable[[], float], on_step: Callable[[str], None] = lambda _: None) -> None:
        self._clock = clock
        self._on_step = on_step
        self._files: dict[str, _File] = {}
        self._writes = 0
        self.uploads: list[UnfinishedUpload] = []
        """Those that any other program has begun."""

    def put(self, path: str, raw: bytes) -> None:
        """Write as any other program does: at once, asking nothing."""
        self._writes += 1
        self._files[path] = _File(raw, self._clock(), f"{self._writes:x}")

    def contents(self) -> Mapping[str, bytes]:
        """All files, as they are at the moment of asking."""
        return _Contents(self._files)

    def list_files(self, folder: str) -> Iterator[StoredFile]:
        """See `FileReader.list_files`."""
        inside = "" if folder == "." else f"{folder}/"
        return (_stored(path, file) for path, file in sorted(self._files.items()) if path.startswith(inside))

    def stat_file(self, path: str, *, waits: bool = True) -> StoredFile | None:
        """See `FileReader.stat_file`."""
        del waits
        found = self._files.get(path)
        return None if found is None else _stored(path, found)

    def read_file(self, path: str) -> FileContent | None:
        """See `FileReader.read_file`."""
        found = self._files.get(path)
        return None if found is None else FileContent(found.raw, found.etag)

    def link_target(self, path: str) -> str | None:
        """See `FileReader.link_target`; there are none in memory."""
        del path
        return None

    def list_uploads(self, folder: str) -> Iterator[UnfinishedUpload]:
        """See `FileReader.list_uploads`."""
        return (upload for upload in self.uploads if upload.path.startswith(f"{folder}/"))

    def now(self) -> float:
        """See `FileReader.now`."""
        return self._clock()

    def write_file(self, path: str, raw: bytes, expected: str | None) -> str:
        """See `FileWriter.write_file`."""
        self._on_step(f"write {path}")
        found = self._files.get(path)
        if (None if found is None else found.etag) != expected:
            raise SourceChangedError(f"{path} is another one by now")
        self.put(path, raw)
        return self._files[path].etag

    def hide_files(self, files: Sequence[StoredFile], trash: str | None) -> tuple[StoredFile, ...]:
        """See `FileWriter.hide_files`."""
        present = [file for file in files if self.stat_file(file.path) == file]
        for file in present:
            self._on_step(f"copy {file.path}")
            self.put(f"{trash}/{file.path}", self._files[file.path].raw)
        for file in present:
            self._remove(file.path)
        return tuple(present)

    def restore_files(self, paths: Sequence[str], trash: str | None) -> frozenset[str]:
        """See `FileWriter.restore_files`."""
        for path in paths:
            hidden = self._files.get(f"{trash}/{path}")
            if hidden is not None and path not in self._files:
                self._on_step(f"restore {path}")
                self.put(path, hidden.raw)
        return frozenset(path for path in paths if path in self._files)

    def purge_files(self, paths: Sequence[str], trash: str | None) -> None:
        """See `FileWriter.purge_files`."""
        for path in paths:
            self._remove(f"{trash}/{path}")

    def delete_files(self, files: Sequence[StoredFile]) -> tuple[StoredFile, ...]:
        """See `FileWriter.delete_files`."""
        present = tuple(file for file in files if self.stat_file(file.path) == file)
        for file in present:
            self._remove(file.path)
        return present

    def abort_upload(self, upload: UnfinishedUpload) -> None:
        """See `FileWriter.abort_upload`."""
        self._on_step(f"abort {upload.path}")
        self.uploads = [each for each in self.uploads if each != upload]

    def _remove(self, path: str) -> None:
        self._on_step(f"delete {path}")
        self._files.pop(path, None)


class _Contents(Mapping[str, bytes]):
    """The files as they are at each moment, for a reader."""

    def __init__(self, files: dict[str, _File]) -> None:
        self._files = files

    def __getitem__(self, path: str) -> bytes:
        return self._files[path].raw

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._files))

    def __len__(self) -> int:
        return len(self._files)


class WritableMemory:
    """A `WritableSource` in memory."""

    def __init__(self, files: MemoryFiles) -> None:
        self.files = files

    def open_layouts(self) -> MemorySource:
        """See `WritableSource.open_layouts`; it reads the files as they are now."""
        return MemorySource(self.files.contents())


def _stored(path: str, file: _File) -> StoredFile:
    return StoredFile(path, len(file.raw), file.modified, file.etag)
