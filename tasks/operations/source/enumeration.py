"""Reads a layout's index into an inventory: tags, untagged entries by kind, referrers, what can't be used.

Only what the index leaves open is read further: untagged manifests (for their subject), and indexes (for
their children) when an untagged entry may be one of those.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.oci import media_types
from tasks.oci.codes import Problem, Remark
from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import (
    TRANSIENT_CODES,
    DigestOnlyError,
    InvalidDigestError,
    InvalidReferenceError,
    SourceUnavailableError,
    UnsupportedMediaTypeError,
)
from tasks.oci.image_layout import REFERRER_SUBJECT, BrokenEntry, decode_index, iter_index
from tasks.oci.manifest import Manifest
from tasks.oci.reference import REF_NAME, parse_referrers_tag, tag_of_ref_name
from tasks.operations.choosing.noted_times import NotedTimes
from tasks.operations.reports.results import RefusedEntry, RepositoryInventory, TagEntry, UntaggedKind
from tasks.operations.source.graph_walk import manifests_of, referrers_of
from tasks.operations.source.manifest_reading import UNREADABLE, read_manifest
from tasks.operations.source.writers_notes import WritersNotes, first_of, shown
from tasks.operations.work.concurrency import map_in_rounds
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tasks.operations.work.concurrency import MapConcurrently
    from tasks.ports import LayoutReader


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
    return _Enumeration(source, path, map_concurrently or map, dated, patient).run(entries, etag)


def children_of(
    source: LayoutReader,
    path: str,
    map_concurrently: MapConcurrently,
    given: Iterable[Descriptor],
    *,
    tell: Callable[[Finding], None],
    patient: bool,
) -> frozenset[Digest]:
    """The manifests below these, where they are indexes; what can't be read for good is told by who copies it.

    What can't be for the moment is for `tell`, since it may be copied after all; to the `patient` it is raised.
    """
    work = _Enumeration(source, path, map_concurrently, patient=patient)
    children = frozenset(work.children_of(given))
    for finding in work.findings:
        if finding.code in TRANSIENT_CODES:
            tell(finding)
    return children


@dataclass(slots=True)
class _Enumeration:
    """The work on one layout."""

    source: LayoutReader
    path: str
    map_concurrently: MapConcurrently
    dated: bool = False
    patient: bool = False
    tags: dict[str, Descriptor] = field(default_factory=dict)
    created: NotedTimes = field(default_factory=NotedTimes)
    ambiguous: dict[str, dict[Descriptor, str]] = field(default_factory=dict)
    notes: WritersNotes = field(default_factory=WritersNotes)
    untagged: dict[Digest, Descriptor] = field(default_factory=dict)
    unnamed: dict[Digest, Descriptor] = field(default_factory=dict)
    refused: dict[str, RefusedEntry] = field(default_factory=dict)
    broken: list[BrokenEntry] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    referrers: dict[Digest, dict[Digest, Descriptor]] = field(default_factory=lambda: defaultdict(dict))
    referrer_lists: dict[Digest, Digest] = field(default_factory=dict)
    broken_lists: dict[Digest, Finding] = field(default_factory=dict)
    with_lists: set[Digest] = field(default_factory=set)
    strays: Mapping[Digest, bool] = field(default_factory=dict)

    def run(self, entries: Iterator[Descriptor | BrokenEntry], etag: str) -> RepositoryInventory:
        for entry in entries:
            if isinstance(entry, BrokenEntry):
                self.broken.append(entry)
            else:
                self._sort(entry)
        self._refuse_ambiguous()
        for broken in self.broken:
            self._note_broken(broken)
        made = self.created.times() if self.dated else {}
        tags = tuple(TagEntry(tag, self.tags[tag]) for tag in self.created.oldest_first(self.tags))
        self.created.forget()
        for tagged in tags:
            self.untagged.pop(tagged.descriptor.digest, None)
        self.findings += self.notes.findings(self.path, [e.descriptor.digest for e in tags], self.untagged)
        self._read_referrer_tags(tags)
        self._leave_out_other_content()
        untagged = tuple(self._classified(tags)) if self.untagged else ()
        return RepositoryInventory(
            path=self.path,
            etag=etag,
            tags=tags,
            untagged=untagged,
            refused=tuple(self.refused.values()),
            referrers={subject: tuple(found.values()) for subject, found in self.referrers.items()},
            broken_lists=self.broken_lists,
            made=made,
            findings=tuple(self.findings),
            unnamed=tuple(TagEntry(None, each) for each in self.unnamed.values()),
            strays=self.strays,
        )

    def _note_broken(self, broken: BrokenEntry) -> None:
        """One with the name of a tag that has an outcome already can't have another."""
        if broken.ref_name is None or broken.ref_name in self.tags or broken.ref_name in self.refused:
            self.findings.append(Finding(self.path, broken.code, broken.message))
        else:
            self._refuse(RefusedEntry(broken.ref_name, None, None, broken.code, broken.message))

    def _refuse(self, entry: RefusedEntry) -> None:
        self.refused.setdefault(entry.tag, entry)

    def _sort(self, entry: Descriptor) -> None:
        plain = Descriptor(entry.media_type, entry.digest, entry.size, entry.artifact_type)
        ref_name = entry.annotations.get(REF_NAME)
        if ref_name is None:
            self.untagged[plain.digest] = plain
            self.notes.note_untagged(entry)
            self._note_referrer_list(entry)
            return
        try:
            tag = tag_of_ref_name(ref_name)
        except InvalidReferenceError as error:
            self._refuse(RefusedEntry(ref_name, plain.digest, plain.media_type, error.code, str(error)))
            kept = self.untagged if isinstance(error, DigestOnlyError) else self.unnamed
            kept[plain.digest] = plain
            return
        self.created.note(entry)
        known = self.tags.setdefault(tag, plain)
        if known != plain:
            named = self.ambiguous.setdefault(tag, {known: self.notes.first(tag, known.digest)})
            named.setdefault(plain, shown(tag, entry))
        self.notes.note_tagged(tag, entry)

    def _note_referrer_list(self, entry: Descriptor) -> None:
        for name in REFERRER_SUBJECT:
            if name in entry.annotations:
                try:
                    self.referrer_lists[entry.digest] = Digest(entry.annotations[name])
                except InvalidDigestError as error:
                    self.findings.append(Finding(self.path, error.code, f"annotation {name}: {error}"))

    def _refuse_ambiguous(self) -> None:
        for tag, named in self.ambiguous.items():
            del self.tags[tag]
            self.unnamed |= {each.digest: each for each in named}
            message = f"entries of index.json give the tag {tag} different content: {first_of(named.values())}"
            self._refuse(RefusedEntry(tag, None, None, Problem.TAG_COLLISION, message))

    def _leave_out_other_content(self) -> None:
        """Untagged entries of types that are no manifest's are no error (image-spec v1.1.1, image-index.md)."""
        for each in list(self.untagged.values()):
            if not media_types.is_manifest(each.media_type) and not media_types.may_list_more(each.media_type):
                del self.untagged[each.digest]
                message = f"{each.digest}, without a tag, is of the type {each.media_type}: no manifest, so it stays"
                self.findings.append(Finding(self.path, Remark.NOT_A_MANIFEST, message))

    def _read_referrer_tags(self, tags: tuple[TagEntry, ...]) -> None:
        named = ((parse_referrers_tag(entry.tag or ""), entry.descriptor) for entry in tags)
        lists = [(n.subject, d) for n, d in named if n and not n.suffix and media_types.is_index(d.media_type)]
        found = map_in_rounds(self.map_concurrently, self._manifest_or_finding, (each for _, each in lists))
        for (subject, descriptor), read in zip(lists, found, strict=True):
            self.with_lists.add(subject)
            if isinstance(read, Finding):
                self.broken_lists[descriptor.digest] = read
            else:
                self._add_members(subject, read)

    def _add_members(self, subject: Digest, manifest: Manifest) -> None:
        self.referrers[subject].update({child.digest: child for child in manifest.manifests})
        for other in manifest.blobs:
            message = f"{other.digest}, listed as a referrer of {subject}, is of the type {other.media_type}"
            self.findings.append(Finding(self.path, UnsupportedMediaTypeError.code, message))

    def _classified(self, tags: tuple[TagEntry, ...]) -> Iterator[TagEntry]:
        children: set[Digest] = set()
        manifests: list[tuple[Descriptor, Digest | None]] = []
        for manifest in self._read_all(self.untagged.values()):
            children.update(child.digest for child in manifest.manifests)
            subject = manifest.subject.digest if manifest.subject else None
            listed = self.referrer_lists.get(manifest.descriptor.digest)
            if subject is not None:
                self.referrers[subject].setdefault(manifest.descriptor.digest, manifest.as_referrer())
            elif listed is not None:
                self._add_members(listed, manifest)
            manifests.append((manifest.descriptor, subject or listed))
        told = len(self.findings)
        with_tags = {*self.children_of(entry.descriptor for entry in tags)}
        children |= with_tags
        found = [TagEntry(None, each, _kind(each.digest, subject, children)) for each, subject in manifests]
        if len(self.findings) == told:  # else nobody knows what is below a tag
            with_tags |= {*(entry.descriptor.digest for entry in tags), *self.with_lists}
            self.strays = self._strays(found, with_tags)
        yield from found

    def _strays(self, untagged: Iterable[TagEntry], with_tags: set[Digest]) -> dict[Digest, bool]:
        """The referrers that no tag leads to; of each, whether something leads there whose tag has moved."""
        by_kind: dict[UntaggedKind | None, list[Descriptor]] = defaultdict(list)
        for entry in untagged:
            by_kind[entry.kind].append(entry.descriptor)
        own = {each.digest for each in by_kind[UntaggedKind.REFERRER]} - self.referrer_lists.keys() - with_tags
        if not own:
            return {}
        known = {subject: tuple(found.values()) for subject, found in self.referrers.items()}
        below = _Enumeration(self.source, self.path, self.map_concurrently, patient=self.patient).children_of

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

    def children_of(self, descriptors: Iterable[Descriptor]) -> Iterator[Digest]:
        indexes = (each for each in descriptors if media_types.is_index(each.media_type))
        for manifest in manifests_of(indexes, self._read_all):
            yield from (child.digest for child in manifest.manifests)

    def _read_all(self, descriptors: Iterable[Descriptor]) -> Iterator[Manifest]:
        for manifest in map_in_rounds(self.map_concurrently, self._manifest_or_finding, descriptors):
            if isinstance(manifest, Manifest):
                yield manifest

    def _manifest_or_finding(self, descriptor: Descriptor) -> Manifest | Finding:
        """A manifest, or why it can't be read, which is kept with the findings already."""
        try:
            return read_manifest(self.source, self.path, descriptor)
        except UNREADABLE as error:
            if isinstance(error, SourceUnavailableError) or (self.patient and error.transient):
                raise
            finding = Finding(self.path, error.code, f"{descriptor.digest}: {error}")
            self.findings.append(finding)
            return finding


def _kind(digest: Digest, subject: Digest | None, children: set[Digest]) -> UntaggedKind:
    if subject is not None:
        return UntaggedKind.REFERRER
    return UntaggedKind.CHILD if digest in children else UntaggedKind.MOVED
