"""What a run says, and can undo, where the answer to the write of an index was lost and a writer came then."""

import json
from collections.abc import Callable
from functools import partial

import pytest

from tasks.oci.errors import MaybeWrittenError
from tasks.operations.cleanup.applying.apply_tools import RepositoryOutcome
from tasks.operations.cleanup.applying.repository_applying import apply_repository
from tasks.operations.cleanup.applying.undoing import undo_run
from tests.support.cleanup_world import INDEX_PATH, Push, World, image, keep_policy, tag_of, world_of_two


@pytest.fixture
def world() -> World:
    return world_of_two()


def applied(
    world: World, monkeypatch: pytest.MonkeyPatch, writer: Callable[[], object], *, carried_out: bool
) -> RepositoryOutcome:
    """Take `v1` out by a write whose answer is lost, whether it was carried out or not; `writer` comes then."""
    plan, write, is_lost = world.plan(keep_policy(1)), world.files.write_file, iter([True])

    def lose_answer(path: str, raw: bytes, expected: str | None) -> str:
        if path != INDEX_PATH or not next(is_lost, False):
            return write(path, raw, expected)
        if carried_out:
            write(path, raw, expected)
        writer()
        raise MaybeWrittenError("it is another one by now, and may have been ours")

    monkeypatch.setattr(world.files, "write_file", lose_answer)
    return apply_repository(world.tools(), plan)


@pytest.mark.parametrize("carried_out", [True, False])
@pytest.mark.parametrize("begin", [lambda _, push: push, World.look], ids=["sees what is there", "has seen what was"])
def test_an_edit_counts_as_made_where_it_was_made_and_can_be_undone(
    world: World, monkeypatch: pytest.MonkeyPatch, carried_out: bool, begin: Callable[[World, Push], Push]
) -> None:
    writer = begin(world, Push(image([3]), "v3", world.now))
    outcome = applied(world, monkeypatch, partial(world.finish, writer), carried_out=carried_out)
    assert ([entry.tag for entry in outcome.removed], outcome.skipped, outcome.problems) == (["v1"], [], [])
    assert world.tags == {"v2", "v3"}
    [undone] = undo_run(world.tools(), "run-0")
    assert undone.problems == []
    assert world.tags == {"v1", "v2", "v3"}


def test_what_a_writer_took_is_not_ours_to_put_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The write was not carried out, and somebody else took away one of two that were to go."""
    world.finish(Push(image([3]), "v3", world.now))

    def take() -> None:
        left = [entry for entry in world.entries if tag_of(entry) != "v1"]
        world.files.put(INDEX_PATH, json.dumps({"schemaVersion": 2, "manifests": left}).encode())

    outcome = applied(world, monkeypatch, take, carried_out=False)
    assert [entry.tag for entry in outcome.removed] == ["v2"]
    assert [entry.tag for entry in outcome.skipped] == ["v1"]
    [undone] = undo_run(world.tools(), "run-0")
    assert undone.problems == []
    assert world.tags == {"v2", "v3"}
