"""Copies the graph below a manifest: children first, the manifest itself last, referrers with it.

Every manifest and blob is sent once a run into each repository, however many tags reach it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tasks.oci.errors import LayoutliftError, ManifestRefusedError, MissingReferencedContentError
from tasks.oci.reference import referrers_tag
from tasks.operations.copying.blob_copy import BlobCopy
from tasks.operations.copying.referrer_copy import ReferrerCopy
from tasks.operations.referrers.graph_lists import GraphLists
from tasks.operations.source.graph_links import GraphLinks
from tasks.operations.source.graph_walk import check_nesting
from tasks.operations.source.manifest_reading import BROKEN_AT_SOURCE, leaves_open, read_child, read_manifest
from tasks.ports import BlobArrival, Finding, RemoteManifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tasks.oci.descriptor import Descriptor
    from tasks.oci.digest import Digest
    from tasks.oci.manifest import Manifest
    from tasks.operations.copying.copy_tools import CopyTools
    from tasks.operations.reports.results import RepositoryInventory

MANIFEST_INVALID = "MANIFEST_INVALID"


@dataclass(frozen=True, slots=True)
class Copied:
    """What one copy came to: the digests of the manifests in the graph, its root first, and its referrers.

    `failed` are tags that the target did not take, though it has the graph.
    """

    manifests: tuple[Digest, ...]
    referrers: int
    failed: Mapping[str, LayoutliftError]


class RepositoryCopy:
    """Copies from one layout into one repository of the target; shared by all workers on it.

    `new` says that the repository has no tag yet, so that few blobs need to be asked for first, `referrers` that
    what refers to a graph goes with it, and `opened` that what the target says it has is looked into.
    """

    def __init__(
        self,
        tools: CopyTools,
        inventory: RepositoryInventory,
        repository: str,
        *,
        new: bool,
        referrers: bool,
        opened: bool,
    ) -> None:
        self._tools = tools
        self._path = inventory.path
        self._repository = repository
        self.blobs = BlobCopy(tools, inventory.path, repository, new=new, opened=opened)
        tagged = ((entry.tag, entry.descriptor.digest) for entry in inventory.tags)
        own_names = frozenset(digest for tag, digest in tagged if tag == referrers_tag(digest))
        self._lists = GraphLists(tools.lists, repository, self._note, own_names)
        followed = inventory.referrers if referrers else {}
        self.links = GraphLinks(tools.source, inventory.path, followed, tools.hands, self._lists.subjects.note)
        self.referrers = ReferrerCopy(
            self.links,
            self._lists,
            send=partial(self._ensure_manifest, 0),
            is_there=self._are_there,
            note=self._note,
        )
        self.findings: dict[Finding, None] = {}
        """In the order in which they came; units may share what is found."""

    def copy(
        self, root: Descriptor, tags: Sequence[str], may_write: Callable[[str], bool], *, patient: bool
    ) -> Copied:
        """Copy the graph of `root` and have it under each of `tags`, or by its digest alone without any.

        Each tag is written only if `may_write` says so, which is asked when nothing else is left to do, before each
        attempt.
        A referrer that can't be copied is a finding; the tag is good without it. To the `patient`, one that can't
        be read for the moment is not, and is raised.

        Raises:
            LayoutliftError: something below `root` can't be read or sent; no tag was written then.
        """
        manifest = self._copy_below(root, 0)
        reached = self.links.reached(root)
        followed = self.links.subjects_among(reached)
        if followed or not tags or manifest.subject is not None:
            self._push(manifest, root.digest)
        count = self.referrers.copy(followed, patient=patient)
        self._lists.list_subjects(reached)
        failed: dict[str, LayoutliftError] = {}
        for tag in tags:
            try:
                self._push(manifest, tag, partial(may_write, tag))
            except LayoutliftError as error:
                failed[tag] = error
        return Copied(tuple(reached), count, failed)

    def send_missing(self, descriptor: Descriptor) -> None:
        """Have a manifest of the layout there by its digest, whatever the target said of it before.

        Raises:
            LayoutliftError: it can't be sent, or read for the moment.
        """
        if self._are_there((descriptor.digest,)):
            return
        self._tools.manifests.doubt(self._repository, descriptor)
        try:
            self._ensure_manifest(0, descriptor)
        except BROKEN_AT_SOURCE as error:
            if leaves_open(error, patient=True):
                raise  # what the layout has not whole, no graph of it needs; this may be whole

    def _copy_below(self, descriptor: Descriptor, depth: int) -> Manifest:
        check_nesting(depth)
        read = read_child if depth else read_manifest
        manifest = read(self._tools.source, self._path, descriptor)
        self.links.note(manifest)
        self._tools.hands.map(partial(self._ensure_manifest, depth + 1), manifest.manifests)
        self.blobs.ensure(manifest.blobs)
        return manifest

    def _ensure_manifest(self, depth: int, descriptor: Descriptor) -> None:
        def push(_: str | None) -> BlobArrival:
            self._push(self._copy_below(descriptor, depth), descriptor.digest)
            return BlobArrival.PUSHED

        self._tools.manifests.ensure(self._repository, descriptor, push)

    def _push(self, manifest: Manifest, reference: str, may_write: Callable[[], bool] | None = None) -> None:
        """Have a manifest there under its digest, or under a tag if it still `may_write` that."""
        remote, target = RemoteManifest(manifest.raw, manifest.descriptor.media_type), self._tools.target
        if may_write is None:
            push: Callable[[], object] = partial(target.push_manifest, self._repository, reference, remote)
        else:
            push = partial(target.push_tag, self._repository, reference, remote, may_write)
        try:
            push()
        except MissingReferencedContentError as error:
            vague = set(error.codes) == {MANIFEST_INVALID}
            self._send_children_again(manifest, surely=not vague)
            _push_again(push)

    def _send_children_again(self, manifest: Manifest, *, surely: bool) -> None:
        """The target misses something that it said it has: `surely` trusts nothing that it said of the children.

        A vague answer may as well mean that the manifest is of a kind that the target does not take; then only
        what it says it misses is sent.
        """
        for blob in manifest.blobs:
            self.blobs.send_again(blob, surely=surely)
        for child in manifest.manifests:
            self._tools.manifests.doubt(self._repository, child)
            self._ensure_manifest(0, child)

    def _are_there(self, manifests: Iterable[Digest]) -> bool:
        resolve = self._tools.target.resolve_manifest
        return all(resolve(self._repository, digest) == digest for digest in manifests)

    def _note(self, code: str, message: str) -> None:
        self.findings[Finding(self._path, code, message)] = None


def _push_again(push: Callable[[], object]) -> None:
    try:
        push()
    except MissingReferencedContentError as error:
        if MANIFEST_INVALID not in error.codes:
            raise
        raise ManifestRefusedError(str(error), status=error.status, codes=error.codes) from error
