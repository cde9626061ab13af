"""Graphs are walked in time that grows with what is in them, and nothing is taken as proved that was not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import (
    ContentNotFoundError,
    DifferentAtTargetError,
    InvalidManifestError,
    MissingAtTargetError,
    ReferrersLostError,
    SizeMismatchError,
)
from tasks.oci.reference import referrers_tag
from tasks.operations.copying.copy_graph import RepositoryCopy
from tasks.operations.copying.copy_tools import CopyTools
from tasks.operations.referrers.referrer_lists import ReferrerLists
from tasks.operations.reports.results import Depth
from tasks.operations.source.enumeration import enumerate_repository
from tasks.operations.source.manifest_reading import read_manifest
from tasks.operations.source.source_graph import SourceGraph
from tasks.operations.verifying.verification import RepositoryVerifier
from tasks.operations.verifying.verify_work import VerifyWork
from tasks.operations.work.planning import CopyPolicy
from tasks.operations.work.repository_work import units_of
from tasks.operations.work.spare_hands import SpareHands
from tasks.ports import BlobContent, RemoteManifest
from tasks.stores.directory.layout_directory import LayoutDirectory
from tests.support.engine import Engine
from tests.support.layouts import OCI_INDEX, OCI_MANIFEST, LayoutBuilder, image_of
from tests.support.memory_stores import MemoryTarget

LEVELS = 25


class CountedReads(LayoutDirectory):
    """A source that gives up where a walk reads far more than there is, rather than in a million years."""

    reads = 0

    def blob(self, path: str, descriptor: Descriptor) -> BlobContent:
        self.reads += 1
        assert self.reads <= 20 * LEVELS, "the walk reads the same over and over"
        return super().blob(path, descriptor)


def braid(layout: LayoutBuilder) -> str:
    """Levels of two indexes, each of which lists both below: a few files, and two to the power of paths."""
    below = [layout.image(layers=[bytes([n])], listed=False) for n in range(2)]
    for level in range(LEVELS):
        notes = [{"level": f"{level} {n}"} for n in range(2)]
        below = [layout.index(below, listed=False, annotations=note) for note in notes]
    layout.index(below, "braid")
    layout.write()
    return str(layout.path.parent)


def test_the_closure_of_a_braid_is_walked_once(layout: LayoutBuilder, hands: SpareHands) -> None:
    source = CountedReads(braid(layout))
    inventory = enumerate_repository(source, "app")
    tools = CopyTools(source, MemoryTarget(), hands, lambda content: content, lambda _: None)
    copy = RepositoryCopy(tools, inventory, "app", new=True, referrers=True, opened=False)
    assert len(copy.links.closure(inventory.tags[0].descriptor)) == 2 * LEVELS + 3


def test_the_check_of_a_braid_walks_it_once(layout: LayoutBuilder, hands: SpareHands) -> None:
    source = CountedReads(braid(layout))
    root = enumerate_repository(source, "app").tags[0].descriptor
    graph = SourceGraph(source, "app", Depth.MANIFEST, hands)
    assert len([d for d in graph.check(root) if "index" in d.media_type]) == 2 * LEVELS + 1


class GraphByPaths(SourceGraph):
    """Mutation: goes down every path to a manifest, as a walk that remembers nothing does."""

    def check(self, root: Descriptor) -> list[Descriptor]:
        found, level = [], [root]
        while level:
            manifests = [read_manifest(self._source, self._path, each) for each in level]
            found += [manifest.descriptor for manifest in manifests]
            level = [child for manifest in manifests for child in manifest.manifests]
        return found


def test_a_check_that_goes_down_every_path_would_be_seen(layout: LayoutBuilder, hands: SpareHands) -> None:
    source = CountedReads(braid(layout))
    root = enumerate_repository(source, "app").tags[0].descriptor
    with pytest.raises(AssertionError, match="over and over"):
        GraphByPaths(source, "app", Depth.MANIFEST, hands).check(root)


def test_a_braid_arrives(layout: LayoutBuilder) -> None:
    made = Engine(Path(braid(layout)), MemoryTarget(), wrap=lambda source: CountedReads(str(source._root)))
    assert [str(result.outcome) for result in made.one()] == ["copied"]


@pytest.fixture
def two_sizes(layout: LayoutBuilder) -> list[Descriptor]:
    """Two images with one layer, of whose size the second one lies."""
    layer = layout.blob(b"layer")
    image_of(layout, "true", [layer])
    image_of(layout, "false", [layer | {"size": 4}])
    layout.write()
    source = LayoutDirectory(str(layout.path.parent))
    return [entry.descriptor for entry in enumerate_repository(source, "app").tags]


def test_a_blob_that_was_checked_in_its_size_is_not_right_in_another(
    layout: LayoutBuilder, hands: SpareHands, two_sizes: list[Descriptor]
) -> None:
    graph = SourceGraph(LayoutDirectory(str(layout.path.parent)), "app", Depth.BLOBS, hands)
    graph.check(two_sizes[0])
    with pytest.raises(SizeMismatchError):
        graph.check(two_sizes[1])


def test_a_manifest_that_is_somebodys_layer_is_checked_as_a_manifest_all_the_same(
    layout: LayoutBuilder, hands: SpareHands
) -> None:
    image = layout.image(layers=[b"gone"], listed=False)
    nested = layout.index([image], listed=False)
    holder = image_of(layout, None, [image])
    layout.index([holder, nested], "v1")
    layout.blob_path(layout.blob(b"gone")).unlink()
    layout.write()
    source = LayoutDirectory(str(layout.path.parent))
    (tag,) = enumerate_repository(source, "app").tags
    with pytest.raises(ContentNotFoundError):
        SourceGraph(source, "app", Depth.BLOBS, hands).check(tag.descriptor)


def test_a_manifest_listed_as_two_types_is_checked_as_both(layout: LayoutBuilder, hands: SpareHands) -> None:
    body = b'{"schemaVersion":2,"manifests":[]}'
    layout.index([layout.blob(body, OCI_MANIFEST), layout.blob(body, OCI_INDEX)], "v1")
    layout.write()
    source = LayoutDirectory(str(layout.path.parent))
    (tag,) = enumerate_repository(source, "app").tags
    with pytest.raises(InvalidManifestError):
        SourceGraph(source, "app", Depth.MANIFEST, hands).check(tag.descriptor)


def filled(layout: LayoutBuilder) -> MemoryTarget:
    """A target with all blobs of a layout under their digests, manifests among them."""
    target = MemoryTarget()
    stored = target._asked("app")
    for path in (layout.path / "blobs" / "sha256").iterdir():
        stored.blobs[Digest(f"sha256:{path.name}")] = path.read_bytes()
    return target


def test_a_blob_that_was_verified_in_its_size_is_not_right_in_another(
    layout: LayoutBuilder, hands: SpareHands, two_sizes: list[Descriptor]
) -> None:
    target = filled(layout)
    for root in two_sizes:
        target.push_manifest(
            "app", root.digest, RemoteManifest(target._asked("app").blobs[root.digest], root.media_type)
        )
    verifier = RepositoryVerifier(target, "app", Depth.BLOBS, hands)
    verifier.verify_graph(two_sizes[0], None)
    with pytest.raises(SizeMismatchError, match="bytes at the target, a descriptor says"):
        verifier.verify_graph(two_sizes[1], None)


def test_a_manifest_that_was_verified_as_its_type_is_not_right_as_another(
    layout: LayoutBuilder, hands: SpareHands
) -> None:
    image = layout.image("v1", layers=[b"layer"])
    made = Engine(layout.write().parent, MemoryTarget())
    list(made.one())
    verifier = RepositoryVerifier(made.target, "app", Depth.MANIFEST, hands)
    true = Descriptor(image["mediaType"], Digest(image["digest"]), image["size"])
    verifier.verify_graph(true, None)
    with pytest.raises(DifferentAtTargetError, match="the type"):
        verifier.verify_graph(Descriptor("application/vnd.oci.image.index.v1+json", true.digest, true.size), None)


def test_without_tags_the_root_itself_has_to_be_there(layout: LayoutBuilder, hands: SpareHands) -> None:
    image = layout.image(None, layers=[b"layer"])
    with pytest.raises(MissingAtTargetError):
        RepositoryVerifier(MemoryTarget(), "app", Depth.MANIFEST, hands).verify_presence(
            (), [Digest(image["digest"])]
        )


def test_a_target_that_has_something_else_under_a_digest_is_found(layout: LayoutBuilder, hands: SpareHands) -> None:
    class AnswersAnother(MemoryTarget):
        def resolve_manifest(self, repository: str, reference: str) -> Digest:
            return Digest.of(b"another")

    verifier = RepositoryVerifier(AnswersAnother(), "app", Depth.MANIFEST, hands)
    with pytest.raises(DifferentAtTargetError):
        verifier.verify_presence((), [Digest.of(b"asked for")])
    verifier.verify_presence((), [Digest.of(b"named by another algorithm", "sha512")])


def tagged(layout: LayoutBuilder, subject: dict[str, Any]) -> None:
    layout.referrer(subject, tag="refers")


def below_an_index(layout: LayoutBuilder, subject: dict[str, Any]) -> None:
    """As builders keep attestations: beside the image that they are about."""
    attestation = layout.referrer(subject, listed=False)
    layout.index([subject, attestation], "refers")


@pytest.mark.parametrize("keep", [tagged, below_an_index])
def test_what_refers_to_something_and_is_part_of_a_tag_is_listed(
    layout: LayoutBuilder, hands: SpareHands, keep: Callable[[LayoutBuilder, dict[str, Any]], None]
) -> None:
    keep(layout, layout.image("v1", layers=[b"layer"]))
    target = MemoryTarget(referrers_api=False)
    made = Engine(layout.write().parent, target)
    assert {str(result.outcome) for result in made.one()} == {"copied"}
    inventory = enumerate_repository(LayoutDirectory(str(made.root)), "app")
    refers = next(unit for unit in units_of(inventory, inventory.tags, CopyPolicy()) if unit.tags == ("refers",))

    def verify() -> str:
        verifier = RepositoryVerifier(target, "app", Depth.MANIFEST, hands)
        tags = target.list_tags("app")
        work = VerifyWork(
            inventory, "app", verifier, ReferrerLists(target), CopyPolicy(), host="memory", target_tags=tags
        )
        (result,) = work.execute(refers)
        return result.code or str(result.outcome)

    assert verify() == "up_to_date"
    for tag in [tag for tag in target.list_tags("app") if tag.startswith("sha256-")]:
        del target._asked("app").tags[tag]
    assert verify() == ReferrersLostError.code
    made.forget()  # nothing is known to be proved
    assert {str(result.outcome) for result in made.one()} == {"up_to_date"}
    assert verify() == "up_to_date"


def test_verify_asks_for_what_refers_to_a_member_of_a_list(layout: LayoutBuilder, hands: SpareHands) -> None:
    sbom = layout.image(layers=[b"sbom"], listed=False)
    signature = layout.referrer(sbom)
    layout.index([sbom], referrers_tag(Digest.of(b"not here")))
    target = MemoryTarget(referrers_api=False)
    made = Engine(layout.write().parent, target)
    assert [str(result.outcome) for result in made.one()] == ["copied"]
    inventory = enumerate_repository(LayoutDirectory(str(made.root)), "app")
    (unit,) = units_of(inventory, inventory.tags, CopyPolicy())

    def verify() -> str:
        verifier = RepositoryVerifier(target, "app", Depth.MANIFEST, hands)
        lists, none = ReferrerLists(target), frozenset()
        work = VerifyWork(inventory, "app", verifier, lists, CopyPolicy(), host="memory", target_tags=none)
        (result,) = work.execute(unit)
        return result.code or str(result.outcome)

    assert verify() == "up_to_date"
    del target._asked("app").manifests[Digest(signature["digest"])]
    assert verify() == MissingAtTargetError.code


@pytest.mark.parametrize("referrers_api", [True, False])
def test_verify_names_the_tag_of_a_list_only_where_the_target_keeps_it_there(
    layout: LayoutBuilder, hands: SpareHands, referrers_api: bool
) -> None:
    nobody = {"mediaType": OCI_MANIFEST, "digest": Digest.of(b"not here"), "size": 8}
    tag = referrers_tag(Digest.of(b"not here"))
    layout.index([layout.referrer(nobody, listed=False)], tag)
    target = MemoryTarget(referrers_api=referrers_api)
    made = Engine(layout.write().parent, target)
    assert [str(result.outcome) for result in made.one()] == ["copied"]
    inventory = enumerate_repository(LayoutDirectory(str(made.root)), "app")
    verifier = RepositoryVerifier(target, "app", Depth.MANIFEST, hands)
    lists, none = ReferrerLists(target), frozenset()
    work = VerifyWork(inventory, "app", verifier, lists, CopyPolicy(), host="memory", target_tags=none)
    (result,) = work.execute(*units_of(inventory, inventory.tags, CopyPolicy()))
    assert (str(result.outcome), result.target) == ("up_to_date", None if referrers_api else f"memory/app:{tag}")


def test_an_image_of_the_braid_is_what_it_is(layout: LayoutBuilder) -> None:
    """The trap would be none if its indexes were few or its paths were."""
    braid(layout)
    bodies = [path.read_bytes() for path in (layout.path / "blobs" / "sha256").iterdir()]
    indexes = [json.loads(body) for body in bodies if b'"manifests"' in body]
    assert sorted({len(index["manifests"]) for index in indexes}) == [2]
    assert len(indexes) == 2 * LEVELS + 1
