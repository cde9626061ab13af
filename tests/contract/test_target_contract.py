"""What every target does, whichever it is: the promises that operations are built on."""

import contextlib
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tasks.oci import media_types
from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import (
    ContentNotFoundError,
    DamagedAtTargetError,
    DigestMismatchError,
    MissingReferencedContentError,
    RegistryError,
    SizeMismatchError,
)
from tasks.ports import BlobArrival, RemoteManifest, Target
from tasks.registry_ports import Deletion
from tasks.stop import Stop
from tasks.stores.pacing import RequestGate
from tasks.stores.registry.oras_provider import OrasProvider
from tasks.stores.registry.registry_auth import Authorizer
from tasks.stores.registry.registry_store import RegistryStore
from tasks.stores.registry.request_retry import RequestRetry
from tasks.stores.registry.transport.http_pool import HttpPool, HttpSettings
from tasks.stores.verified_content import VerifiedContent
from tests.support.layouts import DOCKER_CONFIG, DOCKER_LAYER, OCI_CONFIG, OCI_LAYER, random_bytes
from tests.support.memory_stores import MemoryTarget
from tests.support.real_parts import REGISTRY_FIXTURES

CONFIG, LAYER = b'{"architecture":"amd64","os":"linux"}', b"layer"
LARGE = random_bytes(1, 3 * 1024 * 1024 + 1)


def store_of(host: str) -> RegistryStore:
    stop = Stop()
    gate = RequestGate(stop)
    pool = HttpPool(host, HttpSettings(plain_http=True), gate)
    provider = OrasProvider(host, pool, Authorizer(pool.origin, lambda: None, pool.send))
    return RegistryStore(provider, pool, RequestRetry(gate, stop), write=True)


@pytest.fixture(params=["memory", "memory without the APIs of referrers and of deleting tags", *REGISTRY_FIXTURES])
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    if request.param.startswith("memory"):
        plain = request.param == "memory"
        yield MemoryTarget(referrers_api=plain, deletes_tags=plain)
        return
    store = store_of(request.getfixturevalue(request.param).host)
    yield store
    store.close()


@pytest.fixture
def repository(prefix: str) -> str:
    """A name of all that names may have; its first component looks like a host, too."""
    return f"{prefix}.example/a-b__c/app"


def blob(data: bytes, media_type: str = OCI_LAYER, real: bytes | None = None) -> VerifiedContent:
    descriptor = Descriptor(media_type, Digest.of(data), len(data))
    return VerifiedContent(descriptor, lambda: contextlib.nullcontext(io.BytesIO(data if real is None else real)))


def described(manifest: RemoteManifest) -> dict[str, Any]:
    return Descriptor(manifest.media_type, Digest.of(manifest.raw), len(manifest.raw)).to_json()


def image(layer: bytes = LAYER, media_type: str = media_types.IMAGE_MANIFEST, **more: Any) -> RemoteManifest:
    """An image whose bytes are not what a serialiser would write again."""
    docker = media_type == media_types.DOCKER_MANIFEST
    body = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": blob(CONFIG, DOCKER_CONFIG if docker else OCI_CONFIG).descriptor.to_json(),
        "layers": [blob(layer, DOCKER_LAYER if docker else OCI_LAYER).descriptor.to_json()],
        **more,
    }
    return RemoteManifest(json.dumps(body, indent=3).encode() + b"\n", media_type)


def index(*children: RemoteManifest, media_type: str = media_types.IMAGE_INDEX) -> RemoteManifest:
    manifests = [{**described(child), "platform": {"architecture": "amd64", "os": "linux"}} for child in children]
    body = {"schemaVersion": 2, "mediaType": media_type, "manifests": manifests}
    return RemoteManifest(json.dumps(body).encode(), media_type)


def push_image(target: Target, repository: str, reference: str | None, manifest: RemoteManifest) -> Digest:
    for data in (CONFIG, LAYER):
        target.push_blob(repository, blob(data))
    digest = Digest.of(manifest.raw)
    target.push_manifest(repository, reference or digest, manifest)
    return digest


def test_it_says_what_references_to_it_begin_with(target: Target) -> None:
    assert target.host


def test_of_an_unknown_repository_everything_is_missing(target: Target, repository: str) -> None:
    digest = Digest.of(b"nothing")
    assert target.list_tags(repository) == frozenset()
    for reference in ("v1", digest):
        assert target.resolve_manifest(repository, reference) is None
        assert target.fetch_manifest(repository, reference) is None
    assert target.has_blob(repository, blob(b"nothing").descriptor) is False
    assert not target.list_referrers(repository, digest)
    with pytest.raises(ContentNotFoundError):
        target.fetch_blob(repository, blob(b"nothing").descriptor).read()


@pytest.mark.parametrize("data", [b"", LAYER, LARGE], ids=["empty", "small", "large"])
def test_a_blob_reads_back_as_it_was_pushed(target: Target, repository: str, data: bytes) -> None:
    assert target.push_blob(repository, blob(data)) is BlobArrival.PUSHED
    assert target.has_blob(repository, blob(data).descriptor)
    fetched = target.fetch_blob(repository, blob(data).descriptor)
    assert fetched.read() == fetched.read() == data


def test_a_blob_may_be_pushed_again(target: Target, repository: str) -> None:
    target.push_blob(repository, blob(LAYER))
    assert target.push_blob(repository, blob(LAYER)) in {BlobArrival.PUSHED, BlobArrival.PRESENT}
    assert target.has_blob(repository, blob(LAYER).descriptor)


@pytest.mark.parametrize("data", [LAYER, LARGE], ids=["small", "large"])
@pytest.mark.parametrize(
    ("spoil", "refusal"),
    [
        (lambda data: data[:-1] + b"!", DigestMismatchError),
        (lambda data: data[:-1], SizeMismatchError),
        (lambda data: data + b"!", SizeMismatchError),
    ],
    ids=["altered", "short", "long"],
)
def test_nothing_is_kept_of_content_that_is_not_what_it_says(
    target: Target, repository: str, data: bytes, spoil: Any, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        target.push_blob(repository, blob(data, real=spoil(data)))
    assert target.has_blob(repository, blob(data).descriptor) is False


def test_a_blob_of_another_size_is_not_the_one_asked_for(target: Target, repository: str) -> None:
    target.push_blob(repository, blob(LAYER))
    with pytest.raises(DamagedAtTargetError):
        target.has_blob(repository, Descriptor(OCI_LAYER, Digest.of(LAYER), len(LAYER) + 1))


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_a_blob_arrives_whether_or_not_it_can_be_mounted(target: Target, repository: str, known: bool) -> None:
    origin = f"{repository}/origin"
    if known:
        push_image(target, origin, "v1", image())
    arrival = target.push_blob(repository, blob(LAYER), mount_from=origin)
    assert arrival in {BlobArrival.PUSHED, BlobArrival.MOUNTED}
    assert known or arrival is BlobArrival.PUSHED
    assert target.fetch_blob(repository, blob(LAYER).descriptor).read() == LAYER


@pytest.mark.parametrize("media_type", sorted(media_types.IMAGE_MANIFESTS))
def test_a_manifest_is_kept_byte_for_byte_by_tag_and_digest(target: Target, repository: str, media_type: str) -> None:
    manifest = image(media_type=media_type)
    digest = push_image(target, repository, "V1.0-rc_1", manifest)
    assert target.list_tags(repository) == {"V1.0-rc_1"}
    for reference in ("V1.0-rc_1", digest):
        assert target.resolve_manifest(repository, reference) == digest
        assert target.fetch_manifest(repository, reference) == manifest


def test_a_manifest_pushed_by_digest_has_no_tag(target: Target, repository: str) -> None:
    digest = push_image(target, repository, None, image())
    assert target.list_tags(repository) == frozenset()
    assert target.resolve_manifest(repository, digest) == digest


def test_a_tag_can_be_moved(target: Target, repository: str) -> None:
    """Whether what it named stays is the target's affair: zot forgets it with its last tag."""
    push_image(target, repository, "v1", image())
    moved = push_image(target, repository, "v1", image(annotations={"new": "yes"}))
    assert target.resolve_pushed(repository, "v1", moved) == moved
    assert target.resolve_manifest(repository, "v1") == moved
    assert target.list_tags(repository) == {"v1"}


@pytest.mark.parametrize("media_type", sorted(media_types.IMAGE_INDEXES))
def test_an_index_is_kept_with_its_children(target: Target, repository: str, media_type: str) -> None:
    docker = media_type == media_types.DOCKER_MANIFEST_LIST
    child = image(media_type=media_types.DOCKER_MANIFEST if docker else media_types.IMAGE_MANIFEST)
    push_image(target, repository, None, child)
    listed = index(child, media_type=media_type)
    target.push_manifest(repository, "multi", listed)
    assert target.fetch_manifest(repository, "multi") == listed


def test_a_tag_is_written_only_where_it_may_be(target: Target, repository: str) -> None:
    push_image(target, repository, "v1", image())
    assert target.push_tag(repository, "v2", image(), lambda: False) is False
    assert target.push_tag(repository, "v3", image(), lambda: True) is True
    assert target.list_tags(repository) == {"v1", "v3"}


def test_a_tag_is_deleted_alone_or_the_target_says_that_it_does_not_delete_tags(
    target: Target, repository: str
) -> None:
    digest = push_image(target, repository, "goes", image())
    target.push_manifest(repository, "stays", image())
    deletion = target.delete_tag(repository, "goes", lambda: True)
    assert deletion in {Deletion.DELETED, Deletion.UNSUPPORTED}
    left = {"stays"} if deletion is Deletion.DELETED else {"goes", "stays"}
    assert target.list_tags(repository) == left
    for tag in ("goes", "stays"):
        assert target.resolve_manifest(repository, tag) == (digest if tag in left else None)


def test_a_tag_is_deleted_only_where_it_may_be(target: Target, repository: str) -> None:
    push_image(target, repository, "v1", image())
    assert target.delete_tag(repository, "v1", lambda: False) is Deletion.LEFT
    assert target.list_tags(repository) == {"v1"}


def test_a_tag_that_is_not_there_is_not_said_to_have_been_deleted(target: Target, repository: str) -> None:
    push_image(target, repository, "v1", image())
    assert target.delete_tag(repository, "v0", lambda: True) in {Deletion.MISSING, Deletion.UNSUPPORTED}
    assert target.list_tags(repository) == {"v1"}


def test_a_manifest_is_deleted_by_digest_with_all_its_tags(target: Target, repository: str) -> None:
    digest = push_image(target, repository, "v1", image())
    target.push_manifest(repository, "v2", image())
    other = push_image(target, repository, "other", image(annotations={"other": "yes"}))
    deletion = target.delete_manifest(repository, digest)
    assert deletion in {Deletion.DELETED, Deletion.UNSUPPORTED}
    if deletion is Deletion.DELETED:
        assert target.delete_manifest(repository, digest) is Deletion.MISSING
    assert target.list_tags(repository) == ({"other"} if deletion is Deletion.DELETED else {"v1", "v2", "other"})
    assert target.resolve_manifest(repository, digest) == (None if deletion is Deletion.DELETED else digest)
    assert target.resolve_manifest(repository, "other") == other


def test_a_manifest_whose_blobs_are_missing_is_not_tagged(target: Target, repository: str) -> None:
    target.push_blob(repository, blob(CONFIG))
    with pytest.raises(MissingReferencedContentError):
        target.push_manifest(repository, "v1", image(b"a layer that nobody has"))
    assert target.resolve_manifest(repository, "v1") is None
    assert target.list_tags(repository) == frozenset()


@pytest.mark.parametrize("raw", [b"{", b"[]", b'{"schemaVersion": 2}'])
def test_what_is_no_manifest_is_refused(target: Target, repository: str, raw: bytes) -> None:
    with pytest.raises(RegistryError) as refusal:
        target.push_manifest(repository, "v1", RemoteManifest(raw, media_types.IMAGE_MANIFEST))
    assert not refusal.value.transient
    assert target.resolve_manifest(repository, "v1") is None


def test_a_manifest_under_a_digest_that_is_not_its_own_is_refused(target: Target, repository: str) -> None:
    push_image(target, repository, None, image())
    with pytest.raises(RegistryError):
        target.push_manifest(repository, Digest.of(b"another"), image())
    assert target.resolve_manifest(repository, Digest.of(b"another")) is None


@pytest.mark.parametrize("order", ["subject first", "referrer first"])
def test_a_target_that_notes_subjects_lists_its_referrers(target: Target, repository: str, order: str) -> None:
    """Where it does not, it says so by None in place of a list."""
    subject = image()
    referrer = image(subject=described(subject), artifactType="application/x.sbom")
    if order == "subject first":
        push_image(target, repository, "v1", subject)
    push_image(target, repository, None, referrer)
    target.push_manifest(repository, Digest.of(referrer.raw), referrer)
    push_image(target, repository, "v1", subject)
    listed = target.list_referrers(repository, Digest.of(subject.raw))
    assert listed in {None, frozenset({Digest.of(referrer.raw)})}
    assert not target.list_referrers(repository, Digest.of(referrer.raw))


def test_many_tags_are_all_listed(target: Target, repository: str) -> None:
    manifest = image()
    push_image(target, repository, "v0", manifest)
    for number in range(1, 130):
        target.push_manifest(repository, f"v{number}", manifest)
    assert target.list_tags(repository) == {f"v{number}" for number in range(130)}
