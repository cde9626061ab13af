"""What is needed is found at any depth, whoever names it, and what can't be read is never taken for a leaf."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.media_types import ARTIFACT_MANIFEST, IMAGE_INDEX
from tasks.operations.cleanup.layout.graph import Graph, read_graph
from tests.support.memory_stores import MemorySource
from tests.support.planned_layout import APP, MANIFEST, Json, PlannedLayout

FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar"


@pytest.fixture
def layout() -> PlannedLayout:
    return PlannedLayout()


def index(layout: PlannedLayout, *children: Json) -> Json:
    body = {"schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": list(children)}
    return layout.blob(json.dumps(body).encode(), IMAGE_INDEX)


def graph(layout: PlannedLayout, *roots: Json, present: tuple[Json, ...] = ()) -> Graph:
    known = {each["digest"] for each in present}
    files = {
        Digest(f"sha256:{file.path.rpartition('/')[2]}"): file for file in layout.files.list_files(f"{APP}/blobs")
    }
    source = MemorySource(layout.files.contents())
    descriptors = [Descriptor.from_json(root) for root in roots]
    return read_graph(source, APP, descriptors, known, map, files=files)


def needed(found: Graph, root: Json, *present: Json) -> dict[Digest, str]:
    return found.reach({Digest(root["digest"]): "v1"}, {each["digest"] for each in present})


def lose(layout: PlannedLayout, blob: Json) -> None:
    file = layout.files.stat_file(layout.place(blob["digest"]))
    assert file is not None
    layout.files.delete_files([file])


def test_layers_below_nested_indexes_are_needed_for_the_tag_above() -> None:
    layout = PlannedLayout()
    root = index(layout, index(layout, layout.image(None, "deep")))
    found = needed(graph(layout, root), root)
    assert found[Digest.of(b"layer deep")] == "v1"
    assert set(found.values()) == {"v1"}
    assert len(found) == 5


def test_a_manifest_among_the_layers_of_an_image_is_read_as_one(layout: PlannedLayout) -> None:
    inner = layout.image(None, "inner")
    body = {"schemaVersion": 2, "mediaType": MANIFEST, "config": layout.blob(b"{}"), "layers": [inner]}
    root = layout.blob(json.dumps(body).encode(), MANIFEST)
    assert Digest.of(b"layer inner") in needed(graph(layout, root), root)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("below", [False, True], ids=["entries", "children"])
def test_what_is_listed_under_two_types_needs_what_either_says(
    layout: PlannedLayout, order: int, *, below: bool
) -> None:
    """Read as an index, an artifact's manifest that does not say its own type names nothing."""
    content = layout.blob(b"content")
    raw = json.dumps({"schemaVersion": 2, "blobs": [content]}).encode()
    both = [layout.blob(raw, media_type) for media_type in (ARTIFACT_MANIFEST, IMAGE_INDEX)][::order]
    roots = [index(layout, each) for each in both] if below else both
    found = graph(layout, *roots).reach({Digest(root["digest"]): "v1" for root in roots}, ())
    assert Digest(content["digest"]) in found


def test_what_is_listed_under_two_types_and_is_none_of_one_is_not_understood(layout: PlannedLayout) -> None:
    image = layout.image(None, "layer")
    roots = [image, {**image, "mediaType": IMAGE_INDEX}]
    for order in (1, -1):
        assert set(graph(layout, *roots[::order]).unreadable) == {Digest(image["digest"])}


def test_a_subject_is_needed_with_its_layers_where_it_is_there_and_nowhere_else(layout: PlannedLayout) -> None:
    subject = layout.image(None, "subject")
    referrer = layout.image(None, "sbom", subject=subject)
    layer = Digest.of(b"layer subject")
    assert layer in needed(graph(layout, referrer, present=(subject,)), referrer, subject)
    assert layer in needed(graph(layout, referrer, subject), referrer), "it is a root itself"
    absent = graph(layout, referrer)
    assert Digest(subject["digest"]) not in absent.nodes
    assert Digest(subject["digest"]) not in needed(absent, referrer)
    assert needed(absent, referrer).keys() == {referrer["digest"], Digest.of(b"layer sbom"), Digest.of(b"{}")}


def test_a_subject_that_is_there_and_can_not_be_read_is_needed_itself(layout: PlannedLayout) -> None:
    subject = layout.image(None, "subject")
    referrer = layout.image(None, "sbom", subject=subject)
    lose(layout, subject)
    found = graph(layout, referrer, present=(subject,))
    assert list(found.unreadable) == [subject["digest"]]
    assert Digest(subject["digest"]) in needed(found, referrer, subject)


def test_what_may_lawfully_be_absent_is_known(layout: PlannedLayout) -> None:
    foreign = {"mediaType": FOREIGN, "digest": Digest.of(b"elsewhere"), "size": 9}
    body = {"schemaVersion": 2, "mediaType": MANIFEST, "config": layout.blob(b"{}"), "layers": [foreign]}
    root = layout.blob(json.dumps(body).encode(), MANIFEST)
    assert graph(layout, root).optional() == {foreign["digest"]}
    body["layers"] = [{**foreign, "mediaType": "application/vnd.oci.image.layer.v1.tar"}]
    other = layout.blob(json.dumps(body).encode(), MANIFEST)
    assert graph(layout, root, other).optional() == set(), "another image can't do without it"


def test_only_indexes_have_parts(layout: PlannedLayout) -> None:
    child = layout.image(None, "child")
    root = index(layout, child)
    assert graph(layout, root).parents() == {child["digest"]: {root["digest"]}}


def test_content_of_another_size_than_its_descriptor_says_is_named(layout: PlannedLayout) -> None:
    layer = {**layout.blob(b"layer"), "size": 4}
    body = {"schemaVersion": 2, "mediaType": MANIFEST, "config": layout.blob(b"{}"), "layers": [layer]}
    root = layout.blob(json.dumps(body).encode(), MANIFEST)
    found = graph(layout, root)
    assert found.altered == {layer["digest"]: "has 5 bytes in place of 4"}
    lose(layout, layer)
    assert graph(layout, root).altered == {}


@pytest.mark.parametrize(
    ("media_type", "known"),
    [
        ("application/vnd.example.manifest.v9+json", False),
        ("application/vnd.example.index.v9+json", False),
        ("application/vnd.example.list.v9+json", False),
        ("application/vnd.example.text", True),
    ],
)
def test_an_index_with_what_may_hold_more_is_not_understood(
    layout: PlannedLayout, media_type: str, *, known: bool
) -> None:
    root = index(layout, layout.blob(b"odd", media_type))
    found = graph(layout, root)
    assert (root["digest"] in found.nodes, root["digest"] in found.unreadable) == (known, not known)


def test_an_image_may_have_layers_of_any_type(layout: PlannedLayout) -> None:
    odd: dict[str, Any] = layout.blob(b"odd", "application/vnd.example.manifest.v9+json")
    body = {"schemaVersion": 2, "mediaType": MANIFEST, "config": layout.blob(b"{}"), "layers": [odd]}
    root = layout.blob(json.dumps(body).encode(), MANIFEST)
    assert not graph(layout, root).unreadable


def test_one_manifest_that_can_not_be_read_costs_no_other(layout: PlannedLayout) -> None:
    lost, there = layout.image(None, "lost"), layout.image(None, "there")
    lose(layout, lost)
    found = graph(layout, lost, there)
    assert (list(found.unreadable), list(found.nodes)) == ([lost["digest"]], [there["digest"]])


def test_a_manifest_that_can_not_be_understood_is_named_by_its_digest() -> None:
    """The repository is left alone for its sake, and somebody has to find it among the others."""
    layout = PlannedLayout()
    root = layout.blob(b"{}", MANIFEST)
    (error,) = graph(layout, root).unreadable.values()
    assert str(error) == f"{root['digest']}: the image manifest has no config"
