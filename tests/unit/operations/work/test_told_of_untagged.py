"""Referrers that stay behind are counted, and what a registry may delete is named; what comes and stays is not."""

from pathlib import Path
from typing import Any

import pytest

from tasks.oci.registry_profiles import GENERIC, RegistryKind, RegistryProfile, profile_of
from tasks.operations.choosing.exact_list import ExactList
from tasks.operations.choosing.selection import Selection
from tasks.operations.reports.findings import is_harmful
from tasks.operations.source.enumeration import enumerate_repository
from tasks.operations.work.planning import CopyPolicy, Untagged
from tasks.operations.work.told_of_untagged import referrers_left
from tasks.stores.directory.layout_directory import LayoutDirectory
from tests.support.engine import Engine
from tests.support.layouts import OCI_MANIFEST, LayoutBuilder
from tests.support.memory_stores import MemoryTarget
from tests.support.random_layout import RandomLayout

QUAY = profile_of(RegistryKind.QUAY, "")
GITLAB = profile_of(RegistryKind.GITLAB, "")


def said_to_stay(root: Path, **policy: Any) -> str | None:
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
    assert str(said_to_stay(tmp_path)).startswith("3 referrers stay behind, sha256:")
    assert str(said_to_stay(tmp_path, untagged=Untagged.MOVED)).startswith(
        f"the referrer {orphan['digest']} stays behind: "
    )
    assert said_to_stay(tmp_path, untagged=Untagged.ALL) is None
    assert said_to_stay(tmp_path, referrers=False) is None, "all of them are to stay"


def test_where_a_tag_can_not_be_read_nobody_says_that_nothing_leads_to_a_referrer(tmp_path: Path) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    part = layout.image(layers=[b"part"], listed=False)
    layout.referrer(part)
    index = layout.index([part], "v1")
    layout.write()
    assert said_to_stay(tmp_path) is None
    layout.blob_path(index).unlink()
    assert said_to_stay(tmp_path) is None


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


def said_to_go(
    root: Path, profile: RegistryProfile, untagged: Untagged, selection: Selection | None = None
) -> str | None:
    made = Engine(root, MemoryTarget(profile=profile), CopyPolicy(untagged=untagged), selection=selection)
    with made.run() as tree:
        tree.execute_all(tree.survey().batches)
    assert not any(map(is_harmful, made.findings))
    (message,) = [each.message for each in made.findings if each.code == "untagged_may_go"] or [None]
    return message


@pytest.mark.parametrize("profile", [QUAY, GITLAB], ids=["quay", "gitlab"])
def test_a_manifest_without_a_tag_is_named_where_it_may_be_deleted(tmp_path: Path, profile: RegistryProfile) -> None:
    layout = LayoutBuilder(tmp_path / "team" / "app")
    layout.image("v1", layers=[b"tagged"])
    moved = layout.image(layers=[b"moved"])
    layout.write()
    for untagged in (Untagged.MOVED, Untagged.ALL):
        message = f"{moved['digest']} has no tag, and {profile.title} may delete what has none"
        assert said_to_go(tmp_path, profile, untagged) == message
        assert said_to_go(tmp_path, GENERIC, untagged) is None
    assert said_to_go(tmp_path, profile, Untagged.NONE) is None


def test_what_a_tag_leads_to_is_not_named(tmp_path: Path) -> None:
    layout = LayoutBuilder(tmp_path / "team" / "app")
    part = layout.image(layers=[b"part"])
    layout.referrer(layout.index([part], "v1"))
    layout.write()
    assert said_to_go(tmp_path, QUAY, Untagged.ALL) is None


def test_of_a_list_what_it_names_by_digest_is_named_unless_its_tag_is_listed_too(tmp_path: Path) -> None:
    layout = LayoutBuilder(tmp_path / "team" / "app")
    digest = layout.image("v1", layers=[b"tagged"])["digest"]
    other = layout.image("v2", layers=[b"tagged, too"])["digest"]
    layout.write()

    def listed(*lines: str) -> str | None:
        selection = Selection.parse(listed=ExactList.parse(lines, "list"))
        return said_to_go(tmp_path, QUAY, Untagged.NONE, selection)

    assert str(listed(f"team/app@{digest}")).startswith(f"{digest} has no tag, ")
    assert str(listed(f"team/app@{digest}", f"team/app@{other}")).startswith(
        f"2 manifests, {digest} among them, have no tag, "
    )
    assert listed(f"team/app@{digest}", "team/app:v1") is None
