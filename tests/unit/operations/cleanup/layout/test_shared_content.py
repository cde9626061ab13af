"""What other repositories count on stays: bytes that zot wrote once for all, and folders that links lead to."""

import hashlib
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from tasks.file_ports import StoredFile
from tasks.oci.digest import Digest
from tasks.oci.errors import NotJudgedError, SourceReadError
from tasks.operations.cleanup.layout.shared_content import SharedContent, is_placeholder
from tasks.operations.cleanup.values import CleanupAction
from tasks.stores.directory.directory_files import DirectoryFiles
from tests.support.cleanup_world import HOLD, World, blob_path, keep_policy, world_that_waited
from tests.support.memory_files import MemoryFiles

LAYER = b"layer 1"
DIGEST = Digest.of(LAYER)
OTHER = f"other/blobs/sha256/{DIGEST.encoded}"


@pytest.fixture
def world() -> World:
    """v1 left the index, and its blobs are marked."""
    return world_that_waited()


def test_what_another_repository_has_a_placeholder_for_stays(world: World) -> None:
    world.files.put(OTHER, b"")
    plan = world.plan(keep_policy(1))
    [decision] = [blob for blob in plan.blobs if blob.digest == DIGEST]
    assert (decision.action, decision.reason) == (CleanupAction.MARK, "other has a placeholder of zot for it")
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


@pytest.mark.parametrize(
    ("path", "raw"),
    [
        (f".layoutlift/trash/run/{OTHER}", b""),
        (f"other/sha256/{DIGEST.encoded}", b""),
        (f"other/blobs/{DIGEST.encoded}", b""),
        (OTHER, LAYER),
    ],
)
def test_what_is_hidden_elsewhere_or_whole_is_no_placeholder(path: str, raw: bytes) -> None:
    files = MemoryFiles(lambda: 1.0)
    files.put(path, raw)
    assert SharedContent(files).needing("app", [DIGEST]) == {}


def test_a_source_is_listed_once_and_only_where_something_is_to_go(monkeypatch: pytest.MonkeyPatch) -> None:
    files, listed = MemoryFiles(lambda: 1.0), []
    monkeypatch.setattr(files, "list_files", lambda folder: iter(listed.append(folder) or ()))
    shared = SharedContent(files)
    assert shared.needing("app", []) == {}
    assert listed == []
    for _ in range(2):
        shared.needing("app", [DIGEST])
    assert listed == ["."]


@pytest.mark.parametrize(("failures", "listings"), [(1, 2), (9, 2)])
def test_a_source_that_can_not_be_listed_is_tried_once_more_and_not_for_each_repository(
    monkeypatch: pytest.MonkeyPatch, failures: int, listings: int
) -> None:
    """A mount may never find a folder that it lists, and a walk through all of it may take minutes."""
    files, listed = MemoryFiles(lambda: 1.0), []

    def list_files(folder: str) -> Iterator[StoredFile]:
        listed.append(folder)
        yield StoredFile("other/index.json", 1, 1.0, "a")
        if len(listed) <= failures:
            raise SourceReadError("app is listed, and said not to be there")

    monkeypatch.setattr(files, "list_files", list_files)
    shared = SharedContent(files)
    for repository in range(5):
        is_told = repository >= failures
        with nullcontext() if is_told else pytest.raises(SourceReadError, match="app is listed"):
            assert shared.needing(f"app{repository}", [DIGEST]) == {}
    assert len(listed) == listings


@pytest.mark.parametrize(("failures", "listings"), [(3, 4), (99, 10)])
def test_failures_that_pass_each_cost_one_repository_and_not_all_that_follow(
    monkeypatch: pytest.MonkeyPatch, failures: int, listings: int
) -> None:
    """As where a mirror goes on with renaming folders while a mount is walked through."""
    files, listed = MemoryFiles(lambda: 1.0), []

    def list_files(folder: str) -> Iterator[StoredFile]:
        listed.append(folder)
        yield StoredFile("other/index.json", 1, 1.0, "a")
        if len(listed) <= failures:
            raise SourceReadError(f"app-{len(listed)} was there a moment ago and is gone")

    monkeypatch.setattr(files, "list_files", list_files)
    shared = SharedContent(files)
    for repository in range(20):
        with nullcontext() if repository >= failures else pytest.raises(SourceReadError, match="was there a moment"):
            assert shared.needing(f"app{repository}", [DIGEST]) == {}
    assert len(listed) == listings


def test_a_failure_that_stays_is_known_again_beside_others(monkeypatch: pytest.MonkeyPatch) -> None:
    files, told = MemoryFiles(lambda: 1.0), iter(["a", "b", "a"])

    def list_files(_: str) -> Iterator[StoredFile]:
        raise SourceReadError(f"{next(told)} is listed, and said not to be there")

    monkeypatch.setattr(files, "list_files", list_files)
    shared = SharedContent(files)
    for name in ("a", "b", "a", "a", "a"):
        with pytest.raises(SourceReadError, match=f"^{name} is listed"):
            shared.needing("app", [DIGEST])


def test_only_empty_files_that_should_not_be_empty_are_placeholders() -> None:
    files = MemoryFiles(lambda: 1.0)
    nothing = hashlib.sha256().hexdigest()
    files.put(f"blobs/sha256/{DIGEST.encoded}", b"")
    for path in (f"a/blobs/sha256/{nothing}", "a/blobs/sha256/short", f".layoutlift/trash/run/{OTHER}", "empty"):
        files.put(path, b"")
    found = SharedContent(files).needing("app", [DIGEST, Digest.of(b"")])
    assert found == {DIGEST: ". has a placeholder of zot for it"}


@pytest.mark.parametrize("linked", ["blobs", "blobs/sha256", f"blobs/sha256/{DIGEST.encoded}"])
def test_blobs_that_a_link_of_the_source_leads_to_stay(tmp_path: Path, linked: str) -> None:
    for layout in ("team/app", "other"):
        (tmp_path / layout).mkdir(parents=True)
    (tmp_path / "team/app/blobs/sha256").mkdir(parents=True)
    (tmp_path / "team/app/blobs/sha256" / DIGEST.encoded).write_bytes(LAYER)
    (tmp_path / "other" / linked).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "other" / linked).symlink_to(tmp_path / "team/app" / linked)
    shared = SharedContent(DirectoryFiles(tmp_path))
    assert shared.needing("other", [DIGEST]) == {}
    assert shared.needing("team/app", []) == {}
    with pytest.raises(NotJudgedError, match=f"other/{linked} is a link"):
        shared.needing("team/app", [DIGEST])


def test_links_to_whole_layouts_and_out_of_the_source_share_nothing(tmp_path: Path) -> None:
    """Behind the first is the very index that was judged; of the second nothing is known here."""
    (tmp_path / "source/app/blobs").mkdir(parents=True)
    (tmp_path / "elsewhere/blobs").mkdir(parents=True)
    (tmp_path / "source/latest").symlink_to("app")
    (tmp_path / "source/gone").symlink_to("nowhere")
    (tmp_path / "source/out").symlink_to(tmp_path / "elsewhere/blobs")
    assert SharedContent(DirectoryFiles(tmp_path / "source")).needing("app", [DIGEST]) == {}


@pytest.mark.parametrize("layout", [".", "blobs/app"])
def test_a_layout_counts_as_linked_to_wherever_it_is_called_blobs(tmp_path: Path, layout: str) -> None:
    """Also the source itself, and one below a folder of that name."""
    (tmp_path / layout / "blobs/sha256").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/blobs").symlink_to(tmp_path / layout / "blobs")
    with pytest.raises(NotJudgedError, match="other/blobs is a link"):
        SharedContent(DirectoryFiles(tmp_path)).needing(layout, [DIGEST])


def test_a_repository_whose_name_begins_as_ours_counts_like_any_other() -> None:
    files = MemoryFiles(lambda: 1.0)
    files.put(f".layoutlifted/blobs/sha256/{DIGEST.encoded}", b"")
    assert SharedContent(files).needing("app", [DIGEST]) == {DIGEST: ".layoutlifted has a placeholder of zot for it"}


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_content_that_is_empty_is_no_placeholder(algorithm: str) -> None:
    assert not is_placeholder(0, Digest.of(b"", algorithm))
    assert is_placeholder(0, Digest.of(b"a", algorithm))
