"""A source and a target in memory: what the contract asks for in its plainest form, for tests."""

from __future__ import annotations

import contextlib
import io
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.file_ports import below
from tasks.oci import image_layout
from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import (
    ContentNotFoundError,
    DamagedAtTargetError,
    ManifestRefusedError,
    MissingReferencedContentError,
    SpecError,
)
from tasks.oci.manifest import Manifest, parse_manifest
from tasks.oci.registry_profiles import GENERIC, RegistryProfile
from tasks.ports import BlobArrival, BlobStat, IndexFile, RemoteManifest
from tasks.registry_ports import Deletion
from tasks.stores.bucket.bucket_search import KeySearch
from tasks.stores.verified_content import VerifiedContent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tasks.ports import BlobContent, Finding


class MemorySource:
    """A `Source` over files held in a mapping, by their paths below the source."""

    def __init__(self, files: Mapping[str, bytes], modified: float = 0.0) -> None:
        self._files = files
        self._modified = modified

    def list_layouts(self) -> Iterator[str | Finding]:
        """See `Source.list_layouts`."""
        search = KeySearch("")
        for path, raw in self._files.items():
            search.add(path, ("", len(raw)))
        yield from search.layouts()

    def read_index(self, path: str) -> IndexFile:
        """See `LayoutReader.read_index`."""
        image_layout.check_marker(self._file(path, image_layout.MARKER))
        raw = self._file(path, image_layout.INDEX)
        return IndexFile(raw, Digest.of(raw))

    def blob(self, path: str, descriptor: Descriptor) -> VerifiedContent:
        """See `LayoutReader.blob`."""
        return _content(descriptor, self._files.get(below(path, image_layout.blob_path(descriptor.digest))))

    def stat_blob(self, path: str, digest: Digest) -> BlobStat | None:
        """See `LayoutReader.stat_blob`."""
        raw = self._files.get(below(path, image_layout.blob_path(digest)))
        return None if raw is None else BlobStat(len(raw), self._modified)

    def _file(self, path: str, name: str) -> bytes:
        try:
            return self._files[below(path, name)]
        except KeyError as error:
            raise image_layout.missing(name) from error


@dataclass(slots=True)
class _Repository:
    blobs: dict[Digest, bytes] = field(default_factory=dict)
    manifests: dict[Digest, Manifest] = field(default_factory=dict)
    tags: dict[str, Digest] = field(default_factory=dict)


class MemoryTarget:
    """A `Target` that is as strict as a registry may be: whatever a manifest refers to must be there."""

    def __init__(
        self,
        host: str = "memory",
        profile: RegistryProfile = GENERIC,
        *,
        referrers_api: bool = True,
        deletes_tags: bool = True,
        deletes: bool = True,
    ) -> None:
        """Without `deletes_tags` it deletes by digest only, with all tags of it."""
        self.host = host
        self.profile = profile
        self._deletes_tags = deletes_tags
        self._deletes = deletes
        self.requests_made = 0
        self._referrers_api = referrers_api
        self._repositories: dict[str, _Repository] = {}
        self._lock = threading.Lock()

    def list_tags(self, repository: str) -> frozenset[str]:
        """See `ManifestResolver.list_tags`."""
        return frozenset(self._asked(repository).tags)

    def resolve_manifest(self, repository: str, reference: str) -> Digest | None:
        """See `ManifestResolver.resolve_manifest`."""
        manifest = self._manifest(repository, reference)
        return None if manifest is None else manifest.descriptor.digest

    def resolve_pushed(self, repository: str, tag: str, digest: Digest) -> Digest | None:
        """See `ManifestResolver.resolve_pushed`."""
        return self.resolve_manifest(repository, tag)

    def has_blob(self, repository: str, descriptor: Descriptor) -> bool:
        """See `ManifestResolver.has_blob`."""
        raw = self._asked(repository).blobs.get(descriptor.digest)
        if raw is not None and len(raw) != descriptor.size:
            raise DamagedAtTargetError(f"the target has {descriptor.digest} with {len(raw)} bytes")
        return raw is not None

    def fetch_manifest(self, repository: str, reference: str) -> RemoteManifest | None:
        """See `Target.fetch_manifest`."""
        manifest = self._manifest(repository, reference)
        return None if manifest is None else RemoteManifest(manifest.raw, manifest.descriptor.media_type)

    def fetch_blob(self, repository: str, descriptor: Descriptor) -> VerifiedContent:
        """See `Target.fetch_blob`."""
        return _content(descriptor, self._asked(repository).blobs.get(descriptor.digest))

    def list_referrers(self, repository: str, subject: Digest) -> frozenset[Digest] | None:
        """See `ManifestResolver.list_referrers`."""
        stored = self._asked(repository)
        if not self._referrers_api:
            return None
        with self._lock:
            manifests = tuple(stored.manifests.values())
        return frozenset(
            m.descriptor.digest for m in manifests if m.subject is not None and m.subject.digest == subject
        )

    def push_blob(self, repository: str, content: BlobContent, mount_from: str | None = None) -> BlobArrival:
        """See `Target.push_blob`."""
        digest = content.descriptor.digest
        stored = self._asked(repository)
        if digest in stored.blobs:
            return BlobArrival.PRESENT
        if mount_from is not None and (mounted := self._asked(mount_from).blobs.get(digest)) is not None:
            stored.blobs[digest] = mounted
            return BlobArrival.MOUNTED
        stored.blobs[digest] = content.read()
        return BlobArrival.PUSHED

    def push_manifest(self, repository: str, reference: str, manifest: RemoteManifest) -> None:
        """See `Target.push_manifest`."""
        stored = self._asked(repository)
        digest = Digest.or_none(reference) or Digest.of(manifest.raw)
        if Digest.of(manifest.raw, digest.algorithm) != digest:
            raise ManifestRefusedError(f"{reference} is not the digest of the manifest", status=400)
        try:
            parsed = parse_manifest(manifest.raw, Descriptor(manifest.media_type, digest, len(manifest.raw)))
        except SpecError as error:
            raise ManifestRefusedError(str(error), status=400) from error
        missing = [blob.digest for blob in parsed.blobs if blob.digest not in stored.blobs]
        missing += [child.digest for child in parsed.manifests if child.digest not in stored.manifests]
        if missing:
            raise MissingReferencedContentError(f"{repository} does not have {missing[0]}", status=404)
        with self._lock:
            stored.manifests[digest] = parsed
            if reference != digest:
                stored.tags[reference] = digest

    def push_tag(self, repository: str, tag: str, manifest: RemoteManifest, may_write: Callable[[], bool]) -> bool:
        """See `Target.push_tag`."""
        may = may_write()
        if may:
            self.push_manifest(repository, tag, manifest)
        return may

    def delete_manifest(self, repository: str, reference: str) -> Deletion:
        """See `Target.delete_manifest`."""
        stored = self._asked(repository)
        digest = Digest.or_none(reference)
        if not self._deletes or (digest is None and not self._deletes_tags):
            return Deletion.UNSUPPORTED
        with self._lock:
            if digest is None:
                return Deletion.MISSING if stored.tags.pop(reference, None) is None else Deletion.DELETED
            if stored.manifests.pop(digest, None) is None:
                return Deletion.MISSING
            stored.tags = {tag: each for tag, each in stored.tags.items() if each != digest}
        return Deletion.DELETED

    def delete_tag(self, repository: str, tag: str, may_delete: Callable[[], bool]) -> Deletion:
        """See `Target.delete_tag`."""
        return self.delete_manifest(repository, tag) if may_delete() else Deletion.LEFT

    def _asked(self, repository: str) -> _Repository:
        with self._lock:
            self.requests_made += 1
            return self._repositories.setdefault(repository, _Repository())

    def _manifest(self, repository: str, reference: str) -> Manifest | None:
        stored = self._asked(repository)
        digest = Digest.or_none(reference) or stored.tags.get(reference)
        return None if digest is None else stored.manifests.get(digest)


def _content(descriptor: Descriptor, raw: bytes | None) -> VerifiedContent:
    def open_stream() -> contextlib.AbstractContextManager[io.BytesIO]:
        if raw is None:
            raise ContentNotFoundError(f"{descriptor.digest} does not exist")
        return contextlib.nullcontext(io.BytesIO(raw))

    return VerifiedContent(descriptor, open_stream)
