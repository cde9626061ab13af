"""Everything that a layout's index leads to: which manifest names which content.

Manifests are read whole and checked against their digest; what can't be read is noted, and whoever decides says
what that means. Only digests are kept of each, so that memory grows by the edges and not by the manifests.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from tasks.oci import media_types
from tasks.oci.errors import LayoutliftError, UnsupportedMediaTypeError
from tasks.operations.source.manifest_reading import read_part

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

    from tasks.file_ports import StoredFile
    from tasks.oci.descriptor import Descriptor
    from tasks.oci.digest import Digest
    from tasks.oci.manifest import Manifest
    from tasks.operations.work.concurrency import MapConcurrently
    from tasks.ports import LayoutReader

    _Named = tuple[Digest, str]


@dataclass(frozen=True, slots=True)
class Node:
    """What one manifest names: the content below it, and the subject that it refers to.

    `optional` are those below that may lawfully be absent.
    """

    below: tuple[Digest, ...] = ()
    subject: Digest | None = None
    is_index: bool = False
    optional: frozenset[Digest] = frozenset()

    def and_also(self, other: Node | None) -> Node:
        """What this names, and the other."""
        if other is None or other == self:
            return self
        below = tuple(dict.fromkeys((*self.below, *other.below)))
        required = {each for node in (self, other) for each in node.below if each not in node.optional}
        return Node(
            below, self.subject or other.subject, self.is_index or other.is_index, frozenset(below) - required
        )


@dataclass(frozen=True, slots=True)
class _Found:
    node: Node
    manifests: tuple[Descriptor, ...]
    subject: Descriptor | None
    altered: Mapping[Digest, str]


@dataclass(slots=True)
class Graph:
    """The manifests of a layout by digest, what kept others from being read, and content of a wrong size."""

    nodes: dict[Digest, Node] = field(default_factory=dict)
    unreadable: dict[Digest, LayoutliftError] = field(default_factory=dict)
    altered: dict[Digest, str] = field(default_factory=dict)

    def reach(self, roots: Mapping[Digest, str], present: Container[Digest]) -> dict[Digest, str]:
        """Everything that the roots need, each with the name of the root that needs it first.

        A manifest needs what it names, and its subject where the layout has that: clients copy it along.
        """
        found: dict[Digest, str] = {}
        self.reach_more(found, roots, present)
        return found

    def reach_more(
        self, found: dict[Digest, str], roots: Mapping[Digest, str], present: Container[Digest]
    ) -> list[Digest]:
        """Add what further roots need to what `reach` has found; all that is new in it, the roots included."""
        new = [digest for digest in roots if digest not in found]
        found.update(roots)
        pending = list(new)
        while pending:
            digest = pending.pop()
            node = self.nodes.get(digest)
            if node is None:
                continue
            for needed in self._needs(node, present):
                if needed not in found:
                    found[needed] = found[digest]
                    pending.append(needed)
                    new.append(needed)
        return new

    def named_by(self, roots: Iterable[Digest]) -> set[Digest]:
        """What the roots and their indexes name; a referrer keeps its subject from going but does not name it."""
        found = set(roots)
        pending = list(found)
        while pending:
            node = self.nodes.get(pending.pop())
            more = set(node.below) - found if node is not None else set()
            found |= more
            pending += more
        return found

    def leading_to(self, ends: Mapping[Digest, str], present: Container[Digest]) -> dict[Digest, str]:
        """The ends, and all that needs them at any depth, each with the name of one that it needs."""
        above: dict[Digest, list[Digest]] = {}
        for digest, node in self.nodes.items():
            for needed in self._needs(node, present):
                above.setdefault(needed, []).append(digest)
        found = dict(ends)
        pending = deque(found)
        while pending:
            digest = pending.popleft()
            for needing in above.get(digest, ()):
                if needing not in found:
                    found[needing] = found[digest]
                    pending.append(needing)
        return found

    def _needs(self, node: Node, present: Container[Digest]) -> Iterator[Digest]:
        yield from node.below
        if node.subject is not None and (node.subject in self.nodes or node.subject in present):
            yield node.subject

    def optional(self) -> set[Digest]:
        """What may lawfully be absent: no manifest names it as content that it can't do without."""
        needed = {digest for node in self.nodes.values() for digest in node.below if digest not in node.optional}
        return {digest for node in self.nodes.values() for digest in node.optional} - needed

    def parents(self) -> dict[Digest, set[Digest]]:
        """The indexes that list each manifest."""
        found: dict[Digest, set[Digest]] = {}
        for digest, node in self.nodes.items():
            if node.is_index:
                for child in node.below:
                    found.setdefault(child, set()).add(digest)
        return found


def read_graph(
    source: LayoutReader,
    path: str,
    roots: Iterable[Descriptor],
    present: Container[Digest],
    map_concurrently: MapConcurrently,
    *,
    files: Mapping[Digest, StoredFile] = MappingProxyType({}),
) -> Graph:
    """Read all manifests that the roots lead to, a level at a time; subjects where they are present.

    What manifests say of the size of content is compared with `files`, as far as these are given.
    """
    graph = Graph()
    level = {_named(root): root for root in roots}
    read: set[_Named] = set()
    while level:
        descriptors = list(level.values())
        read.update(level)
        level = {}
        for descriptor, found in zip(
            descriptors, map_concurrently(partial(_read, source, path, files), descriptors), strict=True
        ):
            if isinstance(found, LayoutliftError):
                graph.unreadable[descriptor.digest] = found
                continue
            graph.nodes[descriptor.digest] = found.node.and_also(graph.nodes.get(descriptor.digest))
            graph.altered.update(found.altered)
            level.update({_named(needed): needed for needed in found.manifests})
            if found.subject is not None and found.subject.digest in present:
                level[_named(found.subject)] = found.subject
        for known in level.keys() & read:
            del level[known]
    return graph


def _named(descriptor: Descriptor) -> _Named:
    """What is listed under two types is read as both: by one of them it may name what it does not by the other."""
    return descriptor.digest, descriptor.media_type


def _read(
    source: LayoutReader, path: str, files: Mapping[Digest, StoredFile], descriptor: Descriptor
) -> _Found | LayoutliftError:
    try:
        manifest = read_part(source, path, descriptor)
        return _found(manifest, dict(_altered(manifest, files)))
    except LayoutliftError as error:
        return error


def _altered(manifest: Manifest, files: Mapping[Digest, StoredFile]) -> Iterator[tuple[Digest, str]]:
    for named in manifest.blobs:
        file = files.get(named.digest)
        if file is not None and file.size != named.size:
            yield named.digest, f"has {file.size} bytes in place of {named.size}"


def _found(manifest: Manifest, altered: Mapping[Digest, str]) -> _Found:
    is_index = media_types.is_index(manifest.descriptor.media_type)
    if is_index:
        _refuse_unknown_children(manifest)
    node = Node(
        below=tuple(dict.fromkeys(d.digest for d in (*manifest.manifests, *manifest.blobs))),
        subject=manifest.subject.digest if manifest.subject else None,
        is_index=is_index,
        optional=frozenset(b.digest for b in manifest.blobs if media_types.may_be_absent(b.media_type)),
    )
    nested = tuple(b for b in manifest.blobs if media_types.is_manifest(b.media_type))
    return _Found(node, (*manifest.manifests, *nested), manifest.subject, altered)


def _refuse_unknown_children(manifest: Manifest) -> None:
    """What an index lists under a type that nobody knows is a leaf, unless it may list further content itself."""
    for child in manifest.blobs:
        if media_types.may_list_more(child.media_type):
            raise UnsupportedMediaTypeError(f"the index lists a {child.media_type}, whose content is not known")
