"""What refers to chosen tags by its name comes along with them."""

import pytest

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.media_types import IMAGE_MANIFEST
from tasks.oci.reference import referrers_tag
from tasks.operations.choosing.chosen_tags import plan_selection
from tasks.operations.choosing.selection import Selection
from tasks.operations.reports.results import RepositoryInventory, TagEntry


def described(content: str) -> Descriptor:
    return Descriptor(IMAGE_MANIFEST, Digest.of(content.encode()), 1)


def chosen(inventory: RepositoryInventory, *include: str, children: tuple[Digest, ...] = ()) -> set[str | None]:
    selection = Selection.parse(include)
    return {entry.tag for entry in plan_selection(inventory, selection, lambda _: children)}


def signature(of: str) -> str:
    return f"{referrers_tag(described(of).digest)}.sig"


def test_what_refers_to_the_chosen_tags_comes_along_at_any_depth() -> None:
    """A signature of v1, one of its sbom, which no tag names, and one of a platform below it; not those of v2."""
    entries = {"v1": "one", "v2": "two", signature("one"): "a", signature("two"): "b"}
    entries |= {signature("sbom"): "c", signature("a"): "d", signature("platform"): "e"}
    tags = tuple(TagEntry(tag, described(content)) for tag, content in entries.items())
    inventory = RepositoryInventory("app", "e", tags, referrers={described("one").digest: (described("sbom"),)})
    platform = described("platform").digest
    assert chosen(inventory, ":v1", children=(platform,)) == set(entries) - {"v2", signature("two")}
    assert chosen(inventory, ":v1") == set(entries) - {"v2", signature("two"), signature("platform")}
    assert chosen(inventory) == set(entries)
    assert chosen(inventory, "other") == set()


def test_names_that_refer_to_each_other_in_a_circle_come_along_once() -> None:
    entries = {"v1": "one", signature("one"): "a", signature("a"): "b", signature("b"): "a", signature("c"): "one"}
    tags = tuple(TagEntry(tag, described(content)) for tag, content in entries.items())
    assert chosen(RepositoryInventory("app", "e", tags), ":v1") == set(entries) - {signature("c")}


def test_another_name_of_what_is_chosen_does_not_come_along_though_it_is_made_of_its_digest() -> None:
    tags = tuple(TagEntry(tag, described("one")) for tag in ("v1", referrers_tag(described("one").digest)))
    assert chosen(RepositoryInventory("app", "e", tags), ":v1") == {"v1"}


def test_children_are_asked_for_only_where_a_name_is_left_to_judge() -> None:
    inventory = RepositoryInventory("app", "e", (TagEntry("v1", described("one")), TagEntry("v2", described("two"))))
    assert plan_selection(inventory, Selection.parse([":v1"]), pytest.fail) == inventory.tags[:1]
