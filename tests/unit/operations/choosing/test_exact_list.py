"""A list says exactly what is wanted, and each of its lines that finds nothing is named."""

import re
from pathlib import Path

import pytest

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import ConfigurationError
from tasks.oci.media_types import IMAGE_MANIFEST
from tasks.oci.reference import referrers_tag
from tasks.operations.choosing.chosen_tags import absent_of, plan_selection
from tasks.operations.choosing.exact_list import ExactList
from tasks.operations.choosing.selection import Selection
from tasks.operations.reports.findings import is_harmful
from tasks.operations.reports.results import RefusedEntry, RepositoryInventory, TagEntry, UntaggedKind
from tasks.operations.source.enumeration import enumerate_repository
from tasks.operations.work.planning import CopyPolicy, Untagged
from tasks.operations.work.repository_work import units_of
from tasks.stores.directory.layout_directory import LayoutDirectory
from tests.support.layouts import LayoutBuilder

ONE, TWO, MOVED = (Digest.of(content) for content in (b"one", b"two", b"moved"))
LONG = Digest(f"sha512:{'ab' * 64}")


def listed(*lines: str) -> ExactList:
    return ExactList.parse(lines, "images.txt")


def chosen(inventory: RepositoryInventory, *lines: str) -> set[tuple[str | None, str]]:
    selection = Selection.parse(listed=listed(*lines))
    found = [(entry.tag, entry.descriptor.digest) for entry in plan_selection(inventory, selection)]
    assert len(set(found)) == len(found), "each comes once"
    return set(found)


def entry(tag: str | None, digest: Digest) -> TagEntry:
    return TagEntry(tag, Descriptor(IMAGE_MANIFEST, digest, 1), None if tag else UntaggedKind.MOVED)


SIGNATURE = f"{referrers_tag(ONE)}.sig"
APP = RepositoryInventory(
    "app",
    "etag",
    tags=(entry("v1", ONE), entry("latest", ONE), entry("v2", TWO), entry(SIGNATURE, Digest.of(b"signature"))),
    untagged=(entry(None, MOVED),),
    refused=(RefusedEntry("twice", None, None, "tag_collision", "two entries have it"),),
)


def test_lines_are_references_and_what_surrounds_them_says_nothing() -> None:
    found = listed(
        "# what runs in production", "", "app:v1\r", "  team/app:1.0  ", "app:v1", f"app@{ONE}", f"app:v2\t{TWO}",
        "Legacy Tools:2019", "a:b:v1", "a@b:v1", ".:v1", f"odd@sha256:/app@{ONE}", f"app@{LONG}", "app:v3\tx\ty",
    )  # fmt: skip
    assert found.repositories == {
        "app": {"v1": 3, ONE: 6, "v2": 7, LONG: 13, "v3": 14},
        "team/app": {"1.0": 4},
        "Legacy Tools": {"2019": 8},
        "a:b": {"v1": 9},
        "a@b": {"v1": 10},
        ".": {"v1": 11},
        "odd@sha256:/app": {ONE: 12},
    }


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("app", "it is not REPOSITORY:TAG or REPOSITORY@DIGEST"),
        (":v1", "it is not REPOSITORY:TAG"),
        ("localhost:5000/app", "it is not REPOSITORY:TAG"),
        ("app:v1 # the last one", "it is not REPOSITORY:TAG"),
        ("app:v*", "it is not REPOSITORY:TAG"),
        ("docker://ghcr.io/team/app:v1", "no two in a row"),
        ("/app:v1", "no slash at its ends"),
        ("app@sha256:12", "not a sha256 or sha512 digest"),
        (f"@{ONE}", "no slash at its ends"),
        (f"app:v1@{ONE}", "it has a tag and a digest"),
        (f"a:b/app:v1@{ONE}", "it has a tag and a digest"),
    ],
)
def test_a_line_that_is_no_reference_is_named_with_its_number(line: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^images.txt:2: .*{re.escape(why)}"):
        listed("app:v1", line)


def test_all_wrong_lines_are_named_but_not_thousands_and_none_at_all_is_wrong_too() -> None:
    with pytest.raises(ConfigurationError) as raised:
        listed(*["good:v1", "bad"] * 100)
    lines = str(raised.value).splitlines()
    assert [line.split(":")[1] for line in lines[:20]] == [str(number) for number in range(2, 41, 2)]
    assert lines[20:] == ["images.txt: 80 more lines are wrong"]
    with pytest.raises(ConfigurationError) as raised:
        listed(*["bad"] * 20)
    assert len(str(raised.value).splitlines()) == 20
    with pytest.raises(ConfigurationError, match="txt lists nothing"):
        listed("", "# app:v1")


def test_a_line_that_is_no_reference_steers_no_terminal_and_is_shown_as_it_is() -> None:
    with pytest.raises(ConfigurationError) as raised:
        listed("bad\x1b[2J\u202e")
    assert str(raised.value).startswith(r"images.txt:1: 'bad\x1b[2J\u202e': it is not")


def test_just_what_is_listed_comes_and_what_refers_to_it() -> None:
    signature = (SIGNATURE, Digest.of(b"signature"))
    assert chosen(APP, "app:v2") == {("v2", TWO)}
    assert chosen(APP, "app:v1") == {("v1", ONE), signature}
    assert chosen(APP, f"app@{ONE}") == {(None, ONE), signature}, "by its digest, and under no tag"
    assert chosen(APP, f"app@{ONE}", "app:latest") == {("latest", ONE), signature}
    assert chosen(APP, f"app@{MOVED}", "other:v1") == {(None, MOVED)}
    assert chosen(APP, "other:v1") == set()
    selected = plan_selection(APP, Selection.parse(listed=listed(f"app@{TWO}", "app:v1")))
    assert {(unit.descriptor.digest, unit.tags) for unit in units_of(APP, selected, CopyPolicy(referrers=False))} == {
        (TWO, ()),
        (ONE, ("v1",)),
    }


def test_each_line_that_finds_nothing_is_a_problem_and_named() -> None:
    nowhere = Digest.of(b"nowhere")
    selection = Selection.parse(listed=listed("app:v1", "app:v7", f"app@{TWO}", f"app@{nowhere}", "app:twice"))
    found = absent_of(APP, selection)
    assert [(each.path, each.message) for each in found] == [
        ("app", "images.txt:2: the repository has no tag v7"),
        ("app", f"images.txt:4: the repository has no entry with the digest {nowhere}"),
    ]
    assert all(map(is_harmful, found))
    assert absent_of(APP, Selection.parse(["app:v7"])) == ()
    found = listed("app:v1", "team/other:v2", "team/other:v3").unknown(["app", "team"])
    assert [(each.path, each.code, each.message.partition(":")[2]) for each in found] == [
        ("team/other", "missing_at_source", "2: the source has no such repository, for v2"),
        ("team/other", "missing_at_source", "3: the source has no such repository, for v3"),
    ]


@pytest.mark.parametrize("names", [("1.0+build",), ("twice", "twice")])
def test_a_digest_finds_an_entry_whose_tag_nobody_can_take(tmp_path: Path, names: tuple[str, ...]) -> None:
    """A tag that registries refuse, or one of two contents: by the digest nothing is left to guess."""
    layout = LayoutBuilder(tmp_path / "app")
    images = [layout.image(layers=[bytes([number])], listed=False) for number in range(len(names))]
    for image, name in zip(images, names, strict=True):
        layout.entry(image, name)
    layout.write()
    inventory = enumerate_repository(LayoutDirectory(str(tmp_path)), "app")
    assert len(inventory.refused) == 1
    lines = [f"app@{image['digest']}" for image in images]
    assert chosen(inventory, *lines) == {(None, image["digest"]) for image in images}
    assert absent_of(inventory, Selection.parse(listed=listed(*lines))) == ()
    assert chosen(inventory, "app:v1") == set()
    assert units_of(inventory, (), CopyPolicy(untagged=Untagged.ALL)) == (), "they are told of by their tag"


def test_only_listed_repositories_and_what_may_hold_them_are_looked_at() -> None:
    selection = Selection.parse(listed=listed("team/app/web:v1", "Legacy Tools:2019"))
    assert not selection.is_everything
    assert selection.may_match("team/app/web")
    assert not selection.may_match("team/app")
    reached = {".", "team", "team/app", "team/app/web", "team/app/web/blobs", "Legacy Tools"}
    others = {"tea", "team/other", "Legacy", "lost+found"}
    assert {folder for folder in reached | others if selection.may_match_below(folder)} == reached
    assert not selection.takes_whole("team/app/web", has_tags=False)
    assert selection.matches("Legacy Tools", "2019")
    assert not selection.matches("Legacy Tools", None)


def test_a_name_that_ls_prints_with_escapes_is_found_as_it_is_printed() -> None:
    selection = Selection.parse(listed=listed(r"caf\udce9:v1"))
    assert selection.matches("caf\udce9", "v1")
    assert selection.may_match_below("caf\udce9")
    assert listed(r"caf\udce9:v1").unknown(["caf\udce9"]) == ()


def test_another_line_elsewhere_changes_nothing_of_a_repository() -> None:
    marks = [Selection.parse(listed=each).wanted_of("app") for each in (listed("app:v1"), listed("b:v1", "app:v1"))]
    assert marks[0] == marks[1] != Selection.parse(listed=listed("app:v1", "app:v2")).wanted_of("app")
    assert Selection.parse(["app"]).wanted_of("app") == ()
