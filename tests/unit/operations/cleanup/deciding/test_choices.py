"""What a policy says of entries for which no tag speaks, and what somebody has meant who names one thing."""

from __future__ import annotations

import pytest

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.media_types import IMAGE_MANIFEST
from tasks.operations.cleanup.deciding.choices import DeleteChoice
from tasks.operations.cleanup.layout.layout_view import Entry
from tests.support.planned_layout import DAY, NOW, keep_last

NAMED, OTHER = Digest.of(b"named"), Digest.of(b"other")


def entry(ref_name: str | None, digest: Digest = OTHER, tag: str | None = None) -> Entry:
    return Entry(ref_name, tag or ref_name, Descriptor(IMAGE_MANIFEST, digest, 1))


@pytest.mark.parametrize(("asked", "other"), [("untagged", "orphan"), ("orphan", "untagged")])
def test_what_has_no_tag_goes_after_the_time_of_its_kind_and_never_when_its_age_is_not_known(
    asked: str, other: str
) -> None:
    times = {"untagged": "untagged_after", "orphan": "orphans_after"}
    choice = keep_last(1, **{times[asked]: DAY, times[other]: None})
    stored = [NOW - DAY + 1, NOW - DAY, NOW - 50 * DAY, None, 0.0, NOW + DAY]

    def stays(kind: str, when: float | None) -> bool:
        if kind == "untagged":
            return choice.untagged(entry(None), when).keep
        return choice.orphan(entry(None), when, is_among_images=True).keep

    assert [stays(asked, when) for when in stored] == [
        True,
        False,
        False,
        True,
        True,
        True,
    ]
    assert stays(other, NOW - 50 * DAY)


@pytest.mark.parametrize(
    ("choice", "meant"),
    [
        (DeleteChoice(tag="v1"), {"v1", "host/app:v1"}),
        (DeleteChoice(tag="host/app:v1"), {"host/app:v1"}),
        (DeleteChoice(digest=NAMED), {"v1", None}),
        (DeleteChoice(), {"v1", "v2", "host/app:v1", None, "no tag"}),
    ],
)
def test_only_what_was_named_has_to_go(choice: DeleteChoice, meant: set[str | None]) -> None:
    entries = [
        entry("v1", NAMED),
        entry("v2"),
        entry("host/app:v1", tag="v1"),
        entry(None, NAMED),
        Entry("no tag", None, entry(None).descriptor),
    ]
    assert {each.ref_name for each in entries if choice.demands(each)} == meant
    assert choice.demands(entry(None)) is None or choice == DeleteChoice()
    assert choice.drops_empty is (choice == DeleteChoice())
