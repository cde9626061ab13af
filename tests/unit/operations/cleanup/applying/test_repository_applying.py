"""A plan is applied as far as what it was made of is still there."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from tasks.file_ports import UnfinishedUpload
from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import InterruptedRunError, LayoutliftError, LockHeldError, TargetLacksError
from tasks.oci.reference import TargetAddress
from tasks.operations.cleanup.applying.changing_index import ATTEMPTS
from tasks.operations.cleanup.applying.repository_applying import apply_repository, needs_only_writer
from tasks.operations.cleanup.deciding.blob_decisions import BlobRules
from tasks.operations.cleanup.layout.index_edit import read_entry
from tasks.operations.cleanup.planning.gate import Gate
from tasks.operations.cleanup.planning.gone_layouts import plan_gone
from tasks.operations.cleanup.planning.plan_tools import PlanTools
from tasks.operations.cleanup.records.holdings import Holdings
from tasks.operations.cleanup.records.marks import read_marks
from tasks.operations.cleanup.values import (
    BlobDecision,
    CleanupAction,
    FileDecision,
    FileKind,
    IndexEntry,
    QuarantineDecision,
    QuarantineMode,
    RepositoryPlan,
    Timing,
)
from tasks.ports import Refusal
from tests.support.cleanup_world import (
    GRACE,
    HOLD,
    INDEX_PATH,
    LAYOUT,
    MANIFEST,
    REF_NAME,
    Push,
    World,
    blob_path,
    image,
    in_quarantine,
    keep_policy,
    named,
    tag_of,
    world_of_two,
)
from tests.support.memory_stores import MemorySource, MemoryTarget

DIGEST = Digest.of(b"x")


@pytest.fixture
def world() -> World:
    return world_of_two()


def only(world: World, tag: str) -> None:
    """Somebody takes all other tags out of the index."""
    left = [entry for entry in world.entries if tag_of(entry) == tag]
    world.files.put(INDEX_PATH, json.dumps({"schemaVersion": 2, "manifests": left}).encode())


def test_nothing_is_taken_where_every_tag_that_was_to_stay_is_gone(world: World) -> None:
    """Somebody deletes them while the plan waits for a yes: with it, the repository would be empty."""
    plan = world.plan(keep_policy(1))
    only(world, "v1")
    outcome = apply_repository(world.tools(), plan)
    assert world.tags == {"v1"}
    [problem] = outcome.problems
    assert "plan anew" in problem.message


def test_a_tag_that_was_to_stay_may_have_moved(world: World) -> None:
    plan = world.plan(keep_policy(1))
    world.finish(Push(image([3]), "v2", world.now))
    assert apply_repository(world.tools(), plan).problems == []
    assert world.tags == {"v2", None}, "what it named before stays without a tag"


@pytest.fixture
def waited(world: World) -> World:
    """v1 has left the index, and its blobs have been marked for as long as the grace time."""
    world.now += 1
    assert world.apply_plan(world.plan(keep_policy(1)))
    world.now += GRACE
    return world


@pytest.fixture
def hidden(waited: World) -> World:
    """The blobs of v1 are in the quarantine for as long as the hold time."""
    assert waited.apply_plan(waited.plan(keep_policy(1)))
    assert in_quarantine(waited)
    waited.now += HOLD
    return waited


def blobs_in_place(world: World) -> set[str]:
    return {path for path in world.files.contents() if path.startswith(f"{LAYOUT}/blobs/")}


def lacks(_: RepositoryPlan) -> None:
    raise TargetLacksError("the target does not have it")


MARK = BlobDecision(DIGEST, 1, 0.0, "etag", CleanupAction.MARK, "")
HIDES = replace(MARK, action=CleanupAction.QUARANTINE)
HELD = QuarantineDecision("run", DIGEST, 1, 0.0, CleanupAction.KEEP, "")
ENTRY = IndexEntry("v1", Descriptor(MANIFEST, DIGEST, 1))


@pytest.mark.parametrize(
    ("plan", "needs"),
    [
        ({}, False),
        ({"blobs": (MARK,), "quarantined": (HELD,)}, False),
        ({"removals": (ENTRY,)}, True),
        ({"additions": (ENTRY,)}, True),
        ({"drop_layout": True}, True),
        ({"blobs": (MARK, HIDES)}, True),
        ({"quarantined": (HELD, replace(HELD, action=CleanupAction.PURGE))}, True),
    ],
)
def test_what_is_changed_without_a_condition_needs_an_only_writer(plan: Mapping[str, Any], needs: bool) -> None:
    made = RepositoryPlan(LAYOUT, "etag", **plan)
    assert needs_only_writer(made, Timing(GRACE, HOLD), is_conditional=False) is needs
    assert needs_only_writer(made, Timing(GRACE, HOLD), is_conditional=True) is False


def test_what_is_deleted_at_once_needs_an_only_writer_under_any_condition() -> None:
    at_once = Timing(GRACE, HOLD, QuarantineMode.NONE)
    for blobs, needs in (((MARK, HIDES), True), ((MARK,), False)):
        assert needs_only_writer(RepositoryPlan(LAYOUT, "", blobs=blobs), at_once, is_conditional=True) is needs


@pytest.mark.parametrize("error", [LockHeldError, InterruptedRunError])
@pytest.mark.parametrize("what", ["removals", "shared removals", "marks", "leftovers"])
def test_who_must_stop_changes_nothing_more(world: World, error: type[LayoutliftError], what: str) -> None:
    if what == "shared removals":  # nothing but the index is to change
        world.finish(Push(image([2]), "v1", world.now))
    plan = world.plan(keep_policy(1))
    if what in {"marks", "leftovers"}:  # as after a run that died when it had written the index
        only(world, "v2")
        plan = replace(plan, removals=())
    asked = 2 if what == "leftovers" else 1
    if what == "leftovers":
        plan = replace(plan, files=(leftover(world),))
    untouched, before = dict(world.files.contents()), {}

    def guard() -> None:
        nonlocal asked
        asked -= 1
        if asked == 0:
            before.update(world.files.contents())
            raise error("no more")

    with pytest.raises(error):
        apply_repository(replace(world.tools(), guard=guard), plan)
    assert before == dict(world.files.contents())
    assert before == untouched or (what == "leftovers" and f"{LAYOUT}/left" in before)


def leftover(world: World) -> FileDecision:
    """A file that a writer left, which is to go."""
    world.files.put(f"{LAYOUT}/left", b"half a blob")
    file = world.files.stat_file(f"{LAYOUT}/left")
    assert file is not None
    return FileDecision(FileKind.INGEST, "left", file.size, file.modified, file.etag, CleanupAction.DELETE, "")


def test_what_a_writer_left_goes_as_planned_unless_it_is_another_one_by_now(world: World) -> None:
    plan = replace(world.plan(keep_policy(2)), files=(leftover(world),))
    stays = replace(plan, files=(replace(plan.files[0], action=CleanupAction.KEEP),))
    assert apply_repository(world.tools(), stays).files_deleted == 0
    assert f"{LAYOUT}/left" in world.files.contents()
    outcome = apply_repository(world.tools(), plan)
    assert (outcome.files_deleted, outcome.bytes_freed) == (1, len(b"half a blob"))
    assert f"{LAYOUT}/left" not in world.files.contents()
    world.files.put(f"{LAYOUT}/left", b"half a blob")
    assert apply_repository(world.tools(), plan).files_deleted == 0
    assert f"{LAYOUT}/left" in world.files.contents()


def test_an_upload_that_was_never_ended_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    given_up: list[UnfinishedUpload] = []
    monkeypatch.setattr(world.files, "abort_upload", given_up.append)
    upload = FileDecision(FileKind.UPLOAD, "blobs/sha256/x", 0, 5.0, "id", CleanupAction.DELETE, "")
    outcome = apply_repository(world.tools(), replace(world.plan(keep_policy(2)), files=(upload,)))
    assert given_up == [UnfinishedUpload(f"{LAYOUT}/blobs/sha256/x", "id", 5.0)]
    assert (outcome.files_deleted, outcome.bytes_freed) == (1, 0)


def test_a_layout_that_is_left_alone_only_gets_back_what_its_index_needs(hidden: World) -> None:
    plan = replace(hidden.plan(keep_policy(0)), refused=Refusal("invalid_layout", "it is odd"))
    assert plan.removals
    before = dict(hidden.files.contents())
    assert apply_repository(hidden.tools(), plan).left_alone
    assert before == dict(hidden.files.contents())
    hidden.files.put(INDEX_PATH, named(hidden.index, image([1]), "v1"))
    outcome = apply_repository(hidden.tools(), plan)
    assert (outcome.left_alone, len(outcome.restored), outcome.removed) == (True, 2, [])
    assert (hidden.absent(), hidden.tags) == (set(), {"v1", "v2"})


@pytest.mark.parametrize(
    "odd",
    [
        lambda world: world.files.put(f"{LAYOUT}/blobs/sha256/.nfs01", b"somebody's"),
        lambda world: world.files.put(blob_path(b"in another repository"), b""),
        lambda world: world.files.put(INDEX_PATH, world.index.replace(b'"manifests": [', b'"manifests": [{}, ')),
    ],
    ids=["an unknown file", "a placeholder", "a broken entry"],
)
def test_what_nobody_understands_keeps_nothing_from_coming_back(hidden: World, odd: Callable[[World], None]) -> None:
    """Its plan leaves such a layout alone until somebody has looked at it, and its images are pulled meanwhile."""
    hidden.files.put(INDEX_PATH, named(hidden.index, image([1]), "v1"))
    assert hidden.absent()
    odd(hidden)
    plan = hidden.plan(keep_policy(2))
    assert plan.refused is not None
    outcome = apply_repository(hidden.tools(), plan)
    assert (len(outcome.restored), [problem.code for problem in outcome.problems]) == (2, [plan.refused.code])
    assert {blob_path(raw) for raw in image([1]).blobs} <= blobs_in_place(hidden)
    assert apply_repository(hidden.tools(), plan).restored == []


def test_nothing_goes_that_a_target_has_to_hold_and_does_not(waited: World) -> None:
    plan = waited.plan(keep_policy(0))
    before = dict(waited.files.contents())
    outcome = apply_repository(replace(waited.tools(), require=lacks), plan)
    assert [problem.code for problem in outcome.problems] == [TargetLacksError.code]
    assert before == dict(waited.files.contents())


@pytest.mark.parametrize("harm", ["missing", "altered", "unreadable"])
def test_where_not_all_is_there_and_understood_nothing_is_hidden_or_marked(waited: World, harm: str) -> None:
    plan = waited.plan(keep_policy(1))
    assert CleanupAction.QUARANTINE in {blob.action for blob in plan.blobs}
    manifest, layer = blob_path(image([2]).blobs[-1]), blob_path(b"layer 2")
    if harm == "missing":
        waited.files._files.pop(layer)
    elif harm == "altered":
        waited.files.put(layer, b"of another size")
    else:
        waited.files.put(manifest, b"x" * len(image([2]).blobs[-1]))
    before = blobs_in_place(waited)
    outcome = apply_repository(waited.tools(), plan)
    codes = {"missing": "content_not_found", "altered": "size_mismatch", "unreadable": "digest_mismatch"}
    assert [problem.code for problem in outcome.problems] == [codes[harm]]
    assert (outcome.hidden, outcome.marked) == (0, 0)
    assert (blobs_in_place(waited), in_quarantine(waited)) == (before, set())


def test_what_is_left_is_looked_at_once_more_in_the_end(world: World) -> None:
    outcome = apply_repository(world.tools(), world.plan(keep_policy(1)))
    assert (outcome.problems, outcome.marked) == ([], 2)
    assert [entry.tag for entry in outcome.removed] == ["v1"]
    assert (outcome.added, outcome.skipped, outcome.left_alone) == ([], [], False)


def test_what_an_earlier_run_has_marked_is_not_said_to_be_marked_by_the_next(world: World) -> None:
    assert apply_repository(world.tools(), world.plan(keep_policy(1))).marked == 2
    marks = read_marks(world.files, LAYOUT)
    world.now += 1
    assert apply_repository(world.tools(), world.plan(keep_policy(1))).marked == 0
    assert read_marks(world.files, LAYOUT) == marks


def test_the_whole_index_is_kept_as_it_was_before_the_first_change_of_a_run(world: World) -> None:
    before, tools = world.index, world.tools()
    apply_repository(tools, world.plan(keep_policy(1)))
    apply_repository(tools, world.plan(keep_policy(0)))
    assert (len(world.files.index_writes), world.tags) == (2, set())
    assert world.files.contents()[f".layoutlift/trash/{world.runs[-1]}/{INDEX_PATH}.before"] == before


def test_an_index_that_needs_no_change_is_not_written(world: World) -> None:
    plan = world.plan(keep_policy(1))
    only(world, "v2")
    outcome = apply_repository(world.tools(), plan)
    assert (world.files.index_writes, outcome.removed) == ([], [])
    assert [entry.tag for entry in outcome.skipped] == ["v1"]


def test_a_tag_that_moved_since_the_plan_is_not_taken(world: World) -> None:
    plan = world.plan(keep_policy(1))
    world.finish(Push(image([3]), "v1", world.now))
    outcome = apply_repository(world.tools(), plan)
    assert world.tags == {"v1", "v2", None}
    assert ([entry.tag for entry in outcome.skipped], outcome.removed) == (["v1"], [])


@pytest.mark.parametrize(("writers", "ends"), [(ATTEMPTS - 1, True), (ATTEMPTS, False)])
def test_an_index_is_written_anew_until_no_writer_was_quicker_and_not_for_ever(
    world: World, monkeypatch: pytest.MonkeyPatch, writers: int, ends: bool
) -> None:
    plan, write = world.plan(keep_policy(1)), world.files.write_file

    def quicker(path: str, raw: bytes, expected: str | None) -> str:
        nonlocal writers
        if path == INDEX_PATH and writers:
            writers -= 1
            world.finish(Push(image([10 + writers]), f"new-{writers}", world.now))
        return write(path, raw, expected)

    monkeypatch.setattr(world.files, "write_file", quicker)
    count = writers
    outcome = apply_repository(world.tools(), plan)
    new = {f"new-{number}" for number in range(count)}
    assert world.tags == new | {"v2"} | (set() if ends else {"v1"})
    assert [problem.code for problem in outcome.problems] == ([] if ends else ["source_changed"])


def test_an_index_that_somebody_removed_is_not_made_anew(world: World) -> None:
    plan = world.plan(keep_policy(1))
    world.files._files.pop(INDEX_PATH)
    assert [problem.code for problem in apply_repository(world.tools(), plan).problems] == ["invalid_layout"]
    assert INDEX_PATH not in world.files.contents()


def test_what_is_to_be_named_again_comes_back_first(hidden: World) -> None:
    (entry,) = [read_entry({**image([1]).entry, "annotations": {REF_NAME: "again"}})]
    addition = replace(hidden.plan(keep_policy(1)), additions=(entry,), quarantined=())
    lost: list[set[str]] = []
    hidden.meanwhile = lambda: lost.append(hidden.absent())
    outcome = apply_repository(hidden.tools(), addition)
    assert (hidden.tags, [each.tag for each in outcome.added]) == ({"again", "v2"}, ["again"])
    assert (set().union(*lost), len(outcome.restored), outcome.problems) == (set(), 2, [])


@pytest.mark.parametrize("gone", [blob_path(b"layer 1"), blob_path(image([1]).blobs[-1])], ids=["layer", "manifest"])
def test_what_is_to_be_named_again_and_is_gone_for_good_is_not_named(world: World, gone: str) -> None:
    plan = replace(world.plan(keep_policy(2)), additions=(read_entry(image([1]).entry),))
    world.files._files.pop(gone)
    before = world.index
    (problem,) = apply_repository(world.tools(), plan).problems
    assert problem.code == "content_not_found"
    assert world.index == before


def gone_plan(world: World) -> RepositoryPlan:
    """The plan of a layout that somebody removed, of which the quarantine has blobs."""
    for path in [path for path in world.files.contents() if path.startswith(f"{LAYOUT}/")]:
        world.files._files.pop(path)
    plan = plan_gone(plan_tools(world), LAYOUT)
    assert plan is not None
    return plan


def plan_tools(world: World) -> PlanTools:
    rules, source = BlobRules(world.now, world.timing, 0.0, 0.0), MemorySource(world.files.contents())
    return PlanTools(source, world.files, Holdings(world.files), rules, map)


def test_a_layout_that_is_gone_and_of_which_nothing_is_held_has_no_plan(world: World) -> None:
    for path in list(world.files.contents()):
        world.files._files.pop(path)
    assert plan_gone(plan_tools(world), LAYOUT) is None


def test_of_a_layout_that_is_gone_the_quarantine_is_emptied(hidden: World) -> None:
    plan = gone_plan(hidden)
    (problem,) = apply_repository(replace(hidden.tools(), require=lacks), plan).problems
    assert (problem.code, len(in_quarantine(hidden))) == (TargetLacksError.code, 2)
    outcome = apply_repository(hidden.tools(), plan)
    assert (outcome.purged, outcome.problems) == (2, [])
    assert in_quarantine(hidden) == set()


def test_nothing_of_a_layout_that_is_gone_is_purged_while_something_protected_is_hidden(hidden: World) -> None:
    plan = gone_plan(hidden)
    assert [each.action for each in plan.quarantined] == [CleanupAction.PURGE] * 2
    protected = frozenset({plan.quarantined[0].digest})
    spared = plan_gone(replace(plan_tools(hidden), protected=protected), LAYOUT)
    assert spared is not None
    assert [each.action for each in spared.quarantined] == [CleanupAction.KEEP] * 2
    [finding] = spared.findings
    assert (finding.path, finding.code) == (LAYOUT, "protected_is_hidden")
    assert f"its layout is gone; once that is back, layoutlift cleanup undo {hidden.runs[-1]} " in finding.message


class EmptyTarget(MemoryTarget):
    """Holds nothing."""

    def has_blob(self, repository: str, descriptor: Descriptor) -> bool:
        del repository, descriptor
        return False


def test_of_a_layout_that_is_gone_nothing_is_purged_that_others_count_on(hidden: World) -> None:
    held = {each.digest for each in gone_plan(hidden).quarantined}
    gate = Gate(EmptyTarget(), TargetAddress("target"), "own", map)
    plan = plan_gone(replace(plan_tools(hidden), gate=gate), LAYOUT)
    assert plan is not None
    assert {(each.action, each.reason) for each in plan.quarantined} == {
        (CleanupAction.KEEP, f"the target does not have {digest}") for digest in held
    }
    needed = Digest.of(b"layer 1")
    hidden.files.put(f"other/blobs/sha256/{needed.encoded}", b"")
    plan = plan_gone(plan_tools(hidden), LAYOUT)
    assert plan is not None
    kept = {each.digest: each.reason for each in plan.quarantined if each.action is CleanupAction.KEEP}
    assert kept == {needed: "other has a placeholder of zot for it"}


@pytest.mark.parametrize("name", ["index.json", "oci-layout", "blobs/sha256/x"])
def test_a_layout_that_is_there_again_keeps_its_quarantine(hidden: World, name: str) -> None:
    plan = gone_plan(hidden)
    hidden.files.put(f"{LAYOUT}/{name}", b"{}")
    (problem,) = apply_repository(hidden.tools(), plan).problems
    assert (problem.code, len(in_quarantine(hidden))) == ("source_changed", 2)
    assert plan_gone(plan_tools(hidden), LAYOUT) is None


@pytest.mark.parametrize("left", ["an entry", "a blob", "the quarantine"])
def test_a_layout_is_dropped_only_when_nothing_of_it_is_left(world: World, left: str) -> None:
    empty = World()
    plan = replace(empty.plan(keep_policy(0)), drop_layout=True)
    assert apply_repository(empty.tools(), plan).dropped
    if left == "the quarantine":
        world = emptied(world)
    elif left == "a blob":
        world.files.put(INDEX_PATH, b'{"schemaVersion":2,"manifests":[]}')
    outcome = apply_repository(world.tools(), replace(plan, etag=""))
    assert (outcome.dropped, outcome.problems) == (False, [])
    assert INDEX_PATH in world.files.contents()


def emptied(world: World) -> World:
    """All of it is in the quarantine, for less than the hold time."""
    for _ in range(2):
        assert world.apply_plan(world.plan(keep_policy(0)))
        world.now += GRACE
    assert (blobs_in_place(world), len(in_quarantine(world)), world.entries) == (set(), 5, [])
    return world


def name_again(world: World, tag: str = "v1") -> None:
    """The end of a push that found every blob there and sent none."""
    world.files.put(INDEX_PATH, named(world.index, image([int(tag[1])]), tag))


def when_first_hidden(world: World, act: Callable[[World], None]) -> None:
    acts = [act]

    def look() -> None:
        if acts and in_quarantine(world):
            acts.pop()(world)

    world.meanwhile = look


def test_what_a_writer_names_while_it_is_being_hidden_comes_back_at_once(waited: World) -> None:
    plan = waited.plan(keep_policy(1))
    when_first_hidden(waited, name_again)
    outcome = apply_repository(waited.tools(), plan)
    assert (waited.absent(), outcome.hidden, len(outcome.restored)) == (set(), 2, 2)
    assert outcome.problems == []


def test_what_a_writer_names_while_it_is_being_deleted_is_missed_aloud(waited: World) -> None:
    waited.timing = Timing(GRACE, HOLD, QuarantineMode.NONE)
    plan, layer = waited.plan(keep_policy(1)), blob_path(b"layer 1")
    late = [name_again]
    waited.meanwhile = lambda: late.pop()(waited) if late and layer not in waited.files.contents() else None
    outcome = apply_repository(waited.tools(), plan)
    assert {problem.code for problem in outcome.problems} & {"content_not_found"}


def test_of_what_is_hidden_only_what_came_back_leaves_the_quarantine(world: World) -> None:
    for _ in range(2):
        assert world.apply_plan(world.plan(keep_policy(0)))
        world.now += GRACE
    name_again(world)
    outcome = apply_repository(world.tools(), world.plan(keep_policy(1)))
    back = {Digest.of(raw) for raw in image([1]).blobs}
    assert set(outcome.restored) == back
    held = {blob.digest for blob in Holdings(world.files).held(LAYOUT)}
    assert held == {Digest.of(raw) for raw in image([2]).blobs} - back


def test_where_the_index_has_changed_and_not_all_of_it_is_understood_nothing_leaves_it(world: World) -> None:
    plan = world.plan(keep_policy(1))
    world.finish(Push(image([3]), "v3", world.now))
    manifest = image([3]).blobs[-1]
    world.files.put(blob_path(manifest), b"x" * len(manifest))
    assert [problem.code for problem in apply_repository(world.tools(), plan).problems] == ["digest_mismatch"]
    assert (world.tags, world.files.index_writes) == ({"v1", "v2", "v3"}, [])


def test_where_no_tag_was_to_stay_a_new_one_is_no_obstacle(world: World) -> None:
    plan = world.plan(keep_policy(0))
    world.finish(Push(image([3]), "v3", world.now))
    assert apply_repository(world.tools(), plan).problems == []
    assert world.tags == {"v3"}


def marked(world: World) -> set[str]:
    return {blob_path_of(digest) for digest in read_marks(world.files, LAYOUT)}


def blob_path_of(digest: Digest) -> str:
    return f"{LAYOUT}/blobs/{digest.replace(':', '/')}"


ONLY_V1 = {blob_path(b"layer 1"), blob_path(image([1]).blobs[-1])}


@pytest.mark.parametrize("lives", range(3, 9))
def test_a_run_that_dies_after_its_index_has_marked_what_it_left_unnamed_and_nothing_else(
    world: World, lives: int
) -> None:
    plan = world.plan(keep_policy(1))
    world.apply_plan(plan, lives)
    assert marked(world) in ([ONLY_V1] if world.files.index_writes else [ONLY_V1, set()])


def test_a_blob_that_waits_already_goes_on_to_wait_when_more_leaves_the_index(waited: World) -> None:
    since = read_marks(waited.files, LAYOUT)
    waited.finish(Push(image([3]), "v3", waited.now))
    waited.apply_plan(waited.plan(keep_policy(1)), 5)
    now = read_marks(waited.files, LAYOUT)
    assert {digest: now[digest] for digest in since} == since
    assert len(now) == len(since) + 2


@pytest.mark.parametrize("how", ["is to stay", "was sent again", "is named again", "is not in the plan"])
def test_only_what_is_as_it_was_when_it_was_found_unneeded_is_marked(world: World, how: str) -> None:
    layer, plan = blob_path(b"layer 1"), world.plan(keep_policy(1))
    only(world, "v2")
    if how == "is to stay":
        blobs = tuple(
            replace(b, action=CleanupAction.KEEP) if blob_path_of(b.digest) == layer else b for b in plan.blobs
        )
        plan = replace(plan, blobs=blobs)
    elif how == "is not in the plan":
        plan = replace(plan, blobs=tuple(b for b in plan.blobs if blob_path_of(b.digest) != layer))
    elif how == "was sent again":
        world.now += 1
        world.files.put(layer, b"layer 1")
    else:
        name_again(world)
    assert apply_repository(world.tools(), replace(plan, removals=())).problems == []
    assert marked(world) == (set() if how == "is named again" else ONLY_V1 - {layer})


@pytest.mark.parametrize("is_known", [True, False])
def test_a_mark_of_which_the_plan_says_nothing_stays(waited: World, is_known: bool) -> None:
    plan = waited.plan(keep_policy(1))
    marking = tuple(replace(blob, action=CleanupAction.KEEP) for blob in plan.blobs) if is_known else ()
    assert marked(waited) == ONLY_V1
    assert apply_repository(waited.tools(), replace(plan, blobs=marking)).problems == []
    assert marked(waited) == (set() if is_known else ONLY_V1)


def test_an_entry_without_a_tag_goes_some_time_after_a_cleanup_has_seen_it_whatever_was_pushed_since(
    world: World,
) -> None:
    world.finish(Push(image([3]), "v2", world.now))
    lost = f"sha256:{hashlib.sha256(image([2]).blobs[-1]).hexdigest()}"
    assert world.apply_plan(world.plan(keep_policy(2)))
    assert lost in {entry["digest"] for entry in world.entries}
    for _ in range(2):
        world.now += 1.5  # of the 2 that it has to wait
        world.finish(Push(image([4]), "keep-it", world.now))
    assert apply_repository(world.tools(), world.plan(keep_policy(2))).problems == []
    assert lost not in {entry["digest"] for entry in world.entries}
