"""The files of a source on a mount that may hang, looked at by another process."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tasks.file_ports import FileContent, StoredFile
from tasks.oci.errors import ContentNotFoundError
from tasks.stores.directory.directory_files import content_mark

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.file_ports import UnfinishedUpload
    from tasks.stores.directory.watched_process import WatchedProcess


class WatchedFiles:
    """A `FileReader` over the directory of a watched process; see `DirectoryFiles` for the rest."""

    def __init__(self, process: WatchedProcess) -> None:
        """Take what the process reads as the source."""
        self._process = process

    def list_files(self, folder: str) -> Iterator[StoredFile]:
        """See `FileReader.list_files`."""
        for found in self._process.each({"do": "list_files", "path": folder}, folder):
            yield StoredFile(*found["file"])

    def stat_file(self, path: str, *, waits: bool = True) -> StoredFile | None:
        """See `FileReader.stat_file`."""
        found = self._process.ask({"do": "stat_file", "path": path, "waits": waits}, path)
        if found is None:
            self._process.check_mounted(path)
            return None
        return StoredFile(*found)

    def read_file(self, path: str) -> FileContent | None:
        """See `FileReader.read_file`."""
        try:
            raw = self._process.read({"do": "read_file", "path": path}, path)
        except ContentNotFoundError:
            return None
        return FileContent(raw, content_mark(raw))

    def link_target(self, path: str) -> str | None:
        """See `FileReader.link_target`."""
        found: str | None = self._process.ask({"do": "link_target", "path": path}, path)
        return found

    def list_uploads(self, folder: str) -> Iterator[UnfinishedUpload]:
        """See `FileReader.list_uploads`; a directory shows none."""
        del folder
        return iter(())

    def now(self) -> float:
        """See `FileReader.now`: this machine's clock."""
        return time.time()
