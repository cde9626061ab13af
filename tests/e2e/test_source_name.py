"""Sources that are at one path in turn, and one that is at several: what --source-name tells apart, or joins."""

import shutil
from pathlib import Path

import pytest

from infra.real_parts import Registry
from tests.support.command import Layoutlift
from tests.support.layouts import LayoutBuilder
from tests.support.registry_view import RepositoryView, everything_tagged

DELETES = ("--delete-vanished", "--delete-max-percent", "100")


@pytest.fixture
def target(docker_registry: Registry, prefix: str) -> str:
    return f"{docker_registry.host}/{prefix}"


def mounted(path: Path, *layouts: str, content: bytes) -> Path:
    """Have a source of these layouts at a path in place of what was there before."""
    shutil.rmtree(path, ignore_errors=True)
    for name in layouts:
        layout = LayoutBuilder(path / name)
        layout.image("v1", layers=[content])
        layout.write()
    return path


def test_two_sources_at_one_path_in_turn_are_told_apart_by_their_names(
    layoutlift: Layoutlift, docker_registry: Registry, target: str, prefix: str, tmp_path: Path
) -> None:
    a, b = ("--source-name", "bucket-a"), ("--source-name", "bucket-b")
    source = mounted(tmp_path / "mnt", "shared", "only-a", content=b"of a")
    layoutlift.migrate(source, target, *a)
    ours = RepositoryView(docker_registry, f"{prefix}/shared").digest("v1")
    mounted(source, "shared", "only-b", content=b"of b")
    ended = layoutlift.migrate(source, target, *b, *DELETES, code=1)
    assert ended.outcomes == {"shared:v1": "conflict", "only-b:v1": "copied"}
    assert ended.findings == set(), "nothing of the other has vanished"
    assert ended.report["run"]["options"]["source_name"] == "bucket-b"
    assert RepositoryView(docker_registry, f"{prefix}/shared").digest("v1") == ours
    assert set(everything_tagged(docker_registry, prefix)) == {"shared:v1", "only-a:v1", "only-b:v1"}
    changed = layoutlift("ls", source, "--changed", target, *a)
    assert "compared with 2 layouts" in changed.stderr


def test_a_source_at_another_path_goes_on_under_its_name_or_that_of_its_first_path(
    layoutlift: Layoutlift, target: str, tmp_path: Path
) -> None:
    first = mounted(tmp_path / "first", "app", content=b"old")
    layoutlift.migrate(first, target)
    other = mounted(tmp_path / "other", "app", content=b"new")
    assert layoutlift.migrate(other, target, code=1).outcomes == {"app:v1": "conflict"}
    ended = layoutlift.migrate(other, target, "--source-name", str(first))
    assert (ended.outcomes, ended.findings) == ({"app:v1": "copied"}, {("app", "tag_moved")})


def test_nothing_vanished_where_the_source_has_no_layout_that_was_migrated_before(
    layoutlift: Layoutlift, docker_registry: Registry, target: str, prefix: str, tmp_path: Path
) -> None:
    source = mounted(tmp_path / "mnt", "only-a", content=b"of a")
    layoutlift.migrate(source, target)
    mounted(source, "only-b", content=b"of b")
    planned = layoutlift.plan(source, target, *DELETES, code=1)
    assert (".", "too_many_vanished") in planned.findings
    refused = layoutlift.migrate(source, target, *DELETES, code=3)
    assert "--source-name" in refused.stderr
    assert set(everything_tagged(docker_registry, prefix)) == {"only-a:v1"}
    layoutlift.migrate(source, target)
    layoutlift.migrate(source, target, *DELETES)
    assert set(everything_tagged(docker_registry, prefix)) == {"only-b:v1"}, "it was said to be the same"


def test_a_disk_that_is_carried_says_outside_what_is_new_and_inside_what_it_is(
    layoutlift: Layoutlift, docker_registry: Registry, target: str, prefix: str, tmp_path: Path
) -> None:
    """The disk has the layouts and the state; of the bucket, blobs are copied before what names them."""
    bucket, disk = mounted(tmp_path / "bucket", "app", content=b"first"), tmp_path / "disk"
    known = ("--source-name", "bucket", "--state", disk / "state")

    def carry() -> None:
        skips = shutil.ignore_patterns("index.json")
        shutil.copytree(bucket, disk / "layouts", dirs_exist_ok=True, ignore=skips)
        shutil.copytree(bucket, disk / "layouts", dirs_exist_ok=True)

    carry()
    layoutlift.check(disk / "layouts", "--depth", "content")
    layoutlift.migrate(disk / "layouts", target, *known)
    mounted(bucket, "app", "new", content=b"second")
    changed = layoutlift("ls", bucket, "--changed", target, *known).stdout
    assert [line.split("\t")[0] for line in changed.splitlines()] == ["~ app:v1", "+ new:v1"]
    carry()
    layoutlift.check(disk / "layouts", "--depth", "content")
    assert layoutlift.migrate(disk / "layouts", target, *known).outcomes == {"app:v1": "copied", "new:v1": "copied"}
    assert layoutlift("ls", bucket, "--changed", target, *known).stdout == ""
    moved = layoutlift.migrate(disk / "layouts", target, *known, "--since-last")
    assert moved.outcomes == dict.fromkeys(("app:v1", "new:v1"), "up_to_date")
