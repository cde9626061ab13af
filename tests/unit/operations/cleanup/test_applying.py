"""A plan is applied as far as what it was made of is still there."""

import json

import pytest

from tasks.operations.cleanup.applying import apply_repository
from tests.support.cleanup_world import INDEX_PATH, REF_NAME, Json, Push, World, image, keep_policy


@pytest.fixture
def world() -> World:
    world = World()
    for tag in ("v1", "v2"):
        world.finish(Push(image([int(tag[1])]), tag, world.now))
    return world


def tag_of(entry: Json) -> str | None:
    return entry.get("annotations", {}).get(REF_NAME)


def tags(world: World) -> set[str]:
    return {tag for entry in world.entries if (tag := tag_of(entry)) is not None}


def test_nothing_is_taken_where_every_tag_that_was_to_stay_is_gone(world: World) -> None:
    """Somebody deletes them while the plan waits for a yes: with it, the repository would be empty."""
    plan = world.plan(keep_policy(1))
    left = [entry for entry in world.entries if tag_of(entry) == "v1"]
    world.files.put(INDEX_PATH, json.dumps({"schemaVersion": 2, "manifests": left}).encode())
    outcome = apply_repository(world.tools(), plan)
    assert tags(world) == {"v1"}
    [problem] = outcome.problems
    assert "plan anew" in problem.message


def test_a_tag_that_was_to_stay_may_have_moved(world: World) -> None:
    plan = world.plan(keep_policy(1))
    world.finish(Push(image([3]), "v2", world.now))
    assert apply_repository(world.tools(), plan).problems == []
    assert tags(world) == {"v2"}
