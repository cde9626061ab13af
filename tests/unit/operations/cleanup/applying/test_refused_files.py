"""What can't be moved or deleted is named, keeps nothing else where it is, and nothing is lost that was hidden."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from tasks.file_ports import StoredFile
from tasks.oci.errors import (
    InterruptedRunError,
    LayoutliftError,
    LockHeldError,
    SourceUnavailableError,
    SourceWriteError,
)
from tasks.operations.cleanup.applying import sweeping
from tasks.operations.cleanup.applying.apply_tools import RepositoryOutcome
from tasks.operations.cleanup.applying.repository_applying import apply_repository
from tasks.operations.cleanup.records.holdings import Holdings
from tasks.operations.cleanup.records.journal import Step, list_records, read_record
from tasks.operations.cleanup.records.marks import read_marks
from tasks.operations.cleanup.values import CleanupAction, FileDecision, FileKind, QuarantineMode, Timing
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
)

LAYERS = [1, 3, 4, 5]
GOING = [raw for raw in image(LAYERS).blobs if raw != b"{}"]
LOCKED = blob_path(b"layer 3")
OTHERS = {blob_path(raw) for raw in GOING} - {LOCKED}
Act = Callable[[Sequence[StoredFile]], tuple[StoredFile, ...]]


@pytest.fixture
def world() -> World:
    """What v1 needs of its own has waited to be hidden."""
    world = World()
    for tag, layers in (("v1", LAYERS), ("v2", [2])):
        world.finish(Push(image(layers), tag, world.now))
    world.now += 1
    assert world.apply_plan(world.plan(keep_policy(1)))
    world.now += GRACE
    return world


def applied(world: World) -> RepositoryOutcome:
    return apply_repository(world.tools(), world.plan(keep_policy(1)))


def refusal(files: Sequence[StoredFile]) -> SourceWriteError | None:
    return SourceWriteError(f"{LOCKED} is locked") if any(file.path == LOCKED for file in files) else None


def at_once(act: Act, files: Sequence[StoredFile]) -> tuple[StoredFile, ...]:
    """As a bucket does it: all but what is locked, which is said at the end."""
    done = act([file for file in files if file.path != LOCKED])
    if error := refusal(files):
        raise error
    return done


def one_by_one(act: Act, files: Sequence[StoredFile]) -> tuple[StoredFile, ...]:
    """As a directory does it: those before what is locked, and none after it."""
    for file in files:
        if error := refusal([file]):
            raise error
        act([file])
    return tuple(files)


def not_at_all(act: Act, files: Sequence[StoredFile]) -> tuple[StoredFile, ...]:
    """As a bucket does it where one can't be copied: nothing is deleted then."""
    if error := refusal(files):
        raise error
    return act(files)


Store = Callable[[Act, Sequence[StoredFile]], tuple[StoredFile, ...]]
STORES = [at_once, one_by_one, not_at_all]


def lock(world: World, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    hide, delete = world.files.hide_files, world.files.delete_files
    monkeypatch.setattr(world.files, "hide_files", lambda files, trash: store(lambda some: hide(some, trash), files))
    monkeypatch.setattr(world.files, "delete_files", lambda files: store(delete, files))


def held(world: World) -> set[str]:
    return {blob.file.path for blob in Holdings(world.files).held(LAYOUT)}


@pytest.mark.parametrize("batch", [1, 2, 1000])
@pytest.mark.parametrize("store", STORES)
def test_what_can_not_be_hidden_is_named_and_keeps_nothing_else_in_its_place(
    world: World, store: Store, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "BATCH", batch)
    lock(world, store, monkeypatch)
    outcome = applied(world)
    assert [problem.message for problem in outcome.problems] == [f"{LOCKED} is locked"]
    assert (LOCKED in world.files.contents(), OTHERS & set(world.files.contents())) == (True, set())
    sizes = sum(len(raw) for raw in GOING) - len(b"layer 3")
    assert (outcome.hidden, outcome.bytes_hidden, outcome.purged) == (len(OTHERS), sizes, 0)
    assert held(world) == OTHERS, "what is in its place is not said to be in the quarantine"
    assert (outcome.marked, len(read_marks(world.files, LAYOUT))) == (0, 1), "its wait goes on"


@pytest.mark.parametrize("store", STORES)
def test_what_can_not_be_deleted_at_once_is_named_and_keeps_nothing_else_in_its_place(
    world: World, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.timing = Timing(GRACE, HOLD, QuarantineMode.NONE)
    lock(world, store, monkeypatch)
    outcome = applied(world)
    assert [problem.message for problem in outcome.problems] == [f"{LOCKED} is locked"]
    assert (LOCKED in world.files.contents(), OTHERS & set(world.files.contents())) == (True, set())
    sizes = sum(len(raw) for raw in GOING) - len(b"layer 3")
    assert (outcome.purged, outcome.bytes_freed, outcome.hidden) == (len(OTHERS), sizes, 0)


def named_meanwhile(world: World, monkeypatch: pytest.MonkeyPatch, fails: Callable[[str], bool]) -> None:
    """A writer who found all of v1 in its place names it once that is hidden; then something fails."""
    hide, write = world.files.hide_files, world.files.write_file

    def hide_files(files: Sequence[StoredFile], trash: str | None) -> tuple[StoredFile, ...]:
        done = hide(files, trash)
        if in_quarantine(world) and "v3" not in world.index.decode():
            world.files.put(INDEX_PATH, named(world.index, image(LAYERS), "v3"))
        if fails("hide"):
            raise SourceWriteError("it is not known what was done")
        return done

    def write_file(path: str, raw: bytes, expected: str | None) -> str:
        if path.endswith("-hide.json") and in_quarantine(world) and fails("announce"):
            raise SourceWriteError("no room for another record")
        return write(path, raw, expected)

    monkeypatch.setattr(world.files, "hide_files", hide_files)
    monkeypatch.setattr(world.files, "write_file", write_file)


@pytest.mark.parametrize("what", ["hide", "announce"])
@pytest.mark.parametrize("batch", [1, 2, 1000])
def test_what_a_writer_named_while_it_was_hidden_comes_back_though_something_failed(
    world: World, what: str, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "BATCH", batch)
    named_meanwhile(world, monkeypatch, lambda step: step == what)
    outcome = applied(world)
    assert world.absent() == set()
    assert bool(outcome.problems) is (what == "hide" or batch < len(GOING))
    assert outcome.hidden == len(outcome.restored) > 0
    assert held(world) == set()


def test_what_can_not_be_purged_is_named_and_keeps_nothing_else_waiting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert applied(world).problems == []
    world.finish(Push(image([2, 9]), "v3", world.now))
    assert applied(world).problems == []
    world.now += HOLD
    purge = world.files.purge_files

    def purge_files(paths: Sequence[str], trash: str | None) -> None:
        if LOCKED in paths:
            raise SourceWriteError(f"{LOCKED} is locked")
        purge(paths, trash)

    monkeypatch.setattr(world.files, "purge_files", purge_files)
    plan = world.plan(keep_policy(1))
    assert {blob.action for blob in plan.blobs} >= {CleanupAction.QUARANTINE}
    outcome = apply_repository(world.tools(), plan)
    assert [problem.message for problem in outcome.problems] == [f"{LOCKED} is locked"]
    assert (outcome.purged, outcome.hidden) == (len(OTHERS), 1)
    assert held(world) == {LOCKED, blob_path(image([2]).blobs[-1])}


@pytest.mark.parametrize(
    ("error", "is_told"), [(SourceUnavailableError, True), (LockHeldError, False), (InterruptedRunError, False)]
)
def test_what_ends_all_ends_a_sweep_at_once(
    world: World, error: type[LayoutliftError], is_told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "BATCH", 1)
    asked: list[Sequence[StoredFile]] = []

    def hide_files(files: Sequence[StoredFile], _: str | None) -> tuple[StoredFile, ...]:
        asked.append(files)
        raise error("now")

    monkeypatch.setattr(world.files, "hide_files", hide_files)
    if is_told:
        assert [problem.message for problem in applied(world).problems] == ["now"]
    else:
        with pytest.raises(error):
            applied(world)
    assert len(asked) == 1


def test_who_loses_the_lease_over_a_failure_takes_nothing_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Sequence[StoredFile]] = []

    def hide_files(files: Sequence[StoredFile], _: str | None) -> tuple[StoredFile, ...]:
        asked.append(files)
        raise SourceWriteError("no")

    def guard() -> None:
        if asked:
            raise LockHeldError("another run's by now")

    monkeypatch.setattr(world.files, "hide_files", hide_files)
    plan = world.plan(keep_policy(1))
    with pytest.raises(LockHeldError):
        apply_repository(replace(world.tools(), guard=guard), plan)
    assert len(asked) == 1


def test_a_store_that_moves_nothing_is_not_asked_for_each_file(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "MOST_REFUSED", 2)
    monkeypatch.setattr(sweeping, "BATCH", 4)
    asked: list[int] = []

    def hide_files(files: Sequence[StoredFile], _: str | None) -> tuple[StoredFile, ...]:
        asked.append(len(files))
        raise SourceWriteError("no")

    monkeypatch.setattr(world.files, "hide_files", hide_files)
    outcome = applied(world)
    assert asked == [4, 2, 1, 1, 2, 1]
    assert (outcome.hidden, held(world), len(outcome.problems)) == (0, set(), 4)


def test_each_blob_waits_for_all_of_its_time_however_long_it_takes_to_hide_those_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "BATCH", 1)
    hidden_at: dict[str, float] = {}
    hide = world.files.hide_files

    def hide_files(files: Sequence[StoredFile], trash: str | None) -> tuple[StoredFile, ...]:
        hidden_at.update({file.path: world.now for file in files})
        done = hide(files, trash)
        world.now += 3600
        return done

    monkeypatch.setattr(world.files, "hide_files", hide_files)
    assert applied(world).hidden == len(GOING)
    hides = [read_record(world.files, place) for place in list_records(world.files) if place.step is Step.HIDE]
    assert {file.path: record.time for record in hides for file in record.files} == hidden_at
    assert len(set(hidden_at.values())) == len(GOING)


def leftover(world: World, name: str) -> FileDecision:
    world.files.put(f"{LAYOUT}/{name}", b"half a blob")
    file = world.files.stat_file(f"{LAYOUT}/{name}")
    assert file is not None
    return FileDecision(FileKind.INGEST, name, file.size, file.modified, file.etag, CleanupAction.DELETE, "")


def test_what_a_writer_left_and_can_not_be_deleted_is_named_and_keeps_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = replace(world.plan(keep_policy(1)), files=(leftover(world, "locked"), leftover(world, "left")))
    delete = world.files.delete_files

    def delete_files(files: Sequence[StoredFile]) -> tuple[StoredFile, ...]:
        if files[0].path == f"{LAYOUT}/locked":
            raise SourceWriteError("it is locked")
        return delete(files)

    monkeypatch.setattr(world.files, "delete_files", delete_files)
    outcome = apply_repository(world.tools(), plan)
    assert [problem.message for problem in outcome.problems] == ["it is locked"]
    assert outcome.files_deleted == 1
