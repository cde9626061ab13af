"""A check of a source finds what is missing, cut or altered at the depth that finds it, and counts what there is."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import (
    ContentError,
    ContentNotFoundError,
    DigestMismatchError,
    InvalidManifestError,
    NestingTooDeepError,
    SizeMismatchError,
)
from tasks.operations.choosing.content_part import ContentPart
from tasks.operations.reports.results import Depth
from tasks.operations.source.enumeration import enumerate_repository
from tasks.operations.source.graph_walk import MAX_NESTING
from tasks.operations.source.source_graph import Census, SourceGraph
from tasks.operations.verifying.check_work import CheckWork
from tasks.operations.work.content_proof import ContentProof
from tasks.operations.work.planning import CopyPolicy
from tasks.operations.work.repository_work import MOST_TAGS, units_of
from tasks.operations.work.spare_hands import SpareHands
from tasks.ports import BlobStat
from tasks.stores.directory.layout_directory import LayoutDirectory
from tests.support.archive import Archive
from tests.support.layouts import FOREIGN_LAYER, OCI_MANIFEST, LayoutBuilder, image_of

LAYER = b"layer"


class Counted(LayoutDirectory):
    """A source that notes of which blobs it was asked whether they are there."""

    def __init__(self, layout: LayoutBuilder) -> None:
        super().__init__(str(layout.path.parent), retry_wait=0)
        self.asked: list[Digest] = []

    def stat_blob(self, path: str, digest: Digest) -> BlobStat | None:
        self.asked.append(digest)
        return super().stat_blob(path, digest)


def graph(layout: LayoutBuilder, hands: SpareHands, depth: Depth = Depth.BLOBS) -> SourceGraph:
    return SourceGraph(Counted(layout), "app", depth, hands)


def removed(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(LAYER[:-1])


def altered(path: Path) -> None:
    path.write_bytes(LAYER[::-1])


@pytest.mark.parametrize(
    ("damage", "error", "found_at"),
    [
        (removed, ContentNotFoundError, Depth.BLOBS),
        (cut, SizeMismatchError, Depth.BLOBS),
        (altered, DigestMismatchError, Depth.CONTENT),
    ],
)
@pytest.mark.parametrize("depth", Depth)
def test_damage_is_found_from_the_depth_on_that_looks_for_it(
    layout: LayoutBuilder,
    hands: SpareHands,
    damage: Callable[[Path], None],
    error: type[ContentError],
    found_at: Depth,
    depth: Depth,
) -> None:
    root = Descriptor.from_json(layout.image("v1", layers=[LAYER]))
    damage(layout.blob_path(layout.blob(LAYER)))
    if depth.includes(found_at):
        with pytest.raises(error):
            graph(layout, hands, depth).check(root)
    else:
        assert graph(layout, hands, depth).check(root)


def test_all_content_is_given_once_and_what_graphs_share_is_looked_at_once(
    layout: LayoutBuilder, hands: SpareHands
) -> None:
    images = [layout.image(layers=[LAYER, LAYER, bytes([n])], listed=False) for n in range(2)]
    root = layout.index([*images, images[0], layout.index(images, listed=False)])
    checked = graph(layout, hands)
    for _ in range(2):
        found = [descriptor.digest for descriptor in checked.check(Descriptor.from_json(root))]
        assert len(found) == len(set(found)) == 2 + 2 + 3 + 1
    source = checked._source
    assert isinstance(source, Counted)
    assert sorted(source.asked) == sorted(set(source.asked))


@pytest.mark.parametrize(("depth", "told"), [(Depth.MANIFEST, []), (Depth.BLOBS, ["3 blobs"]), (Depth.CONTENT, [])])
def test_a_check_counts_the_blobs_that_are_archived_unless_it_reads_them(
    layout: LayoutBuilder, hands: SpareHands, depth: Depth, told: list[str]
) -> None:
    layout.image("v1", layers=[LAYER])
    layout.image("v2", layers=[LAYER, b"another"])
    layout.write()
    source = Archive(str(layout.path.parent), retry_wait=0)
    inventory = enumerate_repository(source, "app")
    work = CheckWork(inventory, SourceGraph(source, "app", depth, hands), Census(), depth)
    for unit in units_of(inventory, inventory.tags, CopyPolicy()):
        assert [result.code for result in work.execute(unit)] == [None]
    found = work.finish()
    assert [each.message.partition(" are ")[0] for each in found] == told
    assert {each.code for each in found} <= {"archived"}


def test_a_layer_that_may_be_absent_is_not_missed(layout: LayoutBuilder, hands: SpareHands) -> None:
    for media_type, may_be_absent in (
        ("application/vnd.oci.image.layer.nondistributable.v1.tar", True),
        ("a/b", False),
    ):
        layer = {"mediaType": media_type, "digest": Digest.of(b"elsewhere"), "size": 9}
        body = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": layout.blob(b"{}"), "layers": [layer]}
        root = Descriptor.from_json(layout.blob(json.dumps(body).encode(), OCI_MANIFEST))
        if may_be_absent:
            assert graph(layout, hands).check(root)
        else:
            with pytest.raises(ContentNotFoundError):
                graph(layout, hands).check(root)


def test_a_layer_that_many_images_may_do_without_is_looked_for_once(layout: LayoutBuilder, hands: SpareHands) -> None:
    """As the base layers of Windows: on a mount it takes a while to be sure of what is absent."""
    layer = {"mediaType": FOREIGN_LAYER, "size": 9, "digest": Digest.of(b"elsewhere")}
    checked = graph(layout, hands)
    for number in range(3):
        checked.check(Descriptor.from_json(image_of(layout, f"v{number}", [layer, layout.blob(bytes([number]))])))
    with pytest.raises(ContentNotFoundError):
        checked.check(Descriptor.from_json(image_of(layout, "other", [layer | {"mediaType": "a/b"}])))
    source = checked._source
    assert isinstance(source, Counted)
    assert source.asked.count(Digest.of(b"elsewhere")) == 2, "once for all that may do without, once for who may not"


def test_indexes_may_be_nested_as_deep_as_they_are_copied_and_no_deeper(
    layout: LayoutBuilder, hands: SpareHands
) -> None:
    nested = layout.image(layers=[LAYER], listed=False)
    for _ in range(MAX_NESTING):
        nested = layout.index([nested], listed=False)
    assert graph(layout, hands, Depth.MANIFEST).check(Descriptor.from_json(nested))
    with pytest.raises(NestingTooDeepError):
        graph(layout, hands, Depth.MANIFEST).check(Descriptor.from_json(layout.index([nested], listed=False)))


def test_a_part_that_breaks_the_specification_is_named(layout: LayoutBuilder, hands: SpareHands) -> None:
    broken = layout.blob(b'{"schemaVersion":2}', OCI_MANIFEST)
    root = Descriptor.from_json(layout.index([broken]))
    with pytest.raises(InvalidManifestError, match=f"^{broken['digest']}: the image manifest has no config$"):
        graph(layout, hands, Depth.MANIFEST).check(root)


def test_a_census_counts_content_as_unique_once_and_as_shared_from_then_on() -> None:
    census = Census()
    for referrers, untagged in ((2, 3), (20, 30)):
        census.note_repository(referrers, untagged)
    census.note_refused(3)
    one, two = (Descriptor("m", Digest.of(text), size) for text, size in ((b"1", 100), (b"2", 1000)))
    census.note_content([one, two])
    assert census.bytes_to_copy == 0
    census.note_content([one, one], to_copy=True)
    assert census.bytes_to_copy == 100
    census.note_content([one, two], to_copy=True, is_again=True)
    assert census.bytes_to_copy == 1100
    assert census.to_json() == {
        "repositories": 5,
        "referrers": 22,
        "untagged": 33,
        "blobs": 2,
        "bytes_unique": 1100,
        "bytes_shared": 200,
    }


@pytest.mark.parametrize("tags", [MOST_TAGS, MOST_TAGS + 1])
def test_a_census_does_not_count_an_image_again_for_its_other_tags_nor_for_another_attempt(
    layout: LayoutBuilder, hands: SpareHands, tags: int
) -> None:
    image = layout.image(layers=[LAYER], listed=False)
    for number in range(tags):
        layout.entry(image, f"v{number}")
    layout.write()
    source, census = LayoutDirectory(str(layout.path.parent)), Census()
    inventory = enumerate_repository(source, "app")
    work = CheckWork(inventory, SourceGraph(source, "app", Depth.BLOBS, hands), census, Depth.BLOBS)
    for unit in (*units_of(inventory, inventory.tags, CopyPolicy()),) * 2:
        work.execute(unit)
    assert (census.blobs, census.bytes_shared) == (3, 0)


def test_each_altered_blob_of_the_source_is_found_by_one_part(layout: LayoutBuilder, hands: SpareHands) -> None:
    layers = [f"layer {number}".encode() for number in range(20)]
    entry = layout.image("v1", layers=layers)
    layout.write()
    root = Descriptor(entry["mediaType"], Digest(entry["digest"]), entry["size"])
    found = []
    for layer in layers:
        blob = layout.path / "blobs" / "sha256" / Digest.of(layer).encoded
        blob.write_bytes(layer.upper())
        for number in range(1, 8):
            proof = ContentProof(part=ContentPart(number, 7))
            try:
                SourceGraph(Counted(layout), "app", Depth.CONTENT, hands, proof=proof).check(root)
            except DigestMismatchError:
                found.append(layer)
        blob.write_bytes(layer)
    assert found == layers
