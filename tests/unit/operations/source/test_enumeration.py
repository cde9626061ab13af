"""What an entry of an index leads to is read only where it can be a manifest, and its time is what was noted."""

from pathlib import Path

import pytest

from tasks.operations.choosing.noted_times import CREATED
from tasks.operations.reports.findings import is_harmful
from tasks.operations.reports.results import UntaggedKind
from tasks.operations.source.enumeration import enumerate_repository
from tasks.operations.work.planning import CopyPolicy, Untagged, plan_untagged
from tasks.stores.directory.layout_directory import LayoutDirectory
from tests.support.engine import Engine
from tests.support.layouts import DOCKER_MANIFEST, LayoutBuilder
from tests.support.memory_stores import MemoryTarget

IMAGE_NAME = "io.containerd.image.name"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@pytest.mark.parametrize(
    ("media_type", "code", "harmful"),
    [
        ("application/xml", "not_a_manifest", False),  # as in the specification's own example of an index.json
        (LAYER, "not_a_manifest", False),
        ("application/vnd.example.manifest.v9+json", "unsupported_media_type", True),  # it may refer to something
    ],
)
def test_an_entry_without_a_tag_that_is_no_manifest_is_a_problem_only_where_it_may_refer_to_something(
    tmp_path: Path, media_type: str, code: str, harmful: bool
) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    layout.image("v1", layers=[b"layer"])
    layout.entry(layout.blob(b"<component/>", media_type))
    layout.write()
    made = Engine(tmp_path, MemoryTarget())
    assert made.copy() == ({"app:v1": "copied"}, {("app", code)})
    assert [is_harmful(finding) for finding in made.findings] == [harmful]
    assert made.progress.totals.complete is not harmful


def test_of_entries_with_an_empty_name_none_is_kept_back_by_another_that_is_sent(tmp_path: Path) -> None:
    """So does containerd name each image without a tag, and one of them may have a tag besides."""
    layout = LayoutBuilder(tmp_path / "app")
    tagged = layout.image("v1", layers=[b"tagged"])
    layout.entry(tagged, "")
    layout.image("", layers=[b"nowhere else"])
    layout.write()
    assert Engine(tmp_path, MemoryTarget()).copy()[0] == {"app:v1": "copied", "app:": "digest_only"}


def test_an_index_with_its_own_digest_for_a_tag_lists_platforms_and_no_referrers(tmp_path: Path) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    index = layout.index([layout.image(layers=[name]) for name in (b"arm", b"amd")], listed=False)
    layout.entry(index, index["digest"].replace(":", "-"))
    layout.write()
    inventory = enumerate_repository(LayoutDirectory(tmp_path), "app")
    assert (inventory.referrers, inventory.strays) == ({}, {})
    assert {entry.kind for entry in inventory.untagged} == {UntaggedKind.CHILD}


@pytest.mark.parametrize("name", ["registry.example/app@{}", ""])
def test_an_entry_that_is_named_by_its_digest_alone_goes_by_digest_where_that_is_asked_for(
    tmp_path: Path, name: str
) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    layout.image("v1", layers=[b"tagged"])
    pulled = layout.image(layers=[b"as crane pulls it by digest"], listed=False)
    digest = pulled["digest"]
    name = name.format(digest)
    layout.entry(pulled, name)
    layout.write()
    assert Engine(tmp_path, MemoryTarget()).copy()[0] == {"app:v1": "copied", f"app:{name}": "digest_only"}
    target = MemoryTarget()
    made = Engine(tmp_path, target, CopyPolicy(untagged=Untagged.ALL))
    assert made.copy() == ({"app:v1": "copied", "app:None": "copied"}, set())
    assert target.resolve_manifest("app", digest) == digest
    assert made.progress.totals.complete


def test_an_entry_that_is_named_by_the_digest_of_a_tag_is_done_with_that(tmp_path: Path) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    entry = layout.image("v1", layers=[b"tagged"])
    layout.entry(entry, f"registry.example/app@{entry['digest']}")
    layout.write()
    assert Engine(tmp_path, MemoryTarget()).copy() == ({"app:v1": "copied"}, set())


def test_only_what_belongs_to_nothing_was_moved(tmp_path: Path) -> None:
    """`--untagged moved` takes just that: platforms and referrers of what has a tag come with it."""
    layout = LayoutBuilder(tmp_path / "app")
    platforms = [layout.image(layers=[name]) for name in (b"arm", b"amd", b"riscv")]
    layout.index(platforms[:1], "v1")
    layout.index([layout.index(platforms[1:2], listed=False)], "v2")
    moved = [layout.index(platforms[2:]), layout.image(layers=[b"moved"])]
    image = layout.image("v3", layers=[b"tagged"])
    layout.entry(image)
    referrer = layout.referrer(image)
    layout.write()
    found = enumerate_repository(LayoutDirectory(str(tmp_path)), "app")
    kinds = {entry.descriptor.digest: entry.kind for entry in found.untagged}
    assert kinds == {
        **dict.fromkeys((each["digest"] for each in platforms), UntaggedKind.CHILD),
        **dict.fromkeys((each["digest"] for each in moved), UntaggedKind.MOVED),
        referrer["digest"]: UntaggedKind.REFERRER,
    }
    taken = plan_untagged(found, CopyPolicy(untagged=Untagged.MOVED))
    assert [entry.descriptor.digest for entry in taken] == [each["digest"] for each in moved]


def test_images_of_several_names_are_told_apart_where_they_share_a_layout_or_a_tag(tmp_path: Path) -> None:
    """As `docker save app:1 db:1 db:2` writes them, and containerd with whole references in place of tags."""
    layout = LayoutBuilder(tmp_path / "app")
    for name, tag in (("app", "1"), ("db", "1"), ("db", "2")):
        image = layout.image(layers=[f"{name} {tag}".encode()], listed=False)
        layout.entry({**image, "annotations": {IMAGE_NAME: f"docker.io/library/{name}:{tag}"}}, tag)
    layout.write()
    made = Engine(tmp_path, MemoryTarget())
    assert made.copy() == ({"app:2": "copied", "app:1": "tag_collision"}, {("app", "several_images")})
    assert "2 images (docker.io/library/app, docker.io/library/db)" in made.findings[0].message
    (refused,) = (result.message or "" for result in made.results if result.code)
    assert "(docker.io/library/app:1), sha256:" in refused
    assert refused.endswith("(docker.io/library/db:1)")


def test_a_tag_that_containerd_exported_with_a_digest_is_that_tag(tmp_path: Path) -> None:
    """`ctr image pull docker.io/library/app:1@sha256:…` names an image so, and its export what follows the colon."""
    layout = LayoutBuilder(tmp_path / "app")
    image = layout.image(layers=[b"pinned"], listed=False)
    pinned = f"1@{image['digest']}"
    layout.entry({**image, "annotations": {IMAGE_NAME: f"docker.io/library/app:{pinned}"}}, pinned)
    layout.write()
    assert Engine(tmp_path, MemoryTarget()).copy() == ({"app:1": "copied"}, set())


@pytest.mark.parametrize(("contents", "more"), [(3, ""), (5, ", …")])
def test_of_a_thousand_contents_of_one_tag_the_first_are_named(tmp_path: Path, contents: int, more: str) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    for number in range(contents):
        layout.image(f"a.example/app{number}:latest", layers=[str(number).encode()])
    layout.write()
    (refused,) = enumerate_repository(LayoutDirectory(tmp_path), "app").refused
    assert refused.message.count("sha256:") == 3
    assert refused.message.endswith(f"(a.example/app2:latest){more}")


def test_one_digest_that_a_tag_has_twice_is_told_with_what_differs(tmp_path: Path) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    image = layout.image("v1", layers=[b"layer"])
    layout.entry({**image, "mediaType": DOCKER_MANIFEST}, "v1")
    layout.image("v1", layers=[b"other"])
    layout.write()
    (refused,) = enumerate_repository(LayoutDirectory(tmp_path), "app").refused
    size = f"of {image['size']} bytes as application/vnd."
    one, two, other = refused.message.partition("different content: ")[2].split(", ")
    assert (one, two) == (
        f"{image['digest']} {size}oci.image.manifest.v1+json",
        f"{image['digest']} {size}docker.distribution.manifest.v2+json",
    )
    assert other.endswith(layout.entries[-1]["digest"])


def test_one_image_under_whole_references_needs_no_word(tmp_path: Path) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    for tag in ("1", "2"):
        layout.image(f"docker.io/library/app:{tag}", layers=[tag.encode()])
    layout.write()
    assert Engine(tmp_path, MemoryTarget()).copy() == ({"app:1": "copied", "app:2": "copied"}, set())


def test_a_time_is_that_of_the_manifest_whichever_of_its_tags_has_the_note(tmp_path: Path) -> None:
    """Oras notes it at the first of several tags alone; with an offset, in the future and of the epoch it may be."""
    layout = LayoutBuilder(tmp_path / "app")
    notes = {"v1": "2026-01-01T00:00:00Z", "v2": "2026-01-01T01:00:00+02:00", "late": "2999-01-01T00:00:00Z"}
    notes |= {"epoch": "1970-01-01T00:00:00Z", "nonsense": "yesterday"}
    images = {
        tag: layout.image(tag, layers=[tag.encode()], annotations={CREATED: note}) for tag, note in notes.items()
    }
    layout.entry(images["v1"], "v1.0")
    layout.image("silent", layers=[b"silent"])
    layout.write()
    source = LayoutDirectory(str(tmp_path))
    made = enumerate_repository(source, "app", dated=True).made
    assert made == {images["v1"]["digest"]: 1767225600.0, images["v2"]["digest"]: 1767222000.0}
    assert enumerate_repository(source, "app").made == {}, "of a million tags they would take their room"


@pytest.mark.parametrize("useless", ["", "yesterday", "0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2025-12-31"])
def test_a_note_that_says_nothing_does_not_hide_the_time_that_another_tag_has(useless: str, tmp_path: Path) -> None:
    """Go's time of zero is year 1, and sorts before all others; so does an empty text."""
    layout = LayoutBuilder(tmp_path / "app")
    old = layout.image("old", layers=[b"old"], annotations={CREATED: "2026-01-01T00:00:00Z"})
    new = layout.image("new", layers=[b"new"], annotations={CREATED: "2026-01-02T00:00:00Z"})
    layout.entry({**new, "annotations": {CREATED: useless}}, "latest")
    layout.write()
    inventory = enumerate_repository(LayoutDirectory(tmp_path), "app", dated=True)
    assert inventory.made == {old["digest"]: 1767225600.0, new["digest"]: 1767312000.0}
    assert inventory.tags[0].tag == "old"


def test_tags_come_in_the_order_of_time_in_whatever_zone_it_is_noted(tmp_path: Path) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    for tag, noted in {
        "b": "2026-01-01T01:00:00+02:00",
        "c": "2026-01-01T00:00:00Z",
        "a": "2025-12-31T20:00:00Z",
    }.items():
        layout.image(tag, layers=[tag.encode()], annotations={CREATED: noted})
    layout.write()
    inventory = enumerate_repository(LayoutDirectory(tmp_path), "app")
    assert [entry.tag for entry in inventory.tags] == ["a", "b", "c"]


def test_tags_come_oldest_first_and_one_without_a_time_with_the_content_that_has_one(tmp_path: Path) -> None:
    """ORAS notes the time on the first tag of `oras push app:v3,latest` alone."""
    layout = LayoutBuilder(tmp_path / "app")
    for version in (3, 1, 2):
        image = layout.image(layers=[b"%d" % version], listed=False)
        if version == 3:
            layout.entry(image, "latest")
        layout.entry({**image, "annotations": {CREATED: f"2026-01-0{version}T00:00:00Z"}}, f"v{version}")
    layout.write()
    inventory = enumerate_repository(LayoutDirectory(tmp_path), "app")
    assert [entry.tag for entry in inventory.tags] == ["v1", "v2", "latest", "v3"]
