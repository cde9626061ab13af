"""Names and tags are decided from values alone: no tag is overwritten unasked."""

import pytest

from tasks.oci.codes import Refused
from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.media_types import IMAGE_MANIFEST
from tasks.oci.reference import TargetAddress, referrers_tag
from tasks.oci.registry_profiles import GENERIC
from tasks.operations.reports.results import RepositoryInventory, TagEntry, UntaggedKind
from tasks.operations.work.planning import (
    CopyPolicy,
    NamePlan,
    OnConflict,
    TagAction,
    Untagged,
    plan_names,
    plan_tag,
    plan_untagged,
)

OURS, THEIRS, NEW = (Digest.of(text) for text in (b"ours", b"theirs", b"new"))


def described(content: str) -> Descriptor:
    return Descriptor(IMAGE_MANIFEST, Digest.of(content.encode()), 1)


def names(
    *paths: str, prefix: str = "", strict: bool = False, own_name: str = "root", flatten: int | None = None
) -> NamePlan:
    address = TargetAddress("registry.example", prefix)
    return plan_names(
        paths, address, lambda path: path, own_name=own_name, strict=strict, flatten=flatten, profile=GENERIC
    )


def codes(plan: NamePlan) -> dict[str, str]:
    return {path: refusal.code for path, refusal in plan.refused.items()}


def test_each_layout_has_its_own_name_below_the_prefix() -> None:
    plan = names("team/app", "Web App", ".", prefix="mirror")
    assert plan.repositories == {"team/app": "mirror/team/app", "Web App": "mirror/web-app", ".": "mirror/root"}
    assert plan.refused == {}


def test_layouts_that_would_share_a_name_are_all_refused() -> None:
    plan = names("app", "App", "other")
    assert plan.repositories == {"other": "other"}
    assert codes(plan) == dict.fromkeys(("app", "App"), "name_collision")


def test_strict_names_are_taken_as_they_are_or_not_at_all() -> None:
    plan = names("team/app", "Web App", strict=True)
    assert plan.repositories == {"team/app": "team/app"}
    assert [*codes(plan).values()] == ["invalid_reference"]


@pytest.mark.parametrize(
    ("flatten", "prefix", "name"),
    [
        (1, "", "team-web-my-app"),
        (2, "", "team/web-my-app"),
        (3, "", "team/web/my-app"),
        (9, "", "team/web/my-app"),
        (2, "mirror", "mirror/team-web-my-app"),
        (3, "mirror/a", "mirror/a/team-web-my-app"),
    ],
)
def test_a_name_has_no_more_components_than_are_wanted(flatten: int, prefix: str, name: str) -> None:
    assert names("team/web/My App", prefix=prefix, flatten=flatten).repositories == {"team/web/My App": name}


def test_layouts_whose_names_are_one_when_flattened_are_refused_and_told_of_the_option() -> None:
    plan = names("team/app", "team-app", "team", flatten=1)
    assert plan.repositories == {"team": "team"}
    assert codes(plan) == dict.fromkeys(("team/app", "team-app"), "name_collision")
    assert "'team/app', 'team-app'" in plan.refused["team/app"].message


@pytest.mark.parametrize(
    ("present", "ours", "on_conflict", "action", "code"),
    [
        (None, None, OnConflict.REFUSE, TagAction.COPY, None),
        (None, OURS, OnConflict.REFUSE, TagAction.COPY, None),
        (NEW, None, OnConflict.REFUSE, TagAction.UP_TO_DATE, None),
        (OURS, OURS, OnConflict.REFUSE, TagAction.OVERWRITE, None),
        (THEIRS, None, OnConflict.OVERWRITE, TagAction.OVERWRITE, None),
        (THEIRS, OURS, OnConflict.SKIP, TagAction.REFUSE, Refused.CONFLICT_SKIPPED),
        (THEIRS, OURS, OnConflict.REFUSE, TagAction.REFUSE, Refused.CONFLICT),
        (THEIRS, OURS, OnConflict.FAIL, TagAction.REFUSE, Refused.CONFLICT),
    ],
)
def test_only_what_we_wrote_is_overwritten_unless_the_user_says_otherwise(
    present: Digest | None, ours: str | None, on_conflict: OnConflict, action: TagAction, code: str | None
) -> None:
    plan = plan_tag(TagEntry("v1", described("new")), present, ours, CopyPolicy(on_conflict=on_conflict))
    assert (plan.action, plan.code) == (action, code)


@pytest.mark.parametrize("suffix", ["", ".sig"])
def test_referrers_that_others_put_under_a_tag_stay_whatever_the_user_says(suffix: str) -> None:
    entry = TagEntry(referrers_tag(Digest.of(b"subject")) + suffix, described("new"))
    policy = CopyPolicy(on_conflict=OnConflict.OVERWRITE)
    assert plan_tag(entry, THEIRS, OURS, policy).code == "referrer_conflict"
    assert plan_tag(entry, OURS, OURS, policy).action is TagAction.OVERWRITE
    assert plan_tag(entry, NEW, None, policy).action is TagAction.UP_TO_DATE


def test_what_the_target_has_in_place_of_an_own_name_may_be_referrers_of_others_and_stays() -> None:
    """Without the API they list those of an image under the very tag that is made of its digest."""
    entry = TagEntry(referrers_tag(NEW), described("new"))
    policy = CopyPolicy(on_conflict=OnConflict.OVERWRITE)
    plan = plan_tag(entry, THEIRS, None, policy)
    assert plan.code == "referrer_conflict"
    assert plan.message == f"the target has other content or referrers ({THEIRS}) under this tag, and keeps them"
    assert plan_tag(entry, None, None, policy).action is TagAction.COPY


def test_untagged_entries_are_taken_as_the_user_says() -> None:
    untagged = tuple(TagEntry(None, described(kind), kind) for kind in UntaggedKind)
    inventory = RepositoryInventory("app", "e", untagged=untagged)
    taken = {choice: plan_untagged(inventory, CopyPolicy(untagged=choice)) for choice in Untagged}
    assert taken == {
        Untagged.NONE: (),
        Untagged.MOVED: tuple(entry for entry in untagged if entry.kind is UntaggedKind.MOVED),
        Untagged.ALL: untagged,
    }
