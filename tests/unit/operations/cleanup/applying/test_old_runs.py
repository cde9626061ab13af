"""Which journals are forgotten, and when."""

import itertools
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.file_ports import DRAFTS, StoredFile, UnfinishedUpload
from tasks.oci.errors import LockHeldError
from tasks.operations.cleanup.applying import old_runs
from tasks.operations.cleanup.applying.old_runs import DRAFT_SECONDS, forget_old_runs
from tasks.operations.cleanup.records.journal import RUNS, TRASH, Journal, Record, Step
from tasks.operations.cleanup.records.marks import write_marks
from tasks.operations.cleanup.values import Timing
from tasks.stores.directory.writable_directory import WritableDirectory
from tests.support.cleanup_world import (
    GRACE,
    HOLD,
    LAYOUT,
    Push,
    World,
    image,
    in_quarantine,
    keep_policy,
    world_of_two,
    world_that_waited,
)
from tests.support.memory_files import WritableMemory

MARKS = ".layoutlift/marks"


def with_a_tag_that_went() -> World:
    """`run-0` took v1 out of the index, and marked its blobs."""
    world = world_of_two()
    world.now += 1
    assert world.apply_plan(world.plan(keep_policy(1)))
    return world


def copy_to(folder: Path, world: World) -> None:
    for path, raw in world.files.contents().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(raw)


def journals(world: World) -> set[str]:
    return {file.path.removeprefix(f"{RUNS}/").partition("/")[0] for file in world.files.list_files(RUNS)}


def test_a_run_that_edited_an_index_is_remembered_until_the_blobs_had_their_time() -> None:
    world = with_a_tag_that_went()
    world.now += GRACE + HOLD - 1
    forget_old_runs(world.tools())
    assert journals(world) == {"run-0"}
    for path in [file.path for file in world.files.list_files(MARKS)]:
        world.files.put(path, b"{}")
    forget_old_runs(world.tools())
    assert journals(world) == {"run-0"}
    world.now += 1
    assert forget_old_runs(world.tools()) == ("run-0",)
    assert journals(world) == set()


def test_a_run_is_remembered_while_a_manifest_waits_that_it_took_out() -> None:
    world = with_a_tag_that_went()
    world.now += 5 * (GRACE + HOLD)
    assert forget_old_runs(world.tools()) == ()
    world.apply_plan(world.plan(keep_policy(1)))
    hiding = world.runs[-1]
    assert forget_old_runs(world.tools()) == ()
    world.now += HOLD
    assert forget_old_runs(world.tools()) == ()
    world.apply_plan(world.plan(keep_policy(1)))
    assert "run-0" in forget_old_runs(world.tools())
    assert hiding in journals(world)


@pytest.mark.parametrize("lives", range(10))
def test_wherever_a_run_dies_nothing_lies_in_the_quarantine_that_no_journal_tells_of(lives: int) -> None:
    """Without one it would lie there for ever."""
    world = world_of_two()
    world.now += 1
    world.apply_plan(world.plan(keep_policy(1)), lives)
    assert {path.split("/")[2] for path in world.files.contents() if path.startswith(f"{TRASH}/")} <= journals(world)


def test_what_a_process_was_writing_when_it_died_goes_after_an_hour() -> None:
    world = World()
    world.files.put(f"{DRAFTS}/left", b"half an index")
    world.now += DRAFT_SECONDS
    world.files.put(f"{DRAFTS}/of-a-run-at-work", b"a lease")
    for left in (["left", "of-a-run-at-work"], ["of-a-run-at-work"]):
        assert [file.path.rpartition("/")[2] for file in world.files.list_files(DRAFTS)] == left
        world.now += 1
        forget_old_runs(world.tools())


def test_a_tag_comes_back_whose_blobs_were_never_hidden() -> None:
    world = with_a_tag_that_went()
    world.now += 5 * (GRACE + HOLD)
    forget_old_runs(world.tools())
    assert world.undo("run-0")
    assert len(world.entries) == 2


def test_an_upload_that_a_killed_run_left_in_the_quarantine_is_given_up_with_its_journal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As of a blob of more than 5 GiB, which is copied in parts."""
    world = with_a_tag_that_went()
    upload = UnfinishedUpload(f"{TRASH}/run-0/{LAYOUT}/blobs/sha256/{'0' * 64}", "id", world.now)
    given_up: list[UnfinishedUpload] = []
    monkeypatch.setattr(
        world.files, "list_uploads", lambda folder: iter([upload] * upload.path.startswith(f"{folder}/"))
    )
    monkeypatch.setattr(world.files, "abort_upload", given_up.append)
    forget_old_runs(world.tools())
    assert given_up == []
    world.now += GRACE + HOLD
    world.files.put(f"{MARKS}/{LAYOUT}/unreferenced.json", b"{}")
    assert forget_old_runs(world.tools()) == ("run-0",)
    assert given_up == [upload]


def test_what_was_marked_in_a_layout_that_is_gone_keeps_no_run_for_ever() -> None:
    world = with_a_tag_that_went()
    world.now += GRACE + HOLD
    kept = [file for file in world.files.list_files(LAYOUT) if file.path.endswith("oci-layout")]
    world.files.delete_files([file for file in world.files.list_files(LAYOUT) if file not in kept])
    assert forget_old_runs(world.tools()) == ()
    world.files.delete_files(kept)
    assert forget_old_runs(world.tools()) == ("run-0",)
    assert list(world.files.list_files(MARKS)) == []


@pytest.mark.parametrize("is_removed", [True, False])
def test_what_lies_below_a_folder_that_may_be_a_mount_that_is_away_is_not_forgotten(
    tmp_path: Path, *, is_removed: bool
) -> None:
    """As planning keeps its quarantine; by its marks a tag that a cleanup deleted is told from one that got lost."""
    world = with_a_tag_that_went()
    copy_to(tmp_path, world)
    shutil.rmtree(tmp_path / LAYOUT)
    if is_removed:
        (tmp_path / LAYOUT).parent.rmdir()
    source = WritableDirectory(tmp_path)
    tools = replace(world.tools(), source=source, timing=Timing(0.0, 0.0))
    assert forget_old_runs(tools) == ("run-0",) * is_removed
    assert bool(list(source.files.list_files(MARKS))) is not is_removed
    assert bool(list(source.files.list_files(RUNS))) is not is_removed


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("strays.json", b'{"schema":1,"blobs":{"sha256:of-an-entry-without-a-tag":{}}}'),
        ("unreferenced.json", b'{"schema":2,"blobs":{}}'),
        ("unreferenced.json", b"[]"),
    ],
)
@pytest.mark.parametrize("is_removed", [True, False])
def test_below_a_folder_that_may_be_a_mount_all_notes_stay_even_those_that_are_not_understood(
    tmp_path: Path, name: str, raw: bytes, *, is_removed: bool
) -> None:
    """As a newer version of layoutlift writes them, and of entries that nothing holds."""
    world = with_a_tag_that_went()
    world.files.delete_files([file for place in (LAYOUT, MARKS) for file in world.files.list_files(place)])
    world.files.put(f"{MARKS}/{LAYOUT}/{name}", raw)
    copy_to(tmp_path, world)
    if not is_removed:
        (tmp_path / LAYOUT).parent.mkdir()
    source = WritableDirectory(tmp_path)
    forget_old_runs(replace(world.tools(), source=source, timing=Timing(0.0, 0.0)))
    assert [file.path.rpartition("/")[2] for file in source.files.list_files(MARKS)] == [name] * (not is_removed)


def test_of_a_layout_that_is_gone_the_source_is_searched_only_for_what_is_marked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of one that a run dropped nothing is, and its empty folder may stay."""
    world = with_a_tag_that_went()
    world.now += GRACE + HOLD
    world.files.delete_files(list(world.files.list_files(LAYOUT)))
    write_marks(world.files, LAYOUT, {})
    monkeypatch.setattr(WritableMemory, "open_layouts", lambda _: pytest.fail("it is searched"))
    assert forget_old_runs(world.tools()) == ("run-0",)
    assert list(world.files.list_files(MARKS)) == []


def test_a_layout_of_which_nothing_is_marked_is_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mount takes its time for what is gone, and the run is remembered for weeks."""
    world = with_a_tag_that_went()
    world.now += GRACE + HOLD
    world.files.delete_files([file for place in (LAYOUT, MARKS) for file in world.files.list_files(place)])
    monkeypatch.setattr(old_runs, "is_gone", lambda *_: pytest.fail("it is looked for"))
    assert forget_old_runs(world.tools()) == ("run-0",)


def test_a_layout_that_is_there_costs_two_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each apply asks for all of which earlier runs edited the index."""
    world = with_a_tag_that_went()
    world.now += 5 * (GRACE + HOLD)
    tools, asked = world.tools(), []
    stat_file = world.files.stat_file
    monkeypatch.setattr(world.files, "stat_file", lambda path, **how: asked.append(path) or stat_file(path, **how))
    listed = world.files.list_files
    monkeypatch.setattr(world.files, "list_files", lambda folder: asked.append(folder) or listed(folder))
    assert forget_old_runs(tools) == ()
    assert [path for path in asked if LAYOUT in path] == [f"{LAYOUT}/index.json"], "and the marks were read"


def test_a_run_is_remembered_while_any_of_the_manifests_waits_that_it_took_out() -> None:
    world = World()
    for number in (1, 2, 3):
        world.finish(Push(image([number]), f"v{number}", world.now))
    world.now += 1
    assert world.apply_plan(world.plan(keep_policy(1)))
    world.finish(Push(image([1]), "keep-it", world.now))
    assert world.apply_plan(world.plan(keep_policy(1)))
    world.now += 5 * (GRACE + HOLD)
    assert "run-0" not in forget_old_runs(world.tools())


@pytest.mark.parametrize("after", [0, 1])
def test_who_has_lost_the_lease_forgets_nothing(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    world = with_a_tag_that_went()
    world.now += GRACE + HOLD
    world.files.put(f"{MARKS}/{LAYOUT}/unreferenced.json", b"{}")
    upload = UnfinishedUpload(f"{TRASH}/run-0/{LAYOUT}/blobs/sha256/{'0' * 64}", "id", world.now)
    given_up: list[UnfinishedUpload] = []
    monkeypatch.setattr(world.files, "list_uploads", lambda _: iter([upload]))
    monkeypatch.setattr(world.files, "abort_upload", given_up.append)
    before, asked = dict(world.files.contents()), []

    def guard() -> None:
        asked.append(1)
        if len(asked) > after:
            raise LockHeldError("another run's by now")

    with pytest.raises(LockHeldError):
        forget_old_runs(replace(world.tools(), guard=guard))
    assert (dict(world.files.contents()), len(given_up)) == (before, after)


def test_who_has_lost_the_lease_leaves_marks_and_drafts_where_they_are() -> None:
    gone, drafts = with_a_tag_that_went(), World()
    gone.now += GRACE + HOLD
    gone.files.delete_files(list(gone.files.list_files(LAYOUT)))
    drafts.files.put(f"{DRAFTS}/left", b"half an index")
    drafts.now += DRAFT_SECONDS + 1
    for world in (gone, drafts):
        before = dict(world.files.contents())
        with pytest.raises(LockHeldError):
            forget_old_runs(replace(world.tools(), guard=lost))
        assert dict(world.files.contents()) == before


def lost() -> None:
    raise LockHeldError("another run's by now")


@pytest.mark.parametrize("lacking", [1, 2, 3])
def test_a_record_that_a_listing_leaves_out_has_nothing_deleted_for_good(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, lacking: int
) -> None:
    """As a mount does of whose folders one is said not to be there, and a store that ends a listing too early."""
    world = world_that_waited()
    assert world.apply_plan(world.plan(keep_policy(1)))
    hidden, hiding = in_quarantine(world), world.runs[-1]
    assert hidden
    Journal(world.files, hiding).announce(Record(Step.INDEX, LAYOUT, world.now))
    world.now += 5 * (GRACE + HOLD)
    tools, listed, listings = world.tools(), world.files.list_files, itertools.count(1)

    def list_files(folder: str) -> Iterator[StoredFile]:
        is_cut = folder == RUNS and next(listings) == lacking
        return (file for file in listed(folder) if not (is_cut and file.path.endswith("-hide.json")))

    monkeypatch.setattr(world.files, "list_files", list_files)
    assert hiding not in forget_old_runs(tools)
    assert in_quarantine(world) == hidden
    told = [f"the run {hiding} is not forgotten: its journal does not account for {min(hidden)} and 1 more"]
    is_seen = lacking == 1  # the others guard against a further listing, of which there were three once
    assert [message.partition(";")[0] for message in caplog.messages] == (told if is_seen else [])


def test_a_run_whose_blobs_came_back_is_forgotten_with_the_copies_that_are_left() -> None:
    """A bucket has them, as it can only copy what comes back."""
    world = world_that_waited()
    assert world.apply_plan(world.plan(keep_policy(1)))
    hiding, copies = world.runs[-1], in_quarantine(world)
    assert world.undo(hiding)
    assert in_quarantine(world) == copies
    world.files.put(f"{TRASH}/{hiding}/.DS_Store", b"of a desktop that looked in")
    world.now += 5 * (GRACE + HOLD)
    assert hiding in forget_old_runs(world.tools())
    assert in_quarantine(world) == set()
    assert not [path for path in world.files.contents() if path.startswith(f"{TRASH}/{hiding}/")]
