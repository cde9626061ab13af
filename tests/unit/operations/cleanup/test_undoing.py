"""What undoing a run says of what can't come back."""

import pytest

from tasks.operations.cleanup.apply_tools import RepositoryOutcome
from tasks.operations.cleanup.undoing import undo_run
from tests.support.cleanup_world import GRACE, HOLD, Push, World, blob_path, image, keep_policy


@pytest.fixture
def world() -> World:
    """v1 left the index, its blobs were hidden, and then deleted for good."""
    world = World()
    for tag in ("v1", "v2"):
        world.finish(Push(image([int(tag[1])]), tag, world.now))
    for wait in (1, GRACE, HOLD):
        world.now += wait
        assert world.apply_plan(world.plan(keep_policy(1)))
    return world


def undone(world: World, run: str) -> RepositoryOutcome:
    [outcome] = undo_run(world.tools(), run)
    return outcome


def test_what_was_deleted_for_good_meanwhile_is_named(world: World) -> None:
    problems = undone(world, "run-1").problems
    gone = {blob_path(raw) for raw in image([1]).blobs if raw != b"{}"}
    assert {problem.message.split()[0] for problem in problems} == gone


def test_what_a_writer_has_sent_again_is_not_missed(world: World) -> None:
    world.finish(Push(image([1]), "v3", world.now))
    assert undone(world, "run-1").problems == []


def test_undoing_once_more_counts_nothing_as_put_back() -> None:
    world = World()
    for tag in ("v1", "v2"):
        world.finish(Push(image([int(tag[1])]), tag, world.now))
    for wait in (1, GRACE):
        world.now += wait
        assert world.apply_plan(world.plan(keep_policy(1)))
    assert undone(world, "run-1").restored
    assert not undone(world, "run-1").restored
