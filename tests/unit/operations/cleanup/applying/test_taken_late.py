"""What a run takes away after another one has seen it in its place, as its last request was late, is not lost."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tasks.oci.digest import Digest
from tasks.operations.cleanup.applying.apply_tools import RepositoryOutcome
from tasks.operations.cleanup.applying.repository_applying import apply_repository
from tasks.operations.cleanup.applying.undoing import undo_run
from tests.support.cleanup_world import (
    GRACE,
    HOLD,
    INDEX_PATH,
    LAYOUT,
    Artifact,
    KilledError,
    Push,
    World,
    blob_path,
    image,
    keep_policy,
    named,
    world_that_waited,
)


@pytest.fixture
def waited() -> World:
    """v1 left the index, and its blobs have waited for as long as the grace time."""
    return world_that_waited()


def die_late(world: World, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object]) -> str:
    """A run dies while it hides blobs; its deletions are carried out only after `meanwhile`. Its name."""
    came: list[str] = []

    def step(what: str) -> None:
        if what.startswith(f"delete {LAYOUT}/blobs/"):
            if not came:
                came.append("asked for")
                meanwhile()
                came.append("carried out")
        elif came[-1:] == ["carried out"]:
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(world.files, "_on_step", step)
        plan = world.plan(keep_policy(1))
        run = f"run-{len(world.runs)}"
        assert not world.apply_plan(plan)
    return run


def name_by(world: World, artifact: Artifact) -> None:
    """The end of a push that found every blob there and sent none."""
    world.files.put(INDEX_PATH, named(world.index, artifact, "keep-a"))


def look(world: World) -> RepositoryOutcome:
    """A cleanup that takes nothing."""
    return apply_repository(world.tools(), world.plan(keep_policy(9)))


def only_settle(world: World) -> None:
    """Another run sees every blob in its place, and takes none."""
    apply_repository(world.tools(), replace(world.plan(keep_policy(9)), blobs=()))


def test_what_the_index_needs_comes_back(waited: World, monkeypatch: pytest.MonkeyPatch) -> None:
    die_late(waited, monkeypatch, lambda: (name_by(waited, image([1])), look(waited)))
    assert waited.absent()
    for _ in range(2):
        assert look(waited).problems == []
    assert waited.absent() == set()


def test_so_does_what_another_run_had_brought_back_before(waited: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def meanwhile() -> None:
        assert waited.apply_plan(waited.plan(keep_policy(1)))
        name_by(waited, image([1]))
        assert look(waited).restored

    plan = waited.plan(keep_policy(1))
    assert plan.blobs
    die_late(waited, monkeypatch, meanwhile)
    assert waited.absent()
    assert look(waited).problems == []
    assert waited.absent() == set()


def test_a_plan_goes_on_where_only_a_blob_of_it_is_absent(waited: World, monkeypatch: pytest.MonkeyPatch) -> None:
    other = image([1, 1])
    waited.files.put(blob_path(other.blobs[-1]), other.blobs[-1])
    die_late(waited, monkeypatch, lambda: (name_by(waited, other), look(waited)))
    assert waited.absent() == {blob_path(b"layer 1")}
    assert waited.plan(keep_policy(9)).refused is None
    assert look(waited).problems == []
    assert waited.absent() == set()


def test_it_comes_back_with_the_undo_of_the_run_that_was_late(waited: World, monkeypatch: pytest.MonkeyPatch) -> None:
    run = die_late(waited, monkeypatch, lambda: only_settle(waited))
    taken = {blob_path(raw) for raw in image([1]).blobs[1:]}
    assert taken.isdisjoint(waited.files.contents())
    [outcome] = undo_run(waited.tools(), run)
    assert (set(outcome.restored), outcome.problems) == ({Digest.of(raw) for raw in image([1]).blobs[1:]}, [])
    assert taken <= set(waited.files.contents())


def test_the_tag_comes_back_with_the_undo_of_the_run_that_took_it(
    waited: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    die_late(waited, monkeypatch, lambda: only_settle(waited))
    [outcome] = undo_run(waited.tools(), "run-0")
    assert (len(outcome.added), outcome.problems) == (1, [])
    assert waited.absent() == set()


def test_a_copy_that_comes_back_cut_is_told_by_the_run_that_brings_it_back(waited: World) -> None:
    assert waited.apply_plan(waited.plan(keep_policy(1)))
    waited.files.put(f".layoutlift/trash/{waited.runs[-1]}/{blob_path(b'layer 1')}", b"cut")
    name_by(waited, image([1]))
    outcome = apply_repository(waited.tools(), replace(waited.plan(keep_policy(9)), refused=None))
    assert blob_path(b"layer 1") in waited.files.contents()
    assert [problem.code for problem in outcome.problems] == ["size_mismatch"]


def test_what_was_deleted_for_good_since_is_not_looked_for(waited: World) -> None:
    """It had come back, and went again by other runs, whose time for it is over."""
    assert waited.apply_plan(waited.plan(keep_policy(1)))
    name_by(waited, image([1]))
    assert look(waited).restored
    waited.files.put(INDEX_PATH, named(waited.index, image([2]), "keep-a"))
    for wait in (GRACE, GRACE, GRACE, HOLD):
        waited.now += wait
        assert waited.apply_plan(waited.plan(keep_policy(1)))
    assert blob_path(b"layer 1") not in waited.files.contents()
    name_by(waited, image([1]))
    refused = waited.plan(keep_policy(9)).refused
    assert refused is not None
    assert "in the quarantine" not in refused.message
    waited.finish(Push(image([1]), "keep-b", waited.now))
    assert waited.absent() == set()


@pytest.mark.parametrize("lost", [image([1]).blobs[-1], b"layer 1"], ids=["manifest", "blob"])
def test_what_came_back_and_was_lost_since_is_not_taken_for_hidden(waited: World, lost: bytes) -> None:
    """A quarantine that is a folder has no copy of it any more, and nobody can bring it back."""
    assert waited.apply_plan(waited.plan(keep_policy(1)))
    assert waited.undo("run-0")
    assert waited.undo("run-1")
    assert waited.plan(keep_policy(9)).refused is None
    path = blob_path(lost)
    waited.files.delete_files([file for file in waited.files.list_files(".") if file.path.endswith(path)])
    assert waited.absent() == {path}
    refused = waited.plan(keep_policy(9)).refused
    assert refused is not None
    assert "quarantine" not in refused.message
