"""A tree of layouts on a mount that may hang, read by another process."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tasks.oci.digest import Digest
from tasks.ports import BlobStat, Finding, IndexFile
from tasks.stores.directory.watched_files import WatchedFiles
from tasks.stores.verified_content import VerifiedContent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.oci.descriptor import Descriptor
    from tasks.stores.directory.watched_process import WatchedProcess


class WatchedLayouts:
    """A `Source` over the directory of a watched process; see `LayoutDirectory` for the rest."""

    def __init__(self, process: WatchedProcess) -> None:
        """Take what the process reads as the source."""
        self.process = process

    def look(self) -> int:
        """0 where the root is a directory, else the number of the error that says why it is none.

        Raises:
            SourceUnavailableError: the mount does not answer.
        """
        return int(self.process.ask({"do": "look", "path": "."}, "the source"))

    def is_empty(self) -> bool:
        """Whether there is nothing at all in the root, as where nothing is mounted.

        Raises:
            SourceError: that can't be told.
        """
        return bool(self.process.ask({"do": "is_empty", "path": "."}, "the source"))

    def list_layouts(self) -> Iterator[str | Finding]:
        """See `Source.list_layouts`."""
        for found in self.process.each({"do": "list"}, "the list of layouts"):
            yield found["layout"] if "layout" in found else Finding(*found["finding"])

    def read_index(self, path: str) -> IndexFile:
        """See `LayoutReader.read_index`."""
        raw = self.process.read({"do": "index", "path": path}, path)
        return IndexFile(raw, Digest.of(raw))

    def blob(self, path: str, descriptor: Descriptor) -> VerifiedContent:
        """See `LayoutReader.blob`."""
        request = {"do": "blob", "path": path, "digest": descriptor.digest, "size": descriptor.size}
        return VerifiedContent(descriptor, partial(self.process.stream, request, f"{path}, {descriptor.digest}"))

    def stat_blob(self, path: str, digest: Digest) -> BlobStat | None:
        """See `LayoutReader.stat_blob`."""
        found = self.process.ask({"do": "stat", "path": path, "digest": digest}, f"{path}, {digest}")
        if found is None:
            self.process.check_mounted(path)
            return None
        return BlobStat(*found)

    def open_files(self) -> WatchedFiles:
        """All files of the source, to be looked at and not to be changed."""
        return WatchedFiles(self.process)

    def old_indexes(self, path: str, since: float) -> tuple[bytes, ...]:
        """See `PlanTools.old_indexes`; a directory keeps none."""
        del path, since
        return ()
