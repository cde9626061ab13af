"""What has no tag waits from when it was seen without one, however old its content is."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tasks.oci.errors import ContentNotFoundError
from tasks.operations.cleanup.records.marks import STRAYS, read_marks
from tests.support.cleanup_world import INDEX_PATH, LAYOUT, Artifact, Push, World, blob_path, image, keep_policy

if TYPE_CHECKING:
    from tasks.operations.cleanup.deciding.policy import RepositoryPolicy

AFTER = 100.0
POLICY = replace(keep_policy(9), untagged_after=AFTER, orphans_after=AFTER)


def push(world: World, layer: int, tag: str) -> Artifact:
    artifact = image([layer])
    world.finish(Push(artifact, tag, world.now))
    return artifact


@pytest.fixture
def moved() -> World:
    """A tag that was moved away just now from what it named for long."""
    world = World()
    push(world, 1, "keep-a")
    world.now += 50 * AFTER
    push(world, 2, "keep-a")
    return world


def goes(world: World, policy: RepositoryPolicy = POLICY) -> list[str | None]:
    plan = world.plan(policy)
    assert plan.refused is None
    return [entry.tag for entry in plan.removals]


def test_what_lost_its_tag_today_stays_however_old_it_is(moved: World) -> None:
    assert goes(moved) == []


def test_its_wait_goes_on_while_others_write_the_index(moved: World) -> None:
    assert moved.apply_plan(moved.plan(POLICY))
    for number in range(3, 6):
        moved.now += AFTER / 4
        push(moved, number, f"keep-{number}")
        assert goes(moved) == []
    moved.now += AFTER / 4
    push(moved, 6, "keep-6")
    assert goes(moved) == [None]


def test_an_index_that_nobody_has_written_since_tells_of_it_without_a_note(moved: World) -> None:
    moved.now += AFTER - 1
    assert goes(moved) == []
    moved.now += 1
    assert goes(moved) == [None]


def test_a_wait_of_no_time_is_over_at_once(moved: World) -> None:
    assert goes(moved, replace(POLICY, untagged_after=0.0)) == [None]


def test_what_was_seen_with_a_tag_again_waits_anew(moved: World) -> None:
    assert moved.apply_plan(moved.plan(POLICY))
    push(moved, 1, "keep-b")
    moved.now += AFTER
    assert moved.apply_plan(moved.plan(POLICY))
    assert read_marks(moved.files, LAYOUT, STRAYS) == {}
    push(moved, 3, "keep-b")
    assert goes(moved) == []


def test_what_was_written_anew_waits_anew(moved: World) -> None:
    assert moved.apply_plan(moved.plan(POLICY))
    moved.now += AFTER
    manifest = image([1]).blobs[-1]
    moved.files.put(blob_path(manifest), manifest)
    assert goes(moved) == []


def test_what_was_brought_back_is_not_taken_again_at_once(moved: World) -> None:
    moved.now += AFTER
    assert moved.apply_plan(moved.plan(POLICY))
    assert moved.undo(moved.runs[-1])
    assert goes(moved) == []
    moved.now += AFTER
    assert goes(moved) == [None]


def test_a_referrer_waits_from_when_its_subject_was_seen_gone() -> None:
    world = World()
    push(world, 3, "keep-b")  # in a repository of referrers alone, none counts as an orphan
    subject = push(world, 1, "keep-a")
    world.finish(Push(image([2], subject=subject.entry), None, world.now))
    world.now += 50 * AFTER
    for raw in subject.blobs[1:]:  # somebody deletes the image, and not what refers to it
        gone = world.files.stat_file(blob_path(raw))
        assert gone is not None
        world.files.delete_files([gone])
    left = [entry for entry in world.entries if entry["digest"] != subject.entry["digest"]]
    world.files.put(INDEX_PATH, json.dumps({"schemaVersion": 2, "manifests": left}).encode())
    assert goes(world) == []
    world.now += AFTER
    assert goes(world) == [None]


def test_a_clock_that_runs_ahead_makes_no_age(moved: World) -> None:
    moved.now += 1000 * AFTER
    push(moved, 3, "keep-b")
    moved.now -= 999 * AFTER
    assert goes(moved) == []


def test_a_note_of_the_future_is_replaced_so_that_a_wrong_clock_keeps_nothing_for_ever(moved: World) -> None:
    plan = moved.plan(POLICY)
    now, moved.now = moved.now, moved.now + 1000 * AFTER
    assert moved.apply_plan(plan)
    moved.now = now + 1
    assert moved.apply_plan(moved.plan(POLICY))
    moved.now += AFTER
    push(moved, 3, "keep-b")
    assert goes(moved) == [None]


def test_an_index_whose_time_can_not_be_true_tells_of_nothing(moved: World) -> None:
    now, moved.now, index = moved.now, 0.0, moved.index
    moved.files.put(INDEX_PATH, index)
    moved.now = now
    assert goes(moved) == []


def test_what_has_no_age_of_its_own_stays(moved: World) -> None:
    """As a store's clock that was reset stamped it."""
    now, moved.now, manifest = moved.now, 0.0, image([1]).blobs[-1]
    moved.files.put(blob_path(manifest), manifest)
    moved.now = now + 2 * AFTER
    assert goes(moved) == []


def test_a_note_goes_with_what_it_is_about_while_others_stay(moved: World) -> None:
    assert moved.apply_plan(moved.plan(POLICY))
    push(moved, 1, "keep-b")
    push(moved, 3, "keep-a")
    assert moved.apply_plan(moved.plan(POLICY))
    assert set(read_marks(moved.files, LAYOUT, STRAYS)) == {image([2]).entry["digest"]}


def test_what_has_no_tag_and_is_not_there_has_its_layout_left_alone(moved: World) -> None:
    manifest = moved.files.stat_file(blob_path(image([1]).blobs[-1]))
    assert manifest is not None
    moved.files.delete_files([manifest])
    plan = moved.plan(POLICY)
    assert plan.refused is not None
    assert plan.refused.code == ContentNotFoundError.code
