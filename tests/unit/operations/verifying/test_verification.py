"""A proof is as deep as it says: what is missing, different or altered at the target is found, and asked for once."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import DamagedAtTargetError, DifferentAtTargetError, MissingAtTargetError, SizeMismatchError
from tasks.operations.choosing.content_part import ContentPart
from tasks.operations.reports.results import Depth
from tasks.operations.verifying.verification import RepositoryVerifier
from tasks.operations.work.content_proof import ContentProof
from tasks.operations.work.spare_hands import SpareHands
from tasks.ports import RemoteManifest
from tasks.stores.verified_content import VerifiedContent
from tests.support.engine import Engine
from tests.support.layouts import FOREIGN_LAYER, OCI_INDEX, OCI_MANIFEST, LayoutBuilder, image_of
from tests.support.memory_stores import MemoryTarget

LAYER = b"layer"


class Counting(MemoryTarget):
    """A target that notes what it is asked for, and gives manifests as a test wants."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.given: Callable[[RemoteManifest], RemoteManifest] = lambda manifest: manifest

    def resolve_manifest(self, repository: str, reference: str) -> Digest | None:
        self.asked.append(reference)
        return super().resolve_manifest(repository, reference)

    def fetch_manifest(self, repository: str, reference: str) -> RemoteManifest | None:
        self.asked.append(f"read {reference}")
        found = super().fetch_manifest(repository, reference)
        return found and self.given(found)

    def has_blob(self, repository: str, descriptor: Descriptor) -> bool:
        self.asked.append(f"blob {descriptor.digest}")
        return super().has_blob(repository, descriptor)

    def fetch_blob(self, repository: str, descriptor: Descriptor) -> VerifiedContent:
        self.asked.append(f"read {descriptor.digest}")
        return super().fetch_blob(repository, descriptor)


@pytest.fixture
def image(layout: LayoutBuilder) -> Descriptor:
    return described(layout.image("v1", layers=[LAYER]))


@pytest.fixture
def target(layout: LayoutBuilder, image: Descriptor) -> Counting:
    """A target with the image, under `v1`."""
    return filled(layout)


def filled(layout: LayoutBuilder) -> Counting:
    target = Counting()
    assert {str(result.outcome) for result in Engine(layout.write().parent, target).one()} == {"copied"}
    target.asked.clear()
    return target


def described(entry: dict[str, Any]) -> Descriptor:
    return Descriptor.from_json(entry)


Verify = Callable[..., None]


@pytest.fixture(params=["presence", "graph"])
def verify(request: pytest.FixtureRequest, target: Counting, hands: SpareHands, image: Descriptor) -> Verify:
    """Both ways to prove a tag."""
    verifier = RepositoryVerifier(target, "app", Depth.MANIFEST, hands)
    if request.param == "graph":
        return lambda tag: verifier.verify_graph(image, tag)
    return lambda tag: verifier.verify_presence((tag,), (image.digest,))


def test_a_tag_that_is_there_is_proved(verify: Verify) -> None:
    verify("v1")


def test_a_tag_that_the_target_lacks_is_missing(verify: Verify) -> None:
    with pytest.raises(MissingAtTargetError, match="v2"):
        verify("v2")


def test_a_tag_that_names_something_else_is_different(verify: Verify, target: Counting) -> None:
    empty = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
    target.push_manifest("app", "v1", RemoteManifest(empty, OCI_INDEX))
    with pytest.raises(DifferentAtTargetError, match="under the tag v1"):
        verify("v1")


def test_other_bytes_under_the_digest_of_a_manifest_are_different(
    target: Counting, hands: SpareHands, image: Descriptor
) -> None:
    target.given = lambda found: RemoteManifest(found.raw + b" ", found.media_type)
    with pytest.raises(DifferentAtTargetError, match="other bytes"):
        RepositoryVerifier(target, "app", Depth.MANIFEST, hands).verify_graph(image, None)


def test_a_manifest_of_another_type_is_different_and_one_without_a_type_is_not(
    target: Counting, hands: SpareHands, image: Descriptor
) -> None:
    target.given = lambda found: RemoteManifest(found.raw, OCI_INDEX)
    with pytest.raises(DifferentAtTargetError, match=r"gives .* the type"):
        RepositoryVerifier(target, "app", Depth.MANIFEST, hands).verify_graph(image, None)
    target.given = lambda found: RemoteManifest(found.raw, "")
    RepositoryVerifier(target, "app", Depth.MANIFEST, hands).verify_graph(image, None)


@pytest.mark.parametrize("depth", Depth)
def test_each_depth_finds_what_it_says_and_asks_for_no_more(
    target: Counting, hands: SpareHands, image: Descriptor, depth: Depth
) -> None:
    layer = Digest.of(LAYER)

    def verify() -> None:
        RepositoryVerifier(target, "app", depth, hands).verify_graph(image, None)

    verify()
    assert (f"blob {layer}" in target.asked) is depth.includes(Depth.BLOBS)
    assert (f"read {layer}" in target.asked) is (depth is Depth.CONTENT)
    target._asked("app").blobs[layer] = b"LAYER"
    if depth is Depth.CONTENT:
        with pytest.raises(DamagedAtTargetError, match=f"at the target, {layer} is altered"):
            verify()
    else:
        verify()
    del target._asked("app").blobs[layer]
    if depth.includes(Depth.BLOBS):
        with pytest.raises(MissingAtTargetError, match=layer):
            verify()
    else:
        verify()


def test_a_blob_that_the_target_says_it_has_and_does_not_give_is_missing(
    target: Counting, hands: SpareHands, image: Descriptor, monkeypatch: pytest.MonkeyPatch
) -> None:
    del target._asked("app").blobs[Digest.of(LAYER)]
    monkeypatch.setattr(target, "has_blob", lambda *_: True)
    with pytest.raises(
        MissingAtTargetError, match=f"says that it has the blob {Digest.of(LAYER)}, and does not give"
    ):
        RepositoryVerifier(target, "app", Depth.CONTENT, hands).verify_graph(image, "v1")


def test_each_blob_that_is_altered_is_found_by_one_part_and_each_that_is_missing_by_all(
    layout: LayoutBuilder, hands: SpareHands
) -> None:
    layers = [f"layer {number}".encode() for number in range(20)]
    image = described(layout.image("v1", layers=layers))
    found = []
    for layer in layers:
        target = filled(layout)
        target._asked("app").blobs[Digest.of(layer)] = layer.upper()
        for number in range(1, 8):
            verifier = RepositoryVerifier(
                target, "app", Depth.CONTENT, hands, proof=ContentProof(part=ContentPart(number, 7))
            )
            try:
                verifier.verify_graph(image, None)
            except DamagedAtTargetError:
                found.append(layer)
        del target._asked("app").blobs[Digest.of(layer)]
        proof = ContentProof(part=ContentPart(1, 7))
        with pytest.raises(MissingAtTargetError):
            RepositoryVerifier(target, "app", Depth.CONTENT, hands, proof=proof).verify_graph(image, None)
    assert found == layers


def test_a_layer_that_may_be_absent_is_not_missed(layout: LayoutBuilder, hands: SpareHands) -> None:
    foreign = {"mediaType": FOREIGN_LAYER, "digest": Digest.of(b"elsewhere"), "size": 9}
    raw = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": layout.blob(b"{}"), "layers": [foreign]}
    manifest = layout.blob(json.dumps(raw).encode(), OCI_MANIFEST)
    layout.entry(manifest, "v1")
    root = described(manifest)
    target = Counting()
    target._asked("app").blobs[Digest.of(b"{}")] = b"{}"
    target._asked("app").blobs[Digest.of(b"elsewhere")] = b"elsewhere"
    target.push_manifest("app", "v1", RemoteManifest(json.dumps(raw).encode(), OCI_MANIFEST))
    del target._asked("app").blobs[Digest.of(b"elsewhere")]
    RepositoryVerifier(target, "app", Depth.CONTENT, hands).verify_graph(root, "v1")


@pytest.mark.parametrize("depth", [Depth.BLOBS, Depth.CONTENT])
def test_a_layer_that_may_be_absent_is_missed_where_the_source_has_it(
    layout: LayoutBuilder, hands: SpareHands, depth: Depth
) -> None:
    layer = layout.blob(b"elsewhere", FOREIGN_LAYER)
    roots = [described(image_of(layout, None, layers)) for layers in ([layer], [layer, layer])]
    target, asked = MemoryTarget(), []
    target._asked("app").blobs.update({Digest.of(blob): blob for blob in (b"{}", b"elsewhere")})
    for root in roots:
        raw = layout.blob_path(root.to_json()).read_bytes()
        target.push_manifest("app", root.digest, RemoteManifest(raw, OCI_MANIFEST))
    del target._asked("app").blobs[Digest.of(b"elsewhere")]

    def is_at_source(digest: Digest) -> bool:
        asked.append(digest)
        return has_it

    has_it = True
    verifier = RepositoryVerifier(target, "app", depth, hands, is_at_source=is_at_source)
    for root in roots:
        with pytest.raises(MissingAtTargetError):
            verifier.verify_graph(root, None)
    has_it = False
    asked.clear()
    for root in roots:
        verifier.verify_graph(root, None)
    assert len(asked) == 1, "a mount is asked again and again for what it lacks"


def test_what_graphs_share_is_asked_for_once(layout: LayoutBuilder, hands: SpareHands) -> None:
    images = [layout.image(layers=[LAYER, bytes([number])], listed=False) for number in range(2)]
    indexes = [
        layout.index([*images, images[0]], f"v{number}", annotations={"number": str(number)}) for number in range(2)
    ]
    target = filled(layout)
    verifier = RepositoryVerifier(target, "app", Depth.CONTENT, hands)
    for index in indexes:
        verifier.verify_graph(described(index), None)
        verifier.verify_graph(described(index), None)
    assert sorted(target.asked) == sorted(set(target.asked))


def test_what_was_seen_to_be_there_is_not_asked_for_again(
    target: Counting, hands: SpareHands, image: Descriptor
) -> None:
    verifier = RepositoryVerifier(target, "app", Depth.MANIFEST, hands)
    for _ in range(2):
        verifier.verify_presence((), (image.digest,))
    assert target.asked == [image.digest]
    verifier.verify_presence(("v1",), (image.digest, image.digest))
    assert target.asked == [image.digest, "v1"]


def test_a_broken_part_is_found_by_every_graph_that_has_it(
    target: Counting, hands: SpareHands, image: Descriptor
) -> None:
    del target._asked("app").blobs[Digest.of(LAYER)]
    verifier = RepositoryVerifier(target, "app", Depth.BLOBS, hands)
    for _ in range(2):
        with pytest.raises(MissingAtTargetError):
            verifier.verify_graph(image, "v1")


def test_another_manifest_in_answer_to_a_digest_is_different(layout: LayoutBuilder, hands: SpareHands) -> None:
    children = [layout.image(layers=[layer], listed=False) for layer in (b"1", b"2")]
    index = described(layout.index(children, "v1"))
    child, other = (described(each).digest for each in children)
    target = filled(layout)
    target._asked("app").manifests[child] = target._asked("app").manifests[other]
    verifier = RepositoryVerifier(target, "app", Depth.MANIFEST, hands)
    with pytest.raises(DifferentAtTargetError, match=f"answers {other} when asked for the manifest {child}"):
        verifier.verify_presence(("v1",), (index.digest, child))


def test_a_manifest_that_the_target_names_by_an_algorithm_of_its_own_is_there(
    target: Counting, hands: SpareHands, image: Descriptor
) -> None:
    """Registries answer with SHA-256 whatever they were asked by."""
    manifests = target._asked("app").manifests
    by_sha512 = Digest.of(manifests[image.digest].raw, "sha512")
    manifests[by_sha512] = manifests[image.digest]
    RepositoryVerifier(target, "app", Depth.MANIFEST, hands).verify_presence(("v1",), (image.digest, by_sha512))
    assert target.asked == ["v1", by_sha512]


def test_an_index_that_says_another_size_of_a_part_is_not_whole(layout: LayoutBuilder, hands: SpareHands) -> None:
    """Clients that look at sizes refuse it; what the source's own list says of the size never gets to the target."""
    part = layout.image(layers=[LAYER], listed=False)
    honest = described(layout.index([part], "v1"))
    target = filled(layout)
    entry = layout.index([{**part, "size": part["size"] + 1}], listed=False)
    lying, raw = described(entry), layout.blob_path(entry).read_bytes()
    target.push_manifest("app", lying.digest, RemoteManifest(raw, OCI_INDEX))
    verifier = RepositoryVerifier(target, "app", Depth.MANIFEST, hands)
    verifier.verify_graph(honest, None)
    with pytest.raises(SizeMismatchError, match=f"has {part['size']} bytes at the target, an index says"):
        verifier.verify_graph(lying, None)
    verifier.verify_graph(replace(honest, size=honest.size + 1), None)


def test_only_what_was_pushed_just_now_is_waited_for(
    target: Counting, hands: SpareHands, image: Descriptor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A verification of very many tags that are missing would else wait for each."""
    waited: list[str] = []
    monkeypatch.setattr(target, "resolve_pushed", lambda _, tag, digest: waited.append(tag) or digest)
    RepositoryVerifier(target, "app", Depth.MANIFEST, hands).verify_graph(image, "v1")
    assert waited == []
    RepositoryVerifier(target, "app", Depth.MANIFEST, hands, pushed=True).verify_graph(image, "v1")
    assert waited == ["v1"]


def test_what_one_manifest_says_of_a_blobs_size_proves_nothing_of_another_size(
    target: Counting, hands: SpareHands, image: Descriptor
) -> None:
    manifest = json.loads(target._asked("app").manifests[image.digest].raw)
    manifest["layers"][0]["size"] += 1
    lie = json.dumps(manifest).encode()
    target.push_manifest("app", Digest.of(lie), RemoteManifest(lie, OCI_MANIFEST))
    verifier = RepositoryVerifier(target, "app", Depth.BLOBS, hands)
    verifier.verify_graph(image, "v1")
    with pytest.raises(SizeMismatchError, match=Digest.of(LAYER)):
        verifier.verify_graph(Descriptor(OCI_MANIFEST, Digest.of(lie), len(lie)), None)


def test_a_manifest_of_one_type_proves_nothing_of_another_type(
    target: Counting, hands: SpareHands, image: Descriptor
) -> None:
    verifier = RepositoryVerifier(target, "app", Depth.MANIFEST, hands)
    verifier.verify_graph(image, None)
    with pytest.raises(DifferentAtTargetError, match="type"):
        verifier.verify_graph(Descriptor(OCI_INDEX, image.digest, image.size), None)
