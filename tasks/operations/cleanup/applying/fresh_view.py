"""What a layout needs and has at this moment; what it needs from the quarantine is brought back on the way.

The same reading of graphs that plans are made of. Nothing is taken for unneeded unless every manifest that the
index leads to was read.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tasks.file_ports import below
from tasks.oci.errors import ContentNotFoundError, SizeMismatchError
from tasks.oci.image_layout import blob_path
from tasks.operations.cleanup.layout.graph import Graph, read_graph
from tasks.operations.cleanup.layout.index_edit import Removals
from tasks.operations.cleanup.layout.layout_view import view_layout
from tasks.operations.cleanup.records.holdings import by_digest
from tasks.operations.cleanup.records.strays import subject_in_manifest
from tasks.operations.cleanup.values import IndexEntry
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence

    from tasks.file_ports import FileWriter, StoredFile, WritableSource
    from tasks.oci.descriptor import Descriptor
    from tasks.oci.digest import Digest
    from tasks.oci.errors import LayoutliftError
    from tasks.operations.cleanup.layout.layout_view import Entry
    from tasks.operations.cleanup.records.holdings import HeldBlob
    from tasks.operations.work.concurrency import MapConcurrently
    from tasks.ports import BlobContent, BlobStat, IndexFile, LayoutReader


@dataclass(frozen=True, slots=True)
class FreshView:
    """A layout just now: its entries, the files below `blobs/`, and everything that the entries need.

    `needed` maps a digest to what needs it. `missing` is what is needed and not there; while there is any of that,
    or anything `unreadable` or `altered`, nothing may be judged.
    """

    entries: tuple[Entry, ...]
    blobs: Mapping[Digest, StoredFile]
    needed: Mapping[Digest, str]
    missing: tuple[Digest, ...]
    restored: tuple[HeldBlob, ...]
    graph: Graph

    @property
    def unreadable(self) -> Mapping[Digest, LayoutliftError]:
        """Manifests that can't be read, each with the reason."""
        return self.graph.unreadable

    @property
    def altered(self) -> Mapping[Digest, str]:
        """What is needed and there in another size than its descriptor says, each with how."""
        return {digest: how for digest, how in self.graph.altered.items() if digest in self.needed}

    @property
    def is_whole(self) -> bool:
        """Whether everything that is needed is there, in its size, and was understood."""
        return not self.missing and not self.unreadable and not self.altered

    def whole_of(self, roots: Iterable[Digest], hidden: Container[Digest]) -> frozenset[Digest]:
        """Those roots that are whole by themselves; `hidden` is what the quarantine had before the look."""
        missing, broken = frozenset(self.missing), self.unreadable.keys() | self.altered.keys()

        def is_whole(root: Digest) -> bool:
            reached = self.graph.reach({root: ""}, hidden).keys()
            below = Graph({digest: self.graph.nodes[digest] for digest in reached if digest in self.graph.nodes})
            return reached.isdisjoint(broken) and below.optional().issuperset(reached & missing)

        return frozenset(root for root in roots if is_whole(root))

    def left_by(self, removals: Iterable[IndexEntry]) -> Mapping[Digest, StoredFile]:
        """The files that nothing needs any more once these entries are gone; none where that is not known."""
        leaves = Removals(removals)
        goes: dict[Digest, str] = {}
        stays: dict[Digest, str] = {}
        for entry in self.entries:
            (goes if leaves.has(_as_written(entry)) else stays)[entry.digest] = entry.label
        needed = self.graph.reach(stays, self.blobs)
        if not needed.keys().isdisjoint(self.unreadable):
            return {}
        left = self.graph.reach(goes, self.blobs).keys() - needed.keys()
        return {digest: self.blobs[digest] for digest in left if digest in self.blobs}

    def gaps(self, path: str) -> Iterator[Finding]:
        """What keeps the layout at `path` from being whole."""
        for digest in self.missing:
            yield Finding(path, ContentNotFoundError.code, f"{self.needed[digest]} needs {digest}, which is missing")
        for digest, how in sorted(self.altered.items()):
            yield Finding(path, SizeMismatchError.code, f"{self.needed[digest]} needs {digest}, which {how}")
        for digest, error in sorted(self.unreadable.items()):
            yield Finding(path, error.code, f"{self.needed.get(digest, digest)}: {error}")


def still_wanted(view: FreshView, removals: Collection[IndexEntry]) -> list[IndexEntry]:
    """Those removals that still make sense, where somebody has written the index since they were planned.

    An entry without a tag, or one that refers to something, was to go with what it belongs to; if that stays after
    all, under a tag that a writer gave it in between, so does the entry, unless somebody named it. Planning judges
    by the same rule.
    """
    leaves, demanded = Removals(removals), {entry for entry in removals if entry.is_demanded}
    stays: dict[Digest, str] = {}
    waiting: dict[Digest, set[IndexEntry]] = {}
    for entry in view.entries:
        written = _as_written(entry)
        if not leaves.has(written):
            stays[entry.digest] = ""
        elif written not in demanded:
            for digest in _belongs_to(entry, view.graph):
                waiting.setdefault(digest, set()).add(written)
    kept: set[IndexEntry] = set()
    needed: dict[Digest, str] = {}
    while new := view.graph.reach_more(needed, stays, view.blobs):
        more = {entry for digest in new for entry in waiting.pop(digest, ())} - kept
        kept |= more
        stays = {entry.descriptor.digest: "" for entry in more}
    return [entry for entry in removals if entry not in kept]


def _as_written(entry: Entry) -> IndexEntry:
    return IndexEntry(entry.ref_name, entry.descriptor)


def _belongs_to(entry: Entry, graph: Graph) -> Iterator[Digest]:
    """What an entry stays with, if that stays."""
    if entry.refers_to is not None:
        yield entry.refers_to
    if (subject := subject_in_manifest(entry, graph)) is not None:
        yield subject
    if entry.ref_name is None:
        yield entry.digest


class FreshLook:
    """Looks at layouts of one source, and restores what they need of `held`.

    Of `returned`, which came back before, it restores what is needed and not there all the same.
    """

    def __init__(self, source: WritableSource, map_concurrently: MapConcurrently) -> None:
        self._source = source
        self._map = map_concurrently

    def view(self, path: str, held: Iterable[HeldBlob], returned: Iterable[HeldBlob] = ()) -> FreshView:
        """Look at a layout.

        Raises:
            InvalidLayoutError: it can't be understood whole.
            SourceError: something can't be listed, read or brought back.
        """
        reader = _RestoringReader(self._source, path, held, returned)
        seen = view_layout(reader, self._source.files, path)
        reader.absent(seen.blobs)
        roots = {entry.digest: entry.label for entry in seen.entries}
        descriptors = [entry.descriptor for entry in seen.entries]
        graph = self._read(reader, path, descriptors, seen.blobs)
        needed = graph.reach(roots, reader.known(seen.blobs))
        blobs = {**seen.blobs, **reader.restore(needed)}
        if blobs.keys() != seen.blobs.keys():  # what came back may be there in another size than it is needed in
            graph = self._read(reader, path, descriptors, blobs)
            needed = graph.reach(roots, reader.known(blobs))
        absent = needed.keys() - blobs.keys() - graph.optional() - graph.unreadable.keys()
        # what a writer stored and named after the listing is there, and looked for by itself
        missing = {digest for digest in absent if reader.stat_blob(path, digest) is None}
        return FreshView(seen.entries, blobs, needed, tuple(sorted(missing)), reader.brought(), graph)

    def ensure(
        self, path: str, roots: Sequence[Descriptor], held: Iterable[HeldBlob], returned: Iterable[HeldBlob] = ()
    ) -> FreshView:
        """Have everything that manifests need which the index does not name yet; entries are none."""
        reader = _RestoringReader(self._source, path, held, returned)
        view = self._brought_back(reader, path, roots)
        absent = [d for d in view.needed if d not in view.blobs and reader.stat_blob(path, d) is None]
        missing = set(absent) - view.graph.optional() - view.graph.unreadable.keys()
        return replace(view, missing=tuple(sorted(missing)))

    def bring_back(
        self, path: str, roots: Sequence[Descriptor], held: Iterable[HeldBlob], returned: Iterable[HeldBlob]
    ) -> FreshView:
        """As `ensure`, but what was never hidden is not looked for, so that nothing counts as missing."""
        return self._brought_back(_RestoringReader(self._source, path, held, returned), path, roots)

    def _brought_back(self, reader: _RestoringReader, path: str, roots: Sequence[Descriptor]) -> FreshView:
        blobs = reader.held_files()
        reader.absent({})
        graph = self._read(reader, path, roots, blobs)
        needed = graph.reach({root.digest: root.digest for root in roots}, blobs)
        restored = reader.restore(needed)
        if any(digest in blobs and file.size != blobs[digest].size for digest, file in restored.items()):
            graph = self._read(reader, path, roots, {**blobs, **restored})  # another one was in its place
        return FreshView((), restored, needed, (), reader.brought(), graph)

    def _read(
        self, reader: _RestoringReader, path: str, roots: Sequence[Descriptor], blobs: Mapping[Digest, StoredFile]
    ) -> Graph:
        return read_graph(reader, path, roots, reader.known(blobs), self._map, files=blobs)


class _RestoringReader:
    """A `LayoutReader` of one layout that brings a hidden manifest back when it is asked for."""

    def __init__(
        self, source: WritableSource, path: str, held: Iterable[HeldBlob], returned: Iterable[HeldBlob]
    ) -> None:
        self._files: FileWriter = source.files
        self._layouts: LayoutReader = source.open_layouts()
        self._path = path
        self._held = by_digest(held)
        self._copies = by_digest((*(blob for blobs in self._held.values() for blob in blobs), *returned))
        self._absent: frozenset[Digest] = frozenset()
        self._brought: dict[Digest, HeldBlob] = {}
        self._lock = threading.Lock()

    def held_files(self) -> dict[Digest, StoredFile]:
        """Everything that is in the quarantine; of several copies the one that comes back."""
        return {digest: _best_first(copies)[0].file for digest, copies in self._held.items()}

    def absent(self, blobs: Mapping[Digest, StoredFile]) -> None:
        """Note which of the hidden blobs the layout lacks."""
        self._absent = frozenset(self._copies.keys() - blobs.keys())

    def known(self, blobs: Mapping[Digest, StoredFile]) -> frozenset[Digest]:
        """What the layout has, or can have back."""
        return frozenset(blobs.keys() | self._held.keys())

    def restore(self, needed: Iterable[Digest]) -> dict[Digest, StoredFile]:
        """Bring back what is needed and hidden; what has come back by then, with its file."""
        back: dict[Digest, StoredFile] = {}
        for digest in needed:
            if digest in self._absent and (file := self._restore(digest)) is not None:
                back[digest] = file
        return back

    def brought(self) -> tuple[HeldBlob, ...]:
        """What came back; what was in its place already did not, nor what there is of other copies."""
        return tuple(blob for _, blob in sorted(self._brought.items()))

    def read_index(self, path: str) -> IndexFile:
        """See `LayoutReader.read_index`."""
        return self._layouts.read_index(path)

    def blob(self, path: str, descriptor: Descriptor) -> BlobContent:
        """See `LayoutReader.blob`."""
        if descriptor.digest in self._absent:
            with self._lock:
                self._restore(descriptor.digest)
        return self._layouts.blob(path, descriptor)

    def stat_blob(self, path: str, digest: Digest) -> BlobStat | None:
        """See `LayoutReader.stat_blob`."""
        return self._layouts.stat_blob(path, digest)

    def _restore(self, digest: Digest) -> StoredFile | None:
        place = below(self._path, blob_path(digest))
        if (present := self._files.stat_file(place)) is not None:
            return present
        for blob in _best_first(self._copies[digest]):
            if place in self._files.restore_files([place], blob.trash):
                self._brought[digest] = blob
                break
        return self._files.stat_file(place)


def _best_first(copies: Iterable[HeldBlob]) -> list[HeldBlob]:
    """Copies of one blob, the largest first, as a writer that dies leaves less; of old versions the newest."""
    newest = {blob.trash: blob for blob in sorted(copies, key=lambda blob: blob.since)}
    return sorted(newest.values(), key=lambda blob: (blob.file.size, blob.since), reverse=True)
