"""Parts the index of a layout that holds images of many repositories: one index for each name in its references.

`ctr image export`, `docker save`, buildx, skopeo and `oras` write such layouts. What has no name of its own goes with
the images that it belongs to: the manifests of their platforms, and what refers to them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tasks.oci.digest import Digest
from tasks.oci.errors import DigestOnlyError, InvalidLayoutError, InvalidReferenceError
from tasks.oci.image_layout import INDEX, REFERRER_SUBJECT, BrokenEntry, decode_index, index_of, iter_entries
from tasks.oci.media_types import is_index
from tasks.oci.reference import (
    REF_NAME,
    referrers_tag_of,
    repository_of_annotations,
    repository_of_reference,
    tag_of_annotations,
)
from tasks.operations.source.graph_walk import manifests_of, reached_from
from tasks.operations.source.many_manifests import ManyManifests
from tasks.ports import IndexFile

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from tasks.oci.descriptor import Descriptor
    from tasks.oci.manifest import Manifest
    from tasks.operations.work.concurrency import MapConcurrently
    from tasks.ports import LayoutReader

MOST_SHARED = 1_000_000
"""Times that entries are in a part of an index besides their first, as many as an index has entries: each one without
a name may belong to the images of all names."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry with its place and text in the index, and the repository that its own reference names."""

    place: int
    text: str
    read: Descriptor | BrokenEntry
    repository: str | None


class IndexPart(NamedTuple):
    """The entries of an index that are of one repository, by their texts, which parts share, and their places."""

    texts: tuple[str, ...]
    places: tuple[int, ...]

    def file(self) -> IndexFile:
        """An index of these entries alone."""
        raw = index_of(self.texts)
        return IndexFile(raw, Digest.of(raw), self.places)


def parts_of(
    source: LayoutReader, path: str, file: IndexFile, map_concurrently: MapConcurrently
) -> Mapping[str, IndexPart]:
    """The index of each repository that a layout holds, by name; that of what has none by the layout's own `path`.

    Empty where all entries belong to the layout's own. What belongs to several repositories is in each of them.

    Raises:
        InvalidLayoutError: the index as a whole can't be understood, or would be too large in parts.
        SourceError: something can't be read for the moment, so that nobody knows where what has no name belongs.
    """
    entries = list(_entries(file))
    if all(entry.repository in {None, path} for entry in entries):
        return {}
    belonging = _belonging(source, path, entries, map_concurrently)
    parts: dict[str, list[_Entry]] = defaultdict(list)
    for entry in entries:
        for repository in [entry.repository] if entry.repository else belonging.get(entry.place, [path]):
            parts[repository].append(entry)
    return {repository: _index_of(part) for repository, part in parts.items()}


def _entries(file: IndexFile) -> Iterator[_Entry]:
    for place, (text, read) in enumerate(iter_entries(decode_index(file.raw))):
        yield _Entry(place, text, read, _repository_of(read))


def _repository_of(read: Descriptor | BrokenEntry) -> str | None:
    if isinstance(read, BrokenEntry):
        return None if read.ref_name is None else repository_of_reference(read.ref_name)
    return repository_of_annotations(read.annotations)


def _index_of(part: list[_Entry]) -> IndexPart:
    return IndexPart(tuple(entry.text for entry in part), tuple(entry.place for entry in part))


def _belonging(
    source: LayoutReader, path: str, entries: list[_Entry], map_concurrently: MapConcurrently
) -> Mapping[int, Collection[str]]:
    """The repositories of the entries without a name that belong to an image of one, by their places."""
    waiting: dict[int, Digest] = {}
    roots: dict[str, list[Descriptor]] = defaultdict(list)
    unread: list[Descriptor] = []
    for entry in entries:
        if isinstance(entry.read, BrokenEntry):
            continue
        held_by = None if entry.repository else _held_by(entry.read)
        if held_by is None:
            roots[entry.repository or path].append(entry.read)
        else:
            waiting[entry.place] = held_by
            unread.append(entry.read)
    if not waiting:
        return {}
    edges = _Edges(ManyManifests(source, path, map_concurrently, patient=True))
    edges.read([*unread, *(root for each in roots.values() for root in each if is_index(root.media_type))])
    return _placed(waiting, roots, edges)


def _placed(
    waiting: Mapping[int, Digest], roots: Mapping[str, list[Descriptor]], edges: _Edges
) -> Mapping[int, Collection[str]]:
    """The repositories of what is waiting, by its place."""
    wanted = Counter(waiting.values())
    shared = 0
    repositories: dict[Digest, list[str]] = defaultdict(list)
    for repository, held in roots.items():
        reached = {digest for root in held for digest in reached_from(root.digest, edges.below)}
        for digest in wanted.keys() & reached:
            repositories[digest].append(repository)
            shared += wanted[digest]
        if shared - len(waiting) > MOST_SHARED:
            raise InvalidLayoutError(f"entries of {INDEX} would go with more than {MOST_SHARED:,} further names")
    return {place: repositories[digest] for place, digest in waiting.items() if digest in repositories}


def _held_by(entry: Descriptor) -> Digest | None:
    """What has to belong to a repository for a nameless entry to belong to it; None for an image with a tag."""
    ref_name = entry.annotations.get(REF_NAME)
    if ref_name is None:
        return entry.digest
    if (referrers := referrers_tag_of(ref_name, entry.digest)) is not None:
        return referrers.subject
    try:
        tag_of_annotations(entry.annotations)
    except DigestOnlyError:
        return entry.digest
    except InvalidReferenceError:
        return None
    return None


class _Edges:
    """Which manifests come along with one: those that it lists, and those that refer to it."""

    def __init__(self, manifests: ManyManifests) -> None:
        self._manifests = manifests
        self._below: dict[Digest, set[Digest]] = defaultdict(set)

    def below(self, digest: Digest) -> Collection[Digest]:
        """The digests of these."""
        return self._below.get(digest, ())

    def read(self, entries: Iterable[Descriptor]) -> None:
        """Take note of what these entries lead to, and the indexes that they list.

        Raises:
            SourceError: one can't be read for the moment; what can't be for good leads nowhere.
        """
        entries = list(entries)
        for entry in entries:
            for subject in _noted_subjects(entry):
                self._below[subject].add(entry.digest)
        for manifest in manifests_of(entries, self._manifests.read):
            self._note(manifest)

    def _note(self, manifest: Manifest) -> None:
        digest = manifest.descriptor.digest
        self._below[digest].update(each.digest for each in manifest.manifests)
        if manifest.subject is not None:
            self._below[manifest.subject.digest].add(digest)


def _noted_subjects(entry: Descriptor) -> Iterator[Digest]:
    """What an entry of an index is said to refer to there, by its tag or by annotations."""
    named = referrers_tag_of(entry.annotations.get(REF_NAME, ""), entry.digest)
    if named is not None:
        yield named.subject
    for name in REFERRER_SUBJECT:
        subject = Digest.or_none(entry.annotations.get(name))
        if subject is not None:  # the inventory of the repository tells of what is none
            yield subject
