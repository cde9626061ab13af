"""Reads many manifests of one layout at once; those that can't be read are findings, and keep nothing else back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.oci import media_types
from tasks.oci.errors import TRANSIENT_CODES
from tasks.oci.manifest import Manifest
from tasks.operations.source.graph_walk import manifests_of
from tasks.operations.source.manifest_reading import BROKEN_AT_SOURCE, leaves_open, read_manifest
from tasks.operations.work.concurrency import map_in_rounds
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tasks.oci.descriptor import Descriptor
    from tasks.oci.digest import Digest
    from tasks.operations.work.concurrency import MapConcurrently
    from tasks.ports import LayoutReader


class ManyManifests:
    """Reads manifests of the layout at `path`, with a finding in `findings` for each that can't be read.

    To the `patient`, one that can't be read for the moment is none of these, and is raised; so is a source that is
    gone, to all.
    """

    def __init__(self, source: LayoutReader, path: str, map_concurrently: MapConcurrently, *, patient: bool) -> None:
        self.findings: list[Finding] = []
        self._source = source
        self._path = path
        self._map_concurrently = map_concurrently
        self._patient = patient

    def afresh(self) -> ManyManifests:
        """The same layout, of which nothing has been found yet."""
        return ManyManifests(self._source, self._path, self._map_concurrently, patient=self._patient)

    def read(self, descriptors: Iterable[Descriptor]) -> Iterator[Manifest]:
        """Those that can be read, in order.

        Raises:
            SourceError: the source is gone, or can't be read for the moment; see the class.
        """
        return (read for read in self.read_or_find(descriptors) if isinstance(read, Manifest))

    def read_or_find(self, descriptors: Iterable[Descriptor]) -> Iterator[Manifest | Finding]:
        """Of each descriptor, in order, the manifest or the finding.

        Raises:
            SourceError: as `read` does.
        """
        return map_in_rounds(self._map_concurrently, self._read_one, descriptors)

    def below(self, descriptors: Iterable[Descriptor]) -> Iterator[Digest]:
        """The manifests below those of these that are indexes.

        Raises:
            SourceError: as `read` does.
        """
        indexes = (each for each in descriptors if media_types.is_index(each.media_type))
        for manifest in manifests_of(indexes, self.read):
            yield from (child.digest for child in manifest.manifests)

    def _read_one(self, descriptor: Descriptor) -> Manifest | Finding:
        try:
            return read_manifest(self._source, self._path, descriptor)
        except BROKEN_AT_SOURCE as error:
            if leaves_open(error, patient=self._patient):
                raise
            finding = Finding(self._path, error.code, f"{descriptor.digest}: {error}")
            self.findings.append(finding)
            return finding


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
    manifests = ManyManifests(source, path, map_concurrently, patient=patient)
    children = frozenset(manifests.below(given))
    for finding in manifests.findings:
        if finding.code in TRANSIENT_CODES:
            tell(finding)
    return children
