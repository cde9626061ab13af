"""What of a SOURCE argument is refused before anything is read, and which words mean the same source and target."""

import errno
import os
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from infra.real_parts.waiting import wait_until
from tasks.cleanup_applies import open_writable
from tasks.cleanup_plans import CleanupOptions, open_planner
from tasks.endpoints import close_source, open_source, open_state, source_identity
from tasks.oci.errors import ConfigurationError, LockHeldError
from tasks.operations.cleanup.deciding.policy import Policy
from tasks.stop import Stop
from tasks.stores import source_checks
from tasks.stores.bucket.s3_address import BucketAccess
from tasks.stores.directory import layout_search, mounts


def enter_writable(source: str) -> None:
    with open_writable(source, BucketAccess()):
        pass


def plan_cleanup(source: str) -> None:
    with open_planner(CleanupOptions(source, BucketAccess()), Policy(()), Stop()):
        pass


@pytest.mark.parametrize("bucket", ["layouts--usw2-az1--x-s3", "layouts--usw2-az1--xa-s3"])
def test_a_directory_bucket_is_refused_for_what_asks_it_for_more_than_whole_folders(bucket: str) -> None:
    """Before anything is asked, as a lease or a lock would be written before the first listing fails."""
    source = f"s3://{bucket}/team"
    for act in (enter_writable, plan_cleanup):
        with pytest.raises(ConfigurationError, match=f"{source} is a directory bucket .* can't be cleaned up"):
            act(source)
    refused = rf"^--state {source} .* can't hold a state: .*; name a folder, or a bucket of another kind$"
    with pytest.raises(ConfigurationError, match=refused):
        open_state(source, "/mnt/bucket", "host", BucketAccess(), Stop())


@pytest.mark.parametrize("encoding", ["ascii", "iso8859-1"])
def test_a_folder_is_read_only_where_its_names_are_read_as_utf_8(
    encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "app").mkdir()
    open_source(str(tmp_path))
    enter_writable(str(tmp_path))
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: encoding)
    with pytest.raises(ConfigurationError, match=f"{encoding}.*: set LC_ALL=C.UTF-8 or PYTHONUTF8=1"):
        open_source(str(tmp_path))
    with pytest.raises(ConfigurationError, match="PYTHONUTF8"):
        enter_writable(str(tmp_path))


def test_a_folder_is_read_only_where_a_file_can_be_asked_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a chroot without /proc, each layout would look as if it had lost its files, and be called broken."""
    (tmp_path / "app").mkdir()
    open_source(str(tmp_path))
    monkeypatch.setattr(source_checks, "_OPENED", tmp_path / "proc")
    with pytest.raises(ConfigurationError, match="/proc is not mounted"):
        open_source(str(tmp_path))
    with pytest.raises(ConfigurationError, match="/proc is not mounted"):
        enter_writable(str(tmp_path))


def test_a_folder_that_can_not_be_looked_at_is_named_with_the_reason(tmp_path: Path) -> None:
    place = str(tmp_path / ("x" * 300))
    for act in (lambda: open_source(place), lambda: enter_writable(place)):
        with pytest.raises(ConfigurationError, match=r"x is not a directory; .* \(File name too long\)"):
            act()
    with pytest.raises(ConfigurationError, match="nothing at all is not a directory"):
        open_source(str(tmp_path / "nothing at all"))


@pytest.mark.parametrize(
    "target", ["registry.example:5000/team", "Registry.Example:5000/team", "registry.example:5000/team/"]
)
def test_one_target_has_one_lock_however_it_is_written(tmp_path: Path, target: str) -> None:
    def lock(target: str) -> AbstractContextManager[object]:
        return open_state(str(tmp_path), "/mnt/bucket", target, BucketAccess(), Stop()).lock("run")

    with lock("registry.example:5000/team"), pytest.raises(LockHeldError), lock(target):
        pass


def test_one_bucket_has_one_identity_however_its_endpoint_is_written() -> None:
    written = ("http://s3.example:8333", "http://s3.example:8333/")
    assert len({source_identity("s3://bucket", BucketAccess(endpoint)) for endpoint in written}) == 1


@pytest.mark.parametrize("source", ["s3://bucket", "/mnt/bucket"])
def test_what_is_known_of_a_source_that_is_split_is_not_known_of_its_layouts(source: str) -> None:
    whole, split = (source_identity(source, BucketAccess(), by_name=by_name) for by_name in (False, True))
    assert whole != split


@pytest.mark.parametrize("source", ["s3://bucket", "/mnt/bucket"])
def test_a_source_that_has_a_name_is_known_by_that_wherever_it_is(source: str) -> None:
    names = {
        source_identity(source, BucketAccess(), name="lightweight-registry", by_name=split) for split in (False, True)
    }
    assert names == {"lightweight-registry", "lightweight-registry by name"}


def test_a_source_without_a_name_is_known_as_it_always_was() -> None:
    assert source_identity("/mnt/bucket/", BucketAccess()) == "/mnt/bucket"
    assert source_identity("s3://bucket/a/", BucketAccess("http://here/")) == "s3://bucket/a at http://here"


def test_a_split_source_lets_go_of_the_process_that_reads_its_mount(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounts, "resolve", lambda source: (source, True))
    others = _children()
    source = open_source(str(tmp_path), by_name=True)
    assert not list(source.list_layouts())
    assert _children() - others
    close_source(source)
    wait_until(lambda: not _children() - others, what="the reader ends", deadline_seconds=30)


def _children() -> set[str]:
    """The processes that this one has started and that run."""
    children = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return {pid for each in children for pid in each.read_text().split() if not _is_dead(pid)}


def _is_dead(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_a_folder_that_can_not_be_listed_for_the_moment_is_not_waited_for_once_the_run_is_to_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "app").mkdir()
    listed = os.scandir

    def scandir(path: str) -> object:
        if path.endswith("/app"):
            raise OSError(errno.EIO, "Input/output error")
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(layout_search, "PAUSES", (3600.0,))
    stop = Stop()
    stop.set()
    [finding] = open_source(str(tmp_path), stop).list_layouts()
    assert finding.code == "unreadable_directory"
