"""Files in a directory, looked at and changed one by one: never through a link."""

import errno
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Barrier

import pytest

from infra.layout_builder import LayoutBuilder
from tasks.oci.digest import Digest
from tasks.oci.errors import OutsideSourceError, SourceReadError, SourceWriteError
from tasks.operations.cleanup.applying.apply_tools import ApplyTools
from tasks.operations.cleanup.applying.dropping import drop_layout, remake_halves
from tasks.operations.cleanup.applying.repository_applying import apply_repository
from tasks.operations.cleanup.deciding.blob_decisions import BlobRules
from tasks.operations.cleanup.planning.gone_layouts import is_gone
from tasks.operations.cleanup.planning.plan_tools import PlanTools
from tasks.operations.cleanup.planning.repository_planning import plan_repository
from tasks.operations.cleanup.records.holdings import Holdings
from tasks.operations.cleanup.records.journal import Journal
from tasks.operations.cleanup.values import RepositoryPlan, Timing
from tasks.operations.work.concurrency import CallersPool
from tasks.stores.directory import directory_files
from tasks.stores.directory.directory_files import DirectoryFiles
from tasks.stores.directory.file_errors import MOUNT_PAUSES
from tasks.stores.directory.layout_directory import LayoutDirectory
from tasks.stores.directory.writable_directory import DirectoryWriter, WritableDirectory
from tests.support.planned_layout import keep_last

TRASH = ".layoutlift/trash/run"


def linked_layouts(root: Path, folder: str) -> DirectoryWriter:
    """Two layouts, of which `app` has a folder of its neighbour's in place of its own."""
    for name in ("app", "neighbour"):
        layout = LayoutBuilder(root / name)
        layout.image("v1")
        layout.write()
        (layout.path / "ingest").mkdir(exist_ok=True)
    (root / "app" / folder).rename(root / "moved")
    (root / "app" / folder).symlink_to(root / "neighbour" / folder)
    return DirectoryWriter(root)


@pytest.mark.parametrize("folder", ["blobs", "blobs/sha256", "ingest"])
def test_a_layout_with_a_folder_of_another_one_is_left_alone_and_named(tmp_path: Path, folder: str) -> None:
    files = linked_layouts(tmp_path, folder)
    rules = BlobRules(files.now(), Timing(0.0, 0.0), 0.0, 0.0)
    tools = PlanTools(LayoutDirectory(tmp_path), files, Holdings(files), rules, map)
    plans = {name: plan_repository(tools, name, keep_last(1)) for name in ("app", "neighbour")}
    assert plans["app"].refused is not None
    assert folder.rpartition("/")[2] in plans["app"].refused.message
    assert plans["neighbour"].refused is None


@pytest.mark.parametrize("folder", ["blobs", "blobs/sha256"])
def test_nothing_is_moved_or_deleted_through_a_link(tmp_path: Path, folder: str) -> None:
    files = linked_layouts(tmp_path, folder)
    found = next(files.list_files("neighbour/blobs"))
    behind = found.path.replace("neighbour", "app", 1)
    through = type(found)(behind, found.size, found.modified, found.etag)
    with pytest.raises(OutsideSourceError, match="link"):
        files.hide_files([through], TRASH)
    with pytest.raises(OutsideSourceError, match="link"):
        files.delete_files([through])
    with pytest.raises(OutsideSourceError, match="link"):
        files.restore_files([behind], TRASH)
    assert files.stat_file(found.path) == found


def test_a_source_that_is_reached_by_a_link_itself_is_cleaned_up(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    LayoutBuilder(tmp_path / "source").write()
    (tmp_path / "link").symlink_to("source")
    files = DirectoryWriter(tmp_path / "link")
    files.write_file("notes", b"kept", None)
    assert {file.path.removeprefix("./") for file in files.list_files(".")} >= {"notes", "index.json"}


def test_a_layout_is_left_alone_and_named_while_another_one_has_a_link_to_what_goes(tmp_path: Path) -> None:
    """First while a plan is made, then while one is applied that was made before the link."""
    for name in ("app", "neighbour"):
        layout = LayoutBuilder(tmp_path / name)
        for tag in ("v1", "v2"):
            layout.image(tag, layers=[tag.encode()])
        layout.write()
    files = DirectoryWriter(tmp_path)

    def plan() -> RepositoryPlan:
        rules = BlobRules(DirectoryFiles(tmp_path).now(), Timing(0.0, 0.0), 0.0, 0.0)
        tools = PlanTools(LayoutDirectory(tmp_path), files, Holdings(files), rules, map)
        return plan_repository(tools, "neighbour", keep_last(1))

    def apply(planned: RepositoryPlan) -> list[str]:
        source, journal = WritableDirectory(tmp_path), Journal(files, "run")
        tools = ApplyTools(source, Holdings(files), journal, Timing(0.0, 0.0), map, lambda: None)
        return [problem.message for problem in apply_repository(tools, planned).problems]

    assert apply(plan()) == []
    before, blobs = plan(), set(files.list_files("neighbour/blobs"))
    shutil.rmtree(tmp_path / "app/blobs")
    (tmp_path / "app/blobs").symlink_to("../neighbour/blobs")
    refused = plan().refused
    assert refused is not None
    [problem] = apply(before)
    for message in (refused.message, problem):
        assert "app/blobs is a link to its blobs" in message
    assert set(files.list_files("neighbour/blobs")) == blobs


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_the_clock_is_not_written_through_what_somebody_put_in_its_place(tmp_path: Path, kind: str) -> None:
    """Whoever may write to the source must not have a cleanup write to what only its user may."""
    (tmp_path / "source/.layoutlift").mkdir(parents=True)
    clock, secret = tmp_path / "source/.layoutlift/clock", tmp_path / "only mine"
    secret.write_bytes(b"kept")
    clock.symlink_to(secret) if kind == "link" else os.mkfifo(clock)
    with pytest.raises(SourceWriteError, match="clock can't be written"):
        DirectoryWriter(tmp_path / "source").now()
    assert secret.read_bytes() == b"kept"


def test_a_file_that_is_written_anew_runs_as_nobody_else(tmp_path: Path) -> None:
    """The rights of whoever reads and writes stay; a cleanup gives nobody its own user's."""
    (tmp_path / "index.json").write_bytes(b"{}")
    (tmp_path / "index.json").chmod(0o6775)
    files = DirectoryWriter(tmp_path)
    found = files.read_file("index.json")
    assert found is not None
    files.write_file("index.json", b"[]", found.etag)
    assert (tmp_path / "index.json").stat().st_mode & 0o7777 == 0o775


class _Missed:
    """A file that is listed, and said not to be there when it is looked at."""

    def __init__(self, name: str) -> None:
        self.name = name

    def stat(self, *, follow_symlinks: bool) -> os.stat_result:
        raise FileNotFoundError(self.name, follow_symlinks)


def miss(monkeypatch: pytest.MonkeyPatch, name: str, times: int) -> None:
    """Have what each folder lists by this name be missed so many times; one that it has not is listed as often."""
    scandir, listings = os.scandir, Counter[str]()

    @contextmanager
    def with_one_missed(descriptor: int) -> Iterator[list[object]]:
        folder = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        listings[folder] += 1
        with scandir(descriptor) as entries:
            is_missed = listings[folder] <= times
            yield [_Missed(name)] * is_missed + [e for e in entries if e.name != name or not is_missed]

    monkeypatch.setattr(os, "scandir", with_one_missed)
    monkeypatch.setattr(directory_files, "wait_alone", lambda _: None)


@pytest.mark.parametrize("folder", [".", "app", "app/blobs/sha256"])
def test_a_file_that_goes_during_a_listing_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    """As the drafts of a cleaner and what oras begins do all the time."""
    (tmp_path / "app/blobs/sha256").mkdir(parents=True)
    for place in (".", "app", "app/blobs/sha256"):
        (tmp_path / place / "stays").write_bytes(b"")
    miss(monkeypatch, "went", 1)
    found = {file.path for file in DirectoryWriter(tmp_path).list_files(folder)}
    inside = "" if folder == "." else f"{folder}/"
    assert found == {p for p in ("stays", "app/stays", "app/blobs/sha256/stays") if p.startswith(inside)}


@pytest.mark.parametrize("name", ["app", "blobs", "file"])
@pytest.mark.parametrize("times", [1, 2, 4])
def test_what_is_listed_and_said_not_to_be_there_is_never_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, times: int
) -> None:
    """Some mounts say so when the store answered 503; what is below a folder would be missed in silence."""
    (tmp_path / "app/blobs").mkdir(parents=True)
    (tmp_path / "app/blobs/file").write_bytes(b"")
    miss(monkeypatch, name, times)
    files = DirectoryFiles(tmp_path)
    if times < 4:
        assert [file.path for file in files.list_files(".")] == ["app/blobs/file"]
        return
    with pytest.raises(SourceReadError, match=f"{name} is listed, and said not to be there.* compat_dir"):
        list(files.list_files("."))


def test_files_that_come_and_go_all_the_time_keep_no_folder_from_being_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stays").write_bytes(b"")
    scandir, numbers = os.scandir, count()

    @contextmanager
    def with_drafts(descriptor: int) -> Iterator[list[object]]:
        with scandir(descriptor) as entries:
            yield [_Missed(f"draft {next(numbers)}"), *entries]

    monkeypatch.setattr(os, "scandir", with_drafts)
    assert [file.path for file in DirectoryFiles(tmp_path).list_files(".")] == ["stays"]


LOOKS: dict[str, Callable[[DirectoryFiles, str], object]] = {
    "stat": DirectoryFiles.stat_file,
    "read": DirectoryFiles.read_file,
    "list": lambda files, path: list(files.list_files(path)),
}


@pytest.mark.parametrize("waits", [1, 2, 3])
@pytest.mark.parametrize(
    ("look", "name"),
    [
        ("stat", "index.json"),
        ("read", "index.json"),
        ("stat", "oci-layout"),
        ("read", "oci-layout"),
        ("list", "blobs"),
    ],
)
def test_what_a_layout_has_is_looked_for_again_on_a_mount_before_it_counts_as_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: str, name: str, waits: int
) -> None:
    """Some mounts say "no such file" when the store answered 503, and what counts as removed is deleted for good."""
    layout = LayoutBuilder(tmp_path / "app")
    layout.image("v1")
    layout.write()
    (layout.path / name).rename(tmp_path / "away")
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == waits:
            (tmp_path / "away").rename(layout.path / name)

    monkeypatch.setattr(directory_files, "wait_alone", wait)
    assert not LOOKS[look](DirectoryFiles(tmp_path), f"app/{name}")
    assert waited == []
    assert bool(LOOKS[look](DirectoryFiles(tmp_path, is_mount=True), f"app/{name}")) is (waits <= len(MOUNT_PAUSES))


def test_a_mount_is_given_as_long_by_whatever_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: dict[str, list[float]] = {"files": [], "layouts": []}
    monkeypatch.setattr(directory_files, "wait_alone", waited["files"].append)
    monkeypatch.setattr(time, "sleep", waited["layouts"].append)
    assert DirectoryFiles(tmp_path, is_mount=True).stat_file("app/index.json") is None
    assert LayoutDirectory(tmp_path).stat_blob("app", Digest.of(b"")) is None
    assert waited == {"files": list(MOUNT_PAUSES), "layouts": list(MOUNT_PAUSES)}
    assert sum(MOUNT_PAUSES) == pytest.approx(0.6)


def dropped_layouts(root: Path, *names: str) -> DirectoryWriter:
    """A mount on which a run dropped empty layouts."""
    for name in names:
        LayoutBuilder(root / name).write()
    source = WritableDirectory(root)
    tools = ApplyTools(
        source, Holdings(source.files), Journal(source.files, "run"), Timing(0.0, 0.0), map, lambda: None
    )
    assert [drop_layout(tools, name) for name in names] == [True] * len(names)
    return DirectoryWriter(root, is_mount=True)


def test_a_dropped_layout_of_which_nothing_is_there_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is so for each of them in each run; one that only seems so is made whole by the next."""
    files = dropped_layouts(tmp_path, "app", "other")
    monkeypatch.setattr(directory_files, "wait_alone", lambda _: pytest.fail("it is waited for"))
    assert list(remake_halves(files, is_alone=True)) == []


@pytest.mark.parametrize("waits", [1, 2, 99])
def test_half_a_dropped_layout_is_looked_at_again_before_it_counts_as_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waits: int
) -> None:
    files, waited = dropped_layouts(tmp_path, "app"), 0
    (tmp_path / "app/oci-layout").write_bytes(b"a writer's")

    def wait(_: float) -> None:
        nonlocal waited
        waited += 1
        if waited == waits:
            (tmp_path / "app/index.json").write_bytes(b"a writer's")

    monkeypatch.setattr(directory_files, "wait_alone", wait)
    assert [outcome.remade for outcome in remake_halves(files, is_alone=True)] == [True] * (waits == 99)
    assert ((tmp_path / "app/index.json").read_bytes() == b"a writer's") is (waits < 99)


def test_whether_a_layout_is_gone_is_waited_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not once for each of its three parts."""
    together = Barrier(3)
    monkeypatch.setattr(directory_files, "wait_alone", lambda _: together.wait(timeout=30))
    with CallersPool(3) as pool:
        assert is_gone(DirectoryFiles(tmp_path, is_mount=True), "app", pool.map)


def test_what_is_right_to_be_absent_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a record that is to be written, and a blob that is to come back."""
    monkeypatch.setattr(directory_files, "wait_alone", lambda _: pytest.fail("it is waited for"))
    files = DirectoryFiles(tmp_path, is_mount=True)
    assert files.read_file(".layoutlift/runs/run/app/000001-hide.json") is None
    assert files.stat_file("app/blobs/sha256/a") is None
    assert not list(files.list_files("app/ingest"))


def test_what_a_bucket_keeps_as_an_old_version_is_neither_back_nor_gone_through_a_mount(tmp_path: Path) -> None:
    files = DirectoryWriter(tmp_path)
    with pytest.raises(SourceWriteError, match="clean the source up natively again"):
        files.restore_files(["app/blobs/sha256/a"], None)
    with pytest.raises(SourceWriteError, match="clean the source up natively again"):
        files.purge_files(["app/blobs/sha256/a"], None)


def test_what_is_deleted_of_our_own_leaves_no_empty_folders(tmp_path: Path) -> None:
    files = DirectoryWriter(tmp_path)
    for path in (".layoutlift/runs/run/team/app/000001-index.json", "team/app/ingest/begun"):
        files.write_file(path, b"{}", None)
        assert files.delete_files(list(files.list_files(path.partition("/")[0])))
    assert not (tmp_path / ".layoutlift/runs").exists()
    assert (tmp_path / "team/app/ingest").is_dir()


def test_an_index_that_a_writer_brings_just_now_is_not_overwritten_by_that_of_a_dropped_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mounts without hard links put a new file in place by a rename, which asks nobody."""
    layout, index = LayoutBuilder(tmp_path / "app"), tmp_path / "app" / "index.json"
    layout.write()
    source = WritableDirectory(tmp_path)
    holdings, journal = Holdings(source.files), Journal(source.files, "run")
    tools = ApplyTools(source, holdings, journal, Timing(0.0, 0.0), map, guard=lambda: None)
    assert drop_layout(tools, "app")
    (tmp_path / "app" / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')

    def no_links(*_: object, **__: object) -> None:
        index.write_text("a writer's")
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    assert list(remake_halves(source.files, is_alone=False)) == []
    assert not index.exists() or index.read_text() == "a writer's"
    assert [outcome.remade for outcome in remake_halves(source.files, is_alone=True)] == [True]
