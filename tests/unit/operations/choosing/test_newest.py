"""Of each repository only the newest comes over: with all its names, and never by a guess."""

import random

import pytest

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import OrderUnknownError
from tasks.oci.media_types import IMAGE_MANIFEST
from tasks.oci.reference import referrers_tag
from tasks.operations.choosing.chosen_tags import plan_selection
from tasks.operations.choosing.newest import Newest, NewestBy, not_ordered, plan_newest
from tasks.operations.choosing.selection import Selection
from tasks.operations.reports.findings import is_harmful
from tasks.operations.reports.results import RepositoryInventory, TagEntry


def digest(content: str) -> Digest:
    return Digest.of(content.encode())


def tags(**contents: str) -> list[TagEntry]:
    """Tags by what they name, in an order that says nothing: an index has none."""
    entries = [TagEntry(tag, Descriptor(IMAGE_MANIFEST, digest(content), 1)) for tag, content in contents.items()]
    random.Random(len(entries)).shuffle(entries)
    return entries


def newest(entries: list[TagEntry], count: int, order_by: NewestBy, **made: float) -> set[str | None]:
    times = {digest(content): when for content, when in made.items()}
    return {entry.tag for entry in plan_newest(entries, times, Newest(count, order_by))}


def test_the_newest_by_time_are_those_that_were_made_last() -> None:
    entries = tags(a="one", b="two", c="three")
    assert newest(entries, 2, NewestBy.CREATED, one=30.0, two=10.0, three=20.0) == {"a", "c"}


def test_versions_are_compared_as_versions() -> None:
    entries = tags(**{"v1.9.0": "a", "v1.10.0": "b", "v1.10.0-rc.1": "c", "1.2.0": "d"})
    assert newest(entries, 1, NewestBy.SEMVER) == {"v1.10.0"}
    assert newest(entries, 2, NewestBy.SEMVER) == {"v1.10.0", "v1.10.0-rc.1"}


def test_names_are_compared_as_people_do() -> None:
    entries = tags(**{"build-9": "a", "build-10": "b", "build-100": "c"})
    assert newest(entries, 2, NewestBy.NAME) == {"build-100", "build-10"}


@pytest.mark.parametrize("order_by", NewestBy)
def test_all_names_of_a_manifest_count_as_one_and_come_together(order_by: NewestBy) -> None:
    entries = tags(**{"2.0.0": "new", "2.0": "new", "2": "new", "latest": "new", "1.0.0": "old"})
    assert newest(entries, 1, order_by, new=2.0, old=1.0) == {"2.0.0", "2.0", "2", "latest"}


def test_what_has_no_place_in_the_order_comes_besides_with_all_its_names() -> None:
    entries = tags(**{"2.0.0": "b", "1.0.0": "a", "nightly": "x", "edge": "x"})
    assert newest(entries, 1, NewestBy.SEMVER) == {"2.0.0", "nightly", "edge"}
    assert newest(entries, 1, NewestBy.CREATED, a=1.0, b=2.0) == {"2.0.0", "nightly", "edge"}


def test_a_name_that_is_no_version_is_as_old_as_the_version_that_it_names() -> None:
    """Each release moves `1.4` and `latest`, and leaves `1.3` where it was."""
    entries = tags(**{"1.4.0": "c", "1.4": "c", "latest": "c", "1.3.1": "b", "1.3": "b", "1.2.0": "a", "1.2": "a"})
    assert newest(entries, 1, NewestBy.SEMVER) == {"1.4.0", "1.4", "latest"}


@pytest.mark.parametrize(
    ("order_by", "why"), [(NewestBy.CREATED, "their writer noted no time"), (NewestBy.SEMVER, "are no versions")]
)
def test_an_order_that_nothing_tells_is_not_guessed(order_by: NewestBy, why: str) -> None:
    with pytest.raises(OrderUnknownError, match=f"the 1 newest of 2 manifests by {order_by} can't be told: .*{why}"):
        newest(tags(a="one", b="two", c="two"), 1, order_by)


@pytest.mark.parametrize("order_by", NewestBy)
def test_no_order_is_asked_for_where_all_are_wanted(order_by: NewestBy) -> None:
    assert newest(tags(a="one", b="two", c="two"), 2, order_by) == {"a", "b", "c"}


def test_signatures_take_no_place_and_come_with_what_they_sign() -> None:
    """Cosign's tags name digests; those of what stays behind stay, and so does one of nothing that is there."""
    signed = {f"{referrers_tag(digest(of))}.sig": f"signature of {of}" for of in ("new", "old", "nothing")}
    attested = f"{referrers_tag(digest('new'))}.att"
    entries = tags(**{"2.0.0": "new", "1.0.0": "old", attested: "attestation"} | signed)
    inventory = RepositoryInventory("app", "etag", tuple(entries))
    wanted = Newest(1, NewestBy.SEMVER)
    chosen = plan_selection(inventory, Selection.parse(newest=wanted))
    assert {entry.tag for entry in chosen} == {"2.0.0", f"{referrers_tag(digest('new'))}.sig", attested}
    assert not_ordered("app", chosen, wanted) == ()


def own(content: str) -> str:
    return referrers_tag(digest(content))


def test_what_has_its_own_digest_for_a_tag_takes_no_place_of_what_people_named() -> None:
    entries = tags(**{own(of): of for of in ("new", "old", "older")} | {"1.0.0": "a", "2.0.0": "b", "3.0.0": "c"})
    times = {"new": 9.0, "old": 8.0, "older": 7.0, "c": 3.0, "b": 2.0, "a": 1.0}
    assert newest(entries, 2, NewestBy.CREATED, **times) == {own("new"), own("old"), "3.0.0", "2.0.0"}
    assert newest(entries, 3, NewestBy.CREATED) == {entry.tag for entry in entries}
    assert newest(entries, 2, NewestBy.SEMVER) == {own("new"), own("old"), own("older"), "3.0.0", "2.0.0"}


def test_what_has_a_name_of_people_besides_the_one_of_its_own_digest_counts_by_that() -> None:
    entries = tags(**{own(of): of for of in ("new", "older")} | {"v1": "old", "v2": "new"})
    assert newest(entries, 1, NewestBy.CREATED, new=3.0, old=2.0, older=1.0) == {own("new"), "v2", own("older")}


def test_the_newest_of_people_s_names_and_of_digests_are_not_besides_each_other() -> None:
    wanted = Newest(2, NewestBy.CREATED)
    chosen = tags(**{own(of): of for of in "ab"} | {"v1": "c", "v2": "d"} | {"main": "e", "edge": "f"})
    assert not_ordered("app", chosen, wanted) == ()
    (found,) = not_ordered("app", [*chosen, *tags(nightly="g")], wanted)
    assert found.message.startswith("3 manifests come besides")


def test_a_repository_that_holds_nothing_but_signatures_comes_whole() -> None:
    """Cosign can keep those of many repositories in one of their own; which they sign is not there to be seen."""
    entries = tags(**{f"{referrers_tag(digest(str(number)))}.sig": f"signature {number}" for number in range(3)})
    assert newest(entries, 1, NewestBy.CREATED) == {entry.tag for entry in entries}


def test_the_newest_are_those_of_what_the_patterns_choose() -> None:
    inventory = RepositoryInventory("app", "etag", tuple(tags(**{"v3.0.0-dev": "c", "v2.0.0": "b", "v1.0.0": "a"})))
    selection = Selection.parse(exclude=[":*-dev"], newest=Newest(1, NewestBy.SEMVER))
    assert [entry.tag for entry in plan_selection(inventory, selection)] == ["v2.0.0"]


def test_more_besides_than_was_asked_for_is_said_and_no_problem() -> None:
    wanted = Newest(2, NewestBy.SEMVER)
    versions = {f"{number}.0.0": str(number) for number in range(3)}
    for names, said in (({"a", "b"}, False), ({"a", "b", "c"}, True)):
        chosen = plan_newest(tags(**versions | {name: name for name in names}), {}, wanted)
        found = not_ordered("app", chosen, wanted)
        assert bool(found) is said
        assert not any(map(is_harmful, found))
    assert "3 manifests come besides the 2 newest" in found[0].message
    assert not_ordered("app", chosen, None) == ()
