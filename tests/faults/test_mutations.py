"""Each promise that is verified would be seen to break: the same checks, on implementations broken on purpose."""

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import ContentError, DamagedAtTargetError, LayoutliftError
from tasks.operations.copying.copy_graph import RepositoryCopy
from tasks.operations.copying.copy_tools import CopyTools
from tasks.operations.reports.results import Depth
from tasks.operations.source.enumeration import enumerate_repository
from tasks.operations.verifying.verification import RepositoryVerifier
from tasks.operations.work.spare_hands import SpareHands
from tasks.ports import BlobArrival, BlobContent, Buffer, RemoteManifest
from tasks.stores.verified_content import VerifiedContent
from tests.support.memory_stores import MemorySource, MemoryTarget
from tests.support.promises import closure_is_complete, files_of_tree, lift_all

LAYER = b"layer " * 1000


@dataclass(frozen=True)
class UnhashedContent:
    """Mutation: hands out whatever is there."""

    descriptor: Descriptor
    raw: bytes

    def read(self) -> bytes:
        return self.raw

    @contextlib.contextmanager
    def chunks(self) -> Iterator[Iterator[Buffer]]:
        yield iter([self.raw])


class UnhashedSource(MemorySource):
    """Mutation: a source that hashes nothing."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(files)
        self._raw = files

    def blob(self, path: str, descriptor: Descriptor) -> BlobContent:  # type: ignore[override]
        return UnhashedContent(descriptor, self._raw[f"{path}/blobs/sha256/{descriptor.digest.encoded}"])


class LaxTarget(MemoryTarget):
    """A registry that takes a manifest whatever is missing below it, as the specification lets it."""

    def push_manifest(self, repository: str, reference: str, manifest: RemoteManifest) -> None:
        try:
            super().push_manifest(repository, reference, manifest)
        except LayoutliftError:
            from tasks.oci.manifest import parse_manifest  # noqa: PLC0415

            digest = Digest.of(manifest.raw)
            parsed = parse_manifest(manifest.raw, Descriptor(manifest.media_type, digest, len(manifest.raw)))
            stored = self._asked(repository)
            stored.manifests[digest] = parsed
            if reference != digest:
                stored.tags[reference] = digest


class TagFirstCopy(RepositoryCopy):
    """Mutation: writes the tag before what is below it."""

    def _copy_below(self, descriptor: Descriptor, depth: int) -> object:  # type: ignore[override]
        raw = self._tools.source.blob(self._path, descriptor).read()
        self._tools.target.push_manifest(self._repository, "v0", RemoteManifest(raw, descriptor.media_type))
        return super()._copy_below(descriptor, depth)


class ForgetfulTarget(MemoryTarget):
    """A registry that says it has stored blobs, and has not."""

    def push_blob(self, repository: str, content: BlobContent, mount_from: str | None = None) -> BlobArrival:
        del mount_from
        content.read()
        return BlobArrival.PUSHED


def lift_first(source: MemorySource, target: MemoryTarget, kind: type[RepositoryCopy] = RepositoryCopy) -> None:
    hands = SpareHands(2)
    try:
        inventory = enumerate_repository(source, "app-0")
        tools = CopyTools(source, target, hands, lambda content: content, lambda _: None)
        copy = kind(tools, inventory, "app-0", new=True, referrers=True, opened=False)
        copy.copy(inventory.tags[0].descriptor, ["v0"], lambda _: True, patient=False)
    finally:
        hands.close()


@pytest.fixture
def files() -> dict[str, bytes]:
    return files_of_tree([LAYER])


@pytest.fixture
def altered(files: dict[str, bytes]) -> dict[str, bytes]:
    """The same with one bit of a layer turned."""
    path = f"app-0/blobs/sha256/{Digest.of(LAYER).encoded}"
    return files | {path: bytes([LAYER[0] ^ 1]) + LAYER[1:]}


def test_altered_bytes_never_reach_a_tag(altered: dict[str, bytes]) -> None:
    target = LaxTarget()
    with pytest.raises(ContentError):
        lift_first(MemorySource(altered), target)
    assert not target.list_tags("app-0")


def test_a_reader_that_does_not_hash_would_be_seen(altered: dict[str, bytes]) -> None:
    target = LaxTarget()
    lift_first(UnhashedSource(altered), target)
    assert not closure_is_complete(target, "app-0", "v0")


def test_a_copy_that_fails_leaves_no_tag(files: dict[str, bytes]) -> None:
    del files[f"app-0/blobs/sha256/{Digest.of(LAYER).encoded}"]
    target = LaxTarget()
    with pytest.raises(ContentError):
        lift_first(MemorySource(files), target)
    assert not target.list_tags("app-0")


def test_a_copy_that_tags_first_would_be_seen(files: dict[str, bytes]) -> None:
    del files[f"app-0/blobs/sha256/{Digest.of(LAYER).encoded}"]
    target = LaxTarget()
    with pytest.raises(ContentError):
        lift_first(MemorySource(files), target, TagFirstCopy)
    assert target.list_tags("app-0") == {"v0"}
    assert not closure_is_complete(target, "app-0", "v0")


@pytest.mark.parametrize("depth", [Depth.BLOBS, Depth.CONTENT])
def test_a_target_that_kept_nothing_is_found_by_verification(files: dict[str, bytes], depth: Depth) -> None:
    class LaxAndForgetful(ForgetfulTarget, LaxTarget):
        pass

    target = LaxAndForgetful()
    lift_first(MemorySource(files), target)
    root = enumerate_repository(MemorySource(files), "app-0").tags[0].descriptor
    hands = SpareHands(1)
    with pytest.raises(LayoutliftError, match="does not have the blob"):
        RepositoryVerifier(target, "app-0", depth, hands).verify_graph(root, "v0")
    RepositoryVerifier(target, "app-0", Depth.MANIFEST, hands).verify_graph(
        root, "v0"
    )  # what no depth but blobs sees
    hands.close()


def test_content_altered_at_the_target_is_found_at_that_depth_only(files: dict[str, bytes]) -> None:
    target = MemoryTarget()
    lift_first(MemorySource(files), target)
    target._asked("app-0").blobs[Digest.of(LAYER)] = b"X" + LAYER[1:]
    root = enumerate_repository(MemorySource(files), "app-0").tags[0].descriptor
    hands = SpareHands(1)
    RepositoryVerifier(target, "app-0", Depth.BLOBS, hands).verify_graph(root, "v0")
    with pytest.raises(DamagedAtTargetError):
        RepositoryVerifier(target, "app-0", Depth.CONTENT, hands).verify_graph(root, "v0")
    hands.close()


@pytest.mark.parametrize("real", [LAYER[:-1], LAYER + b"x", b"X" + LAYER[1:], b""])
def test_the_last_part_is_handed_out_only_when_the_whole_was_right(real: bytes) -> None:
    descriptor = Descriptor("x", Digest.of(LAYER), len(LAYER))
    content = VerifiedContent(descriptor, lambda: contextlib.nullcontext(io.BytesIO(real)))
    passed: list[int] = []

    def consume() -> None:
        with content.chunks() as chunks:
            passed.extend(len(chunk) for chunk in chunks)

    with pytest.raises(ContentError):
        consume()
    assert sum(passed) < len(LAYER)
    unhashed = UnhashedContent(descriptor, real)
    assert unhashed.read() != LAYER, "the check above would see content that is not hashed"


def test_everything_lifted_is_complete(files: dict[str, bytes]) -> None:
    target = MemoryTarget()
    assert lift_all(MemorySource(files), target) == []
    assert closure_is_complete(target, "app-0", "v0")
