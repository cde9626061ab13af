"""A tag that two writers lost at the source stays at the target; one that was taken away there, in any way, goes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.real_parts import Registry
from tests.support.command import Ended, Layoutlift
from tests.support.layouts import REF_NAME
from tests.support.policies import newest_by_name
from tests.support.real_parts import Cli
from tests.support.registry_view import RepositoryView

DELETES = ("--delete-vanished", "--delete-max-percent", "100")
ALONE = "--i-am-the-only-writer"


@pytest.fixture
def source(tmp_path: Path, oras_cli: Cli) -> Path:
    """One layout, of which `v1` to `v4` have an image each, and `also-v3` has that of `v3`."""
    source = tmp_path / "s"
    source.mkdir()
    for tag in ("v1", "v2", "v3,also-v3", "v4"):
        push(oras_cli, source, tag)
    return source


def push(oras: Cli, source: Path, tag: str) -> None:
    (source.parent / "content").write_text(tag)
    oras("push", "--oci-layout", f"{source / 'app'}:{tag}", "content", cwd=source.parent)


def lose(source: Path, *tags: str) -> None:
    """As a writer does who had read the index before these were in it, and writes it after that."""
    index = source / "app" / "index.json"
    body = json.loads(index.read_bytes())
    body["manifests"] = [each for each in body["manifests"] if each["annotations"].get(REF_NAME) not in tags]
    index.write_text(json.dumps(body))


def digest_of(layoutlift: Layoutlift, source: Path, tag: str) -> str:
    (found,) = layoutlift.listed(source)["repositories"]
    return next(each["digest"] for each in found["tags"] if each["tag"] == tag)


def said(ended: Ended) -> set[tuple[str, str]]:
    """What was found, without the remark that a tag vanished."""
    return {each for each in ended.findings if each[1] != "tag_vanished"}


def test_what_two_writers_lost_stays_and_what_was_taken_away_beside_it_goes(
    layoutlift: Layoutlift, any_registry: Registry, oras_cli: Cli, source: Path, prefix: str
) -> None:
    target, there = f"{any_registry.host}/{prefix}", RepositoryView(any_registry, f"{prefix}/app")
    layoutlift.migrate(source, target)
    digest = digest_of(layoutlift, source, "v2")
    oras_cli("manifest", "delete", "--force", "--oci-layout", f"{source / 'app'}:v4")
    lose(source, "v2")
    push(oras_cli, source, "v5")
    planned = layoutlift.plan(source, target, *DELETES, code=1)
    assert said(planned) == {("app", "lost_at_source"), ("app", "to_delete")}
    for _ in range(2):
        ended = layoutlift.migrate(source, target, *DELETES, code=1)
        assert ("app", "lost_at_source") in ended.findings
        assert f"{target}/app:v2 stays: " in ended.output
        assert digest in ended.output
        assert there.tags == {"v1", "v2", "v3", "also-v3", "v5"}
    layoutlift("recover", source, "--apply", ALONE)
    oras_cli("tag", "--oci-layout", f"{source / 'app'}@{digest}", "v2")
    assert "lost_at_source" not in layoutlift.migrate(source, target, *DELETES).output
    assert "v2" in there.tags


def test_what_is_brought_back_under_a_name_that_was_made_up_alone_has_lost_its_tag(
    layoutlift: Layoutlift, docker_registry: Registry, source: Path, prefix: str
) -> None:
    """As the advice warns."""
    target, there = f"{docker_registry.host}/{prefix}", RepositoryView(docker_registry, f"{prefix}/app")
    layoutlift.migrate(source, target)
    digest = digest_of(layoutlift, source, "v2")
    lose(source, "v2")
    layoutlift("recover", source, "--apply", ALONE)
    assert ("app", "tag_deleted") in layoutlift.migrate(source, target, *DELETES).findings
    (made_up,) = there.tags - {"v1", "v3", "also-v3", "v4"}
    assert made_up.startswith("recovered-")
    assert digest_of(layoutlift, source, made_up) == digest


def test_where_the_source_is_not_written_to_a_lost_tag_is_deleted_at_the_target_or_left_out(
    layoutlift: Layoutlift, docker_registry: Registry, oras_cli: Cli, source: Path, prefix: str
) -> None:
    """By `oras`, which deletes a manifest with all its tags: that of `v2` has no other one."""
    target, there = f"{docker_registry.host}/{prefix}", RepositoryView(docker_registry, f"{prefix}/app")
    layoutlift.migrate(source, target)
    lose(source, "v2", "v4")
    assert said(layoutlift.migrate(source, target, *DELETES, "--exclude", "app:v2", "--exclude", "app:v4")) == set()
    oras_cli("manifest", "delete", "--force", "--plain-http", f"{target}/app:v2")
    push(oras_cli, source.parent / "others", "theirs")
    others = f"{source.parent / 'others' / 'app'}:theirs"
    oras_cli("cp", "--from-oci-layout", "--to-plain-http", others, f"{target}/app:v4")
    ended = layoutlift.migrate(source, target, *DELETES)
    assert said(ended) == {("app", "tag_deleted"), ("app", "tag_kept")}
    assert there.tags == {"v1", "v3", "also-v3", "v4"}
    assert layoutlift.migrate(source, target, *DELETES).findings == set()


def test_a_tag_whose_image_has_another_name_at_the_source_is_not_lost(
    layoutlift: Layoutlift, docker_registry: Registry, source: Path, prefix: str
) -> None:
    target = f"{docker_registry.host}/{prefix}"
    layoutlift.migrate(source, target)
    lose(source, "also-v3")
    assert said(layoutlift.migrate(source, target, *DELETES)) == {("app", "tag_deleted")}
    assert RepositoryView(docker_registry, f"{prefix}/app").tags == {"v1", "v2", "v3", "v4"}


def by_oras(layoutlift: Layoutlift, oras: Cli, source: Path) -> None:
    oras("manifest", "delete", "--force", "--oci-layout", f"{source / 'app'}:v2")


def by_a_deletion(layoutlift: Layoutlift, oras: Cli, source: Path) -> None:
    """Its blobs are marked, and go by later cleanups."""
    layoutlift("delete", source, "app:v2", "--apply", ALONE)


def by_hand(layoutlift: Layoutlift, oras: Cli, source: Path) -> None:
    """And what is left is collected, as by regctl or umoci."""
    digest = digest_of(layoutlift, source, "v2")
    lose(source, "v2")
    (source / "app/blobs/sha256" / digest.partition(":")[2]).unlink()


def by_untagging(layoutlift: Layoutlift, oras: Cli, source: Path) -> None:
    """The image stays, without a tag."""
    index = source / "app" / "index.json"
    body = json.loads(index.read_bytes())
    for each in body["manifests"]:
        if each["annotations"].get(REF_NAME) == "v2":
            del each["annotations"][REF_NAME]
    index.write_text(json.dumps(body))


@pytest.mark.parametrize("taken_away", [by_oras, by_a_deletion, by_hand, by_untagging])
def test_what_was_taken_away_is_deleted_at_the_target(
    layoutlift: Layoutlift,
    docker_registry: Registry,
    oras_cli: Cli,
    source: Path,
    prefix: str,
    taken_away: Callable[[Layoutlift, Cli, Path], None],
) -> None:
    target = f"{docker_registry.host}/{prefix}"
    layoutlift.migrate(source, target)
    taken_away(layoutlift, oras_cli, source)
    assert ("app", "tag_deleted") in layoutlift.migrate(source, target, *DELETES).findings
    assert RepositoryView(docker_registry, f"{prefix}/app").tags == {"v1", "v3", "also-v3", "v4"}


def test_what_was_taken_away_by_hand_goes_once_a_cleanup_has_marked_what_it_left(
    layoutlift: Layoutlift, docker_registry: Registry, source: Path, prefix: str, tmp_path: Path
) -> None:
    """And what the rules of a cleanup take goes as soon as they have, while its blobs wait at the source."""
    target, there = f"{docker_registry.host}/{prefix}", RepositoryView(docker_registry, f"{prefix}/app")
    layoutlift.migrate(source, target)
    lose(source, "v4")
    assert said(layoutlift.migrate(source, target, *DELETES, code=1)) == {("app", "lost_at_source")}
    policy, plan = tmp_path / "policy.yaml", tmp_path / "plan.jsonl"
    policy.write_text(newest_by_name(2, 100).replace("0s", "21d"))
    layoutlift("cleanup", "plan", source, "--policy", policy, "-o", plan)
    layoutlift("cleanup", "apply", plan, ALONE)
    assert len(list((source / "app/blobs/sha256").iterdir())) == 4 + 4 + 1
    assert said(layoutlift.migrate(source, target, *DELETES)) == {("app", "tag_deleted")}
    assert there.tags == {"v2", "v3", "also-v3"}
