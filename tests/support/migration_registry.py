"""A registry in memory that tells apart what runs write and what others do, and of which runs may die at any step."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import RegistryUnavailableError
from tasks.oci.manifest import parse_manifest
from tasks.oci.registry_profiles import GENERIC
from tasks.ports import RemoteManifest
from tasks.registry_ports import Deletion
from tests.support.memory_stores import MemoryTarget, _Repository
from tests.support.migration_lives import Life

HOST = "registry.example"
STAND_IN = b"org.layoutlift.deleted"


@dataclass(frozen=True)
class Write:
    """What a run wrote or, without a digest, deleted; `before` is what the tag had.

    It `is_whole` if all below it was there; what is deleted by its digest, if it was a stand-in.
    """

    repository: str
    reference: str
    digest: str | None
    before: str | None
    is_whole: bool = True


class Registry(MemoryTarget):
    """Tells apart what runs write and what others do. One that is `lax` takes manifests whatever is missing below."""

    profile = GENERIC
    keeper = None
    rate_limit = None

    def __init__(self, *, lax: bool, **kinds: bool) -> None:
        super().__init__(HOST, **kinds)
        self.life = Life()
        self.lax = lax
        self.writes: list[Write] = []
        self.blobs_sent = 0
        self.asked_about: set[str] = set()

    def opened(self) -> "Registry":
        """Itself, of which this run has asked nothing yet."""
        self.asked_about.clear()
        return self

    def stored(self, repository: str) -> _Repository:
        """What a repository has; no run asks for it."""
        return self._repositories.setdefault(repository, _Repository())

    @property
    def tags(self) -> dict[tuple[str, str], str]:
        return {(name, tag): str(d) for name, each in self._repositories.items() for tag, d in each.tags.items()}

    def _asked(self, repository: str) -> _Repository:
        self.life.ask()
        self.asked_about.add(repository)
        return super()._asked(repository)

    def push_blob(self, repository: str, content: Any, mount_from: str | None = None) -> Any:
        self.blobs_sent += 1
        return super().push_blob(repository, content, mount_from)

    def push_manifest(self, repository: str, reference: str, manifest: RemoteManifest) -> None:
        lost = None
        try:
            self._asked(repository)
        except RegistryUnavailableError as error:
            if self.life.stumble is None or not self.life.stumble.arrives:
                raise
            lost = error
        stored, digest = self.stored(repository), digest_of(manifest.raw)
        before = stored.tags.get(reference)
        is_whole = not missing_below(stored, digest, manifest.raw)
        if self.lax:
            self.take(repository, reference, manifest)
        else:
            super().push_manifest(repository, reference, manifest)
        self.writes.append(Write(repository, reference, digest, before, is_whole))
        self.life.written += 1
        if lost is not None:
            raise lost

    def take(self, repository: str, reference: str, manifest: RemoteManifest) -> None:
        """Have a manifest, whatever is missing below it."""
        stored, digest = self.stored(repository), Digest.of(manifest.raw)
        stored.manifests[digest] = parse_manifest(
            manifest.raw, Descriptor(manifest.media_type, digest, len(manifest.raw))
        )
        if reference != digest:
            stored.tags[reference] = digest

    def delete_for_others(self, repository: str, digest: str) -> None:
        """A manifest goes, with its tags."""
        stored = self.stored(repository)
        del stored.manifests[Digest(digest)]
        stored.tags = {tag: each for tag, each in stored.tags.items() if each != digest}

    def delete_manifest(self, repository: str, reference: str) -> Deletion:
        stored = self.stored(repository)
        before, found = stored.tags.get(reference), stored.manifests.get(reference)  # type: ignore[call-overload]
        done = super().delete_manifest(repository, reference)
        if done is Deletion.DELETED:
            is_stand_in = found is not None and STAND_IN in found.raw
            self.writes.append(Write(repository, reference, None, before, is_stand_in))
        return done


def digest_of(raw: bytes) -> str:
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def parts_of(raw: bytes) -> tuple[list[str], list[str], str | None]:
    """The manifests and blobs that a manifest names, and its subject."""
    body = json.loads(raw)
    children = [each["digest"] for each in body.get("manifests", [])]
    blobs = [each["digest"] for each in [*body.get("layers", []), *([body["config"]] if "config" in body else [])]]
    return children, blobs, (body.get("subject") or {}).get("digest")


def missing_below(stored: _Repository, digest: str, raw: bytes, *, rotten: bool = False) -> set[str]:
    """What a repository lacks of all that a manifest leads to; with `rotten`, also what does not hash to its name."""
    missing: set[str] = set()
    pending = [raw]
    while pending:
        children, blobs, _ = parts_of(pending.pop())
        for child in children:
            found = stored.manifests.get(Digest(child))
            if found is None:
                missing.add(child)
            else:
                pending.append(found.raw)
        for blob in blobs:
            content = stored.blobs.get(Digest(blob))
            if content is None or (rotten and digest_of(content) != blob):
                missing.add(blob)
    return missing
