"""What was taken for lost and gets a name before it is named again: its push was under way when that was planned."""

from dataclasses import replace

import pytest

from tasks.operations.cleanup.applying.repository_applying import apply_repository
from tests.support.cleanup_world import Artifact, Push, World, image, image_index, world_of_two

CHILD, OTHER = image([7]), image([8])


@pytest.fixture
def world() -> World:
    return world_of_two()


def begun(world: World, artifact: Artifact) -> Push:
    """A push that has sent its blobs, and has not written the index."""
    return world.look(Push(artifact, "new", world.now))


@pytest.mark.parametrize("artifact", [CHILD, image_index([CHILD, OTHER])], ids=["an image", "an index"])
def test_what_a_push_names_before_a_recovery_is_applied_gets_no_other_name(world: World, artifact: Artifact) -> None:
    push = begun(world, artifact)
    plan = world.recovery().plan
    assert len(plan.additions) == 1
    world.finish(push)
    before = world.index
    outcome = apply_repository(world.tools(), plan)
    assert (outcome.added, outcome.skipped, outcome.problems) == ([], list(plan.additions), [])
    assert world.index == before


def test_nor_do_parts_of_what_a_push_names(world: World) -> None:
    """Its index had not come when the recovery was planned."""
    push = Push(image_index([CHILD, OTHER]), "new", world.now)
    while push.sent < len(push.artifact.blobs) - 1:
        world.advance(push)
    plan = world.recovery().plan
    assert len(plan.additions) == 2
    world.finish(push)
    outcome = apply_repository(world.tools(), plan)
    assert (outcome.added, outcome.skipped) == ([], list(plan.additions))
    assert world.tags == {"v1", "v2", "new"}


def test_what_nothing_names_by_then_gets_its_name_beside_it(world: World) -> None:
    begun(world, OTHER)
    push = begun(world, CHILD)
    plan = world.recovery().plan
    assert len(plan.additions) == 2
    world.finish(push)
    outcome = apply_repository(world.tools(), plan)
    (added,) = outcome.added
    assert (added.descriptor.digest, len(outcome.skipped)) == (OTHER.entry["digest"], 1)
    assert world.tags == {"v1", "v2", "new", added.tag}


def test_a_tag_that_an_earlier_index_had_comes_back_whatever_else_names_its_image(world: World) -> None:
    """Two of its tags were lost, and somebody has given it one of them again."""
    push = begun(world, CHILD)
    plan = world.recovery().plan
    (made_up,) = plan.additions
    plan = replace(plan, additions=(replace(made_up, tag="v7", is_demanded=True),))
    world.finish(push)
    assert [entry.tag for entry in apply_repository(world.tools(), plan).added] == ["v7"]
    assert world.tags == {"v1", "v2", "new", "v7"}


def test_what_an_earlier_attempt_has_put_in_is_not_said_to_be_skipped(world: World) -> None:
    begun(world, CHILD)
    plan = world.recovery().plan
    assert apply_repository(world.tools(), plan).added == list(plan.additions)
    again = apply_repository(world.tools(), plan)
    assert (again.added, again.skipped, again.problems) == ([], [], [])
