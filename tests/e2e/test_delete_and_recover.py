"""Deleting one thing and recovering what was lost, by the commands: referrers, digests, nested indexes, a gate."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from infra.real_parts import Registry, SeaweedFS
from tests.support.buckets import upload
from tests.support.command import Layoutlift
from tests.support.layouts import REF_NAME, LayoutBuilder, random_bytes
from tests.support.policies import newest_by_name

ALONE = "--i-am-the-only-writer"
POLICY = newest_by_name(1, 50)


class Tree:
    """One repository: two images, `v1` with an SBOM that is listed without a tag, and an index of both, `all`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        layout = LayoutBuilder(root / "team" / "app")
        self.v1 = layout.image("v1", layers=[random_bytes(1, 2000)])
        self.v2 = layout.image("v2", layers=[random_bytes(2, 2000)])
        layout.entry(self.v2, "other")
        self.sbom = layout.referrer(self.v1, content=b"sbom")
        layout.write()

    @property
    def folder(self) -> Path:
        return self.root / "team" / "app"

    @property
    def entries(self) -> list[dict[str, Any]]:
        return json.loads((self.folder / "index.json").read_bytes())["manifests"]

    @entries.setter
    def entries(self, value: list[dict[str, Any]]) -> None:
        body = json.loads((self.folder / "index.json").read_bytes())
        (self.folder / "index.json").write_text(json.dumps({**body, "manifests": value}))

    @property
    def quarantine(self) -> set[Path]:
        """The blobs that wait in it."""
        return set((self.root / ".layoutlift/trash").rglob("blobs/*/*"))

    @property
    def named(self) -> set[str]:
        """The tags, and the digests of entries without one."""
        return {entry.get("annotations", {}).get(REF_NAME, entry["digest"]) for entry in self.entries}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "tree")


def test_referrers_go_with_what_is_deleted_unless_they_are_to_stay(tree: Tree, layoutlift: Layoutlift) -> None:
    assert tree.sbom["digest"] in tree.named
    before = tree.entries
    layoutlift("delete", tree.root, "team/app:v1", "--apply", ALONE)
    assert tree.named == {"v2", "other"}
    tree.entries = before
    layoutlift("delete", tree.root, "team/app:v1", "--keep-referrers", "--apply", ALONE)
    assert tree.named == {"v2", "other", tree.sbom["digest"]}


def test_a_digest_is_deleted_with_all_its_tags(tree: Tree, layoutlift: Layoutlift) -> None:
    layoutlift("delete", tree.root, f"team/app@{tree.v2['digest']}", "--apply", ALONE)
    assert tree.named == {"v1", tree.sbom["digest"]}
    layoutlift.check(tree.root, "--depth", "content")


def test_a_tag_of_two_contents_is_deleted_by_a_digest_alone(tree: Tree, layoutlift: Layoutlift) -> None:
    """As containerd and `docker save` keep `latest` of two images in one layout."""
    first, second, *rest = before = tree.entries
    images = [
        {**entry, "annotations": {REF_NAME: "v1", "io.containerd.image.name": f"docker.io/{name}:v1"}}
        for name, entry in (("one", first), ("two", second))
    ]
    tree.entries = before = [*images, *rest]
    refused = layoutlift("delete", tree.root, "team/app:v1", "--apply", ALONE, code=3)
    for image in images:
        assert f"team/app@{image['digest']}" in refused.stderr
    assert tree.entries == before
    layoutlift("delete", tree.root, f"team/app@{images[1]['digest']}", "--apply", ALONE)
    assert images[0] in tree.entries
    assert images[1] not in tree.entries


def test_nothing_is_deleted_that_the_target_does_not_hold(
    tree: Tree, layoutlift: Layoutlift, docker_registry: Registry, prefix: str
) -> None:
    target = f"{docker_registry.host}/{prefix}"
    gated = ("--gate", target, "--plain-http", "--apply", ALONE)
    kept = layoutlift("delete", tree.root, "team/app:v1", *gated, code=3)
    assert "stays: the target does not have it" in kept.stderr
    assert "v1" in tree.named
    layoutlift.migrate(tree.root, target)
    layoutlift("delete", tree.root, "team/app:v1", *gated)
    assert tree.named == {"v2", "other"}


@pytest.mark.parametrize("command", [("delete", "team/app:v1"), ("recover",)])
def test_plan_and_outcome_are_one_json_document(tree: Tree, layoutlift: Layoutlift, command: tuple[str, ...]) -> None:
    name, *rest = command
    plan = json.loads(layoutlift(name, tree.root, *rest, "--json").stdout)
    assert "applied" not in plan
    refused = json.loads(layoutlift(name, tree.root, *rest, "--json", "--apply", code=0 if not rest else 3).stdout)
    assert (refused["applied"] is None) is bool(rest)
    both = json.loads(layoutlift(name, tree.root, *rest, "--json", "--apply", ALONE).stdout)
    assert both["kind"] == name
    assert both["applied"]["run"]
    assert [each["path"] for each in both["applied"]["repositories"]] == (["team/app"] if rest else [])


def test_referrers_and_nested_indexes_are_recovered(tmp_path: Path, layoutlift: Layoutlift) -> None:
    layout = LayoutBuilder(tmp_path / "tree" / "team" / "app")
    layout.image("stays", layers=[b"stays"])
    children = [layout.image(None, layers=[b"layer %d" % number], listed=False) for number in range(2)]
    inner = layout.index(children, listed=False)
    outer = layout.index([inner], "outer")
    signature = layout.referrer(outer, content=b"signature")
    layout.write()
    index = tmp_path / "tree/team/app/index.json"
    body = json.loads(index.read_bytes())
    body["manifests"] = [e for e in body["manifests"] if e.get("annotations", {}).get(REF_NAME) == "stays"]
    index.write_text(json.dumps(body))
    layoutlift("recover", tmp_path / "tree", "--apply", ALONE)
    named = {
        (e.get("annotations", {}).get(REF_NAME), e["digest"]) for e in json.loads(index.read_bytes())["manifests"]
    }
    tag = f"recovered-{outer['digest'][7:19]}"
    assert {(tag, outer["digest"]), (None, signature["digest"])} == {each for each in named if each[0] != "stays"}
    layoutlift.check(tmp_path / "tree", "--depth", "content")


def test_of_a_bucket_that_keeps_versions_a_lost_tag_comes_back_by_its_name_and_one_that_moved_on_does_not(
    tmp_path: Path, seaweedfs: SeaweedFS, layoutlift: Layoutlift, prefix: str
) -> None:
    layoutlift.environment.update(seaweedfs.environment())
    client, bucket = seaweedfs.client(), seaweedfs.create_bucket(f"recover-{prefix}")
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    layout = LayoutBuilder(tmp_path / "app")
    images = {tag: layout.image(None, layers=[tag.encode()], listed=False) for tag in ("lost", "old", "new")}
    layout.write()
    upload(seaweedfs, tmp_path, bucket)
    for tags in (
        {"moves": "old"},
        {"moves": "new"},
        {"v1": "lost", "latest": "lost", "moves": "new"},  # the second writer did not see this one
        {"moves": "new"},
    ):
        entries = [{**images[image], "annotations": {REF_NAME: tag}} for tag, image in tags.items()]
        body = json.dumps({"schemaVersion": 2, "manifests": entries})
        client.put_object(Bucket=bucket, Key="app/index.json", Body=body.encode())
    made_up = f"recovered-{images['old']['digest'][7:19]}"
    shown = layoutlift("recover", f"s3://{bucket}").stdout
    assert all(tag in shown for tag in ("v1", "latest", made_up, "earlier index.json"))
    layoutlift("recover", f"s3://{bucket}", "--apply", ALONE)
    index = json.loads(client.get_object(Bucket=bucket, Key="app/index.json")["Body"].read())
    named = {each["annotations"][REF_NAME]: each["digest"] for each in index["manifests"]}
    expected = {"v1": "lost", "latest": "lost", "moves": "new", made_up: "old"}
    assert named == {tag: images[image]["digest"] for tag, image in expected.items()}


def cleaned(tree: Tree, folder: Path, layoutlift: Layoutlift) -> str:
    (folder / "policy.yaml").write_text(POLICY)
    file = folder / "plan.jsonl"
    layoutlift("cleanup", "plan", tree.root, "--policy", folder / "policy.yaml", "-o", file)
    return layoutlift("cleanup", "apply", file, ALONE).stderr


def test_the_quarantine_of_a_repository_that_was_removed_whole_is_purged(
    tree: Tree, tmp_path: Path, layoutlift: Layoutlift
) -> None:
    for _ in range(2):
        cleaned(tree, tmp_path, layoutlift)
    held = tree.quarantine
    assert held
    shutil.rmtree(tree.folder)
    cleaned(tree, tmp_path, layoutlift)
    assert tree.quarantine == held, "what is above it is empty, as a mount that is away"
    tree.folder.parent.rmdir()
    cleaned(tree, tmp_path, layoutlift)
    assert not tree.quarantine
    assert not tree.folder.exists()


def test_the_quarantine_of_a_repository_that_is_only_broken_stays(
    tree: Tree, tmp_path: Path, layoutlift: Layoutlift
) -> None:
    for _ in range(2):
        cleaned(tree, tmp_path, layoutlift)
    held = tree.quarantine
    assert held
    (tree.folder / "index.json").unlink()
    (tree.folder / "oci-layout").unlink()
    cleaned(tree, tmp_path, layoutlift)
    assert tree.quarantine == held


def test_a_blob_of_another_size_is_found_by_the_plan_and_by_the_check_after_it(
    tree: Tree, tmp_path: Path, layoutlift: Layoutlift
) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY)
    file = tmp_path / "plan.jsonl"
    plan = ("cleanup", "plan", tree.root, "--policy", tmp_path / "policy.yaml", "-o", file)
    layoutlift(*plan)
    body = json.loads((tree.folder / "blobs/sha256" / tree.v2["digest"][7:]).read_bytes())
    layer = tree.folder / "blobs/sha256" / body["layers"][0]["digest"][7:]
    layer.write_bytes(layer.read_bytes()[:-1])
    applied = layoutlift("cleanup", "apply", file, ALONE, code=1)
    assert "has 1999 bytes in place of 2000 (size_mismatch)" in applied.stderr
    assert "(size_mismatch)" in layoutlift(*plan, code=1).output
