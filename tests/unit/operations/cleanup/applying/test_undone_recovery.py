"""What a run had named again, and nothing names once it is undone: no writer has lost it, and no old mark holds."""

from collections.abc import Callable

import pytest

from tasks.operations.cleanup.applying.apply_tools import RepositoryOutcome
from tasks.operations.cleanup.applying.undoing import undo_run
from tasks.operations.cleanup.records.marks import read_marks
from tasks.operations.cleanup.values import CleanupAction
from tests.support.cleanup_world import (
    GRACE,
    HOLD,
    INDEX_PATH,
    LAYOUT,
    Push,
    World,
    blob_path,
    image,
    keep_policy,
    tag_of,
    world_of_two,
)


def empty() -> World:
    """An image whose tag went long ago, and nothing besides."""
    world = World()
    world.finish(Push(image([1]), "v1", world.now))
    world.now += 1
    assert world.apply_plan(world.plan(keep_policy(0)))
    return world


def marked() -> World:
    """`v1` went long ago, `v2` is there."""
    world = world_of_two()
    world.now += 1
    assert world.apply_plan(world.plan(keep_policy(1)))
    return world


def lost() -> World:
    """Two images, and one whose entry a writer lost."""
    world = world_of_two()
    for raw in image([7]).blobs:
        world.files.put(blob_path(raw), raw)
    return world


def undone(world: World, run: str) -> RepositoryOutcome:
    [outcome] = undo_run(world.tools(), run)
    return outcome


def actions(world: World, keep_last: int = 2) -> set[CleanupAction]:
    plan = world.plan(keep_policy(keep_last))
    assert (plan.refused, plan.findings) == (None, ())
    return {blob.action for blob in plan.blobs}


@pytest.mark.parametrize("lives", [None, *range(12)])
@pytest.mark.parametrize("made", [empty, marked, lost])
def test_what_a_run_had_named_again_goes_as_other_blobs_do_once_that_run_is_undone(
    made: Callable[[], World], lives: int | None
) -> None:
    """Also where the undo died at some step and was done again."""
    world = made()
    world.now += 3 * GRACE
    assert world.apply_plan(world.recovery(marked=made is not lost).plan)
    named = {blob_path(raw) for raw in image([7 if made is lost else 1]).blobs}
    run = world.runs[-1]
    if not world.undo(run, lives):
        assert not undone(world, run).problems
    assert [tag for entry in world.entries if (tag := tag_of(entry) or "").startswith("recovered-")] == []
    plain = world.recovery()
    assert (plain.plan.additions, plain.plan.findings, plain.left_out) == ((), (), len(named - shared(world)))
    assert len(world.recovery(marked=True).plan.additions) == 1
    assert CleanupAction.QUARANTINE not in actions(world), "no wait counts from before it was undone"
    assert world.apply_plan(world.plan(keep_policy(2)))
    world.now += GRACE - 1
    assert CleanupAction.QUARANTINE not in actions(world)
    world.now += 1
    assert CleanupAction.QUARANTINE in actions(world)
    for wait in (0, HOLD):
        world.now += wait
        assert world.apply_plan(world.plan(keep_policy(2)))
    assert named & {*world.files.contents()} == shared(world)


def shared(world: World) -> set[str]:
    """Of the configuration that all images have, its place where one is left."""
    return {blob_path(b"{}")} if world.entries else set()


def test_what_an_undo_had_put_back_waits_anew_once_that_undo_is_undone() -> None:
    """Not from the mark of the run that was undone."""
    world = marked()
    world.now += 5 * GRACE
    assert not undone(world, "run-0").problems
    outcome = undone(world, "run-1")
    assert ([entry.tag for entry in outcome.removed], outcome.marked, outcome.problems) == (["v1"], 2, [])
    assert actions(world) == {CleanupAction.KEEP, CleanupAction.MARK}


def test_what_an_undo_had_put_back_waits_anew_also_where_another_tool_takes_it_out_again() -> None:
    world = marked()
    before = world.index
    world.now += 5 * GRACE
    assert not undone(world, "run-0").problems
    world.files.put(INDEX_PATH, before)
    assert {blob.action for blob in world.plan(keep_policy(2)).blobs} == {CleanupAction.KEEP, CleanupAction.MARK}


def test_an_undo_that_puts_one_of_two_back_leaves_the_marks_of_the_other() -> None:
    world = world_of_two()
    world.finish(Push(image([3]), "v3", world.now))
    for keep in (2, 1):
        assert world.apply_plan(world.plan(keep_policy(keep)))
    assert not undone(world, "run-1").problems
    assert {digest.encoded for digest in read_marks(world.files, LAYOUT)} == {
        blob_path(raw).rpartition("/")[2] for raw in image([1]).blobs[1:]
    }


def test_nothing_is_marked_that_other_entries_need() -> None:
    world = marked()
    assert not undone(world, "run-0").problems
    world.finish(Push(image([1]), "v3", world.now))
    outcome = undone(world, "run-1")
    assert ([entry.tag for entry in outcome.removed], outcome.marked) == (["v1"], 0)
    assert all(mark.since for mark in read_marks(world.files, LAYOUT).values())


def test_where_something_that_stays_can_not_be_read_nothing_is_marked_and_the_entry_goes_all_the_same() -> None:
    world = marked()
    assert not undone(world, "run-0").problems
    world.files.put(blob_path(image([2]).blobs[-1]), b"{}")
    outcome = undone(world, "run-1")
    assert ([entry.tag for entry in outcome.removed], outcome.marked) == (["v1"], 0)
    assert [problem.code for problem in outcome.problems] == ["size_mismatch"]


def test_what_was_named_again_and_can_not_be_read_by_now_keeps_nothing_from_being_judged_once_that_is_undone() -> (
    None
):
    world = empty()
    assert world.apply_plan(world.recovery(marked=True).plan)
    world.files.put(blob_path(image([1]).blobs[-1]), b"{" + 200 * b" ")
    outcome = undone(world, world.runs[-1])
    assert (len(outcome.removed), outcome.marked, outcome.problems, world.entries) == (1, 1, [], [])
    assert actions(world) == {CleanupAction.MARK}


def test_nothing_is_taken_out_while_it_can_not_be_told_what_that_leaves_and_the_undo_goes_on_once_it_can() -> None:
    """Taken out without marks, a lost manifest would be told again, and alone keep its layout from being judged."""
    world = lost()
    assert world.apply_plan(world.recovery().plan)
    run, before = world.runs[-1], world.index
    strange = f"{LAYOUT}/blobs/sha256/notadigest"
    world.files.put(strange, b"")
    outcome = undone(world, run)
    assert [problem.code for problem in outcome.problems] == ["not_judged"]
    assert (outcome.removed, world.index) == ([], before)
    file = world.files.stat_file(strange)
    assert file is not None
    world.files.delete_files([file])
    outcome = undone(world, run)
    assert (len(outcome.removed), outcome.marked, outcome.problems) == (1, 2, [])
