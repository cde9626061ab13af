"""Strays: entries of an index that nothing holds, as they have neither a tag nor anything that they belong to.

A manifest whose tag moved away is one, and a referrer whose subject is gone. Since when they are is in no file of a
layout, so whoever applies a plan notes which it saw. An index that nobody has written since tells of them as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.file_ports import below
from tasks.oci.image_layout import INDEX
from tasks.operations.choosing.ages import credible_time
from tasks.operations.cleanup.records.marks import STRAYS, Mark, read_marks, still_marked, write_marks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tasks.file_ports import FileReader, FileWriter, StoredFile
    from tasks.oci.digest import Digest
    from tasks.operations.cleanup.layout.graph import Graph
    from tasks.operations.cleanup.layout.layout_view import Entry, LayoutView


@dataclass(frozen=True, slots=True)
class Belonging:
    """What the entries of an index belong to.

    `parents` maps a manifest to the indexes that list it, `tagged` has a tag, and `named` are all entries with what
    those need that are no referrers. Without `has_images` nothing surely is more than a referrer: where signatures
    have a repository of their own, what they are of lies elsewhere.
    """

    graph: Graph
    parents: Mapping[Digest, set[Digest]]
    tagged: frozenset[Digest]
    named: frozenset[Digest]
    has_images: bool

    @classmethod
    def of(cls, entries: Sequence[Entry], graph: Graph, blobs: Mapping[Digest, StoredFile]) -> Belonging:
        """Of an index with these entries, in a layout with these blobs."""
        wanted = {entry.digest: "" for entry in entries if not _subjects(entry, graph)}
        named = frozenset(graph.reach(wanted, blobs)) | {entry.digest for entry in entries}
        tagged = frozenset(entry.digest for entry in entries if entry.ref_name is not None)
        has_images = any(_is_image(entry, graph) for entry in entries)
        return cls(graph, graph.parents(), tagged, named, has_images)

    def subjects(self, entry: Entry) -> tuple[Digest, ...]:
        """What an entry refers to and lives with; a tag of its own makes a manifest one that is wanted itself.

        By its name and in its manifest it may refer to two things, and then lives as long as either.
        """
        return _subjects(entry, self.graph)

    def is_part(self, entry: Entry) -> bool:
        """Whether it is in the index only because an index of the layout lists it."""
        return entry.ref_name is None and entry.digest in self.parents

    def is_stray(self, entry: Entry) -> bool:
        """Whether nothing holds it."""
        if subjects := self.subjects(entry):
            return self.named.isdisjoint(subjects)
        return entry.ref_name is None and entry.digest not in self.tagged and entry.digest not in self.parents


def subject_in_manifest(entry: Entry, graph: Graph) -> Digest | None:
    """The subject that the manifest of an entry names."""
    node = graph.nodes.get(entry.digest)
    return None if node is None else node.subject


def _subjects(entry: Entry, graph: Graph) -> tuple[Digest, ...]:
    if entry.refers_to is None and entry.ref_name is not None:
        return ()
    return _all_subjects(entry, graph)


def _all_subjects(entry: Entry, graph: Graph) -> tuple[Digest, ...]:
    found = (entry.refers_to, subject_in_manifest(entry, graph))
    return tuple(subject for subject in found if subject is not None)


def _is_image(entry: Entry, graph: Graph) -> bool:
    """Whether it surely is one: a signature or SBOM whose tag moved on looks as an image without a tag does.

    It may be signed, too. So does, as an index, a list of referrers that another replaced.
    """
    if _all_subjects(entry, graph):
        return False
    if entry.ref_name is not None:
        return True
    node = graph.nodes.get(entry.digest)
    children = node.below if node is not None and node.is_index else ()
    return any(child in graph.nodes and graph.nodes[child].subject is None for child in children)


def stray_since(files: FileReader, view: LayoutView, graph: Graph, now: float) -> Mapping[Digest, float]:
    """Since when each stray of a layout is known to be one, `now` where nothing tells; none whose age is not known.

    Raises:
        SourceError: that can't be read.
    """
    strays = _strays(view.entries, graph, view.blobs)
    if not strays:
        return {}
    notes = read_marks(files, view.path, STRAYS)
    index = files.stat_file(below(view.path, INDEX))  # read before: one that was written since is only younger
    written = None if index is None else credible_time(index.modified, now)
    return {
        digest: max(file.modified, _first_seen(file, notes.get(digest), written, now))
        for digest, file in strays.items()
        if credible_time(file.modified, now) is not None
    }


def _first_seen(file: StoredFile, note: Mark | None, written: float | None, now: float) -> float:
    noted = note.since if note is not None and note.is_of(file) else None
    return min(when for when in (noted, written, now) if when is not None)


def note_strays(
    files: FileWriter, path: str, entries: Sequence[Entry], graph: Graph, blobs: Mapping[Digest, StoredFile]
) -> None:
    """Note which entries nothing holds, and that it is so from now on, unless an earlier run has noted that already.

    A note of the future was made by a clock that was wrong, and made anew.

    Raises:
        SourceError: see `write_marks`.
    """
    strays = _strays(entries, graph, blobs)
    now = files.now() if strays else 0.0
    known = still_marked(read_marks(files, path, STRAYS), strays, ())
    notes = {digest: note for digest, note in known.items() if note.since <= now}
    write_marks(files, path, {digest: Mark.of(file, now) for digest, file in strays.items()} | notes, STRAYS)


def _strays(
    entries: Sequence[Entry], graph: Graph, blobs: Mapping[Digest, StoredFile]
) -> Mapping[Digest, StoredFile]:
    belonging = Belonging.of(entries, graph, blobs)
    found = [entry.digest for entry in entries if belonging.is_stray(entry)]
    return {digest: blobs[digest] for digest in found if digest in blobs}
