"""A mount that hangs or dies: the run says so and ends, also where a read can't be interrupted."""

import json
import os
import signal
import time
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path

import pytest

from infra.real_parts import Registry, S3Fs, SeaweedFS, wait_until
from tests.support.command import Layoutlift
from tests.support.content import tree
from tests.support.fault_proxy import FaultProxy
from tests.support.hung_mounts import hang, is_running, left_behind, stopped_process
from tests.support.real_parts import running

pytestmark = pytest.mark.fuse
SOURCE_TIMEOUT = 6
ENDS_WITHIN = 60.0
REMEDY = "fusermount3"


@pytest.fixture
def mount(seaweedfs: SeaweedFS, tmp_path: Path) -> Generator[S3Fs]:
    """A bucket with a tree of layouts, through an s3fs of the test's own."""
    bucket = seaweedfs.create_bucket(f"mount-{os.urandom(6).hex()}")
    with running(S3Fs(tmp_path / "s3fs", s3=seaweedfs, bucket=bucket)) as mounted:
        tree(mounted.mountpoint / "team", repositories=3, tags=4, size=200_000)
        yield mounted


@pytest.fixture
def impatient(layoutlift: Layoutlift) -> Layoutlift:
    layoutlift.environment["LAYOUTLIFT_SOURCE_TIMEOUT"] = str(SOURCE_TIMEOUT)
    return layoutlift


def test_a_mount_that_hangs_from_the_start_is_said_so_in_a_report(
    impatient: Layoutlift, mount: S3Fs, docker_registry: Registry, prefix: str
) -> None:
    with stopped_process(mount.pid):
        hang(mount)
        ended = impatient.migrate(mount.mountpoint, f"{docker_registry.host}/{prefix}", code=1)
        reader = left_behind(ended.stderr)
    assert ended.seconds < ENDS_WITHIN
    assert REMEDY in ended.stderr
    assert ended.findings == {(".", "source_unavailable")}
    wait_until(lambda: not is_running(reader), what="the process that was left behind ends with the hang")


def test_a_mount_that_hangs_in_the_middle_ends_the_run_with_every_tag_in_the_report(
    impatient: Layoutlift, mount: S3Fs, proxy: FaultProxy, prefix: str
) -> None:
    """It lies below the source, which answers itself."""
    source, target = mount.mountpoint.parent, f"{proxy.host}/{prefix}"
    with (
        stopped_process(mount.pid),
        impatient.running("migrate", source, target, "--limit-rate", "400k", "--jobs", "2") as process,
    ):
        wait_until(lambda: proxy.stored() != [], what="the first blob is there")
        hang(mount)
        started = time.monotonic()
        _, stderr = process.communicate(timeout=ENDS_WITHIN + 30)
    assert process.returncode == 1, stderr
    assert time.monotonic() - started < ENDS_WITHIN
    assert "hangs" in stderr
    report = impatient.last_report
    failed = [row["error"]["code"] for row in report["tags"] if row["error"]]
    assert failed
    assert set(failed) == {"source_unavailable"}
    complete = impatient.migrate(source, target, "--depth", "content")
    assert len(complete.report["tags"]) == 12


def test_a_mount_that_hangs_does_not_keep_whoever_reads_our_output(
    impatient: Layoutlift, mount: S3Fs, tmp_path: Path
) -> None:
    """The process that is left behind holds no pipe and no folder of ours."""
    with stopped_process(mount.pid):
        hang(mount)
        ended = impatient("ls", mount.mountpoint, "--json", code=1, cwd=tmp_path)
    assert ended.seconds < ENDS_WITHIN


def test_ctrl_c_ends_in_time_though_the_mount_hangs(layoutlift: Layoutlift, mount: S3Fs, tmp_path: Path) -> None:
    with stopped_process(mount.pid):
        hang(mount)
        with layoutlift.running("check", mount.mountpoint) as process:
            wait_until(lambda: reader_of(process.pid) is not None, what="the reader has started")
            process.send_signal(signal.SIGINT)
            started = time.monotonic()
            process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - started < 10


def reader_of(pid: int) -> int | None:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    listed = children.read_text().split() if children.exists() else []
    return int(listed[0]) if listed else None


@pytest.mark.parametrize("command", ["check", "ls"])
def test_a_mount_that_died_is_said_so(layoutlift: Layoutlift, mount: S3Fs, command: str) -> None:
    os.kill(mount.pid, signal.SIGKILL)
    wait_until(lambda: not is_running(mount.pid), what="s3fs is dead")
    ended = layoutlift(command, mount.mountpoint, code=2)
    assert "is the bucket mounted" in ended.stderr


def test_a_mount_that_dies_in_the_middle_is_said_so(
    layoutlift: Layoutlift, mount: S3Fs, proxy: FaultProxy, prefix: str
) -> None:
    with layoutlift.running(
        "migrate", mount.mountpoint, f"{proxy.host}/{prefix}", "--limit-rate", "400k", "--jobs", "2"
    ) as process:
        wait_until(lambda: proxy.stored() != [], what="the first blob is there")
        os.kill(mount.pid, signal.SIGKILL)
        started = time.monotonic()
        _, stderr = process.communicate(timeout=ENDS_WITHIN + 30)
    assert process.returncode == 1, stderr
    assert time.monotonic() - started < ENDS_WITHIN
    assert "source_unavailable" in json.dumps(layoutlift.last_report)


def test_a_mount_that_is_taken_away_in_the_middle_is_not_mistaken_for_lost_content(
    layoutlift: Layoutlift, mount: S3Fs, proxy: FaultProxy, prefix: str
) -> None:
    """As when its service is stopped: what was below it is absent since, and nothing says an error."""
    target = f"{proxy.host}/{prefix}"
    with layoutlift.running("migrate", mount.mountpoint, target, "--limit-rate", "400k", "--jobs", "2") as process:
        wait_until(lambda: proxy.stored() != [], what="the first blob is there")
        os.kill(mount.pid, signal.SIGTERM)
        _, stderr = process.communicate(timeout=ENDS_WITHIN + 30)
    assert process.returncode == 1, stderr
    assert "was taken away" in stderr
    failed = {row["error"]["code"] for row in layoutlift.last_report["tags"] if row["error"]}
    assert failed == {"source_unavailable"}


def readers_of(mountpoint: Path) -> list[int]:
    """The processes that read this mount for a command."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (folder / "cmdline").read_bytes().split(b"\0")
            if b"tasks.stores.directory.layout_process" in command and str(mountpoint).encode() in command:
                found.append(int(folder.name))
    return found


def test_no_process_outlives_the_run_that_started_it(
    layoutlift: Layoutlift, mount: S3Fs, proxy: FaultProxy, prefix: str
) -> None:
    layoutlift.check(mount.mountpoint)
    assert readers_of(mount.mountpoint) == []
    line = ("migrate", mount.mountpoint, f"{proxy.host}/{prefix}", "--limit-rate", "400k", "--jobs", "2")
    with layoutlift.running(*line) as process:
        wait_until(lambda: proxy.stored() != [], what="the first blob is there")
        assert len(readers_of(mount.mountpoint)) == 1
        process.kill()
        process.communicate()
    wait_until(lambda: readers_of(mount.mountpoint) == [], what="the reader of a killed run ends")
