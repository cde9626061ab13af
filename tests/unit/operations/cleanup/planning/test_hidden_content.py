"""What an index names and only the quarantine has is not missing: plans say so, and applying them brings it back."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from tasks.oci.errors import (
    InterruptedRunError,
    LayoutliftError,
    LockHeldError,
    SourceChangedError,
    SourceUnavailableError,
    TargetLacksError,
)
from tasks.operations.cleanup.applying.repository_applying import apply_repository
from tasks.operations.cleanup.deciding.blob_decisions import BlobRules
from tasks.operations.cleanup.planning.plan_tools import PlanTools
from tasks.operations.cleanup.planning.recovering import plan_recovery
from tasks.operations.cleanup.records.holdings import Holdings
from tasks.operations.cleanup.values import CleanupAction, RepositoryPlan
from tests.support.cleanup_world import (
    GRACE,
    HOLD,
    INDEX_PATH,
    LAYOUT,
    Artifact,
    Push,
    World,
    blob_path,
    image,
    image_index,
    in_quarantine,
    keep_policy,
    world_of_two,
)
from tests.support.memory_stores import MemorySource

POLICY = keep_policy(2)
LAYER = b"layer 1"
MANIFEST = image([1]).blobs[-1]


def hidden_while(*pushes: Push) -> World:
    """The blobs of v1 are hidden right after some writers saw them, who are slow."""
    world = world_of_two()
    world.now += 1
    assert world.apply_plan(world.plan(keep_policy(1)))
    world.now += GRACE
    for push in pushes:
        for raw in push.artifact.blobs:
            if blob_path(raw) in world.files.contents():
                assert world.advance(push)
    assert world.apply_plan(world.plan(keep_policy(1)))
    assert len(in_quarantine(world)) == 2
    return world


def named_by(artifact: Artifact, *, waits: float = 0.0) -> World:
    push = Push(artifact, "v3", 0.0)
    world = hidden_while(push)
    world.finish(push)
    assert world.absent()
    world.now += waits
    return world


def recovery(world: World) -> RepositoryPlan:
    rules = BlobRules(world.now, world.timing, 0.0, 0.0, sweeps=False)
    tools = PlanTools(MemorySource(world.files.contents()), world.files, Holdings(world.files), rules, map)
    return plan_recovery(tools, LAYOUT).plan


def actions(plan: RepositoryPlan, raw: bytes) -> list[CleanupAction]:
    encoded = blob_path(raw).rpartition("/")[2]
    return [each.action for each in (*plan.blobs, *plan.quarantined) if each.digest.endswith(encoded)]


@pytest.mark.parametrize("waits", [0.0, 2 * HOLD])
def test_a_hidden_blob_that_is_named_again_comes_back_by_a_plan_that_says_so(waits: float) -> None:
    world = named_by(image([1, 3]), waits=waits)
    plan = world.plan(POLICY)
    assert plan.refused is None
    assert actions(plan, LAYER) == [CleanupAction.RESTORE]
    assert {tag.tag for tag in plan.tags if tag.action is CleanupAction.KEEP} == {"v2", "v3"}
    assert world.apply_plan(plan)
    assert world.absent() == set()
    assert actions(world.plan(POLICY), LAYER) == [CleanupAction.KEEP]


@pytest.mark.parametrize("waits", [0.0, 2 * HOLD])
@pytest.mark.parametrize("artifact", [image([1]), image_index([image([1])])], ids=["itself", "part of an index"])
def test_a_hidden_manifest_that_is_named_again_comes_back_and_is_said_to(waits: float, artifact: Artifact) -> None:
    world = named_by(artifact, waits=waits)
    plan = world.plan(POLICY)
    assert plan.refused is not None
    assert "missing" not in plan.refused.message
    assert f"in the quarantine (run {world.runs[1]})" in plan.refused.message
    assert "applying this plan brings it back" in plan.refused.message
    assert world.apply_plan(plan)
    assert world.absent() == set()
    after = world.plan(POLICY)
    assert after.refused is None
    assert [actions(after, raw) for raw in (MANIFEST, LAYER)] == [[CleanupAction.KEEP], [CleanupAction.KEEP]]


def refuses(error: type[LayoutliftError]) -> Callable[[RepositoryPlan], None]:
    def require(_: RepositoryPlan) -> None:
        raise error("not now")

    return require


def test_it_comes_back_also_where_the_target_lacks_what_is_to_go() -> None:
    world = named_by(image([1, 3]))
    plan = world.plan(keep_policy(1))
    outcome = apply_repository(replace(world.tools(), require=refuses(TargetLacksError)), plan)
    assert ([problem.code for problem in outcome.problems], outcome.removed) == (["target_lacks"], [])
    assert (len(outcome.restored), world.absent()) == (1, set())


def test_it_comes_back_also_where_writers_are_always_quicker(monkeypatch: pytest.MonkeyPatch) -> None:
    world = named_by(image([1, 3]))
    plan = world.plan(keep_policy(1))

    def refuse(path: str, raw: bytes, expected: str | None) -> str:
        if path == INDEX_PATH:
            raise SourceChangedError("a writer was quicker")
        return write(path, raw, expected)

    write = world.files.write_file
    monkeypatch.setattr(world.files, "write_file", refuse)
    outcome = apply_repository(world.tools(), plan)
    assert ([problem.code for problem in outcome.problems], outcome.removed) == (["source_changed"], [])
    assert (len(outcome.restored), world.absent()) == (1, set())


@pytest.mark.parametrize("error", [LockHeldError, InterruptedRunError, SourceUnavailableError])
def test_who_must_stop_brings_nothing_back(error: type[LayoutliftError]) -> None:
    world = named_by(image([1, 3]))
    before = dict(world.files.contents())
    with suppress(LockHeldError, InterruptedRunError):
        apply_repository(replace(world.tools(), require=refuses(error)), world.plan(keep_policy(1)))
    assert dict(world.files.contents()) == before


def test_what_the_quarantine_has_lost_is_named_when_it_does_not_come_back() -> None:
    world = named_by(image([1, 3]))
    [held] = [path for path in in_quarantine(world) if path.endswith(blob_path(LAYER))]
    world.files._files.pop(held)
    [problem] = apply_repository(world.tools(), world.plan(POLICY)).problems
    assert problem.message.endswith("which is missing")
    assert world.absent() == {blob_path(LAYER)}


def test_a_lost_manifest_is_named_again_with_a_blob_that_was_hidden_meanwhile() -> None:
    """Its writer saw the blob and sent the manifest; another writer's index made that unnamed."""
    push = Push(image([1, 3]), "v3", 0.0)
    world = hidden_while(push)
    before = world.index
    world.finish(push)
    world.files.put(INDEX_PATH, before)
    plan = recovery(world)
    assert (len(plan.additions), plan.findings) == (1, ())
    assert world.apply_plan(plan)
    assert world.absent() == set()
    assert blob_path(LAYER) in world.files.contents()


def test_a_lost_index_of_a_hidden_manifest_names_what_brings_that_back() -> None:
    push = Push(image_index([image([1])]), "v3", 0.0)
    world = hidden_while(push)
    before = world.index
    world.finish(push)
    world.files.put(INDEX_PATH, before)
    plan = recovery(world)
    [finding] = plan.findings
    assert plan.additions == ()
    assert f"layoutlift cleanup undo {world.runs[1]} brings it back" in finding.message
