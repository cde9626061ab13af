"""Reads a layout's index into an inventory: tags, untagged entries by kind, referrers, what can't be used.

Only what the index leaves open is read further: lists of referrers, untagged manifests (for their subject), and
indexes (for their children) when an untagged entry may be one of those.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING

from tasks.oci import media_types
from tasks.oci.errors import InvalidLayoutError, UnsupportedMediaTypeError
from tasks.oci.image_layout import decode_index, iter_index
from tasks.oci.manifest import MAX_MANIFEST_SIZE
from tasks.oci.reference import referrers_tag_of
from tasks.operations.reports.results import RepositoryInventory, TagEntry, UntaggedKind
from tasks.operations.source.graph_walk import referrers_of
from tasks.operations.source.index_sorting import sort_index
from tasks.operations.source.many_manifests import ManyManifests
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tasks.oci.descriptor import Descriptor
    from tasks.oci.digest import Digest
    from tasks.oci.manifest import Manifest
    from tasks.operations.source.index_sorting import SortedIndex
    from tasks.operations.work.concurrency import MapConcurrently
    from tasks.ports import LayoutReader

MOST_LISTED = 128 * 1024 * 1024
"""Bytes of all lists of referrers under tags, six thousand for each of twenty thousand signed images: any number of
tags may name the same list, and its members are kept for each."""


def enumerate_repository(
    source: LayoutReader,
    path: str,
    map_concurrently: MapConcurrently | None = None,
    *,
    dated: bool = False,
    patient: bool = False,
) -> RepositoryInventory:
    """The inventory of the layout at `path`; unreadable entries are findings and cost nothing else.

    Only where it is to be `dated` it has the times of manifests, of which there may be very many.
    To the `patient`, one that can't be read for the moment is not, and is raised.

    Raises:
        InvalidLayoutError: the index as a whole can't be understood.
        SourceError: it can't be read, or the source is gone.
    """
    file = source.read_index(path)
    entries, etag = iter_index(decode_index(file.raw), file.places), file.etag
    del file  # of its bytes, its text and what is made of it, no two are needed at once for longer than must be
    index = sort_index(path, entries, dated=dated)
    manifests = ManyManifests(source, path, map_concurrently or map, patient=patient)
    referring = _Referring(path, index, manifests)
    referring.read_lists()
    untagged = referring.classified() if index.untagged else ()
    return RepositoryInventory(
        path=path,
        etag=etag,
        tags=index.tags,
        untagged=untagged,
        refused=index.refused,
        referrers={subject: tuple(found.values()) for subject, found in referring.referrers.items()},
        broken_lists=referring.broken_lists,
        made=index.made,
        findings=(*index.findings, *manifests.findings),
        unnamed=index.unnamed,
        strays=referring.strays,
    )


@dataclass(slots=True)
class _Referring:
    """What the manifests of one layout say of each other: who refers to whom, and who lists whom."""

    path: str
    index: SortedIndex
    manifests: ManyManifests
    referrers: dict[Digest, dict[Digest, Descriptor]] = field(default_factory=lambda: defaultdict(dict))
    broken_lists: dict[Digest, Finding] = field(default_factory=dict)
    with_lists: set[Digest] = field(default_factory=set)
    strays: Mapping[Digest, bool] = field(default_factory=dict)

    def read_lists(self) -> None:
        """Read what has a referrers tag, as far as `MOST_LISTED` goes."""
        tagged = ((entry.tag or "", entry.descriptor) for entry in self.index.tags)
        named = ((referrers_tag_of(tag, each.digest), each) for tag, each in tagged)
        lists = [(n.subject, d) for n, d in named if n and not n.suffix and media_types.is_index(d.media_type)]
        self.with_lists.update(subject for subject, _ in lists)
        sizes = list(accumulate(min(each.size, MAX_MANIFEST_SIZE) for _, each in lists))
        some = bisect_right(sizes, MOST_LISTED)
        self._leave_out([each.digest for _, each in lists[some:]])
        found = self.manifests.read_or_find(each for _, each in lists[:some])
        for (subject, descriptor), read in zip(lists[:some], found, strict=True):
            if isinstance(read, Finding):
                self.broken_lists[descriptor.digest] = read
            else:
                self._add_members(subject, read)

    def classified(self) -> tuple[TagEntry, ...]:
        """The untagged entries that can be read, with their kinds; their subjects are known from here on."""
        children: set[Digest] = set()
        read: list[tuple[Descriptor, Digest | None]] = []
        for manifest in self.manifests.read(self.index.untagged.values()):
            children.update(child.digest for child in manifest.manifests)
            read.append((manifest.descriptor, self._noted_subject(manifest)))
        told = len(self.manifests.findings)
        with_tags = {*self.manifests.below(entry.descriptor for entry in self.index.tags)}
        children |= with_tags
        found = tuple(TagEntry(None, each, _kind(each.digest, subject, children)) for each, subject in read)
        if len(self.manifests.findings) == told:  # else nobody knows what is below a tag
            with_tags |= {*(entry.descriptor.digest for entry in self.index.tags), *self.with_lists}
            self.strays = self._strays(found, with_tags)
        return found

    def _noted_subject(self, manifest: Manifest) -> Digest | None:
        """What an untagged manifest refers to, or lists the referrers of; they are noted with it."""
        digest = manifest.descriptor.digest
        if manifest.subject is not None:
            self.referrers[manifest.subject.digest].setdefault(digest, manifest.as_referrer())
            return manifest.subject.digest
        listed = self.index.referrer_lists.get(digest)
        if listed is not None:
            self._add_members(listed, manifest)
        return listed

    def _leave_out(self, lists: list[Digest]) -> None:
        if lists:
            message = f"lists of referrers have more than {MOST_LISTED:,} bytes: {len(lists)} of them are not read"
            finding = Finding(self.path, InvalidLayoutError.code, message)
            self.manifests.findings.append(finding)
            self.broken_lists.update(dict.fromkeys(lists, finding))

    def _add_members(self, subject: Digest, manifest: Manifest) -> None:
        self.referrers[subject].update({child.digest: child for child in manifest.manifests})
        if manifest.blobs:
            other, more = manifest.blobs[0], len(manifest.blobs) - 1
            message = f"{other.digest}, listed as a referrer of {subject}, is of the type {other.media_type}"
            message += f"; {more} more there are no manifests either" if more else ""
            self.manifests.findings.append(Finding(self.path, UnsupportedMediaTypeError.code, message))

    def _strays(self, untagged: Iterable[TagEntry], with_tags: set[Digest]) -> dict[Digest, bool]:
        """The referrers that no tag leads to; of each, whether something leads there whose tag has moved."""
        by_kind: dict[UntaggedKind | None, list[Descriptor]] = defaultdict(list)
        for entry in untagged:
            by_kind[entry.kind].append(entry.descriptor)
        own = {each.digest for each in by_kind[UntaggedKind.REFERRER]} - self.index.referrer_lists.keys() - with_tags
        if not own:
            return {}
        known = {subject: tuple(found.values()) for subject, found in self.referrers.items()}
        below = self.manifests.afresh().below  # what can't be read has been told

        def led_to(roots: Iterable[Digest]) -> set[Digest]:
            reached: set[Digest] = set()

            def held_by(referrer: Descriptor) -> list[Digest]:
                held = [referrer.digest, *below([referrer])]
                reached.update(held)
                return held

            referrers_of(roots, known, held_by)
            return reached

        if not (strays := own - led_to(with_tags)):
            return {}
        moved = by_kind[UntaggedKind.MOVED]
        of_moved = led_to({*(each.digest for each in moved), *below(moved)})
        return {digest: digest in of_moved for digest in sorted(strays)}


def _kind(digest: Digest, subject: Digest | None, children: set[Digest]) -> UntaggedKind:
    if subject is not None:
        return UntaggedKind.REFERRER
    return UntaggedKind.CHILD if digest in children else UntaggedKind.MOVED
