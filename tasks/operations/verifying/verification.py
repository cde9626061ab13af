"""Proves that a target holds what a source says, to a chosen depth.

`manifest`: every manifest of the graph is there by tag and digest. `blobs`: so is every blob, in its size.
`content`: all of it was read back and hashes to its digest.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tasks.oci.digest import Digest
from tasks.oci.errors import (
    ContentError,
    ContentNotFoundError,
    DamagedAtTargetError,
    DifferentAtTargetError,
    MissingAtTargetError,
    SizeMismatchError,
)
from tasks.oci.manifest import Manifest, parse_manifest
from tasks.oci.media_types import may_be_absent
from tasks.operations.referrers.subjects import Subjects
from tasks.operations.reports.results import Depth
from tasks.operations.source.graph_walk import reached_from
from tasks.operations.work.content_proof import AS_IT_IS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from tasks.oci.descriptor import Descriptor
    from tasks.operations.work.content_proof import ContentProof
    from tasks.operations.work.spare_hands import SpareHands
    from tasks.ports import LayoutReader, Target


def in_layout(source: LayoutReader, path: str) -> Callable[[Digest], bool]:
    """Tells whether the layout at `path` has a blob."""
    return lambda digest: source.stat_blob(path, digest) is not None


class RepositoryVerifier:
    """Verifies graphs in one repository of the target; what tags share is looked at once.

    `pushed` says that the tags are what was pushed just now; content is read back by `proof`. What the target need
    not have is missed only where it `is_at_source`. `subjects` has those of what was verified.
    """

    def __init__(
        self,
        target: Target,
        repository: str,
        depth: Depth,
        hands: SpareHands,
        *,
        pushed: bool = False,
        proof: ContentProof = AS_IT_IS,
        is_at_source: Callable[[Digest], bool] = lambda _: False,
    ) -> None:
        self._target = target
        self._repository = repository
        self._depth = depth
        self._hands = hands
        self._pushed = pushed
        self._proof = proof
        self._is_at_source = is_at_source
        self._lock = threading.Lock()
        self._verified: set[tuple[Digest, object]] = set()
        """Manifests by type and size, blobs by size: each may be a lie."""
        self._absent: set[Digest] = set()
        """What may be absent, and is on both sides."""
        self._children: dict[Digest, tuple[Digest, ...]] = {}
        self.subjects = Subjects()

    def verify_presence(self, tags: Collection[str], manifests: Iterable[Digest]) -> None:
        """Ask, without reading anything, whether the tags point at the first of `manifests` and all are there.

        This does not count as a pull; it is what a migration does for what it has just sent.

        Raises:
            MissingAtTargetError: a tag or manifest is not at the target.
            DifferentAtTargetError: a tag points at something else.
        """
        root, *below = manifests
        for tag in tags:
            self._check_tag(tag, root)
        for digest in below if tags else (root, *below):
            if (digest, None) in self._verified:
                continue
            actual = self._target.resolve_manifest(self._repository, digest)
            if actual is None:
                raise MissingAtTargetError(f"the target does not have the manifest {digest}")
            if actual != digest and actual.algorithm == digest.algorithm:
                raise DifferentAtTargetError(f"the target answers {actual} when asked for the manifest {digest}")
            self._note([(digest, None)])

    def note_presence(self, manifest: Digest) -> None:
        """Take it as there: the target was just asked for it, and answered with this digest."""
        self._note([(manifest, None)])

    def verify_graph(self, root: Descriptor, tag: str | None) -> None:
        """Verify the graph of `root`, by `tag` where one is given, to the depth of this verifier.

        Manifests are read back and hashed at every depth, so that a registry which only says that it has them
        is found out.

        Raises:
            MissingAtTargetError: something of the graph is not at the target.
            DifferentAtTargetError: something at the target is not what it should be.
            DamagedAtTargetError: a blob is altered or cut short there.
            SizeMismatchError: a manifest, or a blob that was found whole, is said to have another size.
        """
        if tag is not None:
            self._check_tag(tag, root.digest)
        pending = [root]
        seen: dict[tuple[Digest, object], None] = {}
        while pending:
            descriptor = pending.pop()
            key = (descriptor.digest, (descriptor.media_type, descriptor.size))
            if key in self._verified or key in seen:
                continue
            manifest = self._read_back(descriptor)
            if descriptor is not root:  # what lists that stays at the source
                _check_size(manifest)
            seen[descriptor.digest, (descriptor.media_type, len(manifest.raw))] = None
            pending.extend(manifest.manifests)
            self.subjects.note(manifest)
            if manifest.manifests:
                self._children[descriptor.digest] = tuple(child.digest for child in manifest.manifests)
            if self._depth.includes(Depth.BLOBS):
                self._hands.map(self._verify_blob, manifest.blobs)
        self._note(seen)  # only now: what shares a broken part with this graph must find it too

    def closure(self, root: Descriptor) -> list[Digest]:
        """The digests of all manifests below a root that was verified, it first."""
        return reached_from(root.digest, lambda digest: self._children.get(digest, ()))

    def _check_tag(self, tag: str, expected: Digest) -> None:
        if self._pushed:
            actual = self._target.resolve_pushed(self._repository, tag, expected)
        else:
            actual = self._target.resolve_manifest(self._repository, tag)
        if actual is None:
            raise MissingAtTargetError(f"the target does not have the tag {tag}")
        if actual != expected:
            raise DifferentAtTargetError(f"the target has {actual} under the tag {tag}, not {expected}")

    def _read_back(self, descriptor: Descriptor) -> Manifest:
        remote = self._target.fetch_manifest(self._repository, descriptor.digest)
        if remote is None:
            raise MissingAtTargetError(f"the target does not have the manifest {descriptor.digest}")
        if Digest.of(remote.raw, descriptor.digest.algorithm) != descriptor.digest:
            raise DifferentAtTargetError(f"the target answers other bytes for the manifest {descriptor.digest}")
        if remote.media_type and remote.media_type != descriptor.media_type:
            raise DifferentAtTargetError(
                f"the target gives {descriptor.digest} the type {remote.media_type}, not {descriptor.media_type}"
            )
        return parse_manifest(remote.raw, descriptor)

    def _verify_blob(self, blob: Descriptor) -> None:
        if (blob.digest, blob.size) in self._verified:
            return
        try:
            self._look_at(blob)
        except DamagedAtTargetError as error:
            if (size := self._size_verified(blob.digest)) is None:
                raise
            said = f"the blob {blob.digest} has {size} bytes at the target, a descriptor says {blob.size}"
            raise SizeMismatchError(said) from error

    def _size_verified(self, blob: Digest) -> int | None:
        """The size in which a blob was found whole, if it was; a descriptor with another one is what is wrong."""
        with self._lock:
            return next((of for digest, of in self._verified if digest == blob and isinstance(of, int)), None)

    def _look_at(self, blob: Descriptor) -> None:
        if not self._target.has_blob(self._repository, blob):
            if may_be_absent(blob.media_type) and self._is_absent(blob.digest):
                return
            raise MissingAtTargetError(f"the target does not have the blob {blob.digest}")
        if self._depth is Depth.CONTENT:
            self._prove(blob)
        self._note([(blob.digest, blob.size)])

    def _is_absent(self, blob: Digest) -> bool:
        """Whether the source lacks a blob, too; found out once, as a mount is asked again and again for such."""
        if blob not in self._absent and not self._is_at_source(blob):
            self._absent.add(blob)
        return blob in self._absent

    def _prove(self, blob: Descriptor) -> None:
        """Read a blob back, and say of what is wrong with it that it is so at the target."""
        try:
            self._proof.prove(self._target.fetch_blob(self._repository, blob))
        except ContentNotFoundError as error:
            raise MissingAtTargetError(
                f"the target says that it has the blob {blob.digest}, and does not give it"
            ) from error
        except ContentError as error:
            raise DamagedAtTargetError(f"at the target, {error}") from error

    def _note(self, verified: Iterable[tuple[Digest, object]]) -> None:
        with self._lock:
            self._verified.update(verified)


def _check_size(manifest: Manifest) -> None:
    named, size = manifest.descriptor, len(manifest.raw)
    if size != named.size:
        said = f"the manifest {named.digest} has {size} bytes at the target, an index says {named.size}"
        raise SizeMismatchError(said)
