"""What operations ask of the outside world: small protocols, named by verb.

Stores implement them, operations consume them; neither knows the other. Contracts are in the docstrings and
are held by the contract suite, which runs over every store.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from tasks.oci.descriptor import Descriptor
    from tasks.oci.digest import Digest
    from tasks.oci.registry_profiles import RegistryProfile
    from tasks.registry_ports import Deletion

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Finding:
    """What a run tells besides the results of tags, mostly of something at the source; `path` is below that."""

    path: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing is done with a repository."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Shard:
    """Some of a run's repositories, by their paths at the source; `run` is the id of the whole run.

    `of` is among how many parts, at most all of which are at work at once, the run's rates are shared out. `layouts`
    are those that hold the repositories, where that is not said by their paths. `listed` is a mark of what the list
    of the whole run says of them, where it has one: a part reads the list by itself, maybe on another machine.
    `moment` is that from which the whole run counts ages, in seconds since 1970, where it does.
    """

    run: str
    number: int
    repositories: tuple[str, ...]
    of: int = 1
    layouts: tuple[str, ...] = ()
    listed: str | None = None
    moment: float | None = None


@dataclass(frozen=True, slots=True)
class IndexFile:
    """The bytes of an `index.json`, and a mark that changes whenever they do (an ETag, or a digest)."""

    raw: bytes
    etag: str
    places: tuple[int, ...] = ()  # of a part of one: those that the entries have in the whole


class BlobContent(Protocol):
    """Content that can be read from the start as often as needed, checked on its way."""

    @property
    def descriptor(self) -> Descriptor:
        """What the content claims to be."""
        ...

    def read(self) -> bytes:
        """All of it, checked; for small content.

        Raises:
            ContentError: it is absent or not what the descriptor says.
            SourceError: it can't be read.
        """
        ...

    def chunks(self) -> AbstractContextManager[Iterator[Buffer]]:
        """Its parts in order, in buffers that are valid until the next is asked for.

        The last part is handed out only after size and digest of the whole were found right; the errors of
        `read` are raised in its place otherwise.
        """
        ...


class LayoutReader(Protocol):
    """Reads layouts by path."""

    def read_index(self, path: str) -> IndexFile:
        """The `index.json` of a layout, after a look at its `oci-layout`.

        Raises:
            InvalidLayoutError: one of the two is missing or can't be understood.
            SourceError: one can't be read.
        """
        ...

    def blob(self, path: str, descriptor: Descriptor) -> BlobContent:
        """A blob or manifest of a layout; nothing is read yet."""
        ...

    def stat_blob(self, path: str, digest: Digest) -> BlobStat | None:
        """Size and age of a blob, None when the layout has none of this digest."""
        ...


@dataclass(frozen=True, slots=True)
class BlobStat:
    """Size in bytes, and when it was last written, in seconds since 1970.

    One that is `archived` has to be restored before it can be read, unless that was done.
    """

    size: int
    modified: float
    archived: bool = False


class Source(LayoutReader, Protocol):
    """All that a migration needs of a source."""

    def list_layouts(self) -> Iterator[str | Finding]:
        """The path of every layout below the source, in order, and a finding for whatever is none.

        The path of a layout at the source itself is `.`. One that can't be read never hides another.

        Raises:
            SourceUnavailableError: the source itself is not there.
        """
        ...


class ManifestResolver(Protocol):
    """Tells what a target has, without counting as a pull."""

    def list_tags(self, repository: str) -> frozenset[str] | None:
        """All tags of a repository; none when it does not exist, None when the target does not tell all of them."""
        ...

    def resolve_manifest(self, repository: str, reference: str) -> Digest | None:
        """The digest behind a tag or digest, None when it is missing.

        Raises:
            RegistryError: the target can't say; that is never taken as missing.
        """
        ...

    def resolve_pushed(self, repository: str, tag: str, digest: Digest) -> Digest | None:
        """The digest behind a tag that was pushed just now, as `digest`; some targets show that a little later.

        Raises:
            RegistryError: as `resolve_manifest`.
        """
        ...

    def has_blob(self, repository: str, descriptor: Descriptor) -> bool:
        """Whether the repository has this blob in this size.

        Raises:
            RegistryError: the target can't say.
            DamagedAtTargetError: it has one of another size under this digest.
        """
        ...

    def list_referrers(self, repository: str, subject: Digest) -> frozenset[Digest] | None:
        """Digests that the referrers API lists for `subject`; None where there is none, or it does not know that."""
        ...


@dataclass(frozen=True, slots=True)
class RemoteManifest:
    """Bytes of a manifest as a registry answered them, with the type that it gave."""

    raw: bytes
    media_type: str


class BlobArrival(StrEnum):
    """How a blob came to be at the target."""

    PUSHED = "pushed"
    MOUNTED = "mounted"
    PRESENT = "present"


class Target(ManifestResolver, Protocol):
    """All that a migration needs of a target. Whatever writes to it may be called again after a failure."""

    @property
    def host(self) -> str:
        """The registry's host and port, as references name it."""
        ...

    @property
    def profile(self) -> RegistryProfile:
        """What is known of registries of its kind."""
        ...

    def fetch_manifest(self, repository: str, reference: str) -> RemoteManifest | None:
        """The bytes behind a tag or digest, None when it is missing; not yet checked against any digest."""
        ...

    def fetch_blob(self, repository: str, descriptor: Descriptor) -> BlobContent:
        """A blob; nothing is read yet."""
        ...

    def push_blob(self, repository: str, content: BlobContent, mount_from: str | None = None) -> BlobArrival:
        """Make the repository have this blob, from `mount_from` where the target can, else by sending it.

        Raises:
            ContentError: the content is not what its descriptor says; the target keeps nothing of it.
        """
        ...

    def push_manifest(self, repository: str, reference: str, manifest: RemoteManifest) -> None:
        """Store a manifest under a tag or digest.

        Raises:
            MissingReferencedContentError: the target misses something that the manifest refers to.
            ManifestRefusedError: the target does not take it.
        """
        ...

    def push_tag(self, repository: str, tag: str, manifest: RemoteManifest, may_write: Callable[[], bool]) -> bool:
        """Store a manifest under a tag if it still may be written, which is asked right before each attempt.

        False where it was not, the last time.

        Raises:
            MissingReferencedContentError, ManifestRefusedError: as `push_manifest`.
            LayoutliftError: what `may_write` raises.
        """
        ...

    def delete_manifest(self, repository: str, reference: str) -> Deletion:
        """Delete a tag alone, or by digest a manifest with all its tags, where the target does that."""
        ...

    def delete_tag(self, repository: str, tag: str, may_delete: Callable[[], bool]) -> Deletion:
        """Delete a tag alone if it still may be, which is asked right before each attempt; `LEFT` where not.

        Raises:
            LayoutliftError: what `may_delete` raises.
        """
        ...


class MetricKind(StrEnum):
    """How a monitoring system has to read the values."""

    COUNTER = "counter"
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: `values` by the value of its label, or by the empty string where it has none."""

    name: str
    help: str
    kind: MetricKind
    values: Mapping[str, float]
    label: str | None = None
