"""What undoing a run says of what can't come back."""

import pytest

from tasks.operations.cleanup.apply_tools import RepositoryOutcome
from tasks.operations.cleanup.undoing import undo_run
from tasks.operations.cleanup.values import Action
from tests.support.cleanup_world import (
    GRACE,
    HOLD,
    INDEX_PATH,
    Push,
    World,
    blob_path,
    image,
    keep_policy,
    named,
)


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


@pytest.fixture
def hidden() -> World:
    """v1 left the index with the first run, and its blobs were hidden by the second."""
    world = World()
    for tag in ("v1", "v2"):
        world.finish(Push(image([int(tag[1])]), tag, world.now))
    for wait in (1, GRACE):
        world.now += wait
        assert world.apply_plan(world.plan(keep_policy(1)))
    return world


def test_undoing_once_more_counts_nothing_as_put_back(hidden: World) -> None:
    assert undone(hidden, "run-1").restored
    assert not undone(hidden, "run-1").restored


def quarantined(world: World) -> list[Action]:
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
