"""Walks graphs inside the source: is everything that a tag refers to there, and unaltered?"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from tasks.oci.errors import ContentNotFoundError, SizeMismatchError
from tasks.oci.media_types import may_be_absent
from tasks.operations.reports.results import Depth
from tasks.operations.source.graph_walk import check_nesting
from tasks.operations.source.manifest_reading import read_child, read_manifest
from tasks.operations.work.content_proof import AS_IT_IS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from tasks.oci.descriptor import Descriptor
    from tasks.oci.digest import Digest
    from tasks.operations.work.content_proof import ContentProof
    from tasks.operations.work.spare_hands import SpareHands
    from tasks.ports import LayoutReader


@dataclass(slots=True)
class Census:
    """What was chosen of a source, counted as it is walked; sizes in bytes. Safe to share."""

    repositories: int = 0
    referrers: int = 0
    untagged: int = 0
    blobs: int = 0
    bytes_unique: int = 0
    bytes_shared: int = 0
    bytes_to_copy: int = 0
    _seen: dict[bytes, bool] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def note_refused(self, repositories: int) -> None:
        """Count repositories that were not looked into, as no tag of them is taken."""
        with self._lock:
            self.repositories += repositories

    def note_repository(self, referrers: int, untagged: int) -> None:
        """Count a repository of which something was chosen."""
        with self._lock:
            self.repositories += 1
            self.referrers += referrers
            self.untagged += untagged

    def note_content(self, content: Iterable[Descriptor], *, to_copy: bool = False, is_again: bool = False) -> None:
        """Count blobs and manifests, as unique the first time and as shared from then on; so those `to_copy`.

        With `is_again`, it is the content of a graph that was counted before: nothing of it counts as shared, and
        what is `to_copy` only now is added to that.
        """
        with self._lock:
            for descriptor in content:
                key = bytes.fromhex(descriptor.digest.encoded)
                counted_to_copy = self._seen.get(key)
                if counted_to_copy is None:
                    self.blobs += 1
                    self.bytes_unique += descriptor.size
                elif not is_again:
                    self.bytes_shared += descriptor.size
                if to_copy and not counted_to_copy:
                    self.bytes_to_copy += descriptor.size
                self._seen[key] = to_copy or bool(counted_to_copy)

    def to_json(self) -> dict[str, int]:
        """The counts by name; tags are counted by what became of them."""
        names = ("repositories", "referrers", "untagged", "blobs", "bytes_unique", "bytes_shared")
        return {name: getattr(self, name) for name in names}


class SourceGraph:
    """Checks graphs of one layout to a depth; what graphs share is looked at once."""

    def __init__(
        self,
        source: LayoutReader,
        path: str,
        depth: Depth,
        hands: SpareHands,
        *,
        proof: ContentProof = AS_IT_IS,
    ) -> None:
        """Check to this depth; content by `proof`, where that is as deep."""
        self._source = source
        self._path = path
        self._depth = depth
        self._hands = hands
        self._proof = proof
        self._lock = threading.Lock()
        self._checked: set[tuple[Digest, int]] = set()
        self._absent: set[Digest] = set()
        self._archived: set[Digest] = set()

    @property
    def archived(self) -> Collection[Digest]:
        """The blobs that were found to be archived, where their content was not read."""
        return self._archived

    def check(self, root: Descriptor) -> list[Descriptor]:
        """Check the graph of `root`; all manifests and blobs in it, each once.

        Raises:
            SpecError: a manifest breaks the specification.
            ContentError: something is missing, cut short or altered.
            SourceError: something can't be read.
        """
        found: dict[Digest, Descriptor] = {}
        walked: set[Descriptor] = set()  # by type, too: what one calls a layer or an image is a manifest to another
        level, depth = [root], 0
        while level:
            check_nesting(depth)
            walked.update(level)
            below: dict[Descriptor, None] = {}
            read = partial(read_child if depth else read_manifest, self._source, self._path)
            for manifest in self._hands.map(read, level):
                found[manifest.descriptor.digest] = manifest.descriptor
                found.update({blob.digest: blob for blob in manifest.blobs})
                below.update(dict.fromkeys(child for child in manifest.manifests if child not in walked))
                self._hands.map(self._check_blob, manifest.blobs)
            level, depth = list(below), depth + 1
        return list(found.values())

    def _check_blob(self, blob: Descriptor) -> None:
        if self._depth is Depth.MANIFEST or (blob.digest, blob.size) in self._checked:
            return
        if blob.digest in self._absent and may_be_absent(blob.media_type):
            return
        stat = self._source.stat_blob(self._path, blob.digest)
        if stat is None:
            if may_be_absent(blob.media_type):
                self._absent.add(blob.digest)
                return
            raise ContentNotFoundError(f"the blob {blob.digest} is missing")
        if stat.size != blob.size:
            raise SizeMismatchError(f"the blob {blob.digest} has {stat.size} bytes, its descriptor says {blob.size}")
        if self._depth is Depth.CONTENT:
            self._proof.prove(self._source.blob(self._path, blob))
        with self._lock:
            if stat.archived and self._depth is not Depth.CONTENT:
                self._archived.add(blob.digest)
            self._checked.add((blob.digest, blob.size))
