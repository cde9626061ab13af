"""A sweep takes nothing on a plan's word alone: each file is looked at again, and so is how long it has waited."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tasks.oci.digest import Digest
from tasks.oci.errors import LockHeldError
from tasks.operations.cleanup.applying import sweeping
from tasks.operations.cleanup.applying.apply_tools import ApplyTools, RepositoryOutcome
from tasks.operations.cleanup.applying.repository_applying import apply_repository
from tasks.operations.cleanup.applying.sweeping import Sweep
from tasks.operations.cleanup.planning.plan_totals import totals_of
from tasks.operations.cleanup.records.holdings import HeldBlob, Holdings
from tasks.operations.cleanup.records.journal import Step, list_records, read_record
from tasks.operations.cleanup.records.marks import Mark, read_marks, write_marks
from tasks.operations.cleanup.values import CleanupAction, QuarantineMode, RepositoryPlan, Timing
from tests.support.cleanup_world import (
    GRACE,
    HOLD,
    INDEX_PATH,
    LAYOUT,
    Push,
    World,
    blob_path,
    image,
    in_quarantine,
    keep_policy,
    named,
    world_of_two,
)

LAYER = b"layer 1"
DIGEST = Digest.of(LAYER)
PATH = blob_path(LAYER)
SIZES = [len(raw) for raw in image([1]).blobs if raw != b"{}"]


@pytest.fixture
def world() -> World:
    """v1 has left the index, and its two blobs are marked for as long as the grace time."""
    world = world_of_two()
    world.now += 1
    assert world.apply_plan(world.plan(keep_policy(1)))
    world.now += GRACE
    return world


@pytest.fixture
def hidden(world: World) -> World:
    """The same two blobs are in the quarantine for as long as the hold time."""
    assert world.apply_plan(world.plan(keep_policy(1)))
    assert PATH not in world.files.contents()
    world.now += HOLD
    return world


def held_by(world: World, action: CleanupAction) -> RepositoryPlan:
    plan = world.plan(keep_policy(1))
    assert action in {blob.action for blob in (*plan.blobs, *plan.quarantined)}
    return plan


def sweep(world: World, plan: RepositoryPlan, **more: object) -> tuple[set[Digest], RepositoryOutcome]:
    """What was hidden, and the counts."""
    tools = replace(world.tools(), **more)
    held = Holdings(world.files).held(LAYOUT)
    outcome = RepositoryOutcome(LAYOUT)
    view = tools.look.view(LAYOUT, ())
    return {blob.digest for blob in Sweep(tools, plan, outcome, held).run(view)}, outcome


def test_what_has_waited_is_hidden_and_counted(world: World) -> None:
    hidden, outcome = sweep(world, held_by(world, CleanupAction.QUARANTINE))
    assert DIGEST in hidden
    assert (len(hidden), outcome.hidden, outcome.bytes_hidden) == (2, 2, sum(SIZES))
    assert (outcome.purged, outcome.bytes_freed) == (0, 0)


def marks(world: World, change: Callable[[Mark], Mark]) -> None:
    write_marks(world.files, LAYOUT, {key: change(mark) for key, mark in read_marks(world.files, LAYOUT).items()})


def named_again(world: World) -> None:
    world.finish(Push(image([1]), "v3", world.now))


def gone(world: World) -> None:
    file = world.files.stat_file(PATH)
    assert file is not None
    world.files.delete_files([file])


def without_its_mark(world: World) -> None:
    write_marks(world.files, LAYOUT, {})


def marked_anew(world: World) -> None:
    marks(world, lambda mark: replace(mark, since=mark.since + 1))
    world.now += 1


def written_anew(world: World) -> None:
    world.files.put(PATH, LAYER)


def written_anew_in_the_second_of_its_mark(world: World) -> None:
    """A writer sent it again just after the mark, and stores tell times in whole seconds."""
    now, world.now = world.now, read_marks(world.files, LAYOUT)[DIGEST].since
    world.files.put(PATH, LAYER)
    world.now = now


def written_anew_and_marked(world: World) -> None:
    """The mark is of the file that is there; the plan is about the one before."""
    before, now = world.files.stat_file(PATH), world.now
    assert before is not None
    world.now = before.modified
    world.files.put(PATH, LAYER)
    world.now = now
    file = world.files.stat_file(PATH)
    assert file is not None
    marks(world, lambda mark: Mark.of(file, mark.since))


@pytest.mark.parametrize(
    "meanwhile",
    [
        named_again,
        gone,
        without_its_mark,
        marked_anew,
        written_anew,
        written_anew_in_the_second_of_its_mark,
        written_anew_and_marked,
    ],
)
def test_a_blob_that_is_not_as_it_was_planned_stays_where_it_is(
    world: World, meanwhile: Callable[[World], None]
) -> None:
    plan = held_by(world, CleanupAction.QUARANTINE)
    meanwhile(world)
    assert DIGEST not in sweep(world, plan)[0]


def test_a_mark_that_is_older_than_its_file_is_void(world: World) -> None:
    plan = held_by(world, CleanupAction.QUARANTINE)
    marks(world, lambda mark: replace(mark, since=mark.modified - 1))
    early = tuple(replace(blob, since=blob.modified - 1) for blob in plan.blobs)
    assert sweep(world, replace(plan, blobs=early))[0] == set()


def test_the_wait_is_told_by_the_clock_of_the_store_and_the_times_of_who_applies(world: World) -> None:
    plan = held_by(world, CleanupAction.QUARANTINE)
    assert sweep(world, plan, timing=Timing(GRACE + 1, HOLD))[0] == set()
    world.now += 1
    assert sweep(world, plan, timing=Timing(GRACE + 1, HOLD))[0] != set()


def test_a_plan_to_mark_hides_nothing_however_late_it_is_applied(world: World) -> None:
    world.now -= 1
    plan = held_by(world, CleanupAction.MARK)
    world.now += 100 * GRACE
    assert sweep(world, plan)[0] == set()


def test_without_a_quarantine_blobs_are_deleted_and_counted_as_such(world: World) -> None:
    plan = held_by(world, CleanupAction.QUARANTINE)
    hidden, outcome = sweep(world, plan, timing=Timing(GRACE, HOLD, QuarantineMode.NONE))
    assert (hidden, outcome.hidden, outcome.bytes_hidden) == (set(), 0, 0)
    assert (outcome.purged, outcome.bytes_freed) == (2, sum(SIZES))
    assert PATH not in world.files.contents()
    assert in_quarantine(world) == set()


def test_what_has_waited_in_the_quarantine_is_deleted_and_counted(hidden: World) -> None:
    assert len(in_quarantine(hidden)) == 2
    _, outcome = sweep(hidden, held_by(hidden, CleanupAction.PURGE))
    assert (outcome.purged, outcome.bytes_freed) == (2, sum(SIZES))
    assert in_quarantine(hidden) == set()


def test_a_plan_to_keep_deletes_nothing_however_late_it_is_applied(hidden: World) -> None:
    hidden.now -= 1
    plan = held_by(hidden, CleanupAction.KEEP)
    hidden.now += 100 * HOLD
    assert sweep(hidden, plan)[1].purged == 0


def test_the_hold_is_that_of_who_applies(hidden: World) -> None:
    plan = held_by(hidden, CleanupAction.PURGE)
    assert sweep(hidden, plan, timing=Timing(GRACE, HOLD + 1))[1].purged == 0


def test_what_the_index_needs_from_the_quarantine_is_not_deleted_there(hidden: World) -> None:
    plan = held_by(hidden, CleanupAction.PURGE)
    hidden.files.put(INDEX_PATH, named(hidden.index, image([1]), "v3"))
    manifest = image([1]).blobs[-1]
    hidden.files.put(blob_path(manifest), manifest)
    assert sweep(hidden, plan)[1].purged == 1, "its manifest is in its place again, its layer is not"
    assert [path for path in in_quarantine(hidden) if path.endswith(DIGEST.encoded)] != []


def hidden_twice(world: World, mode: QuarantineMode) -> World:
    """v1 was sent again under another tag, which left, too: the later copy has not waited yet."""
    world.timing = Timing(GRACE, 3 * GRACE, mode)
    assert world.apply_plan(world.plan(keep_policy(1)))
    world.finish(Push(image([1]), "v0", world.now))
    for _ in range(2):
        world.now += GRACE
        assert world.apply_plan(world.plan(keep_policy(1)))
    assert PATH not in world.files.contents()
    world.now += GRACE
    return world


@pytest.mark.parametrize(("mode", "purged"), [(QuarantineMode.PREFIX, 2), (QuarantineMode.VERSIONS, 0)])
def test_versions_go_all_at_once_and_wait_for_the_last_copies_have_times_of_their_own(
    world: World, mode: QuarantineMode, purged: int
) -> None:
    assert sweep(hidden_twice(world, mode), held_by(world, CleanupAction.PURGE))[1].purged == purged


def test_content_of_its_own_keeps_nothing_else_waiting(world: World) -> None:
    """As versions of different blobs, which are all in one place."""
    world.timing = Timing(GRACE, 3 * GRACE, QuarantineMode.VERSIONS)
    assert world.apply_plan(world.plan(keep_policy(1)))
    world.finish(Push(image([3]), "v3", world.now))
    for _ in range(2):
        world.now += GRACE
        assert world.apply_plan(world.plan(keep_policy(1)))
    assert blob_path(b"layer 2") not in world.files.contents()
    world.now += GRACE
    assert sweep(world, held_by(world, CleanupAction.PURGE))[1].purged == 2


def test_nothing_is_forgotten_between_batches(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "BATCH", 1)
    assert len(sweep(world, held_by(world, CleanupAction.QUARANTINE))[0]) == 2
    world.now += HOLD
    assert sweep(world, held_by(world, CleanupAction.PURGE))[1].purged == 2


@pytest.mark.parametrize(
    ("mode", "action"),
    [
        (QuarantineMode.PREFIX, CleanupAction.QUARANTINE),
        (QuarantineMode.NONE, CleanupAction.QUARANTINE),
        (QuarantineMode.PREFIX, CleanupAction.PURGE),
    ],
)
def test_who_has_lost_the_lease_takes_nothing(
    request: pytest.FixtureRequest, mode: QuarantineMode, action: CleanupAction
) -> None:
    def lost() -> None:
        raise LockHeldError("another run's by now")

    world: World = request.getfixturevalue("hidden" if action is CleanupAction.PURGE else "world")
    plan, before = held_by(world, action), dict(world.files.contents())
    with pytest.raises(LockHeldError):
        sweep(world, plan, guard=lost, timing=Timing(GRACE, HOLD, mode))
    assert dict(world.files.contents()) == before


@pytest.mark.parametrize("mode", [QuarantineMode.PREFIX, QuarantineMode.VERSIONS])
@pytest.mark.parametrize("lives", range(12))
def test_what_comes_back_is_counted_once_though_a_run_was_killed_while_it_hid_blobs(
    world: World, lives: int, mode: QuarantineMode
) -> None:
    """Its journal announces all of them, and some are still in their place."""
    world.timing = Timing(GRACE, HOLD, mode)
    freed, planned = [], []

    def apply(tools: ApplyTools, plan: RepositoryPlan) -> RepositoryOutcome:
        outcome = apply_repository(tools, plan)
        freed.append(outcome.bytes_freed)
        return outcome

    world.apply = apply
    world.apply_plan(world.plan(keep_policy(1)), lives)
    for _ in range(3):
        world.now += GRACE + HOLD
        plan = world.plan(keep_policy(1))
        planned.append(totals_of(plan, mode).bytes_now)
        assert world.apply_plan(plan)
    assert (sum(freed), sum(planned)) == (sum(SIZES), sum(SIZES))
    assert PATH not in world.files.contents()


def test_what_several_runs_have_hidden_is_deleted_and_counted_once(world: World) -> None:
    assert world.apply_plan(world.plan(keep_policy(0)))
    world.now += GRACE
    assert world.apply_plan(replace(world.plan(keep_policy(0)), quarantined=()))
    runs = {path.split("/")[2] for path in in_quarantine(world)}
    assert (len(runs), len(in_quarantine(world))) == (2, 5)
    world.now += HOLD
    outcome = apply_repository(world.tools(), world.plan(keep_policy(0)))
    assert (outcome.purged, outcome.problems, in_quarantine(world)) == (5, [], set())
    for run in runs:
        settled = [place for place in list_records(world.files, run) if place.step is Step.SETTLED]
        (record,) = (read_record(world.files, place) for place in settled)
        (hidden,) = (place for place in list_records(world.files, run) if place.step is Step.HIDE)
        assert sorted(record.files, key=str) == sorted(read_record(world.files, hidden).files, key=str)


class ReadThrough(tuple[HeldBlob, ...]):
    """Counts how often it is read through."""

    __slots__ = ()
    times = 0

    def __iter__(self) -> Iterator[HeldBlob]:
        type(self).times += 1
        return super().__iter__()


def times_read_through_to_purge(images: int) -> int:
    world = World()
    for number in range(images):
        world.finish(Push(image([number]), f"v{number}", world.now))
    for wait in (1, GRACE):
        world.now += wait
        assert world.apply_plan(world.plan(keep_policy(1)))
    world.now += HOLD
    held = Holdings(world.files).held(LAYOUT)
    view = world.tools().look.view(LAYOUT, ())
    before = ReadThrough.times
    outcome = RepositoryOutcome(LAYOUT)
    Sweep(world.tools(), world.plan(keep_policy(1)), outcome, ReadThrough(held)).run(view)
    assert outcome.purged == len(held) == 2 * (images - 1)
    return ReadThrough.times - before


def test_what_the_quarantine_has_is_not_read_through_for_each_blob_that_goes() -> None:
    """A repository may have hundreds of thousands there."""
    assert times_read_through_to_purge(8) == times_read_through_to_purge(3)
