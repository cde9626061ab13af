"""One hostile tree: every good tag arrives; every bad one is named with its reason and is not at the target."""

import hashlib
import json
from pathlib import Path

import pytest

from infra.real_parts import Registry
from tests.support.command import Ended, Layoutlift
from tests.support.hostile_tree import CANARY, Tree, build
from tests.support.registry_view import RepositoryView, everything_tagged

MOST_SECONDS = 300


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return build(tmp_path)


def rows_of_bad_tags(ended: Ended) -> dict[str, str]:
    return {
        f"{row['repository']}:{row['tag']}": row["error"]["code"]
        for row in ended.report["tags"]
        if row["outcome"] in {"refused", "failed"}
    }


def assert_nothing_leaked(registry: Registry, ended: Ended) -> None:
    """The canary's bytes are nowhere in the registry's storage or in what was written."""
    for secret in (CANARY, Path("/etc/hostname").read_bytes()):
        encoded = hashlib.sha256(secret).hexdigest()
        assert not list(registry.storage.rglob(encoded))
    for path in registry.storage.rglob("*"):
        assert not path.is_file() or b"canary:" not in path.read_bytes()
    assert "canary:" not in ended.output
    assert "canary:" not in json.dumps(ended.report)


def test_every_good_tag_arrives_and_every_bad_one_is_named(
    tree: Tree, layoutlift: Layoutlift, any_registry: Registry, prefix: str
) -> None:
    ended = layoutlift.migrate(tree.root, f"{any_registry.host}/{prefix}", code=1)
    assert ended.totals["tags"] == len(ended.report["tags"])
    bad = rows_of_bad_tags(ended)
    assert {name: code for name, code in bad.items() if code not in tree.bad.get(name, ())} == {}
    assert set(bad) == set(tree.bad)
    assert {name: outcome for name, outcome in ended.outcomes.items() if name not in bad} == tree.good
    assert everything_tagged(any_registry, prefix) == tree.arrived
    assert tree.found <= ended.findings
    assert all(row["error"]["message"] for row in ended.report["tags"] if row["error"])
    assert ended.seconds < MOST_SECONDS
    assert "\x1b" not in ended.output
    assert_nothing_leaked(any_registry, ended)


def test_plan_says_beforehand_what_migrate_will_refuse(
    tree: Tree, layoutlift: Layoutlift, zot_registry: Registry, prefix: str
) -> None:
    """But for altered bytes of the right size, which only reading shows."""
    target = f"{zot_registry.host}/{prefix}"
    planned = layoutlift.plan(tree.root, target, code=1)
    assert everything_tagged(zot_registry, prefix) == {}
    ended = layoutlift.migrate(tree.root, target, code=1)
    unread = {f"broken/bytes:altered-{size}" for size in ("small", "large")}
    assert rows_of_bad_tags(ended).items() - rows_of_bad_tags(planned).items() <= {
        (name, "digest_mismatch") for name in unread
    }
    assert set(rows_of_bad_tags(planned)) == set(rows_of_bad_tags(ended)) - unread
    assert planned.findings == ended.findings


def test_check_finds_the_altered_bytes(tree: Tree, layoutlift: Layoutlift) -> None:
    checked = layoutlift.check(tree.root, "--depth", "content", code=1)
    bad = rows_of_bad_tags(checked)
    of_content = {name: codes for name, codes in tree.bad.items() if name.startswith(("broken/", "hostile/"))}
    assert {name: code for name, code in bad.items() if name in of_content} == {
        name: bad.get(name) if bad.get(name) in codes else codes for name, codes in of_content.items()
    }
    assert rows_of_bad_tags(layoutlift.check(tree.root, "--depth", "blobs", code=1)).keys() < bad.keys()


def test_ls_lists_the_good_and_says_what_is_broken(tree: Tree, layoutlift: Layoutlift) -> None:
    listed = layoutlift.listed(tree.root, code=1)
    tags = {f"{r['repository']}:{tag['tag']}" for r in listed["repositories"] for tag in r["tags"]}
    assert set(tree.good) <= tags
    assert {(path, code) for path, code in tree.found if code in {"invalid_layout", "outside_source"}} <= {
        (finding["path"], finding["code"]) for finding in listed["findings"]
    }
    assert "\x1b" not in layoutlift("ls", tree.root, code=1).output


def test_a_repository_with_a_broken_tag_stays_usable(
    tree: Tree, layoutlift: Layoutlift, docker_registry: Registry, prefix: str
) -> None:
    """A second run of the same tree changes nothing, and says the same of the bad ones."""
    target = f"{docker_registry.host}/{prefix}"
    first = layoutlift.migrate(tree.root, target, code=1)
    second = layoutlift.migrate(tree.root, target, code=1)
    assert rows_of_bad_tags(second) == rows_of_bad_tags(first)
    assert second.totals["blobs_pushed"] == 0
    assert second.totals["up_to_date"] == len(tree.good)
    view = RepositoryView(docker_registry, f"{prefix}/broken/bytes")
    assert view.tags == {"good"}
