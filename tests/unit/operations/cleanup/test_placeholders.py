"""What a deduplicating zot left empty in one repository stays in those that have its bytes."""

import hashlib

import pytest

from tasks.oci.digest import Digest
from tasks.operations.cleanup.placeholders import Placeholders
from tasks.operations.cleanup.values import Action
from tasks.stores.memory_files import MemoryFiles
from tests.support.cleanup_world import GRACE, HOLD, Push, World, blob_path, image, keep_policy

LAYER = b"layer 1"
DIGEST = Digest.of(LAYER)
OTHER = f"other/blobs/sha256/{DIGEST.encoded}"


@pytest.fixture
def world() -> World:
    """v1 left the index, and its blobs are marked."""
    world = World()
    for tag in ("v1", "v2"):
        world.finish(Push(image([int(tag[1])]), tag, world.now))
    assert world.apply_plan(world.plan(keep_policy(1)))
    world.now += GRACE
    return world


def test_what_another_repository_has_a_placeholder_for_stays(world: World) -> None:
    world.files.put(OTHER, b"")
    plan = world.plan(keep_policy(1))
    [decision] = [blob for blob in plan.blobs if blob.digest == DIGEST]
    assert (decision.action, decision.reason) == (Action.MARK, "other has a placeholder of zot for it")
    assert world.apply_plan(plan)
    world.now += HOLD
    assert world.apply_plan(world.plan(keep_policy(1)))
    assert world.files.contents()[blob_path(LAYER)] == LAYER


def test_a_placeholder_that_came_after_the_plan_keeps_a_blob_in_its_place(world: World) -> None:
    plan = world.plan(keep_policy(1))
    world.files.put(OTHER, b"")
    assert world.apply_plan(plan)
    assert blob_path(LAYER) in world.files.contents()


@pytest.mark.parametrize("is_planned", [False, True])
def test_what_was_hidden_before_is_not_deleted_for_good(world: World, *, is_planned: bool) -> None:
    assert world.apply_plan(world.plan(keep_policy(1)))
    world.now += HOLD
    plan = world.plan(keep_policy(1)) if is_planned else None
    world.files.put(OTHER, b"")
    assert world.apply_plan(plan or world.plan(keep_policy(1)))
    world.undo(world.runs[1])
    assert world.files.contents()[blob_path(LAYER)] == LAYER


def test_only_empty_files_that_should_not_be_empty_are_placeholders() -> None:
    files = MemoryFiles(lambda: 1.0)
    nothing = hashlib.sha256().hexdigest()
    files.put(f"blobs/sha256/{DIGEST.encoded}", b"")
    for path in (f"a/blobs/sha256/{nothing}", "a/blobs/sha256/short", f".layoutlift/trash/run/{OTHER}", "empty"):
        files.put(path, b"")
    found = Placeholders(files).needing([DIGEST, Digest.of(b"")])
    assert found == {DIGEST: ". has a placeholder of zot for it"}
