"""What is shown to whoever has to say yes names everything that goes."""

from tasks.operations.cleanup.plan_summary import what_goes
from tasks.operations.cleanup.policy import DEFAULT_TIMING
from tasks.operations.cleanup.values import totals_of
from tests.support.planned_layout import APP, PlannedLayout


def test_entries_without_a_tag_and_leftovers_are_named() -> None:
    layout = PlannedLayout()
    for tag in ("v1", "v2", None):
        layout.image(tag, str(tag))
    layout.files.put(f"{APP}/ingest/{'0' * 64}_1", b"begun")
    totals = totals_of(layout.plan(), DEFAULT_TIMING.mode)
    assert what_goes(totals) == "1 of 2 tags go, 1 entries without a tag, 1 leftovers of writers"


def test_what_does_not_go_is_not_named() -> None:
    layout = PlannedLayout()
    layout.image("v1")
    assert what_goes(totals_of(layout.plan(), DEFAULT_TIMING.mode)) == "0 of 1 tags go"
