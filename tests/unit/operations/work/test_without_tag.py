"""What goes by its digest alone is named where the registry lets such manifests go, and nothing else is."""

from pathlib import Path

import pytest

from tasks.oci.registry_profiles import GENERIC, RegistryKind, RegistryProfile, profile_of
from tasks.operations.choosing.exact_list import ExactList
from tasks.operations.choosing.selection import Selection
from tasks.operations.reports.findings import is_harmful
from tasks.operations.work.planning import CopyPolicy, Untagged
from tests.support.engine import Engine
from tests.support.layouts import LayoutBuilder
from tests.support.memory_stores import MemoryTarget

QUAY = profile_of(RegistryKind.QUAY, "")
GITLAB = profile_of(RegistryKind.GITLAB, "")


def said(root: Path, profile: RegistryProfile, untagged: Untagged, selection: Selection | None = None) -> str | None:
    made = Engine(root, MemoryTarget(), CopyPolicy(untagged=untagged), profile=profile, selection=selection)
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
        assert said(tmp_path, profile, untagged) == message
        assert said(tmp_path, GENERIC, untagged) is None
    assert said(tmp_path, profile, Untagged.NONE) is None


def test_what_a_tag_leads_to_is_not_named(tmp_path: Path) -> None:
    layout = LayoutBuilder(tmp_path / "team" / "app")
    part = layout.image(layers=[b"part"])
    layout.referrer(layout.index([part], "v1"))
    layout.write()
    assert said(tmp_path, QUAY, Untagged.ALL) is None


def test_of_a_list_what_it_names_by_digest_is_named_unless_its_tag_is_listed_too(tmp_path: Path) -> None:
    layout = LayoutBuilder(tmp_path / "team" / "app")
    digest = layout.image("v1", layers=[b"tagged"])["digest"]
    other = layout.image("v2", layers=[b"tagged, too"])["digest"]
    layout.write()

    def listed(*lines: str) -> str | None:
        selection = Selection.parse(listed=ExactList.parse(lines, "list"))
        return said(tmp_path, QUAY, Untagged.NONE, selection)

    assert str(listed(f"team/app@{digest}")).startswith(f"{digest} has no tag, ")
    assert str(listed(f"team/app@{digest}", f"team/app@{other}")).startswith(
        f"2 manifests, {digest} among them, have no tag, "
    )
    assert listed(f"team/app@{digest}", "team/app:v1") is None
