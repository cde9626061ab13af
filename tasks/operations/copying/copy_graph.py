"""Copies the graph below a manifest: children first, the manifest itself last, referrers with it.

Every manifest and blob is sent once a run into each repository, however many tags reach it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tasks.oci.errors import (
    LayoutliftError,
    ManifestRefusedError,
    MissingReferencedContentError,
    SourceUnavailableError,
)
from tasks.oci.media_types import is_index
from tasks.operations.copying.blob_copy import BlobCopy
from tasks.operations.referrers.graph_lists import GraphLists
from tasks.operations.source.graph_walk import (
    BROKEN_AT_SOURCE,
    MAX_NESTING,
    check_nesting,
    reached_from,
    referrers_of,
)
from tasks.operations.source.manifest_reading import read_child, read_manifest
from tasks.ports import BlobArrival, Finding, RemoteManifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tasks.oci.descriptor import Descriptor
    from tasks.oci.digest import Digest
    from tasks.oci.manifest import Manifest
    from tasks.operations.copying.copy_tools import CopyTools
    from tasks.operations.referrers.referrer_lists import ReferrerListing
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


def _always(_: str) -> bool:
    return True


class RepositoryCopy:
    """Copies from one layout into one repository of the target; shared by all workers on it.

    `new` says that the repository has no tag yet, so that few blobs need to be asked for first.
    """

    def __init__(
        self, tools: CopyTools, inventory: RepositoryInventory, repository: str, *, new: bool, referrers: bool = True
    ) -> None:
        self._tools = tools
        self._path = inventory.path
        self._referrers = inventory.referrers if referrers else {}
        self._repository = repository
        self.blobs = BlobCopy(tools, inventory.path, repository, new=new)
        self._children: dict[Digest, tuple[Descriptor, ...]] = {}
        self._lists = GraphLists(tools.lists, repository, self._note)
        self.findings: dict[Finding, None] = {}
        """In the order in which they came; units may share what is found."""

    def copy(
        self,
        root: Descriptor,
        tags: Sequence[str],
        may_write: Callable[[str], bool] = _always,
        *,
        patient: bool = False,
    ) -> Copied:
        """Copy the graph of `root` and have it under each of `tags`, or by its digest alone without any.

        Each tag is written only if `may_write` says so, which is asked when nothing else is left to do.
        A referrer that can't be copied is a finding; the tag is good without it. To the `patient`, one that can't
        be read for the moment is not, and is raised, here and below.

        Raises:
            LayoutliftError: something below `root` can't be read or sent; no tag was written then.
        """
        manifest = self._copy_below(root, 0)
        reached = self._reached(root)
        followed = [digest for digest in reached if digest in self._referrers]
        if followed or not tags or manifest.subject is not None:
            self._push(manifest, root.digest)
        count = self._copy_referrers(followed, patient=patient)
        self._lists.list_subjects(reached)
        failed: dict[str, LayoutliftError] = {}
        for tag in tags:
            try:
                if may_write(tag):
                    self._push(manifest, tag)
            except LayoutliftError as error:
                failed[tag] = error
        return Copied(tuple(reached), count, failed)

    def copy_referrer_list(self, subject: Digest, members: Sequence[Descriptor]) -> ReferrerListing:
        """Copy the members of a list of referrers, and have the target list them.

        Raises:
            LayoutliftError: a member can't be read or sent.
        """
        for member in members:
            self._ensure_manifest(0, member)
        return self._lists.ensure(subject, members)

    def complete_referrer_list(
        self, subject: Digest, members: Sequence[Descriptor], *, ask: bool, patient: bool = False
    ) -> bool:
        """Have there, and listed, what refers to members of a list; whether all of it is.

        `ask` for what the target may have already.
        """
        for member in members if ask else ():
            self._read_links(member)
        reached = [digest for member in members for digest in self.closure(member)]
        self._lists.list_subjects(reached, but=subject)
        expected = referrers_of(reached, self._referrers, self._held_by)
        return self._copy_referrers(reached, ask=ask, patient=patient) == len(expected)

    def complete_referrers(self, root: Descriptor, *, patient: bool = False) -> int:
        """Have all referrers of a graph that is at the target already there and listed; how many of them are.

        What of the graph itself refers to something is listed too.
        """
        self._read_links(root)
        self._lists.list_subjects(self._reached(root))
        if not self._referrers:
            return 0
        followed = [digest for digest in self.closure(root) if digest in self._referrers]
        return self._copy_referrers(followed, ask=True, patient=patient)

    def referrers_of(self, root: Descriptor) -> list[Descriptor]:
        """The referrers that the source has for the graph of `root`, those of referrers included."""
        return referrers_of(self.closure(root), self._referrers, self._held_by) if self._referrers else []

    def is_listed(self, root: Descriptor) -> bool:
        """Whether what refers to something in the graph of `root`, or in its referrers, is listed, as last asked."""
        graphs = (root, *self.referrers_of(root)) if self._lists.lacks_some else ()
        return all(self._lists.are_listed(self._held_by(each)) for each in graphs)

    def _held_by(self, referrer: Descriptor) -> tuple[Digest, ...]:
        """What a referrer is made of, all of which may have referrers; itself alone where it can't be read."""
        try:
            return self.closure(referrer)
        except BROKEN_AT_SOURCE:
            return (referrer.digest,)

    def closure(self, root: Descriptor) -> tuple[Digest, ...]:
        """The digests of all manifests below `root`, it first, read from the source where not known yet."""
        level = [root]
        for _ in range(MAX_NESTING + 1):
            for descriptor in level:
                if descriptor.digest not in self._children and is_index(descriptor.media_type):
                    self._note_links(read_manifest(self._tools.source, self._path, descriptor))
            below = {child.digest: child for d in level for child in self._children.get(d.digest, ())}
            level = list(below.values())
        return tuple(self._reached(root))

    def _copy_below(self, descriptor: Descriptor, depth: int) -> Manifest:
        check_nesting(depth)
        read = read_child if depth else read_manifest
        manifest = read(self._tools.source, self._path, descriptor)
        self._note_links(manifest)
        self._tools.hands.map(partial(self._ensure_manifest, depth + 1), manifest.manifests)
        self.blobs.ensure(manifest.blobs)
        return manifest

    def _note_links(self, manifest: Manifest) -> None:
        if manifest.manifests:
            self._children[manifest.descriptor.digest] = manifest.manifests
        self._lists.note_subject(manifest)

    def _read_links(self, root: Descriptor) -> None:
        """Read all manifests below `root`; of one that can't be read, it is the target's copy that counts."""
        level, seen = [root], {root.digest}
        while level:
            children = [child for below in self._tools.hands.map(self._children_of, level) for child in below]
            level = list({child.digest: child for child in children if child.digest not in seen}.values())
            seen.update(child.digest for child in level)

    def _children_of(self, descriptor: Descriptor) -> tuple[Descriptor, ...]:
        try:
            manifest = read_manifest(self._tools.source, self._path, descriptor)
        except BROKEN_AT_SOURCE:
            return ()
        self._note_links(manifest)
        return manifest.manifests

    def _reached(self, root: Descriptor) -> list[Digest]:
        return reached_from(root.digest, lambda digest: (child.digest for child in self._children.get(digest, ())))

    def _ensure_manifest(self, depth: int, descriptor: Descriptor) -> None:
        def push(_: str | None) -> BlobArrival:
            self._push(self._copy_below(descriptor, depth), descriptor.digest)
            return BlobArrival.PUSHED

        self._tools.manifests.ensure(self._repository, descriptor, push)

    def _push(self, manifest: Manifest, reference: str) -> None:
        remote = RemoteManifest(manifest.raw, manifest.descriptor.media_type)
        try:
            self._tools.target.push_manifest(self._repository, reference, remote)
        except MissingReferencedContentError as error:
            vague = set(error.codes) == {MANIFEST_INVALID}
            self._send_children_again(manifest, surely=not vague)
            self._push_again(remote, reference)

    def _push_again(self, remote: RemoteManifest, reference: str) -> None:
        try:
            self._tools.target.push_manifest(self._repository, reference, remote)
        except MissingReferencedContentError as error:
            if MANIFEST_INVALID not in error.codes:
                raise
            raise ManifestRefusedError(str(error), status=error.status, codes=error.codes) from error

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

    def _copy_referrers(self, subjects: Iterable[Digest], *, ask: bool = False, patient: bool = False) -> int:
        """Copy all referrers of `subjects` and theirs, breadth first; each is visited once."""
        pending = deque(subjects)
        visited: set[Digest] = set()
        count = 0
        while pending:
            subject = pending.popleft()
            if subject in visited:
                continue
            visited.add(subject)
            copy = partial(self._copy_referrer, subject, ask=ask, patient=patient)
            copied = [referrer for referrer in self._referrers.get(subject, ()) if copy(referrer)]
            if copied and self._lists.ensure_all(subject, copied):
                count += len(copied)
            reached = [digest for referrer in copied for digest in self._reached(referrer)]
            self._lists.list_subjects(set(reached) - {referrer.digest for referrer in copied})
            pending.extend(reached)
        return count

    def _copy_referrer(self, subject: Digest, referrer: Descriptor, *, ask: bool, patient: bool) -> bool:
        try:
            if ask and self._is_there(referrer):
                self._read_links(referrer)
            else:
                self._ensure_manifest(0, referrer)
        except BROKEN_AT_SOURCE as error:
            if isinstance(error, SourceUnavailableError) or (patient and error.transient):
                raise
            self._note(error.code, f"{referrer.digest}, a referrer of {subject}: {error}")
            return False
        return True

    def _is_there(self, referrer: Descriptor) -> bool:
        resolve = self._tools.target.resolve_manifest
        return all(resolve(self._repository, digest) == digest for digest in self.closure(referrer))

    def _note(self, code: str, message: str) -> None:
        self.findings[Finding(self._path, code, message)] = None
