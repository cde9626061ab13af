"""What leads from one manifest of a layout to another: down to its children, and up to what refers to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.oci.media_types import is_index
from tasks.operations.source.graph_walk import MAX_NESTING, reached_from, referrers_of
from tasks.operations.source.manifest_reading import BROKEN_AT_SOURCE, leaves_open, read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tasks.oci.descriptor import Descriptor
    from tasks.oci.digest import Digest
    from tasks.oci.manifest import Manifest
    from tasks.operations.work.spare_hands import SpareHands
    from tasks.ports import LayoutReader


class GraphLinks:
    """The links of one layout, known as its manifests are read; shared by all workers on it.

    `referrers` are those to follow, by subject. `told` hears of each manifest whose links become known.
    """

    def __init__(
        self,
        reader: LayoutReader,
        path: str,
        referrers: Mapping[Digest, tuple[Descriptor, ...]],
        hands: SpareHands,
        told: Callable[[Manifest], None],
    ) -> None:
        self._reader = reader
        self._path = path
        self._referrers = referrers
        self._hands = hands
        self._told = told
        self._children: dict[Digest, tuple[Descriptor, ...]] = {}

    def note(self, manifest: Manifest) -> None:
        """Know the links of a manifest that was read."""
        if manifest.manifests:
            self._children[manifest.descriptor.digest] = manifest.manifests
        self._told(manifest)

    def read(self, root: Descriptor) -> None:
        """Read all manifests below `root`; of one that is broken, it is the target's copy that counts.

        Raises:
            SourceError: one can't be read for the moment, or the source is gone; nobody knows its links then.
        """
        level, seen = [root], {root.digest}
        while level:
            children = [child for below in self._hands.map(self._children_of, level) for child in below]
            level = list({child.digest: child for child in children if child.digest not in seen}.values())
            seen.update(child.digest for child in level)

    def reached(self, root: Descriptor) -> list[Digest]:
        """The digests of all manifests below `root`, it first, as far as they were read."""
        return reached_from(root.digest, lambda digest: (child.digest for child in self._children.get(digest, ())))

    def closure(self, root: Descriptor) -> list[Digest]:
        """The digests of all manifests below `root`, it first, read from the source where not known yet.

        Raises:
            SpecError: an index breaks the specification.
            ContentError: an index is missing or altered.
            SourceError: an index can't be read.
        """
        level = [root]
        for _ in range(MAX_NESTING + 1):
            for descriptor in level:
                if descriptor.digest not in self._children and is_index(descriptor.media_type):
                    self.note(read_manifest(self._reader, self._path, descriptor))
            below = {child.digest: child for d in level for child in self._children.get(d.digest, ())}
            level = list(below.values())
        return self.reached(root)

    def held_by(self, referrer: Descriptor) -> list[Digest]:
        """What a referrer is made of, all of which may have referrers; itself alone where it can't be read."""
        try:
            return self.closure(referrer)
        except BROKEN_AT_SOURCE:
            return [referrer.digest]

    def subjects_among(self, digests: Iterable[Digest]) -> list[Digest]:
        """Those of `digests` that have referrers to follow."""
        return [digest for digest in digests if digest in self._referrers]

    def subjects_of(self, root: Descriptor) -> list[Digest]:
        """What of the graph of `root` has referrers to follow.

        Raises:
            LayoutliftError: see `closure`.
        """
        return self.subjects_among(self.closure(root)) if self._referrers else []

    def direct_referrers(self, subject: Digest) -> tuple[Descriptor, ...]:
        """The referrers to follow from one subject."""
        return self._referrers.get(subject, ())

    def referrers_of(self, *roots: Descriptor) -> list[Descriptor]:
        """The referrers of all graphs of `roots`, those of referrers included.

        Raises:
            LayoutliftError: see `closure`.
        """
        if not self._referrers:
            return []
        subjects = [digest for root in roots for digest in self.closure(root)]
        return referrers_of(subjects, self._referrers, self.held_by)

    def _children_of(self, descriptor: Descriptor) -> tuple[Descriptor, ...]:
        try:
            manifest = read_manifest(self._reader, self._path, descriptor)
        except BROKEN_AT_SOURCE as error:
            if leaves_open(error, patient=True):
                raise
            return ()
        self.note(manifest)
        return manifest.manifests
