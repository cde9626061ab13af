"""Referrers that stay behind are counted, and nothing is said to stay that comes."""

from pathlib import Path
from typing import Any

import pytest

from tasks.operations.reports.findings import is_harmful
from tasks.operations.source.enumeration import enumerate_repository
from tasks.operations.work.left_behind import referrers_left
from tasks.operations.work.planning import CopyPolicy, Untagged
from tasks.stores.directory.layout_directory import LayoutDirectory
from tests.support.engine import Engine
from tests.support.layouts import OCI_MANIFEST, LayoutBuilder
from tests.support.memory_stores import MemoryTarget
from tests.support.random_layout import RandomLayout


def said(root: Path, **policy: Any) -> str | None:
    inventory = enumerate_repository(LayoutDirectory(str(root)), "app")
    findings = list(referrers_left(inventory, CopyPolicy(**policy)))
    assert not any(map(is_harmful, findings)), "manifests without a tag stay behind, as the manual says"
    return findings[0].message if findings else None


def test_referrers_of_what_has_no_tag_or_is_not_there_are_counted_and_those_of_tags_are_not(tmp_path: Path) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    part = layout.image(layers=[b"part"], listed=False)
    tagged = layout.index([part], "v1")
    for subject in (tagged, part, layout.referrer(tagged, content=b"SBOM")):
        layout.referrer(subject, content=b"comes along")
    moved = layout.image(layers=[b"moved"])
    of_moved = layout.referrer(moved, content=b"of what has moved")
    layout.referrer(of_moved, content=b"and its signature")
    orphan = layout.referrer({"mediaType": OCI_MANIFEST, "digest": f"sha256:{'a' * 64}", "size": 8})
    layout.write()
    assert str(said(tmp_path)).startswith("3 referrers stay behind, sha256:")
    assert str(said(tmp_path, untagged=Untagged.MOVED)).startswith(f"the referrer {orphan['digest']} stays behind: ")
    assert said(tmp_path, untagged=Untagged.ALL) is None
    assert said(tmp_path, referrers=False) is None, "all of them are to stay"


def test_where_a_tag_can_not_be_read_nobody_says_that_nothing_leads_to_a_referrer(tmp_path: Path) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    part = layout.image(layers=[b"part"], listed=False)
    layout.referrer(part)
    index = layout.index([part], "v1")
    layout.write()
    assert said(tmp_path) is None
    layout.blob_path(index).unlink()
    assert said(tmp_path) is None


@pytest.mark.parametrize("untagged", [Untagged.NONE, Untagged.MOVED])
@pytest.mark.parametrize("seed", range(40, 120))
def test_nothing_that_came_is_said_to_have_stayed(tmp_path: Path, seed: int, untagged: Untagged) -> None:
    RandomLayout(tmp_path / "app", seed)
    made = Engine(tmp_path, MemoryTarget(referrers_api=False), CopyPolicy(untagged=untagged))
    with made.run() as tree:
        tree.execute_all(tree.survey().batches)
    strays = enumerate_repository(LayoutDirectory(str(tmp_path)), "app").strays
    stayed = {digest for digest, is_of_moved in strays.items() if untagged is Untagged.NONE or not is_of_moved}
    assert not stayed & made.target._asked("app").manifests.keys()
