"""What is too old, or too new, stays behind: by one moment for all, and what nothing dates counts as just made."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import AgeUnknownError
from tasks.oci.media_types import IMAGE_MANIFEST
from tasks.oci.reference import referrers_tag
from tasks.operations.choosing.by_age import Ages, plan_of_age, too_new, undated
from tasks.operations.choosing.chosen_tags import plan_chosen, plan_selection
from tasks.operations.choosing.newest import Newest, NewestBy
from tasks.operations.choosing.selection import Selection
from tasks.operations.reports.findings import is_harmful
from tasks.operations.reports.results import RepositoryInventory, TagEntry

NOW = 1_000_000.0


def digest(content: str) -> Digest:
    return Digest.of(content.encode())


def inventory(contents: dict[str, str], **ages: float) -> RepositoryInventory:
    """A repository with these tags by what they name, and the ages of that in seconds."""
    tags = tuple(TagEntry(tag, Descriptor(IMAGE_MANIFEST, digest(each), 1)) for tag, each in contents.items())
    return RepositoryInventory("app", "etag", tags, made={digest(each): NOW - age for each, age in ages.items()})


def selected(newer: float | None = None, older: float | None = None, **more: object) -> Selection:
    return Selection.parse(ages=Ages(newer, older, NOW), **more)  # type: ignore[arg-type]


def chosen(found: RepositoryInventory, selection: Selection) -> set[str | None]:
    return {entry.tag for entry in plan_selection(found, selection)}


THREE = inventory({"new": "a", "mid": "b", "old": "c"}, a=10.0, b=50.0, c=100.0)


@pytest.mark.parametrize(
    ("newer", "older", "expected"),
    [
        (50.0, None, {"new", "mid"}),
        (49.0, None, {"new"}),
        (None, 50.0, {"mid", "old"}),
        (None, 51.0, {"old"}),
        (60.0, 20.0, {"mid"}),
        (5.0, None, set()),
        (None, 1000.0, set()),
    ],
)
def test_an_age_is_at_most_and_at_least_what_was_asked_for(
    newer: float | None, older: float | None, expected: set[str]
) -> None:
    assert chosen(THREE, selected(newer, older)) == expected


@given(st.floats(1, 200), st.floats(1, 200))
def test_each_dated_image_is_in_time_or_out_of_it_whatever_the_others_are(newer: float, older: float) -> None:
    """A quarantine and what it holds back are the whole, and both limits together are what both choose."""
    held = {entry.tag for entry in THREE.tags} - chosen(THREE, selected(None, older))
    assert all(NOW - THREE.made[e.descriptor.digest] < older for e in THREE.tags if e.tag in held)
    both = chosen(THREE, selected(newer, None)) & chosen(THREE, selected(None, older))
    assert chosen(THREE, selected(newer, older)) == both


def test_all_names_of_an_image_come_together() -> None:
    found = inventory({"1.4.0": "new", "1.4": "new", "latest": "new", "1.3.0": "old"}, new=10.0, old=100.0)
    assert chosen(found, selected(50.0)) == {"1.4.0", "1.4", "latest"}
    assert chosen(found, selected(None, 50.0)) == {"1.3.0"}


def test_what_nothing_dates_counts_as_just_made_and_is_named() -> None:
    """A quarantine that lets through what it can't judge is none, so what it leaves behind for that is a problem."""
    found = inventory({"main": "x", "edge": "x", "new": "a", "old": "c"}, a=10.0, c=100.0)
    assert chosen(found, selected(50.0)) == {"main", "edge", "new"}
    [remark] = undated(found, selected(50.0))
    assert (remark.code, is_harmful(remark)) == ("not_dated", False)
    assert "1 manifest" in remark.message
    assert "main, edge" in remark.message
    for selection in (selected(None, 50.0), selected(500.0, 50.0)):
        assert chosen(found, selection) == {"old"}
        [problem] = undated(found, selection)
        assert (problem.code, is_harmful(problem)) == ("age_unknown", True)
        assert "main, edge" in problem.message


def test_a_quarantine_says_how_many_tags_it_holds_back() -> None:
    """Whoever waits for an image, and whoever wonders at an early end of the run, learns of it from the report."""
    signature = f"{referrers_tag(digest('a'))}.sig"
    contents = {"1.4.0": "a", "1.4": "a", "main": "x", "mid": "b", "old": "c", signature: "s"}
    found = inventory(contents, a=10.0, b=50.0, c=100.0)
    [remark] = too_new(found, selected(None, 60.0))
    assert (remark.path, remark.code, is_harmful(remark)) == ("app", "too_new", False)
    assert remark.message == "3 tags are too new yet: 1.4.0, 1.4, mid"
    [remark] = too_new(found, selected(80.0, 60.0, include=[":mid"]))
    assert remark.message == "1 tag is too new yet: mid"
    for selection in (selected(None, 5.0), selected(5.0), selected(None, 60.0, include=[":main"]), Selection.parse()):
        assert too_new(found, selection) == (), "nothing is, or its time is not known, which is named for itself"


def test_only_what_the_patterns_choose_is_named_and_not_all_of_much() -> None:
    found = inventory({f"b{number}": str(number) for number in range(9)} | {"old": "c"}, c=100.0)
    [problem] = undated(found, selected(None, 50.0))
    assert "9 manifests" in problem.message
    assert "b0, b1, b2, b3, b4 and 4 more" in problem.message
    assert undated(found, selected(None, 50.0, exclude=[":b*"])) == ()
    assert undated(found, Selection.parse()) == ()
    assert undated(THREE, selected(None, 50.0)) == ()


@pytest.mark.parametrize("selection", [selected(50.0), selected(None, 50.0), selected(500.0, 50.0)])
def test_a_repository_in_which_nothing_has_a_time_is_left_alone(selection: Selection) -> None:
    """As with the newest by a time: who asks for a year's images does not mean ten years of them."""
    with pytest.raises(AgeUnknownError, match="the age of 2 manifests can't be told: their writer noted no time"):
        chosen(inventory({"main": "x", "edge": "x", "v1": "y"}), selection)
    assert undated(inventory({"main": "x"}), selection) == (), "the repository itself is named"


def test_signatures_have_no_age_and_come_with_what_they_sign() -> None:
    """One that was made today, of an image of long ago, comes; and none of what stays behind does."""
    signed = {of: f"{referrers_tag(digest(of))}.sig" for of in ("a", "c")}
    contents = {"new": "a", "old": "c"} | {tag: f"signature of {of}" for of, tag in signed.items()}
    ages = {f"signature of {of}": 1.0 for of in signed}
    found = inventory(contents, a=10.0, c=100.0, **ages)
    assert chosen(found, selected(None, 50.0)) == {"old", signed["c"]}
    assert chosen(found, selected(50.0)) == {"new", signed["a"]}
    assert undated(found, selected(50.0)) == ()


def test_a_repository_that_holds_nothing_but_signatures_comes_whole() -> None:
    found = inventory({f"{referrers_tag(digest(str(number)))}.sig": f"signature {number}" for number in range(3)})
    assert len(chosen(found, selected(None, 50.0))) == 3
    assert undated(found, selected(None, 50.0)) == ()


def test_where_all_images_stay_behind_their_signatures_do_too() -> None:
    found = inventory({"new": "a", f"{referrers_tag(digest('a'))}.sig": "s"}, a=10.0)
    for newest in (None, Newest(1), Newest(5, NewestBy.NAME)):
        assert chosen(found, selected(None, 50.0, newest=newest)) == set()


def test_the_newest_are_those_of_the_right_age() -> None:
    found = inventory({"3.0.0": "a", "2.0.0": "b", "1.0.0": "c"}, a=10.0, b=50.0, c=100.0)
    for order_by in NewestBy:
        assert chosen(found, selected(None, 20.0, newest=Newest(1, order_by))) == {"2.0.0"}
    assert chosen(found, selected(60.0, newest=Newest(1, NewestBy.CREATED))) == {"3.0.0"}
    assert chosen(found, selected(60.0, newest=Newest(5))) == {"3.0.0", "2.0.0"}


def test_the_moment_is_one_that_is_given_and_not_the_clock() -> None:
    later = Ages(50.0, None, NOW + 30)
    assert {e.tag for e in plan_of_age(THREE.tags, THREE.made, later)} == {"new"}
    after = inventory({"pushed": "p", "old": "c"}, p=-30.0, c=100.0)
    assert chosen(after, selected(None, 6.0)) == {"old"}, "what was made since the run began is not of age"
    assert chosen(after, selected(50.0)) == {"pushed"}


def test_times_are_asked_for_only_by_those_who_need_them() -> None:
    assert selected(50.0).asks_for_times
    assert selected(50.0, newest=Newest(1, NewestBy.NAME)).asks_for_times
    assert not Selection.parse().asks_for_times
    assert not selected(50.0).is_everything
    assert plan_chosen(THREE, Selection.parse()) == list(THREE.tags)
