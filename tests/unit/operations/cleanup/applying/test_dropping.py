"""The last two files of an empty layout go both or not at all."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from tasks.file_ports import UnfinishedUpload
from tasks.oci.errors import InterruptedRunError, LockHeldError
from tasks.operations.cleanup.applying.dropping import drop_layout, remake_halves
from tasks.operations.cleanup.applying.repository_applying import apply_repository
from tasks.operations.cleanup.records.journal import RUNS, Journal
from tests.support.cleanup_world import (
    GRACE,
    HOLD,
    INDEX_PATH,
    LAYOUT,
    Push,
    World,
    blob_path,
    image,
    keep_policy,
    named,
    world_of_two,
)

MARKER_PATH = f"{LAYOUT}/oci-layout"


def test_an_empty_layout_goes() -> None:
    world = World()
    assert drop_layout(world.tools(), LAYOUT)
    assert {INDEX_PATH, MARKER_PATH}.isdisjoint(world.files.contents())


def test_a_layout_of_which_one_file_was_written_meanwhile_stays_whole() -> None:
    world = World()
    index = world.index
    world.meanwhile = lambda: world.files.put(INDEX_PATH, index)
    assert not drop_layout(world.tools(), LAYOUT)
    assert {INDEX_PATH, MARKER_PATH} <= set(world.files.contents())


def begin_blob(world: World) -> None:
    world.files.put(f"{LAYOUT}/ingest/{'0' * 64}_1", b"")


def begin_upload(world: World) -> None:
    upload = UnfinishedUpload(f"{LAYOUT}/blobs/sha256/{'0' * 64}", "id", world.now)
    world.files.uploads.append(upload)


def begin_upload_through_a_mount(world: World) -> None:
    """It sends what oras writes, under the name that this has before all of it is there."""
    upload = UnfinishedUpload(f"{LAYOUT}/ingest/{'0' * 64}_1", "id", world.now)
    world.files.uploads.append(upload)


@pytest.mark.parametrize("begin", [begin_blob, begin_upload, begin_upload_through_a_mount])
@pytest.mark.parametrize("is_late", [False, True])
def test_a_layout_in_which_a_writer_has_begun_stays_whole(begin: Callable[[World], None], *, is_late: bool) -> None:
    """Before the two files go, and right after."""
    world = World()
    if is_late:
        world.meanwhile = lambda: begin(world)
    else:
        begin(world)
    assert not drop_layout(world.tools(), LAYOUT)
    assert {INDEX_PATH, MARKER_PATH} <= set(world.files.contents())


def test_a_layout_that_names_something_is_not_dropped() -> None:
    world = World()
    world.finish(Push(image([1]), "v1", world.now))
    before = dict(world.files.contents())
    assert not drop_layout(world.tools(), LAYOUT)
    assert dict(world.files.contents()) == before


@pytest.mark.parametrize("path", [INDEX_PATH, MARKER_PATH])
def test_a_layout_of_whose_files_one_is_seen_and_can_not_be_read_stays_whole(
    monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """What an index names that a mount says is not there, nobody knows; nor could it be put back."""
    world = World()
    if path == INDEX_PATH:
        world.files.put(path, named(world.index, image([1]), "v1"))
    before, read_file = dict(world.files.contents()), world.files.read_file
    monkeypatch.setattr(world.files, "read_file", lambda asked: None if asked == path else read_file(asked))
    assert not drop_layout(world.tools(), LAYOUT)
    assert dict(world.files.contents()) == before


def test_a_blob_that_comes_while_a_layout_is_dropped_brings_it_back() -> None:
    """Its writer has read the index already, and will write it."""
    world = World()
    world.meanwhile = lambda: world.files.put(blob_path(b"layer 1"), b"layer 1")
    assert not drop_layout(world.tools(), LAYOUT)
    assert {INDEX_PATH, MARKER_PATH} <= set(world.files.contents())


def test_a_writer_who_looked_before_the_layout_went_finds_it_whole_after_the_next_run() -> None:
    """It saw `oci-layout`, sent its first blob after the layout was gone, and wrote the index alone."""
    world = World()
    writer = Push(image([1]), "v1", world.now, seen=world.index)
    assert drop_layout(world.tools(), LAYOUT)
    world.finish(writer)
    assert MARKER_PATH not in world.files.contents()
    before = world.index
    assert [(outcome.path, outcome.remade) for outcome in remake_halves(world.files, is_alone=False)] == [
        (LAYOUT, True)
    ]
    assert world.index == before
    assert world.absent() == set()
    assert world.plan(keep_policy(1)).refused is None
    assert list(remake_halves(world.files, is_alone=False)) == []


def test_a_layout_that_is_gone_stays_gone() -> None:
    world = World()
    assert drop_layout(world.tools(), LAYOUT)
    assert list(remake_halves(world.files, is_alone=False)) == []
    assert {INDEX_PATH, MARKER_PATH}.isdisjoint(world.files.contents())


def test_what_can_not_be_made_whole_is_named_and_keeps_nothing_else_from_it() -> None:
    world = World()
    for layout in ("other", LAYOUT):
        world.files.put(f"{layout}/oci-layout", b"{}")
        world.files.put(f"{layout}/index.json", b'{"schemaVersion":2,"manifests":[]}')
        assert drop_layout(world.tools(), layout)
        world.files.put(f"{layout}/index.json", b"a writer's")
    [damaged] = [file.path for file in world.files.list_files(".layoutlift/runs") if "/other/" in file.path]
    world.files.put(damaged, b"no record")
    outcomes = {
        outcome.path: (outcome.remade, len(outcome.problems))
        for outcome in remake_halves(world.files, is_alone=False)
    }
    assert outcomes == {"other": (False, 1), LAYOUT: (True, 0)}


@pytest.mark.parametrize("lives", range(5))
def test_a_run_that_dies_while_it_drops_a_layout_leaves_no_half(lives: int) -> None:
    world = World()
    world.execute(lambda tools: drop_layout(tools, LAYOUT), lives)
    list(remake_halves(world.files, is_alone=False))
    assert len({INDEX_PATH, MARKER_PATH} & set(world.files.contents())) != 1


def test_half_a_layout_goes_as_well() -> None:
    world = World()
    index = world.files.stat_file(INDEX_PATH)
    assert index is not None
    world.files.delete_files([index])
    assert drop_layout(world.tools(), LAYOUT)
    assert MARKER_PATH not in world.files.contents()


def test_who_has_lost_the_lease_drops_nothing() -> None:
    def lost() -> None:
        raise LockHeldError("another run's by now")

    world = World()
    with pytest.raises(LockHeldError):
        drop_layout(replace(world.tools(), guard=lost), LAYOUT)
    assert {INDEX_PATH, MARKER_PATH} <= set(world.files.contents())


@pytest.mark.parametrize("begin", [begin_blob, begin_upload])
def test_a_layout_in_which_a_writer_is_seen_is_not_even_touched(begin: Callable[[World], None]) -> None:
    """Its two files are away for no reader."""
    world = World()
    begin(world)
    steps: list[str] = []
    world.meanwhile = lambda: steps.append("step")
    assert not drop_layout(world.tools(), LAYOUT)
    assert steps == []


def test_a_layout_whose_index_names_what_is_not_there_is_not_dropped() -> None:
    world = World()
    artifact = image([1])
    world.files.put(INDEX_PATH, named(world.index, artifact, "v1"))
    assert not drop_layout(world.tools(), LAYOUT)
    assert world.entries


def test_who_must_stop_makes_no_layout_whole_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    assert drop_layout(world.tools(), LAYOUT)

    def interrupted(_: str, *, waits: bool = True) -> None:
        del waits
        raise InterruptedRunError("told to end")

    monkeypatch.setattr(world.files, "stat_file", interrupted)
    with pytest.raises(InterruptedRunError):
        list(remake_halves(world.files, is_alone=False))


@pytest.mark.parametrize(("conditional", "alone"), [(True, False), (False, True), (False, False)])
@pytest.mark.parametrize("left", [INDEX_PATH, MARKER_PATH])
def test_an_index_is_made_again_only_where_no_writer_can_bring_its_own_just_now(
    monkeypatch: pytest.MonkeyPatch, left: str, conditional: bool, alone: bool
) -> None:
    world = World()
    before = dict(world.files.contents())
    assert drop_layout(world.tools(), LAYOUT)
    world.files.put(left, before[left])
    monkeypatch.setattr(world.files, "is_conditional", conditional)
    may = left == INDEX_PATH or conditional or alone
    assert [outcome.remade for outcome in remake_halves(world.files, is_alone=alone)] == [True] * may
    whole = {path: raw for path, raw in world.files.contents().items() if path in before}
    assert whole == (before if may else {left: before[left]})


def test_what_else_runs_have_noted_hides_no_layout_that_is_half() -> None:
    world = World()
    world.finish(Push(image([1]), "v1", world.now))
    assert world.apply_plan(world.plan(keep_policy(0)))
    world.files.put("other/oci-layout", b"{}")
    world.files.put("other/index.json", b'{"schemaVersion":2,"manifests":[]}')
    assert drop_layout(replace(world.tools(), journal=Journal(world.files, "run-later")), "other")
    world.files.put("other/index.json", b"a writer's")
    assert [outcome.path for outcome in remake_halves(world.files, is_alone=False)] == ["other"]


def test_a_layout_is_dropped_without_a_listing_of_all_journals(monkeypatch: pytest.MonkeyPatch) -> None:
    world = world_of_two()
    policy = replace(keep_policy(0), drop_empty_layouts=True)
    for wait in (1, GRACE):
        world.now += wait
        assert world.apply_plan(world.plan(policy))
    world.now += HOLD
    plan, tools, listed, list_files = world.plan(policy), world.tools(), [], world.files.list_files
    monkeypatch.setattr(world.files, "list_files", lambda folder: listed.append(folder) or list_files(folder))
    outcome = apply_repository(tools, plan)
    assert (outcome.dropped, RUNS in listed) == (True, False)
