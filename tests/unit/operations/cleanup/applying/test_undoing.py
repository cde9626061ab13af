"""What undoing a run brings back, and what it says of what can't come back."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import ConfigurationError, InterruptedRunError, LockHeldError
from tasks.operations.cleanup.applying.apply_tools import RepositoryOutcome
from tasks.operations.cleanup.applying.undoing import undo_run
from tasks.operations.cleanup.layout.index_edit import read_entry
from tasks.operations.cleanup.records.holdings import Holdings
from tasks.operations.cleanup.records.journal import RUNS
from tasks.operations.cleanup.records.marks import read_marks
from tasks.operations.cleanup.values import CleanupAction, IndexEntry
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
    named,
    tag_of,
    world_of_two,
)
from tests.support.memory_files import MemoryFiles, WritableMemory
from tests.support.memory_stores import MemorySource


@pytest.fixture
def world() -> World:
    """v1 left the index, its blobs were hidden, and then deleted for good."""
    world = world_of_two()
    for wait in (1, GRACE, HOLD):
        world.now += wait
        assert world.apply_plan(world.plan(keep_policy(1)))
    return world


def undone(world: World, run: str) -> RepositoryOutcome:
    [outcome] = undo_run(world.tools(), run)
    return outcome


def test_what_was_deleted_for_good_meanwhile_is_named(world: World) -> None:
    problems = undone(world, "run-1").problems
    gone = sorted(blob_path(raw) for raw in image([1]).blobs if raw != b"{}")
    assert [problem.message for problem in problems] == [
        f"{path} was deleted for good, its time in the quarantine was over" for path in gone
    ]


def test_what_a_writer_has_sent_again_is_not_missed(world: World) -> None:
    world.finish(Push(image([1]), "v3", world.now))
    assert undone(world, "run-1").problems == []


@pytest.fixture
def hidden() -> World:
    """v1 left the index with the first run, and its blobs were hidden by the second."""
    world = world_of_two()
    for wait in (1, GRACE):
        world.now += wait
        assert world.apply_plan(world.plan(keep_policy(1)))
    return world


def test_undoing_once_more_counts_nothing_as_put_back(hidden: World) -> None:
    assert undone(hidden, "run-1").restored
    assert not undone(hidden, "run-1").restored


def test_what_a_writer_has_sent_again_is_not_put_back_and_stays_in_the_quarantine_for_its_time(hidden: World) -> None:
    hidden.finish(Push(image([1]), "v3", hidden.now))
    outcome = undone(hidden, "run-1")
    assert (outcome.restored, outcome.problems) == ([], [])
    assert quarantined(hidden) == [CleanupAction.PURGE, CleanupAction.PURGE]


def quarantined(world: World) -> list[CleanupAction]:
    world.now += HOLD
    return [held.action for held in world.plan(keep_policy(2)).quarantined]


def test_what_came_back_is_not_said_to_go_for_good_later(hidden: World) -> None:
    for run in ("run-1", "run-0"):
        assert undone(hidden, run).problems == []
    assert quarantined(hidden) == []


def test_what_came_back_for_a_writer_is_not_said_to_go_for_good_later(hidden: World) -> None:
    artifact = image([1])
    hidden.files.put(INDEX_PATH, named(hidden.index, artifact, "v3"))  # it had looked before they were hidden
    assert hidden.apply_plan(hidden.plan(keep_policy(2)))
    assert hidden.absent() == set()
    assert quarantined(hidden) == []


def test_a_run_that_was_undone_does_not_miss_what_a_later_one_hides(hidden: World) -> None:
    assert undone(hidden, "run-1").problems == []
    for wait in (1, GRACE):
        hidden.now += wait
        assert hidden.apply_plan(hidden.plan(keep_policy(1)))
    assert blob_path(b"layer 1") not in hidden.files.contents()
    assert undone(hidden, "run-1").problems == []


def test_a_blob_that_comes_back_is_counted_once(hidden: World) -> None:
    assert undone(hidden, "run-1").restored
    assert undone(hidden, "run-0").restored == []


def test_what_came_back_without_an_entry_is_no_sign_of_a_writer_who_lost_something() -> None:
    """Its entry left with an earlier run than the one that is undone; the next cleanups take it again."""
    world = World()
    world.finish(Push(image([1]), "v1", world.now))
    for wait in (1, GRACE):
        world.now += wait
        assert world.apply_plan(world.plan(keep_policy(0)))
    assert undone(world, "run-1").problems == []
    blobs = {blob_path(raw) for raw in image([1]).blobs}
    assert blobs <= set(world.files.contents())
    for wait in (1, GRACE - 1, 1):
        world.now += wait
        assert blobs <= set(world.files.contents())
        plan = world.plan(keep_policy(0))
        assert (plan.refused, plan.findings) == (None, ())
        assert world.apply_plan(plan)
    assert not blobs & set(world.files.contents())


LAYER, MANIFEST = b"layer 1", image([1]).blobs[-1]


def tags(world: World) -> list[str | None]:
    return [entry.get("annotations", {}).get("org.opencontainers.image.ref.name") for entry in world.entries]


def test_a_tag_comes_back_with_all_that_it_needs_whichever_run_hid_it(hidden: World) -> None:
    outcome = undone(hidden, "run-0")
    assert [entry.tag for entry in outcome.added] == ["v1"]
    assert set(outcome.restored) == {Digest.of(raw) for raw in (LAYER, MANIFEST)}
    assert (outcome.removed, outcome.skipped, outcome.problems) == ([], [], [])
    assert (set(tags(hidden)), hidden.absent()) == ({"v1", "v2"}, set())
    assert quarantined(hidden) == [], "it is not said to go for good later"


def test_blobs_come_back_that_nothing_names(hidden: World) -> None:
    outcome = undone(hidden, "run-1")
    assert set(outcome.restored) == {Digest.of(raw) for raw in (LAYER, MANIFEST)}
    assert (outcome.added, outcome.problems, tags(hidden)) == ([], [], ["v2"])


def test_a_tag_that_has_other_content_by_now_keeps_it_and_is_named(hidden: World) -> None:
    hidden.finish(Push(image([9]), "v1", hidden.now))
    outcome = undone(hidden, "run-0")
    assert [problem.code for problem in outcome.problems] == ["tag_taken"]
    assert ([entry.tag for entry in outcome.skipped], outcome.added) == (["v1"], [])
    assert image([9]).entry["digest"] in {entry["digest"] for entry in hidden.entries}


def test_a_tag_of_which_something_is_gone_for_good_stays_out(world: World) -> None:
    outcome = undone(world, "run-0")
    assert [problem.message for problem in outcome.problems] == ["v1 is not whole any more"]
    assert tags(world) == ["v2"]


def test_what_somebody_took_from_the_quarantine_is_named(hidden: World) -> None:
    hidden.files.purge_files([blob_path(LAYER)], ".layoutlift/trash/run-1")
    outcome = undone(hidden, "run-1")
    assert [problem.message for problem in outcome.problems] == [f"{blob_path(LAYER)} is gone from the quarantine"]
    assert outcome.restored == [Digest.of(MANIFEST)]


def lose_a_layer(world: World) -> None:
    file = world.files.stat_file(blob_path(b"layer 2"))
    assert file is not None
    world.files.delete_files([file])


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lose_a_layer, "content_not_found"),
        (lambda world: world.files.put(blob_path(b"layer 2"), b"cut"), "size_mismatch"),
        (lambda world: world.files.put(blob_path(image([2]).blobs[-1]), b"{}"), "size_mismatch"),
    ],
)
def test_what_the_index_lacks_in_the_end_is_named(
    hidden: World, damage: Callable[[World], object], code: str
) -> None:
    damage(hidden)
    outcome = undone(hidden, "run-1")
    assert [problem.code for problem in outcome.problems] == [code]


@pytest.mark.parametrize("run", ["", "run-9", "run-1/team", "/"])
def test_a_run_that_left_no_journal_is_no_run(hidden: World, run: str) -> None:
    with pytest.raises(ConfigurationError, match="has left a journal"):
        list(undo_run(hidden.tools(), run))


@pytest.mark.parametrize("error", [LockHeldError, InterruptedRunError])
@pytest.mark.parametrize("after", [0, 1])
def test_who_must_stop_stops_and_changes_no_more(
    hidden: World, error: type[LockHeldError | InterruptedRunError], after: int
) -> None:
    asked: list[int] = []

    def guard() -> None:
        asked.append(1)
        if len(asked) > after:
            raise error("now")

    before = dict(hidden.files.contents())
    with pytest.raises(error):
        list(undo_run(replace(hidden.tools(), guard=guard), "run-1"))
    assert dict(hidden.files.contents()) == before


def test_what_can_not_be_undone_in_one_repository_is_told_in_its_outcome(hidden: World) -> None:
    hidden.files.put(INDEX_PATH, b"{")
    outcome = undone(hidden, "run-0")
    assert [problem.code for problem in outcome.problems] == ["invalid_layout"]


def test_a_layout_that_was_dropped_is_there_again() -> None:
    world = World()
    before = {path: world.files.contents()[path] for path in (INDEX_PATH, f"{LAYOUT}/oci-layout")}
    plan = world.plan(replace(keep_policy(0), drop_empty_layouts=True))
    assert world.apply_plan(plan)
    assert INDEX_PATH not in world.files.contents()
    outcome = undone(world, "run-0")
    assert (outcome.remade, outcome.problems) == (True, [])
    assert {path: world.files.contents()[path] for path in before} == before
    assert not undone(world, "run-0").remade


def test_what_a_run_has_named_is_taken_out_again() -> None:
    world = World()
    for raw in image([1]).blobs:
        world.files.put(blob_path(raw), raw)
    entry = IndexEntry("found", Descriptor.from_json(image([1]).entry))
    assert world.apply_plan(replace(world.plan(keep_policy(0)), additions=(entry,), blobs=(), refused=None))
    assert tags(world) == ["found"]
    outcome = undone(world, "run-0")
    assert ([each.tag for each in outcome.removed], outcome.added, tags(world)) == (["found"], [], [])
    plan = world.plan(keep_policy(0))
    assert (plan.refused, plan.findings) == (None, ()), "it is not taken for what a writer lost"
    assert {(blob.action, blob.since) for blob in plan.blobs} == {(CleanupAction.MARK, None)}


def test_what_a_run_has_named_and_a_writer_has_written_anew_since_stays_and_is_told() -> None:
    world = World()
    for raw in image([1]).blobs:
        world.files.put(blob_path(raw), raw)
    entry = IndexEntry("found", Descriptor.from_json(image([1]).entry))
    assert world.apply_plan(replace(world.plan(keep_policy(0)), additions=(entry,), blobs=(), refused=None))
    [body] = world.entries
    body["annotations"]["created"] = "by a writer"
    world.files.put(INDEX_PATH, json.dumps({"schemaVersion": 2, "manifests": [body]}).encode())
    outcome = undone(world, "run-0")
    assert (world.entries, outcome.removed, [each.tag for each in outcome.skipped]) == ([body], [], ["found"])
    assert [problem.message for problem in outcome.problems] == [
        "found has other annotations than the run wrote, and stays"
    ]


def test_undoing_what_was_undone_changes_nothing(hidden: World) -> None:
    undone(hidden, "run-0")
    index = hidden.index
    outcome = undone(hidden, "run-0")
    assert (outcome.added, outcome.restored, outcome.problems, hidden.index) == ([], [], [], index)
    assert json.loads(index)["manifests"]


def test_nothing_is_put_back_into_a_layout_that_somebody_removed(hidden: World) -> None:
    """It would be no layout, and nobody would ever clean it up."""
    hidden.files.delete_files(list(hidden.files.list_files(LAYOUT)))
    trash = dict(hidden.files.contents())
    outcome = undone(hidden, "run-1")
    assert [problem.message for problem in outcome.problems] == ["it was removed; bring it back first, then undo"]
    assert dict(hidden.files.contents()) == trash


def test_what_all_runs_left_is_not_listed_again_for_each_repository(
    hidden: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools, listed, list_files = hidden.tools(), [], hidden.files.list_files
    monkeypatch.setattr(hidden.files, "list_files", lambda folder: listed.append(folder) or list_files(folder))
    assert [outcome.problems for outcome in undo_run(tools, "run-1")] == [[]]
    assert listed
    assert RUNS not in listed


def test_nothing_is_marked_where_not_everything_was_understood(hidden: World) -> None:
    """What comes back may be needed by what could not be read."""
    hidden.files.put(blob_path(image([2]).blobs[-1]), b"{}")
    assert undone(hidden, "run-1").restored
    assert read_marks(hidden.files, LAYOUT) == {}


def test_what_is_named_by_now_is_not_marked(hidden: World) -> None:
    hidden.finish(Push(image([1]), "v1", hidden.now))
    assert undone(hidden, "run-1").problems == []
    assert read_marks(hidden.files, LAYOUT) == {}


def test_a_run_that_took_tags_out_and_hid_what_others_had_left_is_undone_in_both() -> None:
    world = world_of_two()
    assert world.apply_plan(world.plan(keep_policy(1)))
    world.now += GRACE
    assert world.apply_plan(world.plan(keep_policy(0)))
    assert (tags(world), blob_path(b"layer 1") in world.files.contents()) == ([], False)
    outcome = undone(world, "run-1")
    assert (tags(world), outcome.problems, len(outcome.restored)) == (["v2"], [], 2)
    assert blob_path(b"layer 1") in world.files.contents()


def test_who_has_lost_the_lease_marks_nothing_of_what_came_back(hidden: World) -> None:
    asked: list[int] = []

    def guard() -> None:
        asked.append(1)
        if blob_path(b"layer 1") in hidden.files.contents():
            raise LockHeldError("another run's by now")

    with pytest.raises(LockHeldError):
        undone_by(hidden, guard)
    assert (len(asked), read_marks(hidden.files, LAYOUT)) == (3, {})


def undone_by(world: World, guard: Callable[[], None]) -> None:
    list(undo_run(replace(world.tools(), guard=guard), "run-1"))


def without(world: World, *gone: str) -> None:
    """A writer takes tags out himself."""
    left = [entry for entry in world.entries if tag_of(entry) not in gone]
    world.files.put(INDEX_PATH, json.dumps({"schemaVersion": 2, "manifests": left}).encode())


def announced_then(world: World, monkeypatch: pytest.MonkeyPatch, *gone: str) -> None:
    """A run that takes v1 and v2 out; just before it writes the index, a writer takes some out himself."""
    write_file, quicker = world.files.write_file, [gone]

    def write(path: str, raw: bytes, expected: str | None) -> str:
        if path == INDEX_PATH and quicker:
            without(world, *quicker.pop())
        return write_file(path, raw, expected)

    world.now += 1
    plan = world.plan(keep_policy(1))
    assert [entry.tag for entry in plan.removals] == ["v1", "v2"]
    with monkeypatch.context() as patched:
        patched.setattr(world.files, "write_file", write)
        assert world.apply_plan(plan)


@pytest.mark.parametrize("gone", [("v1",), ("v1", "v2")])
def test_what_a_writer_took_out_before_the_run_came_to_it_is_not_put_back(
    gone: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = world_of_two()
    world.finish(Push(image([3]), "v3", world.now))
    announced_then(world, monkeypatch, *gone)
    assert tags(world) == ["v3"]
    assert {entry.tag for entry in undone(world, "run-0").added} == {"v1", "v2"}.difference(gone)


def test_where_the_store_does_not_compare_what_may_have_been_taken_is_put_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It may be that the writer read what the run had written for a moment."""
    world = world_of_two()
    world.finish(Push(image([3]), "v3", world.now))
    monkeypatch.setattr(world.files, "is_conditional", False)
    announced_then(world, monkeypatch, "v1")
    assert {entry.tag for entry in undone(world, "run-0").added} == {"v1", "v2"}


class Counted(WritableMemory):
    """A source that counts who begins to look at its layouts anew, and so lists what is there."""

    def __init__(self, files: MemoryFiles) -> None:
        super().__init__(files)
        self.opened = 0

    def open_layouts(self) -> MemorySource:
        self.opened += 1
        return super().open_layouts()


def looks_to_put_back(tags_taken: int) -> int:
    world = World()
    for number in range(tags_taken):
        world.finish(Push(image([number]), f"v{number}", world.now))
    world.now += 1
    assert world.apply_plan(world.plan(keep_policy(0)))
    source = Counted(world.files)
    [outcome] = undo_run(replace(world.tools(), source=source), "run-0")
    assert (len(outcome.added), outcome.problems) == (tags_taken, [])
    return source.opened


def test_a_layout_is_not_looked_at_once_more_for_each_entry_that_is_put_back() -> None:
    assert looks_to_put_back(7) == looks_to_put_back(1)


@pytest.fixture
def all_hidden() -> World:
    """v1 to v3 left with the first run; the blobs of all were hidden by the second."""
    world = world_of_two()
    world.finish(Push(image([1, 3]), "v3", world.now))
    for wait in (1, GRACE):
        world.now += wait
        assert world.apply_plan(world.plan(keep_policy(0)))
    assert world.entries == []
    return world


@pytest.mark.parametrize(
    ("gone", "back"),
    [
        (b"layer 2", {"v1", "v3"}),
        (b"layer 3", {"v1", "v2"}),
        (b"layer 1", {"v2"}),
        (image([2]).blobs[-1], {"v1", "v3"}),
    ],
)
def test_an_entry_of_which_something_is_gone_keeps_no_other_out(
    all_hidden: World, gone: bytes, back: set[str]
) -> None:
    all_hidden.files.purge_files([blob_path(gone)], ".layoutlift/trash/run-1")
    outcome = undone(all_hidden, "run-0")
    assert set(tags(all_hidden)) == back
    assert {problem.message.split()[0] for problem in outcome.problems} == {"v1", "v2", "v3"} - back


def test_two_contents_of_one_tag_that_stood_beside_each_other_come_back_both() -> None:
    """Nobody but their writer can say which is right."""
    world = world_of_two()
    world.files.put(INDEX_PATH, world.index.replace(b'"v2"', b'"v1"'))
    before = world.entries
    assert [tag_of(entry) for entry in before] == ["v1", "v1"]
    plan = replace(world.plan(keep_policy(1)), refused=None, removals=tuple(map(read_entry, before)), tags=())
    assert world.apply_plan(plan)
    assert world.entries == []
    assert not undone(world, "run-0").problems
    assert sorted(map(str, world.entries)) == sorted(map(str, before))


WHOLE, CUT = b"layer 1", b"lay"


def hide_by_two_runs(world: World) -> str:
    """What nothing names is marked, then hidden; the run that hid it."""
    for wait in (1, GRACE):
        world.now += wait
        assert world.apply_plan(world.plan(keep_policy(1)))
    assert blob_path(WHOLE) not in world.files.contents()
    return world.runs[-1]


def hide_what_a_writer_left_who_died(world: World) -> str:
    world.files.put(blob_path(WHOLE), CUT)
    return hide_by_two_runs(world)


def hide_what_a_tag_named(world: World) -> str:
    world.finish(Push(image([1]), "v1", world.now))
    return hide_by_two_runs(world)


BOTH = (hide_what_a_writer_left_who_died, hide_what_a_tag_named)


@pytest.mark.parametrize("hide", [BOTH, BOTH[::-1]], ids=["the whole one last", "the whole one first"])
def test_of_copies_that_two_runs_hid_the_whole_one_comes_back(hide: Sequence[Callable[[World], str]]) -> None:
    world = World()
    world.finish(Push(image([2]), "v2", world.now))
    hidden = {act: act(world) for act in hide}
    took_v1 = world.runs[world.runs.index(hidden[hide_what_a_tag_named]) - 1]
    outcome = undone(world, took_v1)
    assert ([entry.tag for entry in outcome.added], outcome.problems) == (["v1"], [])
    assert world.files.contents()[blob_path(WHOLE)] == WHOLE
    [left] = [blob.run for blob in Holdings(world.files).held(LAYOUT)]
    assert left == hidden[hide_what_a_writer_left_who_died], "it waits for its end"
    world.now += HOLD
    assert world.apply_plan(world.plan(keep_policy(2)))
    assert (Holdings(world.files).held(LAYOUT), world.absent()) == ((), set())


def test_a_tag_stays_out_where_something_of_it_is_damaged_in_its_place_and_its_copy_waits_on() -> None:
    world = World()
    world.finish(Push(image([2]), "v2", world.now))
    left_by_a_writer, good = (act(world) for act in BOTH)
    undone(world, left_by_a_writer)
    assert world.files.contents()[blob_path(WHOLE)] == CUT
    outcome = undone(world, world.runs[world.runs.index(good) - 1])
    assert ([problem.message for problem in outcome.problems], tags(world)) == (["v1 is not whole any more"], ["v2"])
    held = Holdings(world.files).held(LAYOUT)
    assert [blob.run for blob in held if blob.digest == Digest.of(WHOLE)] == [good]
