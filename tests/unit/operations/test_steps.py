"""What changed is told apart from what can't be seen, and nothing is remembered that did not go well."""

import pytest

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.operations.results import RefusedEntry, RepositoryInventory, TagEntry
from tasks.operations.steps import changes_of, is_unchanged, settings_mark, tag_changes, vanished_layouts
from tasks.ports import Finding
from tasks.stores.ledger import Ledger
from tests.support.engine import MemoryLines

ONE, TWO = Digest.of(b"one"), Digest.of(b"two")


def inventory(refused: tuple[str, ...] = (), **tags: Digest) -> RepositoryInventory:
    return RepositoryInventory(
        "App",
        "etag",
        tuple(TagEntry(tag, Descriptor("application/x", digest, 3)) for tag, digest in tags.items()),
        refused=tuple(RefusedEntry(tag, None, None, "invalid_manifest", "no") for tag in refused),
    )


def test_tags_are_new_moved_vanished_or_as_they_were() -> None:
    changes = tag_changes(inventory(same=ONE, moved=TWO, new=ONE), {"same": ONE, "moved": ONE, "gone": TWO})
    assert [(c.tag, c.change, c.digest, c.before) for c in changes] == [
        ("gone", "vanished", None, TWO),
        ("moved", "moved", TWO, ONE),
        ("new", "new", ONE, None),
    ]


def test_a_tag_that_can_not_be_migrated_any_more_has_not_vanished() -> None:
    assert list(tag_changes(inventory(refused=("bad",)), {"bad": ONE})) == []


def test_findings_name_what_moved_or_vanished_and_not_what_is_new() -> None:
    found = list(changes_of(inventory(moved=TWO, new=ONE), "app", {"moved": ONE, "gone": TWO}))
    assert [(each.path, each.code) for each in found] == [("App", "tag_vanished"), ("App", "tag_moved")]
    assert "app:gone" in found[0].message


def found_besides(*paths: str, code: str = "unreadable_directory") -> list[Finding]:
    return [Finding(path, code, "no layout") for path in paths]


@pytest.mark.parametrize(
    ("found", "unreadable", "vanished"),
    [
        (["a"], [], ["b", "b/deep"]),
        (["a", "b"], [], ["b/deep"]),
        (["a"], ["b"], []),
        (["a"], ["b/deep"], ["b"]),
        (["a"], ["."], []),
        (["a"], ["bb"], ["b", "b/deep"]),
    ],
)
def test_what_lies_below_an_unreadable_place_has_not_vanished(
    found: list[str], unreadable: list[str], vanished: list[str]
) -> None:
    told = vanished_layouts(["a", "b", "b/deep"], found, found_besides(*unreadable))
    assert [each.path for each in told] == vanished


@pytest.mark.parametrize(
    ("files_in", "vanished"),
    [
        (".", ["b", "b/deep"]),
        ("other", ["b", "b/deep"]),
        ("b", ["b/deep"]),
        ("b/notes", ["b", "b/deep"]),
        ("b/blobs/sha256", ["b/deep"]),
        ("b/deep/blobs", ["b"]),
        ("blobs/sha256", ["b", "b/deep"]),
    ],
)
def test_files_beside_the_layouts_hide_none_but_the_one_that_they_are_left_of(
    files_in: str, vanished: list[str]
) -> None:
    told = vanished_layouts(["a", "b", "b/deep"], ["a"], found_besides(files_in, code="not_a_layout"))
    assert [each.path for each in told] == vanished


def test_a_source_that_was_a_layout_itself_has_not_vanished_while_blobs_are_left() -> None:
    assert not list(vanished_layouts(["."], ["a"], found_besides("blobs/sha256", code="not_a_layout")))


def test_the_mark_of_settings_changes_with_each_of_them() -> None:
    marks = {settings_mark("app", ("a",), "none"), settings_mark("app", (), "none"), settings_mark("b", (), "none")}
    assert len(marks) == 3
    assert settings_mark("app", ("a",), "none") in marks


def noted_run(ledger: Ledger, layout: str, **tags: Digest) -> None:
    """A run that brought tags of a layout to the repository `team`, and was done with it."""
    for tag, digest in tags.items():
        ledger.note_tag("team", tag, digest, "manifest", 0, layout=layout)
    ledger.note_layout(layout, "team", "etag", "settings")


@pytest.mark.parametrize(
    ("others", "unchanged"),
    [({}, True), ({"v2": TWO}, True), ({"v1": ONE}, True), ({"v1": TWO}, False)],
    ids=["none", "a tag of its own", "the same tag", "another tag of that name"],
)
def test_a_layout_is_not_unchanged_once_another_one_has_written_its_tags(
    others: dict[str, Digest], unchanged: bool
) -> None:
    lines = MemoryLines()
    noted_run(Ledger(lines), "App", v1=ONE)
    noted_run(Ledger(lines), "Web", **others)
    assert is_unchanged(inventory(v1=ONE), "team", Ledger(lines), "settings") is unchanged
    assert not is_unchanged(inventory(v1=ONE), "team", Ledger(lines), "other settings")
    assert not is_unchanged(inventory(v1=ONE), "team", Ledger(MemoryLines()), "settings")
