"""What a verification must find: a verifier that says yes to everything fails here."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.real_parts import Registry
from tests.support.command import Layoutlift
from tests.support.layouts import LayoutBuilder, random_bytes
from tests.support.registry_view import DistributionStorage, RepositoryView

DEPTHS = ("manifest", "blobs", "content")


@dataclass(frozen=True)
class Migrated:
    """A repository that was migrated: two tags with a layer of their own each, the first with a referrer."""

    source: Path
    target: str
    layers: dict[str, dict[str, Any]]
    images: dict[str, dict[str, Any]]
    sbom: dict[str, Any]
    storage: DistributionStorage
    view: RepositoryView


@pytest.fixture
def migrated(layoutlift: Layoutlift, docker_registry: Registry, prefix: str, tmp_path: Path) -> Migrated:
    layout = LayoutBuilder(tmp_path / "app")
    contents = {tag: f"{prefix} {tag}".encode() + random_bytes(len(tag), 5000) for tag in ("v1", "v2")}
    layers = {tag: layout.blob(content) for tag, content in contents.items()}
    images = {tag: layout.image(tag, layers=[content]) for tag, content in contents.items()}
    sbom = layout.referrer(images["v1"], content=f"sbom of {prefix}".encode())
    layout.index([images["v1"], images["v2"]], "multi")
    layout.write()
    target = f"{docker_registry.host}/{prefix}"
    layoutlift.migrate(tmp_path, target)
    repository = f"{prefix}/app"
    storage, view = DistributionStorage(docker_registry, repository), RepositoryView(docker_registry, repository)
    return Migrated(tmp_path, target, layers, images, sbom, storage, view)


def alter(path: Path) -> None:
    raw = path.read_bytes()
    path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("depth", DEPTHS)
def test_what_is_whole_is_verified(depth: str, layoutlift: Layoutlift, migrated: Migrated) -> None:
    ended = layoutlift.verify(migrated.source, migrated.target, "--depth", depth)
    assert {row["verified"] for row in ended.report["tags"]} == {depth}
    assert {row["tag"]: row["referrers"] for row in ended.report["tags"]} == {"v1": 1, "v2": 0, "multi": 1}
    assert ended.report["findings"] == []


@pytest.mark.parametrize(
    ("breaks", "depth", "expected"),
    [
        pytest.param(
            lambda m: m.storage.remove_tag("v1"), "manifest", {"v1": "missing_at_target"}, id="a tag is gone"
        ),
        pytest.param(
            lambda m: m.view.push_image("v1"), "manifest", {"v1": "different_at_target"}, id="a tag has moved"
        ),
        pytest.param(
            lambda m: m.storage.unlink_manifest(m.images["v2"]["digest"]),
            "manifest",
            {"v2": "missing_at_target", "multi": "missing_at_target"},
            id="a manifest is gone",
        ),
        pytest.param(
            lambda m: m.storage.blob_file(m.layers["v2"]["digest"]).unlink(),
            "blobs",
            {"v2": "missing_at_target", "multi": "missing_at_target"},
            id="a blob's file is gone",
        ),
        pytest.param(
            lambda m: m.storage.unlink_blob(m.layers["v2"]["digest"]),
            "blobs",
            {"v2": "missing_at_target", "multi": "missing_at_target"},
            id="a blob is gone from the repository",
        ),
        pytest.param(
            lambda m: shorten(m.storage.blob_file(m.layers["v2"]["digest"])),
            "blobs",
            {"v2": "damaged_at_target", "multi": "damaged_at_target"},
            id="a blob is cut short",
        ),
        pytest.param(
            lambda m: alter(m.storage.blob_file(m.layers["v2"]["digest"])),
            "content",
            {"v2": "damaged_at_target", "multi": "damaged_at_target"},
            id="a blob is altered",
        ),
        pytest.param(
            lambda m: m.storage.remove_tag(m.images["v1"]["digest"].replace(":", "-")),
            "manifest",
            {"v1": "referrer_lost", "multi": "referrer_lost"},
            id="the list of referrers is gone",
        ),
        pytest.param(
            lambda m: m.storage.unlink_manifest(m.sbom["digest"]),
            "manifest",
            {"v1": "missing_at_target", "multi": "missing_at_target"},
            id="a referrer is gone",
        ),
    ],
)
def test_what_is_broken_at_the_target_is_found(
    breaks: Callable[[Migrated], object],
    depth: str,
    expected: dict[str, str],
    layoutlift: Layoutlift,
    migrated: Migrated,
) -> None:
    breaks(migrated)
    for deep_enough in DEPTHS[DEPTHS.index(depth) :]:
        ended = layoutlift.verify(migrated.source, migrated.target, "--depth", deep_enough, code=1)
        problems = {row["tag"]: row["error"]["code"] for row in ended.report["tags"] if row["error"]}
        assert problems == expected
        assert "estore" not in ended.stdout, "the source is whole"
        whole = {row["tag"] for row in ended.report["tags"] if row["verified"] == deep_enough}
        assert whole == {"v1", "v2", "multi"} - set(expected)


@pytest.mark.parametrize(
    "breaks",
    [
        pytest.param(lambda m: m.storage.unlink_manifest(m.images["v2"]["digest"]), id="a manifest is gone"),
        pytest.param(lambda m: m.storage.blob_file(m.layers["v2"]["digest"]).unlink(), id="a blob's file is gone"),
        pytest.param(lambda m: m.storage.unlink_blob(m.layers["v2"]["digest"]), id="a blob is gone"),
        pytest.param(
            lambda m: m.storage.remove_tag(m.images["v1"]["digest"].replace(":", "-")), id="the list is gone"
        ),
        pytest.param(lambda m: m.storage.unlink_manifest(m.sbom["digest"]), id="a referrer is gone"),
    ],
)
def test_what_was_lost_below_a_tag_that_was_proved_is_brought_again_when_it_is_to_be_proved_again(
    breaks: Callable[[Migrated], object], layoutlift: Layoutlift, migrated: Migrated
) -> None:
    layoutlift.migrate(migrated.source, migrated.target, "--depth", "content")
    breaks(migrated)
    advised = layoutlift.verify(migrated.source, migrated.target, code=1)
    assert "migrate --prove-again --depth blobs" in advised.stdout
    planned = layoutlift.plan(migrated.source, migrated.target, "--prove-again", "--depth", "blobs")
    mended = layoutlift.migrate(migrated.source, migrated.target, "--prove-again", "--depth", "blobs")
    to_copy = {tag for tag, said in planned.outcomes.items() if said == "to_copy"}
    copied = {tag for tag, said in mended.outcomes.items() if said == "copied"}
    assert copied <= to_copy, "what one tag has mended is there when another one is looked at"
    assert bool(copied) == bool(to_copy)
    assert mended.report["run"]["options"]["prove_again"] is True
    layoutlift.verify(migrated.source, migrated.target, "--depth", "content")


def test_extra_tags_are_listed_and_are_no_problem(layoutlift: Layoutlift, migrated: Migrated) -> None:
    migrated.view.push_image("theirs")
    ended = layoutlift.verify(migrated.source, migrated.target)
    (finding,) = ended.report["findings"]
    assert finding["code"] == "extra_at_target"
    assert f"{migrated.target}/app:theirs" in finding["message"]


def test_nothing_was_migrated(layoutlift: Layoutlift, migrated: Migrated) -> None:
    ended = layoutlift.verify(migrated.source, f"{migrated.target}-elsewhere", code=1)
    assert set(ended.outcomes.values()) == {"missing_at_target"}
    assert ended.totals["failed"] == 3


def test_a_source_that_was_altered_since_is_found(layoutlift: Layoutlift, migrated: Migrated) -> None:
    """The target is whole, the source is not: `check` says so, and `verify` compares with what the source says."""
    blob = migrated.source / "app/blobs" / Path(*migrated.layers["v1"]["digest"].split(":"))
    alter(blob)
    checked = layoutlift.check(migrated.source, "--depth", "content", code=1)
    assert checked.outcomes["app:v1"] == "digest_mismatch"
    layoutlift.verify(migrated.source, migrated.target, "--depth", "content")


def test_altered_content_is_found_by_its_part_and_no_part_is_told_as_the_whole(
    layoutlift: Layoutlift, migrated: Migrated
) -> None:
    digest = migrated.layers["v1"]["digest"]
    alter(migrated.source / "app/blobs" / Path(*digest.split(":")))
    alter(migrated.storage.blob_file(digest))
    part = int(digest.removeprefix("sha256:")[:8], 16) % 2 + 1
    ours, other = (("--depth", "content", "--content-part", f"{number}/2") for number in (part, 3 - part))
    assert layoutlift.check(migrated.source, *ours, code=1).outcomes["app:v1"] == "digest_mismatch"
    verified = layoutlift.verify(migrated.source, migrated.target, *ours, code=1)
    assert verified.outcomes["app:v1"] == "damaged_at_target"
    for ended in (
        layoutlift.check(migrated.source, *other),
        layoutlift.verify(migrated.source, migrated.target, *other),
    ):
        assert {row["verified"] for row in ended.report["tags"]} == {"blobs"}
        options = ended.report["run"]["options"]
        assert (options["depth"], options["content_part"]) == ("content", f"{3 - part}/2")
    for command in ("check", "verify"):
        places = (migrated.source, migrated.target)[: 1 + (command == "verify")]
        refused = layoutlift(command, *places, "--content-part", "1/2", code=2)
        assert "--content-part: it is a setting of --depth content" in refused.stderr
    refused = layoutlift("cutover", migrated.source, migrated.target, *ours, code=2)
    assert "--content-part" in refused.stderr


@pytest.mark.parametrize(
    "breaks",
    [
        pytest.param(lambda m: m.storage.unlink_manifest(m.images["v2"]["digest"]), id="a manifest is gone"),
        pytest.param(lambda m: m.storage.unlink_blob(m.layers["v2"]["digest"]), id="a blob is gone"),
        pytest.param(lambda m: m.storage.unlink_manifest(m.sbom["digest"]), id="a referrer is gone"),
    ],
)
def test_a_migration_that_looks_deeper_than_the_last_mends_what_is_missing(
    breaks: Callable[[Migrated], object], layoutlift: Layoutlift, migrated: Migrated
) -> None:
    breaks(migrated)
    layoutlift.verify(migrated.source, migrated.target, code=1)
    layoutlift.migrate(migrated.source, migrated.target, "--depth", "content")
    layoutlift.verify(migrated.source, migrated.target, "--depth", "content")
