"""A source of which a lifecycle rule archived the blobs."""

from dataclasses import replace

from tasks.oci.digest import Digest
from tasks.ports import BlobStat
from tasks.stores.directory.layout_directory import LayoutDirectory


class Archive(LayoutDirectory):
    """A source of which all blobs but manifests are archived, or were and are restored."""

    def stat_blob(self, path: str, digest: Digest) -> BlobStat | None:
        """See `LayoutReader.stat_blob`."""
        found = super().stat_blob(path, digest)
        return found and replace(found, archived=True)
