"""A plan says by how much it goes beyond its limits, over each repository and over all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.operations.cleanup.planning.limits import LimitCheck
from tasks.operations.cleanup.values import (
    BlobDecision,
    CleanupAction,
    FileDecision,
    FileKind,
    IndexEntry,
    PlanLimits,
    QuarantineDecision,
    QuarantineMode,
    RepositoryPlan,
    TagDecision,
)

NONE = {"max_tags": None, "max_percent": None, "min_tags_left": None, "max_bytes": None}
DIGEST = Digest.of(b"")


ENTRY = Descriptor("a/b", DIGEST, 0)
REMOVAL = IndexEntry(None, ENTRY)


def blob(action: CleanupAction, size: int = 0, since: float | None = None) -> BlobDecision:
    return BlobDecision(DIGEST, size, 1.0, "e", action, "", since=since)


def plan(path: str, kept: int, deleted: int, size: int = 0) -> RepositoryPlan:
    actions = [CleanupAction.KEEP] * kept + [CleanupAction.DELETE] * deleted
    tags = tuple(TagDecision(str(place), DIGEST, action, "") for place, action in enumerate(actions))
    goes = tuple(IndexEntry(tag.tag, ENTRY) for tag in tags if tag.action is CleanupAction.DELETE)
    blobs = (blob(CleanupAction.MARK, size), *([blob(CleanupAction.KEEP)] if kept else []))
    return RepositoryPlan(path, "", tags, removals=goes, blobs=blobs)


def beyond(limits: dict[str, float | None], *plans: RepositoryPlan) -> tuple[str, ...]:
    check = LimitCheck(PlanLimits(**{**NONE, **limits}), QuarantineMode.PREFIX)  # type: ignore[arg-type]
    for each in plans:
        check.see(each)
    return check.beyond()


@pytest.mark.parametrize(
    ("limits", "within", "too_much"),
    [
        ({"max_percent": 25.0}, plan("a", 3, 1), plan("a", 2, 1)),
        ({"min_tags_left": 1}, plan("a", 1, 9), plan("a", 0, 1)),
        ({"max_tags": 2}, plan("a", 0, 2), plan("a", 9, 3)),
        ({"max_bytes": 10}, plan("a", 0, 1, 10), plan("a", 0, 1, 11)),
    ],
)
def test_a_limit_holds_from_the_first_beyond_it(
    limits: dict[str, float | None], within: RepositoryPlan, too_much: RepositoryPlan
) -> None:
    [name] = limits
    assert beyond(limits, within) == ()
    [line] = beyond(limits, too_much)
    assert name in line


@pytest.mark.parametrize("limits", [{"max_percent": 25.0}, {"min_tags_left": 1}])
@pytest.mark.parametrize("suffix", ["", ".sig"])
@pytest.mark.parametrize("name", ["", "registry.example:5000/team/app:"], ids=["a bare tag", "a whole reference"])
def test_tags_of_referrers_do_not_make_up_for_those_that_people_know(
    limits: dict[str, float | None], suffix: str, name: str
) -> None:
    """As cosign leaves them where images were deleted without their signatures, which stay."""
    signatures = (f"{name}sha256-{Digest.of(bytes([place])).encoded}{suffix}" for place in range(9))
    kept = tuple(TagDecision(tag, DIGEST, CleanupAction.KEEP, "") for tag in signatures)
    [line] = beyond(limits, RepositoryPlan("a", "", (*plan("a", 0, 3).tags, *kept)))
    assert ("100 %" in line) is ("max_percent" in limits)


def test_tags_of_referrers_are_limited_like_others() -> None:
    signature = TagDecision(f"sha256-{Digest.of(b'image').encoded}.sig", DIGEST, CleanupAction.DELETE, "")
    [line] = beyond({"max_percent": 25.0, "min_tags_left": 1}, RepositoryPlan("a", "", (signature,)))
    assert line.startswith("a: 100 %")


def test_a_tag_of_referrers_with_a_digest_behind_it_is_one_of_referrers() -> None:
    tag = f"sha256-{Digest.of(b'image').encoded}.sig"
    signature = TagDecision(f"{tag}@{DIGEST}", DIGEST, CleanupAction.KEEP, "", tag)
    [line] = beyond({"min_tags_left": 1}, RepositoryPlan("a", "", (*plan("a", 0, 3).tags, signature)))
    assert line == "a: 0 tags are left, min_tags_left is 1"


def test_an_image_with_its_own_digest_for_a_tag_counts_as_one_that_people_know() -> None:
    image = TagDecision(f"sha256-{DIGEST.encoded}", DIGEST, CleanupAction.DELETE, "")
    kept = BlobDecision(DIGEST, 1, 1.0, "e", CleanupAction.KEEP, "")
    [line] = beyond({"min_tags_left": 1}, RepositoryPlan("a", "", (image,), blobs=(kept,)))
    assert line == "a: 0 tags are left, min_tags_left is 1"


def test_a_repository_of_which_nothing_is_left_is_beyond_its_limit_also_without_any_tag() -> None:
    untagged = RepositoryPlan("a", "", removals=(REMOVAL,), blobs=(blob(CleanupAction.MARK),))
    [line] = beyond({"min_tags_left": 1}, untagged)
    assert line == "a: 0 tags are left, min_tags_left is 1"
    assert beyond({"min_tags_left": 1}, replace(untagged, blobs=(*untagged.blobs, blob(CleanupAction.KEEP)))) == ()
    assert beyond({"min_tags_left": 0}, untagged) == ()
    assert beyond({"min_tags_left": 1}, replace(untagged, removals=())) == ()


@pytest.mark.parametrize(
    ("decided", "counts"),
    [
        ({"blobs": (blob(CleanupAction.MARK, 9),)}, True),
        ({"blobs": (blob(CleanupAction.MARK, 9, since=1.0),)}, False),
        ({"blobs": (blob(CleanupAction.QUARANTINE, 9, since=1.0),)}, True),
        ({"blobs": (blob(CleanupAction.KEEP, 9),)}, False),
        ({"quarantined": (QuarantineDecision("run", DIGEST, 9, 1.0, CleanupAction.KEEP, ""),)}, False),
        ({"quarantined": (QuarantineDecision("run", DIGEST, 9, 1.0, CleanupAction.PURGE, ""),)}, True),
        ({"files": (FileDecision(FileKind.INGEST, "ingest/x", 9, 1.0, "e", CleanupAction.DELETE, ""),)}, True),
    ],
)
def test_bytes_count_where_they_go_a_step_further_and_not_while_they_wait(
    decided: dict[str, Any], *, counts: bool
) -> None:
    lines = beyond({"max_bytes": 8}, RepositoryPlan("a", "", removals=(REMOVAL,), **decided))
    assert bool(lines) is counts


def test_a_plan_that_takes_nothing_away_is_within_all_limits() -> None:
    """As nobody is asked about it: it only notes what nothing names."""
    assert beyond({"max_bytes": 0}, RepositoryPlan("a", "", blobs=(blob(CleanupAction.MARK, 9),))) == ()


@pytest.mark.parametrize("is_last", [False, True])
def test_a_repository_that_only_notes_neither_hides_nor_lessens_what_another_takes(*, is_last: bool) -> None:
    notes, takes = RepositoryPlan("a", "", blobs=(blob(CleanupAction.MARK, 5),)), plan("b", 1, 1, 5)
    [line] = beyond({"max_bytes": 9}, *((notes, takes) if is_last else (takes, notes)))
    assert line == "10 bytes go, max_bytes is 9"


def test_tags_and_bytes_are_counted_over_all_repositories() -> None:
    assert len(beyond({"max_tags": 3, "max_bytes": 9}, plan("a", 1, 2, 5), plan("b", 1, 2, 5))) == 2


def test_percentages_are_of_each_repository() -> None:
    [line] = beyond({"max_percent": 50}, plan("large", 100, 0), plan("small", 1, 3))
    assert line == "small: 75 % of its tags go (3 of 4), max_percent is 50"


def test_a_percentage_that_is_barely_beyond_is_told_as_that() -> None:
    [line] = beyond({"max_percent": 25}, plan("a", 187, 63))
    assert line == "a: 25.2 % of its tags go (63 of 250), max_percent is 25"


def test_a_repository_from_which_no_tag_goes_is_within_all_limits() -> None:
    assert beyond({"max_percent": 1, "min_tags_left": 5}, plan("a", 1, 0)) == ()


def test_of_many_repositories_the_first_are_named() -> None:
    lines = beyond({"min_tags_left": 1}, *(plan(str(number), 0, 1) for number in range(50)))
    assert lines[-1] == "and 30 more repositories"
