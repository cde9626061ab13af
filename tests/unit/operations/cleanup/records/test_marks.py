"""Marks are kept by whatever decides on nothing of them."""

import json
from dataclasses import replace

import pytest

from tasks.file_ports import StoredFile
from tasks.oci.digest import Digest
from tasks.operations.cleanup.deciding.blob_decisions import BlobRules
from tasks.operations.cleanup.planning.plan_tools import PlanTools
from tasks.operations.cleanup.planning.recovering import plan_recovery
from tasks.operations.cleanup.records import marks
from tasks.operations.cleanup.records.holdings import Holdings
from tasks.operations.cleanup.records.marks import (
    UNREFERENCED,
    Mark,
    forget_marks,
    read_marks,
    still_marked,
    write_marks,
)
from tasks.operations.cleanup.values import RepositoryPlan
from tests.support.cleanup_world import LAYOUT, Artifact, Push, World, blob_path, image, keep_policy, world_of_two
from tests.support.memory_stores import MemorySource


def recovery(world: World, *, marked: bool = False) -> RepositoryPlan:
    rules = BlobRules(world.now, world.timing, 0.0, 0.0, sweeps=False)
    tools = PlanTools(MemorySource(world.files.contents()), world.files, Holdings(world.files), rules, map)
    return plan_recovery(tools, LAYOUT, marked=marked).plan


def lose(world: World, lost: Artifact) -> None:
    """Leave what a writer sent and no index names."""
    for raw in lost.blobs:
        world.files.put(blob_path(raw), raw)


def test_recovering_keeps_the_marks_of_what_a_cleanup_took_out() -> None:
    world = world_of_two()
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
    world = world_of_two()
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


FILE, DIGEST = StoredFile("a", 3, 5.0, "etag"), Digest.of(b"a")
MARK = Mark.of(FILE, 7.0)


@pytest.mark.parametrize("change", [{"size": 4}, {"modified": 6.0}, {"etag": "other"}])
def test_a_mark_is_of_the_very_file_that_was_marked(change: dict[str, object]) -> None:
    assert MARK.is_of(FILE)
    assert not MARK.is_of(replace(FILE, **change))
    assert still_marked({DIGEST: MARK}, {DIGEST: FILE}, ()) == {DIGEST: MARK}
    assert still_marked({DIGEST: MARK}, {DIGEST: replace(FILE, **change)}, ()) == {}
    assert still_marked({DIGEST: MARK}, {}, ()) == {}
    assert still_marked({DIGEST: MARK}, {DIGEST: FILE}, {DIGEST}) == {}


def test_a_file_of_which_no_mark_of_its_content_is_known_is_never_taken_for_the_same() -> None:
    unknown = replace(FILE, etag="")
    assert not Mark.of(unknown, 7.0).is_of(unknown)


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b"{}", b'{"blobs":[]}', b'{"blobs":{"x":{}}}', b'{"blobs":{"%s":{"since":1}}}']
)
def test_marks_that_can_not_be_understood_let_the_wait_start_over(damage: bytes) -> None:
    files = World().files
    write_marks(files, LAYOUT, {DIGEST: MARK})
    assert read_marks(files, LAYOUT) == {DIGEST: MARK}
    files.put(f".layoutlift/marks/{LAYOUT}/{UNREFERENCED}", damage.replace(b"%s", DIGEST.encode()))
    assert read_marks(files, LAYOUT) == {}


def test_marks_with_more_values_than_any_have_let_the_wait_start_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marks, "MOST_RECORD_VALUES", 1_000)
    files = World().files
    write_marks(files, LAYOUT, {DIGEST: MARK})
    path = f".layoutlift/marks/{LAYOUT}/{UNREFERENCED}"
    written = json.loads(files.contents()[path])
    for more, expected in ((100, {DIGEST: MARK}), (2_000, {})):
        files.put(path, json.dumps({**written, "x": [[]] * more}).encode())
        assert read_marks(files, LAYOUT) == expected


def test_marks_of_another_version_s_form_let_the_wait_start_over() -> None:
    files = World().files
    write_marks(files, LAYOUT, {DIGEST: MARK})
    path = f".layoutlift/marks/{LAYOUT}/{UNREFERENCED}"
    files.put(path, files.contents()[path].replace(b'"schema":1', b'"schema":2'))
    assert read_marks(files, LAYOUT) == {}


def test_marks_are_written_only_where_they_change_and_forgotten_altogether() -> None:
    world = World()
    steps: list[str] = []
    world.files._on_step = steps.append
    write_marks(world.files, LAYOUT, {})
    assert steps == []
    for _ in range(2):
        write_marks(world.files, LAYOUT, {DIGEST: MARK})
    assert len(steps) == 1
    forget_marks(world.files, LAYOUT)
    assert not list(world.files.list_files(".layoutlift"))
    forget_marks(world.files, LAYOUT)
