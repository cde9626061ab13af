"""Cleanups among writers, killed between any two steps: nothing that an index names is ever gone."""

import json
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import SourceChangedError
from tasks.oci.image_layout import blob_path
from tasks.operations.cleanup.applying.apply_tools import ApplyTools, RepositoryOutcome
from tasks.operations.cleanup.applying.repository_applying import apply_repository
from tasks.operations.cleanup.records.journal import TRASH
from tasks.operations.cleanup.records.marks import read_marks
from tasks.operations.cleanup.values import CleanupAction, IndexEntry, QuarantineMode, RepositoryPlan, Timing
from tests.support.cleanup_world import (
    GRACE,
    HOLD,
    LAYOUT,
    LONGEST_PUSH,
    Artifact,
    Push,
    World,
    image,
    image_index,
    keep_policy,
    tag_of,
)

TAGS = ["keep-a", "keep-b", "v1", "v2", "v3", "v4"]
images = st.lists(st.integers(0, 4), max_size=3, unique=True).map(image)
artifacts = st.one_of(images, st.lists(images, min_size=1, max_size=2).map(image_index))
lives = st.one_of(st.none(), st.integers(0, 25))
many_steps = st.lists(st.integers(0, 3), max_size=12)


class Cleanups(RuleBasedStateMachine):
    """Writers at any pace among cleaners that may die."""

    atomic = False
    """Whether writers are never in the middle of a push while a cleaner works."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.pushes: list[Push] = []
        self.plans: list[RepositoryPlan] = []
        self.script: list[int] = []
        self.world.meanwhile = self.write_meanwhile

    # writers

    @rule(artifact=artifacts, tag=st.sampled_from(TAGS))
    def begin_push(self, artifact: Artifact, tag: str) -> None:
        self.begin(Push(artifact, tag, self.world.now))

    @precondition(lambda self: self.world.entries)
    @rule(data=st.data(), layers=st.lists(st.integers(5, 7), max_size=2, unique=True))
    def begin_attach(self, data: st.DataObject, layers: list[int]) -> None:
        """A referrer, as `oras attach` pushes it: an entry without a tag."""
        subject = data.draw(st.sampled_from(self.world.entries))
        known = {name: subject[name] for name in ("mediaType", "digest", "size")}
        self.begin(Push(image(layers, subject=known), None, self.world.now))

    @precondition(lambda self: any("annotations" in entry for entry in self.world.entries))
    @rule(data=st.data(), to=st.sampled_from(TAGS))
    def retag(self, data: st.DataObject, to: str) -> None:
        """`oras tag`: another tag for what is there; nothing is sent."""
        tagged = [entry for entry in self.world.entries if "annotations" in entry]
        entry = data.draw(st.sampled_from(tagged))
        bare = {name: entry[name] for name in ("mediaType", "digest", "size")}
        self.world.finish(Push(Artifact((), json.dumps(bare)), to, self.world.now))

    @precondition(lambda self: self.pushes)
    @rule(data=st.data(), steps=st.integers(1, 6))
    def go_on(self, data: st.DataObject, steps: int) -> None:
        push = data.draw(st.sampled_from(range(len(self.pushes))))
        for _ in range(steps):
            if push < len(self.pushes):
                self.step(push)

    @rule(seconds=st.sampled_from([1.0, 5.0, 11.0, 25.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.pass_time(seconds)

    # cleaners

    @rule(keep_last=st.integers(0, 2))
    def plan(self, keep_last: int) -> None:
        self.plans = [*self.plans[-2:], self.world.plan(keep_policy(keep_last))]

    @precondition(lambda self: self.plans)
    @rule(data=st.data(), lives=lives, script=many_steps)
    def apply_old(self, data: st.DataObject, lives: int | None, script: list[int]) -> None:
        """Some plan, however old it is by now."""
        self.clean(data.draw(st.sampled_from(self.plans)), lives, script)

    @rule(keep_last=st.integers(0, 2), lives=lives, script=many_steps)
    def cleanup(self, keep_last: int, lives: int | None, script: list[int]) -> None:
        self.clean(self.world.plan(keep_policy(keep_last)), lives, script)

    @rule()
    def three_in_a_row(self) -> None:
        """Cleaners so close to each other that a writer may be at one push all the while."""
        for _ in range(3):
            self.pass_time(1.0)
            self.clean(self.world.plan(keep_policy(0)), None, [])

    @precondition(lambda self: self.world.runs)
    @rule(data=st.data(), lives=lives, script=many_steps)
    def undo(self, data: st.DataObject, lives: int | None, script: list[int]) -> None:
        journals = {
            path.split("/")[2] for path in self.world.files.contents() if path.startswith(".layoutlift/runs/")
        }
        if journals:
            run = data.draw(st.sampled_from(sorted(journals)))
            self.script = list(script)
            self.world.undo(run, lives)
            self.check_index_writes(None)

    @rule()
    def check(self) -> None:
        """A run that lives: afterwards everything is in its place, for nobody writes meanwhile."""
        self.clean(self.world.plan(keep_policy(9)), None, [])
        assert self.world.outcomes[-1].problems == []
        assert self.world.absent() == set()

    @invariant()
    def nothing_is_gone(self) -> None:
        assert self.world.gone() == set()

    @invariant()
    def nobody_sees_a_hole(self) -> None:
        """But for what a writer counted on while a cleaner took it away, which the next run brings back."""
        if self.atomic:
            assert self.world.absent() == set()

    # the rest

    def pass_time(self, seconds: float) -> None:
        """A writer that takes too long has died."""
        self.world.now += seconds
        self.pushes = [push for push in self.pushes if self.world.now - push.begun <= LONGEST_PUSH]

    def begin(self, push: Push) -> None:
        if self.atomic:
            self.world.finish(push)
        else:
            self.pushes.append(push)
            self.world.advance(push)

    def step(self, place: int) -> None:
        if not self.world.advance(self.pushes[place]):
            del self.pushes[place]

    def write_meanwhile(self) -> None:
        choice = self.script.pop() if self.script else 0
        if choice and self.pushes:
            self.step(choice % len(self.pushes))

    def clean(self, plan: RepositoryPlan, lives: int | None, script: list[int]) -> None:
        self.script = list(script)
        self.world.apply_plan(plan, lives)
        self.check_index_writes(plan)

    def check_index_writes(self, plan: RepositoryPlan | None) -> None:
        """What a cleaner wrote differs from what it found by what its plan says, and never in what is kept."""
        writes, self.world.files.index_writes = self.world.files.index_writes, []
        for before, after in writes:
            removed = [entry for entry in before if entry not in after]
            assert not [tag for entry in removed if (tag := tag_of(entry) or "").startswith("keep-")]
            if plan is None:
                continue
            planned = {(entry.tag, entry.descriptor.digest) for entry in plan.removals}
            assert [entry for entry in after if entry not in before] == []
            assert {(tag_of(entry), entry["digest"]) for entry in removed} <= planned
            self.check_referrers(after, removed)

    def check_referrers(self, after: list[dict], removed: list[dict]) -> None:
        """What refers to a kept tag's manifest, at any depth, is kept as well."""
        staying = {entry["digest"] for entry in after if tag_of(entry)}
        for entry in removed:
            subject = self.subject_of(entry)
            assert subject not in staying

    def subject_of(self, entry: dict) -> str | None:
        path = f"{LAYOUT}/blobs/{entry['digest'].replace(':', '/')}"
        raw = self.world.files.contents().get(path)
        return (json.loads(raw).get("subject") or {}).get("digest") if raw else None


class CleanupsBetweenPushes(Cleanups):
    """Nobody is in the middle of a push while a cleaner works: then not even for a moment anything is absent."""

    atomic = True


class CleanupsAndRecoveries(Cleanups):
    """Somebody names again what nothing names; apart, as a broken cleanup is found out sooner without."""

    @rule(marked=st.booleans(), lives=lives, script=many_steps)
    def recover(self, marked: bool, lives: int | None, script: list[int]) -> None:
        """What nothing names is named again."""
        self.script = list(script)
        self.world.apply_plan(self.world.recovery(marked=marked).plan, lives)
        self.check_index_writes(None)


TRIALS = settings(max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))
HUNT = settings(TRIALS, max_examples=10_000, derandomize=True, phases=[Phase.generate], report_multiple_bugs=False)
"""For implementations known to be broken: the first failure will do.

It comes after some 150 examples, now and then after 800. Which ones are tried depends on the modules that the process
has loaded, whose constants they are made of, and so on the tests that ran before.
"""


MACHINES = [Cleanups, CleanupsBetweenPushes, CleanupsAndRecoveries]


@pytest.mark.parametrize("machine", MACHINES)
def test_whatever_writers_and_cleaners_do_nothing_that_an_index_names_is_gone(
    machine: type[RuleBasedStateMachine],
) -> None:
    run_state_machine_as_test(machine, settings=TRIALS)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("machine", MACHINES)
def test_however_long_they_do_it(machine: type[RuleBasedStateMachine]) -> None:
    run_state_machine_as_test(machine, settings=settings(TRIALS, max_examples=1500, stateful_step_count=50))


@pytest.mark.parametrize(("timing", "lost"), [(Timing(GRACE, HOLD), False), (Timing(0.0, 0.0), True)])
def test_a_writer_who_counts_on_a_blob_loses_it_only_where_cleaners_do_not_wait(timing: Timing, lost: bool) -> None:
    """It looks while the blob is there, sends nothing, and names it when three runs of a cleaner are over."""
    world = World(timing=timing)
    world.finish(Push(image([1]), "v1", world.now))
    world.now += GRACE
    world.apply_plan(world.plan(keep_policy(0)))
    world.now += GRACE
    writer = Push(image([1]), "keep-a", world.now)
    for _ in writer.artifact.blobs:
        world.advance(writer)
    for _ in range(3):
        world.now += 1.0
        world.apply_plan(world.plan(keep_policy(0)))
    world.finish(writer)
    assert bool(world.absent())
    world.apply_plan(world.plan(keep_policy(0)))
    assert bool(world.gone()) is bool(world.absent()) is lost


@pytest.mark.parametrize("lives", range(10))
def test_a_cleanup_that_dies_while_it_takes_every_tag_is_ended_by_the_next(lives: int) -> None:
    """Its index names nothing then, as if a writer had lost its entries."""
    world = World()
    world.finish(Push(image([1]), "v1", world.now))
    world.now += GRACE
    world.apply_plan(world.plan(keep_policy(0)), lives)
    for _ in range(4):
        world.now += HOLD
        plan = world.plan(keep_policy(0))
        assert (plan.refused, plan.findings) == (None, ())
        world.apply_plan(plan)
    assert [path for path in world.files.contents() if "/blobs/" in path] == []


def test_a_blob_that_was_named_meanwhile_waits_anew(world_of_marks: World) -> None:
    """A mark counts no longer once an entry named the blob, also if no cleanup came by as long as it did."""
    world = world_of_marks
    world.finish(Push(image([1]), "v2", world.now))
    world.now += 2 * GRACE
    world.apply_plan(world.plan(keep_policy(0)))
    world.now += GRACE / 2
    assert {blob.action for blob in world.plan(keep_policy(0)).blobs} == {CleanupAction.MARK}


@pytest.fixture
def world_of_marks() -> World:
    """An image whose tag went, and whose blobs are marked."""
    world = World()
    world.finish(Push(image([1]), "v1", world.now))
    world.now += GRACE
    world.apply_plan(world.plan(keep_policy(0)))
    return world


@pytest.mark.parametrize("lives", range(10))
def test_no_wait_begins_while_a_blob_is_named(lives: int) -> None:
    """A cleanup dies at some step, and only much later somebody takes the tag."""
    world = World()
    world.finish(Push(image([1]), "v1", world.now))
    world.now += GRACE
    world.apply_plan(world.plan(keep_policy(0)), lives)
    was_named = bool(world.entries)
    world.now += 2 * GRACE
    world.files.put(f"{LAYOUT}/index.json", b'{"schemaVersion":2,"manifests":[]}')
    plan = world.plan(keep_policy(0))
    if was_named:
        assert CleanupAction.QUARANTINE not in {blob.action for blob in plan.blobs}


@pytest.mark.parametrize("call", ["stat_file", "read_file"])
def test_a_layout_is_not_dropped_under_a_writer_who_came_after_the_look(
    call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even for a moment, in which the cleaner might die."""
    world = World()
    policy = replace(keep_policy(0), drop_empty_layouts=True)
    plan = world.plan(policy)
    assert plan.drop_layout
    deleted: list[str] = []
    ask, pushes = getattr(world.files, call), [Push(image([2]), "new", world.now)]

    def push_first(path: str) -> object:
        if path == f"{LAYOUT}/index.json" and pushes and sys._getframe(1).f_code.co_name in {"_drop", "<listcomp>"}:
            world.finish(pushes.pop())
        return ask(path)

    monkeypatch.setattr(world.files, call, push_first)
    monkeypatch.setattr(world.files, "_on_step", deleted.append)
    world.apply_plan(plan)
    assert (pushes, [step for step in deleted if step == f"delete {LAYOUT}/index.json"]) == ([], [])
    assert [tag_of(entry) for entry in world.entries] == ["new"]


def test_a_layout_goes_in_the_run_that_purges_the_last_of_it_as_its_plan_says() -> None:
    world = World(timing=Timing(0.0, 0.0))
    policy = replace(keep_policy(0), drop_empty_layouts=True)
    world.finish(Push(image([1]), "v1", world.now))
    for _ in range(5):
        world.now += 1.0
        plan = world.plan(policy)
        world.apply_plan(plan)
        assert (f"{LAYOUT}/index.json" in world.files.contents()) is not plan.drop_layout
        if plan.drop_layout:
            assert {held.action for held in plan.quarantined} == {CleanupAction.PURGE}
            return
    pytest.fail("it never went")


def test_what_is_deleted_without_a_quarantine_is_not_marked_as_well() -> None:
    world = World(timing=Timing(0.0, 0.0, QuarantineMode.NONE))
    world.finish(Push(image([1]), "v1", world.now))
    for _ in range(2):
        world.now += 1.0
        world.apply_plan(world.plan(keep_policy(0)))
    assert read_marks(world.files, LAYOUT) == {}
    assert [path for path in world.files.contents() if "/blobs/" in path] == []


class WithoutReferrers(Cleanups):
    """A planner for which what has no tag is wanted by nobody."""

    def __init__(self) -> None:
        super().__init__()
        self.world.change_plan = without_referrers


class WithoutGrace(Cleanups):
    """Cleaners that wait for nobody."""

    def __init__(self) -> None:
        super().__init__()
        self.world.timing = Timing(0.0, 0.0)


class SweepingFirst(CleanupsBetweenPushes):
    """Content goes before the index stops naming it."""

    def __init__(self) -> None:
        super().__init__()
        self.world.apply = sweep_first


class OverwritingTheIndex(Cleanups):
    """The index is written as the plan saw it, not as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.world.apply = overwrite_index


def without_referrers(world: World, plan: RepositoryPlan) -> RepositoryPlan:
    untagged = [
        IndexEntry(None, Descriptor(entry["mediaType"], Digest(entry["digest"]), entry["size"]))
        for entry in world.entries
        if tag_of(entry) is None
    ]
    return replace(plan, removals=(*plan.removals, *untagged), refused=None)


def sweep_first(tools: ApplyTools, plan: RepositoryPlan) -> RepositoryOutcome:
    going = [blob for blob in plan.blobs if blob.action is not CleanupAction.KEEP]
    files = [tools.source.files.stat_file(f"{LAYOUT}/{blob_path(blob.digest)}") for blob in going]
    tools.source.files.hide_files([file for file in files if file], f"{TRASH}/{tools.journal.run}")
    return apply_repository(tools, plan)


def trust_the_plan(tools: ApplyTools, plan: RepositoryPlan) -> RepositoryOutcome:
    outcome = apply_repository(tools, plan)
    going = [blob for blob in plan.blobs if blob.action is CleanupAction.QUARANTINE]
    files = [tools.source.files.stat_file(f"{LAYOUT}/{blob_path(blob.digest)}") for blob in going]
    tools.source.files.hide_files([file for file in files if file], f"{TRASH}/{tools.journal.run}")
    return outcome


@pytest.mark.parametrize(("apply", "holes"), [(apply_repository, False), (trust_the_plan, True)])
def test_a_plan_is_not_trusted_on_what_was_named_again_since(
    apply: Callable[[ApplyTools, RepositoryPlan], RepositoryOutcome], holes: bool
) -> None:
    world = World(apply=apply)
    world.finish(Push(image([1]), "v1", world.now))
    world.now += GRACE
    world.apply_plan(world.plan(keep_policy(0)))
    world.now += GRACE
    plan = world.plan(keep_policy(0))
    assert {blob.action for blob in plan.blobs} == {CleanupAction.QUARANTINE}
    world.finish(Push(image([1]), "keep-a", world.now))
    world.apply_plan(plan)
    assert bool(world.absent()) is holes


def overwrite_index(tools: ApplyTools, plan: RepositoryPlan) -> RepositoryOutcome:
    """Leave what the plan leaves of the index that it knew."""
    kept = {(tag.tag, tag.digest) for tag in plan.tags if tag.action is CleanupAction.KEEP}
    found = tools.source.files.read_file(f"{LAYOUT}/index.json")
    assert found is not None
    body = json.loads(found.raw)
    body["manifests"] = [entry for entry in body["manifests"] if (tag_of(entry), entry["digest"]) in kept]
    with suppress(SourceChangedError):  # somebody came between: this time nothing is overwritten
        tools.source.files.write_file(f"{LAYOUT}/index.json", json.dumps(body).encode(), found.etag)
    return RepositoryOutcome(LAYOUT)


@pytest.mark.parametrize("broken", [WithoutGrace, WithoutReferrers, SweepingFirst, OverwritingTheIndex])
def test_a_broken_cleanup_is_found_out(broken: type[RuleBasedStateMachine]) -> None:
    with pytest.raises(AssertionError):
        run_state_machine_as_test(broken, settings=HUNT)
