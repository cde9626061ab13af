"""Cleaning up by the commands: plan, apply that plan, undo it, delete one thing, recover what was lost."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from infra.real_parts import SeaweedFS
from tests.support.buckets import upload
from tests.support.cleanup_trials import files_in_bucket, files_in_directory, holes
from tests.support.command import Layoutlift
from tests.support.layouts import REF_NAME, LayoutBuilder, random_bytes
from tests.support.policies import newest_by_name

POLICY = newest_by_name(2, 50)
ALONE = "--i-am-the-only-writer"


def write_app(root: Path, tags: int = 4) -> LayoutBuilder:
    """A repository whose tags share a layer, each with a referrer."""
    layout = LayoutBuilder(root / "team" / "app")
    for tag in range(tags):
        image = layout.image(f"v{tag}", layers=[random_bytes(1, 2000), random_bytes(10 + tag, 3000)])
        layout.referrer(image, content=b"sbom %d" % tag)
    layout.write()
    return layout


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    write_app(tmp_path / "tree")
    return tmp_path / "tree"


def tags(root: Path) -> set[str]:
    entries: list[dict[str, Any]] = json.loads((root / "team/app/index.json").read_bytes())["manifests"]
    return {entry["annotations"][REF_NAME] for entry in entries if REF_NAME in entry.get("annotations", {})}


def layout_files(root: Path) -> dict[str, bytes]:
    return {path: raw for path, raw in files_in_directory(root).items() if not path.startswith(".layoutlift/")}


def blobs(root: Path) -> set[str]:
    return {path for path in layout_files(root) if "/blobs/" in path}


def plan(command: Layoutlift, source: Path | str, folder: Path, policy: str = POLICY) -> Path:
    (folder / "policy.yaml").write_text(policy)
    command("cleanup", "plan", source, "--policy", folder / "policy.yaml", "-o", folder / "plan.jsonl")
    return folder / "plan.jsonl"


def run_of(output: str) -> str:
    return output.strip().rsplit(" ", 1)[1]


def test_tags_go_at_once_their_blobs_a_run_later_and_for_good_after_another(
    tree: Path, tmp_path: Path, layoutlift: Layoutlift
) -> None:
    before = blobs(tree)
    layoutlift("cleanup", "apply", plan(layoutlift, tree, tmp_path), ALONE)
    assert (tags(tree), blobs(tree)) == ({"v2", "v3"}, before)
    layoutlift("cleanup", "apply", plan(layoutlift, tree, tmp_path), ALONE)
    assert blobs(tree) < before
    assert list((tree / ".layoutlift" / "trash").rglob("blobs"))
    layoutlift("cleanup", "apply", plan(layoutlift, tree, tmp_path), ALONE)
    assert not list((tree / ".layoutlift" / "trash").rglob("blobs/*/*"))
    assert not list(holes(layout_files(tree)))
    layoutlift.check(tree, "--depth", "content")


def test_undo_puts_back_what_a_run_took_and_leaves_what_came_later(
    tree: Path, tmp_path: Path, layoutlift: Layoutlift
) -> None:
    before = layout_files(tree)
    policy = POLICY.replace("hold: 0s", "hold: 1h")
    first, second = (
        run_of(layoutlift("cleanup", "apply", plan(layoutlift, tree, tmp_path, policy), ALONE).stdout)
        for _ in range(2)
    )
    later = LayoutBuilder(tmp_path / "later")
    image = later.image("later", layers=[b"later"])
    later.write()
    for path in (tmp_path / "later" / "blobs" / "sha256").iterdir():
        (tree / "team/app/blobs/sha256" / path.name).write_bytes(path.read_bytes())
    index = json.loads((tree / "team/app/index.json").read_bytes())
    index["manifests"].append({**image, "annotations": {REF_NAME: "later"}})
    (tree / "team/app/index.json").write_text(json.dumps(index))
    layoutlift("cleanup", "undo", second, ALONE)
    layoutlift("cleanup", "undo", first, "--source", tree, ALONE)
    assert tags(tree) == {"v0", "v1", "v2", "v3", "later"}
    assert {path for path in before if "/blobs/" in path} <= blobs(tree)
    layoutlift.check(tree, "--depth", "content")


def test_a_plan_beyond_its_limits_is_refused_unless_they_are_raised(
    tree: Path, tmp_path: Path, layoutlift: Layoutlift
) -> None:
    file = plan(layoutlift, tree, tmp_path, POLICY.replace("50", "10"))
    before = files_in_directory(tree)
    refused = layoutlift("cleanup", "apply", file, ALONE, code=3)
    assert "max_percent" in refused.stderr
    assert files_in_directory(tree) == before
    layoutlift("cleanup", "apply", file, ALONE, "--max-percent", "50")
    assert tags(tree) == {"v2", "v3"}


def test_a_directory_is_changed_for_its_only_writer_alone(tree: Path, tmp_path: Path, layoutlift: Layoutlift) -> None:
    before = layout_files(tree)
    refused = layoutlift("cleanup", "apply", plan(layoutlift, tree, tmp_path), code=3)
    assert ALONE in refused.stderr
    assert layout_files(tree) == before


def test_an_edited_plan_is_refused(tree: Path, tmp_path: Path, layoutlift: Layoutlift) -> None:
    file = plan(layoutlift, tree, tmp_path)
    file.write_bytes(file.read_bytes().replace(b'"v0"', b'"v3"'))
    before = files_in_directory(tree)
    layoutlift("cleanup", "apply", file, ALONE, code=2)
    assert files_in_directory(tree) == before


def test_a_run_that_nobody_knows_can_not_be_undone(tree: Path, layoutlift: Layoutlift) -> None:
    assert "--source" in layoutlift("cleanup", "undo", "unknown", ALONE, code=2).stderr
    assert not layoutlift("cleanup", "undo", "unknown", "--source", tree, ALONE, code=2).stdout
    assert files_in_directory(tree) == layout_files(tree)


def test_a_bucket_is_cleaned_up_while_others_may_write(
    tree: Path, tmp_path: Path, layoutlift: Layoutlift, seaweedfs: SeaweedFS
) -> None:
    layoutlift.environment.update(seaweedfs.environment())
    bucket = seaweedfs.create_bucket("cleanup-commands")
    upload(seaweedfs, tree, bucket)
    for _ in range(2):
        layoutlift("cleanup", "apply", plan(layoutlift, f"s3://{bucket}", tmp_path))
    files = {
        path: raw
        for path, raw in files_in_bucket(seaweedfs.client(), bucket).items()
        if not path.startswith(".layoutlift/")
    }
    assert not list(holes(files))
    assert len(files) < len(layout_files(tree))


def test_deleting_a_tag_shows_the_plan_first(tree: Path, layoutlift: Layoutlift) -> None:
    before = files_in_directory(tree)
    shown = layoutlift("delete", tree, "team/app:v1")
    assert "delete team/app:v1" in shown.stdout
    assert files_in_directory(tree) == before
    layoutlift("delete", tree, "team/app:v1", "--apply", ALONE)
    assert tags(tree) == {"v0", "v2", "v3"}
    layoutlift.check(tree, "--depth", "content")


def test_a_whole_repository_can_be_deleted_and_brought_back(tree: Path, layoutlift: Layoutlift) -> None:
    deleted = layoutlift("delete", tree, "team/app", "--apply", ALONE)
    assert tags(tree) == set()
    layoutlift("cleanup", "undo", run_of(deleted.stdout), ALONE)
    assert tags(tree) == {"v0", "v1", "v2", "v3"}


def test_deleting_and_recovering_leave_to_a_policy_how_long_things_wait(
    tree: Path, tmp_path: Path, layoutlift: Layoutlift
) -> None:
    for _ in range(2):
        layoutlift(
            "cleanup", "apply", plan(layoutlift, tree, tmp_path, POLICY.replace("hold: 0s", "hold: 90d")), ALONE
        )
    month = 30 * 86_400
    for record in (tree / ".layoutlift/runs").rglob("*.json"):
        body = json.loads(record.read_bytes())
        record.write_text(json.dumps({**body, "time": body["time"] - month}))
        os.utime(record, (record.stat().st_mtime - month,) * 2)
    before = {path for path in files_in_directory(tree) if path.startswith((".layoutlift/trash", ".layoutlift/runs"))}
    layoutlift("delete", tree, "team/app:v3", "--apply", ALONE)
    layoutlift("recover", tree, "--apply", ALONE)
    assert before <= set(files_in_directory(tree))


@pytest.mark.parametrize("named", ["team/app:none", "other", "team/app@sha256:123", "team/app:", "@"])
def test_what_is_not_there_can_not_be_deleted(tree: Path, layoutlift: Layoutlift, named: str) -> None:
    layoutlift("delete", tree, named, "--apply", ALONE, code=2)
    assert tags(tree) == {"v0", "v1", "v2", "v3"}


def test_lost_manifests_are_named_again(tree: Path, tmp_path: Path, layoutlift: Layoutlift) -> None:
    index = tree / "team/app/index.json"
    body = json.loads(index.read_bytes())
    lost = next(e for e in body["manifests"] if e.get("annotations", {}).get(REF_NAME) == "v1")
    body["manifests"].remove(lost)
    index.write_text(json.dumps(body))
    tag = f"recovered-{lost['digest'][7:19]}"
    assert tag in layoutlift("recover", tree).stdout
    assert tags(tree) == {"v0", "v2", "v3"}
    layoutlift("recover", tree, "--apply", ALONE)
    assert tags(tree) == {"v0", "v2", "v3", tag}
    layoutlift.check(tree, "--depth", "content")
