"""What is shown to whoever has to say yes names everything that goes."""

from dataclasses import replace

from tasks.oci.codes import Problem
from tasks.operations.cleanup.deciding.choices import Choice
from tasks.operations.cleanup.deciding.policy import DEFAULT_TIMING
from tasks.operations.cleanup.planning.plan_summary import PlanSummary, in_short, what_goes
from tasks.operations.cleanup.planning.plan_totals import totals_of
from tasks.operations.cleanup.values import CleanupAction, PlanFooter, PlanHeader, PlanKind, PlanLimits
from tests.support.planned_layout import APP, NOW, PlannedLayout, keep_last


def test_entries_without_a_tag_and_leftovers_are_named() -> None:
    layout = PlannedLayout()
    for tag in ("v1", "v2", None):
        layout.image(tag, str(tag))
    layout.files.put(f"{APP}/ingest/{'0' * 64}_1", b"begun")
    totals = totals_of(layout.plan(), DEFAULT_TIMING.mode)
    assert what_goes(totals) == "1 of 2 tags go, 1 entry without a tag, 1 leftover of writers"


def test_what_does_not_go_is_not_named() -> None:
    layout = PlannedLayout()
    layout.image("v1")
    assert what_goes(totals_of(layout.plan(), DEFAULT_TIMING.mode)) == "0 of 1 tags go"


def summed_up(layout: PlannedLayout, choice: Choice | None = None, *, takes: bool) -> str:
    summary = PlanSummary(DEFAULT_TIMING.mode)
    summary.see(layout.plan(choice))
    assert summary.takes is takes
    header = PlanHeader("plan", PlanKind.CLEANUP, "s3://bucket", NOW, PlanLimits(), DEFAULT_TIMING)
    return summary.markdown(header, PlanFooter(), [], "plan.jsonl").replace("\\", "")


def test_what_is_held_back_is_told_and_is_not_among_what_is_marked() -> None:
    layout = PlannedLayout()
    for tag in ("v1", "v2"):
        layout.image(tag)
    plan = layout.plan()
    first, *others = (replace(blob, size=2**30) for blob in plan.blobs if blob.action is CleanupAction.MARK)
    waiting = (replace(each, size=2**20) for each in others[:1])
    plan = replace(plan, blobs=(replace(first, is_held_back=True), *waiting))
    totals = totals_of(plan, DEFAULT_TIMING.mode)
    assert (totals.blobs_marked, totals.bytes_held, totals.bytes_later) == (1, 2**30, 2**20)
    assert in_short(totals).endswith("0 B come back now, 1.0 MiB later, 1.0 GiB are held back")
    summary = PlanSummary(DEFAULT_TIMING.mode)
    summary.see(plan)
    assert "| 1.0 MiB, 1.0 GiB are held back |" in summary.rows[0].replace("\\", "")


def test_what_was_noticed_is_told_whether_or_not_anything_goes() -> None:
    layout = PlannedLayout()
    layout.image("v1")
    layout.image(None, "lost")
    layout.entries.pop()
    layout.write_index()
    assert f"| {APP} | {Problem.LOST_MANIFEST} | sha256:" in summed_up(layout, takes=False)
    layout.image("v2")
    assert f"| {APP} | {Problem.LOST_MANIFEST} | sha256:" in summed_up(layout, takes=True)


def test_a_repository_of_which_only_untagged_goes_says_so() -> None:
    layout = PlannedLayout()
    for tag in ("v1", None):
        layout.image(tag, str(tag))
    assert "| entries without a tag (1) |" in summed_up(layout, takes=True)


def test_an_empty_layout_that_goes_is_named() -> None:
    layout = PlannedLayout()
    choice = keep_last(1, drop_empty_layouts=True)
    assert what_goes(totals_of(layout.plan(choice), DEFAULT_TIMING.mode)) == "0 of 0 tags go, 1 empty layout"
    assert "| the layout is empty (1) |" in summed_up(layout, choice, takes=True)
