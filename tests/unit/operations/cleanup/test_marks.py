"""Marks are kept by whatever decides on nothing of them."""

import json

import pytest

from tasks.operations.cleanup.blob_decisions import BlobRules
from tasks.operations.cleanup.holdings import Holdings
from tasks.operations.cleanup.marks import read_marks
from tasks.operations.cleanup.planning import PlanTools
from tasks.operations.cleanup.recovering import plan_recovery
from tasks.operations.cleanup.values import RepositoryPlan
from tasks.stores.memory import MemorySource
from tests.support.cleanup_world import LAYOUT, Artifact, Push, World, blob_path, image, keep_policy


def recovery(world: World, *, marked: bool = False) -> RepositoryPlan:
    rules = BlobRules(world.now, world.timing, 0.0, 0.0, sweeps=False)
    tools = PlanTools(MemorySource(world.files.contents()), world.files, Holdings.load(world.files), rules, map)
    return plan_recovery(tools, LAYOUT, marked=marked)


def lose(world: World, lost: Artifact) -> None:
    """Leave what a writer sent and no index names."""
    for raw in lost.blobs:
        world.files.put(blob_path(raw), raw)


def test_recovering_keeps_the_marks_of_what_a_cleanup_took_out() -> None:
    world = World()
    for tag in ("v1", "v2"):
        world.finish(Push(image([int(tag[1])]), tag, world.now))
    world.now += 1
    assert world.apply_plan(world.plan(keep_policy(1)))
    before = read_marks(world.files, LAYOUT)
    assert before
    lose(world, image([7]))
    plan = recovery(world)
    assert len(plan.additions) == 1
    assert world.apply_plan(plan)
    assert read_marks(world.files, LAYOUT) == before
    assert recovery(world).additions == ()


def test_a_mark_ends_when_its_blob_is_named_again() -> None:
    world = World()
    for tag in ("v1", "v2"):
        world.finish(Push(image([int(tag[1])]), tag, world.now))
    world.now += 1
    assert world.apply_plan(world.plan(keep_policy(1)))
    assert world.apply_plan(recovery(world, marked=True))
    assert read_marks(world.files, LAYOUT) == {}


@pytest.mark.parametrize("since", ["soon", None, 10**400], ids=["text", "null", "huge"])
def test_marks_that_tell_no_time_are_none(since: object) -> None:
    world = World()
    world.finish(Push(image([1]), "v1", world.now))
    digest = f"sha256:{'0' * 64}"
    noted = {"blobs": {digest: {"since": since, "size": 1, "modified": 1.0, "etag": "mark"}}}
    world.files.put(f".layoutlift/marks/{LAYOUT}/unreferenced.json", json.dumps(noted).encode())
    assert read_marks(world.files, LAYOUT) == {}


def test_marks_that_are_nested_without_end_are_none() -> None:
    world = World()
    world.files.put(f".layoutlift/marks/{LAYOUT}/unreferenced.json", b"[" * 200_000)
    assert read_marks(world.files, LAYOUT) == {}
