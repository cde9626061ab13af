"""What is printed of a cleanup's plan, for people who look it through."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from flows.terminal.cleanup_plan_output import print_plan
from tasks.oci.digest import Digest
from tasks.oci.reference import TargetAddress
from tasks.operations.cleanup.planning.gate import Gate
from tasks.operations.cleanup.planning.limits import LimitCheck
from tasks.operations.cleanup.records.journal import Journal, Record, Step
from tasks.operations.cleanup.records.marks import Mark, write_marks
from tasks.operations.cleanup.values import CleanupAction, PlanHeader, PlanKind, PlanLimits, RepositoryPlan, Timing
from tests.support.memory_stores import MemoryTarget
from tests.support.planned_layout import APP, DAY, NOW, PlannedLayout, keep_last

TIMING = Timing(7 * DAY, 14 * DAY)


def printed(
    capsys: pytest.CaptureFixture[str],
    plan: RepositoryPlan,
    kind: PlanKind = PlanKind.CLEANUP,
    timing: Timing = TIMING,
) -> list[str]:
    header = PlanHeader("plan", kind, "s3://bucket", NOW, PlanLimits(), timing)
    check = LimitCheck(header.limits, TIMING.mode)
    print_plan(header, map(check.see, [plan]), check, [], as_json=False)
    return capsys.readouterr().out.splitlines()


def day(when: float) -> str:
    return f"{datetime.fromtimestamp(when, UTC):%Y-%m-%d}"


def planned(*tags: str | None) -> RepositoryPlan:
    layout = PlannedLayout()
    for tag in tags:
        layout.image(tag, str(tag))
    return layout.plan(keep_last(1), TIMING)


def test_what_goes_comes_first_and_each_part_in_the_order_of_people(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line.split("\t")[0] for line in printed(capsys, planned("v10", "v11", "v9", "v2"))[:4]]
    assert lines == [f"delete {APP}:v2", f"delete {APP}:v9", f"delete {APP}:v10", f"keep   {APP}:v11"]


def test_nothing_is_said_of_what_does_not_come_back(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, planned("v1"))
    assert not [line for line in lines if line.startswith(f"       {APP}:") or "0 B" in line]
    assert lines[-1].startswith("  nothing comes back (")


def test_a_plan_says_from_when_on_its_space_comes_back_if_runs_follow(capsys: pytest.CaptureFixture[str]) -> None:
    plan = planned("v1", "v2")
    marked = [blob for blob in plan.blobs if blob.action is CleanupAction.MARK]
    assert marked
    (line,) = (line for line in printed(capsys, plan) if line.startswith(f"       {APP}:"))
    assert line.endswith(f" come back later, from {day(NOW + 21 * DAY)} on")
    known = replace(plan, blobs=tuple(replace(blob, since=NOW - 3 * DAY) for blob in marked))
    assert f"later, from {day(NOW + 18 * DAY)} on (" in printed(capsys, known)[-1]
    hidden = replace(plan, blobs=tuple(replace(blob, action=CleanupAction.QUARANTINE) for blob in marked))
    assert f"later, from {day(NOW + 14 * DAY)} on (" in printed(capsys, hidden)[-1]


def held(tag: str, days: float, *, in_quarantine: bool = False) -> RepositoryPlan:
    """A plan over a layout whose target lacks all but what `tag` names, as it was hidden or marked so long ago."""
    layout = PlannedLayout()
    layout.image(tag)
    lone = layout.blob(b"nobody's")
    file = layout.files.stat_file(layout.place(lone["digest"]))
    assert file is not None
    if in_quarantine:
        trash = ".layoutlift/trash/run-0"
        record = Record(Step.HIDE, APP, NOW - days * DAY, files=(file,), trash=trash)
        Journal(layout.files, "run-0").announce(record)
        layout.files.hide_files([file], trash)
    else:
        write_marks(layout.files, APP, {Digest(lone["digest"]): Mark.of(file, NOW - days * DAY)})
    layout.gate = Gate(MemoryTarget(), TargetAddress("target"), "own", map)
    return layout.plan(keep_last(1), TIMING)


@pytest.mark.parametrize("in_quarantine", [False, True])
def test_what_the_target_lacks_is_told_as_held_back_and_no_more_as_what_comes_back(
    capsys: pytest.CaptureFixture[str], *, in_quarantine: bool
) -> None:
    lines = printed(capsys, held("v1", 6.9, in_quarantine=in_quarantine))
    assert ", from " in lines[-1]
    lines = printed(capsys, held("v1", 14, in_quarantine=in_quarantine))
    told = f"       {APP}: 1 blob held back (8 B), as the target does not have it"
    assert [line for line in lines if line.startswith("       ")] == [told]
    assert lines[-1].startswith("  nothing comes back (")
    assert lines[-1].endswith(" stay, 8 B are held back)")


def test_what_is_held_back_is_told_by_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    plan = held("v1", 14)
    [one] = plan.held_back
    more = [replace(one, digest=Digest.of(b"x"), reason="a has it"), replace(one, digest=Digest.of(b"y"), size=2**30)]
    more[1] = replace(more[1], reason=one.reason.replace(one.digest, more[1].digest))
    lines = printed(capsys, replace(plan, blobs=(one, *more)))
    assert [line.split(": ")[1] for line in lines if line.startswith("       ")] == [
        "2 blobs held back (1.0 GiB), each as the target does not have it",
        "1 blob held back (8 B), as a has it",
    ]


@pytest.mark.parametrize(
    ("kind", "hold"), [(PlanKind.DELETE, DAY), (PlanKind.CLEANUP, 1e15)], ids=["no policy", "for ever"]
)
def test_where_no_policy_says_how_long_content_waits_no_day_is_named(
    kind: PlanKind, hold: float, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = printed(capsys, planned("v1", "v2"), kind, replace(TIMING, hold=hold))
    assert any(" come back later" in line for line in lines)
    assert not any(" from " in line for line in lines)
