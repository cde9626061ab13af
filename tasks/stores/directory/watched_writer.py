"""The files of a source on a mount that may hang, and ways to change them, all done by another process.

A change that hangs may still come to be done when the mount answers again, and none after it: the process ends
with the one that asks it. See docs/decisions/025-changing-a-source.md.
"""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Any

from tasks.oci.errors import SourceWriteError
from tasks.stores.directory.layout_channel import file_to_json
from tasks.stores.directory.watched_files import WatchedFiles
from tasks.stores.directory.watched_layouts import WatchedLayouts
from tasks.stores.directory.watched_process import WatchedProcess

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.file_ports import StoredFile, UnfinishedUpload
    from tasks.stores.directory.mount_patience import Patience


class WatchedWriter(WatchedFiles):
    """A `FileWriter` over the directory of a watched process; see `DirectoryWriter` for the rest."""

    is_conditional = False
    keeps_versions = False

    def now(self) -> float:
        """See `FileReader.now`: the clock of whatever serves the directory."""
        return float(self._change("now", "."))

    def write_file(self, path: str, raw: bytes, expected: str | None) -> str:
        """See `FileWriter.write_file`."""
        return str(self._change("write_file", path, raw, expected=expected, size=len(raw)))

    def hide_files(self, files: Sequence[StoredFile], trash: str | None) -> tuple[StoredFile, ...]:
        """See `FileWriter.hide_files`."""
        return tuple(f for f in files if self._change("hide_file", f.path, file=file_to_json(f), trash=trash))

    def restore_files(self, paths: Sequence[str], trash: str | None) -> frozenset[str]:
        """See `FileWriter.restore_files`."""
        return frozenset(path for path in paths if self._change("restore_file", path, trash=trash))

    def purge_files(self, paths: Sequence[str], trash: str | None) -> None:
        """See `FileWriter.purge_files`."""
        for path in paths:
            self._change("purge_file", path, trash=trash)

    def delete_files(self, files: Sequence[StoredFile]) -> tuple[StoredFile, ...]:
        """See `FileWriter.delete_files`."""
        return tuple(f for f in files if self._change("delete_file", f.path, file=file_to_json(f)))

    def abort_upload(self, upload: UnfinishedUpload) -> None:
        """See `FileWriter.abort_upload`; a directory lists none."""
        raise SourceWriteError(f"the upload of {upload.path} can be aborted only through the bucket itself")

    def _change(self, what: str, path: str, content: bytes | None = None, **more: Any) -> Any:
        """Have something done, unless the mount was taken away: the folder below it is not to be written to."""
        self._process.check_mounted(path)
        return self._process.ask({"do": what, "path": path, **more}, path, content)


class WatchedWritable:
    """A `WritableSource` over the directory `root`, whose mount may hang."""

    def __init__(self, root: str, patience: Patience) -> None:
        """Take `root`; a mount that lives may take as long as it needs for a change, as to copy a large file.

        A run that is told to end does not end in the middle of a change, but with what it has begun.
        """
        self._process = WatchedProcess(root, replace(patience, longest=inf), changes=True)
        self.files = WatchedWriter(self._process)

    def close(self) -> None:
        """Let the process go; see `WatchedProcess.close`."""
        self._process.close()

    def open_layouts(self) -> WatchedLayouts:
        """See `WritableSource.open_layouts`."""
        return WatchedLayouts(self._process)
