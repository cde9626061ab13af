"""A process that changes a mount for another one, which can leave it behind when the mount hangs.

Started as `python -m tasks.stores.directory.writer_process ROOT CONTROL_FD`; see `layout_process` for what it
has in common.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from tasks.file_ports import StoredFile
from tasks.stores.directory.layout_directory import LayoutDirectory
from tasks.stores.directory.layout_process import LayoutServer, serve_all
from tasks.stores.directory.writable_directory import DirectoryWriter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.stores.directory.layout_channel import Channel


class WritingServer(LayoutServer):
    """Answers requests about one source that is being changed, on one channel."""

    def __init__(self, root: str, channel: Channel, *, writer: DirectoryWriter) -> None:
        """Answer with what `writer` does, which all channels share: it knows whether there was a mount."""
        super().__init__(root, channel)
        self._writer = writer
        self._answers |= {
            "now": self._now,
            "write_file": self._write_file,
            "hide_file": self._hide_file,
            "restore_file": self._restore_file,
            "purge_file": self._purge_file,
            "delete_file": self._delete_file,
        }

    def _layouts(self) -> LayoutDirectory:
        """One that remembers nothing of earlier reads."""
        return LayoutDirectory(self._root)

    def _now(self, _: Mapping[str, Any]) -> None:
        self._end(self._writer.now())

    def _write_file(self, request: Mapping[str, Any]) -> None:
        raw = self._channel.take(request["size"])
        self._end(self._writer.write_file(request["path"], raw, request["expected"]))

    def _hide_file(self, request: Mapping[str, Any]) -> None:
        self._end(bool(self._writer.hide_files([StoredFile(*request["file"])], request["trash"])))

    def _restore_file(self, request: Mapping[str, Any]) -> None:
        self._end(bool(self._writer.restore_files([request["path"]], request["trash"])))

    def _purge_file(self, request: Mapping[str, Any]) -> None:
        self._writer.purge_files([request["path"]], request["trash"])
        self._end()

    def _delete_file(self, request: Mapping[str, Any]) -> None:
        self._end(bool(self._writer.delete_files([StoredFile(*request["file"])])))


if __name__ == "__main__":
    writes = DirectoryWriter(sys.argv[1], is_mount=True)
    serve_all(partial(WritingServer, writer=writes), sys.argv[1], int(sys.argv[2]))
