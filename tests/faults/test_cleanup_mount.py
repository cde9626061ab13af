"""A mount that hangs or is taken away under what cleans it up: the command says so and ends, and nothing breaks."""

import os
import subprocess
import time
from collections.abc import Generator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from infra.real_parts import Goofys, Mount, Rclone, S3Fs, SeaweedFS, wait_until
from tasks.oci.errors import SourceUnavailableError
from tasks.patience import patience_with_source
from tasks.stores.directory.watched_writer import WatchedWritable
from tests.support.buckets import upload
from tests.support.cleanup_trials import entries, files_in_bucket, holes
from tests.support.command import Layoutlift, interrupt
from tests.support.content import tree
from tests.support.hung_mounts import hang, is_running, left_behind, stopped_process
from tests.support.policies import newest_by_name
from tests.support.real_parts import running

pytestmark = pytest.mark.fuse
SOURCE_TIMEOUT = 3
ENDS_WITHIN = 60.0
ALONE = "--i-am-the-only-writer"
REPOSITORIES = 3


@pytest.fixture
def mount(seaweedfs: SeaweedFS, tmp_path: Path) -> Generator[S3Fs]:
    """A bucket with a tree of layouts, through an s3fs of the test's own."""
    bucket = seaweedfs.create_bucket(f"cleaned-{os.urandom(6).hex()}")
    with running(S3Fs(tmp_path / "s3fs", s3=seaweedfs, bucket=bucket)) as mounted:
        tree(mounted.mountpoint, repositories=REPOSITORIES, tags=4)
        yield mounted


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    (tmp_path / "policy.yaml").write_text(newest_by_name(2, 50))
    return tmp_path / "policy.yaml"


@pytest.fixture
def impatient(layoutlift: Layoutlift) -> Layoutlift:
    layoutlift.environment["LAYOUTLIFT_SOURCE_TIMEOUT"] = str(SOURCE_TIMEOUT)
    return layoutlift


def made_plan(layoutlift: Layoutlift, mount: Mount, policy: Path) -> Path:
    plan = policy.with_name("plan.jsonl")
    layoutlift("cleanup", "plan", mount.mountpoint, "--policy", policy, "-o", plan)
    return plan


def stored(mount: S3Fs) -> dict[str, bytes]:
    return files_in_bucket(mount.s3.client(), mount.bucket)


def has_begun(mount: S3Fs) -> bool:
    """Whether a step of a run has been announced in the bucket."""
    found = mount.s3.client().list_objects_v2(Bucket=mount.bucket, Prefix=".layoutlift/runs/")
    return bool(found.get("Contents"))


def test_whatever_cleans_a_mount_up_ends_in_time_where_it_hangs_from_the_start(
    impatient: Layoutlift, mount: S3Fs, policy: Path
) -> None:
    plan, source = made_plan(impatient, mount, policy), mount.mountpoint
    output = policy.with_name("other.jsonl")
    commands: list[tuple[str | Path, ...]] = [
        ("cleanup", "plan", source, "--policy", policy, "-o", output),
        ("cleanup", "apply", plan, ALONE),
        ("cleanup", "undo", "20260615T120000Z-1a2b3c", "--source", source, ALONE),
        ("delete", source, "app-0:v0", "--apply", ALONE),
        ("recover", source, "--apply", ALONE),
    ]
    with stopped_process(mount.pid), ExitStack() as stack:
        hang(mount)
        started = time.monotonic()
        processes = [stack.enter_context(impatient.running_plainly(*line)) for line in commands]
        ended = [(process.communicate(timeout=ENDS_WITHIN)[1], process.returncode) for process in processes]
        assert time.monotonic() - started < ENDS_WITHIN
    assert [code for _, code in ended] == [1] * len(commands), ended
    assert all("hangs" in stderr and "fusermount3 -uz" in stderr for stderr, _ in ended)
    assert not output.exists()


def test_a_mount_that_hangs_while_it_is_cleaned_up_costs_no_more_than_another_run(
    impatient: Layoutlift, mount: S3Fs, policy: Path
) -> None:
    plan = made_plan(impatient, mount, policy)
    with (
        stopped_process(mount.pid),
        impatient.running_plainly("cleanup", "apply", plan, ALONE) as process,
    ):
        os.setpriority(os.PRIO_PROCESS, process.pid, 19)  # on a busy machine, too, it is this test that is quick
        wait_until(lambda: has_begun(mount), what="the run has begun")
        hang(mount)
        started = time.monotonic()
        stdout, stderr = process.communicate(timeout=ENDS_WITHIN)
    assert (process.returncode, time.monotonic() - started < ENDS_WITHIN) == (1, True), stderr
    assert "let nobody write before" in stderr
    assert "run 2" in stdout  # by which it can be undone
    wait_until(lambda: not is_running(left_behind(stderr)), what="what was left behind ends with the hang")
    assert not list(holes(stored(mount)))
    impatient("cleanup", "apply", made_plan(impatient, mount, policy), ALONE)
    assert not list(holes(stored(mount)))
    listed = impatient.listed(mount.mountpoint)["repositories"]
    assert [[tag["tag"] for tag in repository["tags"]] for repository in listed] == [["v2", "v3"]] * REPOSITORIES


@pytest.mark.soak
@pytest.mark.parametrize("kind", [Goofys, Rclone])
def test_a_mount_that_keeps_little_of_posix_can_be_cleaned_up_all_the_same(
    kind: type[Goofys | Rclone], layoutlift: Layoutlift, seaweedfs: SeaweedFS, tmp_path: Path
) -> None:
    """It can't write within a file, or rename a folder; plan, apply and undo, then all three steps to the end."""
    tree(tmp_path / "tree", repositories=2, tags=3)
    bucket = seaweedfs.create_bucket(f"cleaned-{os.urandom(6).hex()}")
    upload(seaweedfs, tmp_path / "tree", bucket)
    (policy := tmp_path / "policy.yaml").write_text(newest_by_name(1, 100).replace("hold: 0s", "hold: 1h"))
    with running(kind(tmp_path / "mount", s3=seaweedfs, bucket=bucket)) as mount:
        before = files_in_bucket(seaweedfs.client(), bucket)
        runs = []
        for words in ("2 entries taken out", "4 blobs into the quarantine"):
            ended = layoutlift("cleanup", "apply", made_plan(layoutlift, mount, policy), ALONE)
            assert ended.stdout.count(words) == 2
            runs.append(ended.stdout.split()[-1])
        for run in reversed(runs):
            layoutlift("cleanup", "undo", run, ALONE)
        after = files_in_bucket(seaweedfs.client(), bucket)
        assert {path for path in after if not path.startswith(".layoutlift/")} == set(before)
        assert all(len(entries(after, layout)) == 3 for layout in ("app-0", "app-1"))
        policy.write_text(newest_by_name(1, 100))
        for _ in range(3):
            layoutlift("cleanup", "apply", made_plan(layoutlift, mount, policy), ALONE)
            files = files_in_bucket(seaweedfs.client(), bucket)
            assert not list(holes(files))
        assert sum("/blobs/" in path for path in files) == 2 * 4


@pytest.mark.soak
def test_ctrl_c_ends_an_apply_in_time_though_the_mount_hangs(
    layoutlift: Layoutlift, mount: S3Fs, policy: Path
) -> None:
    plan = made_plan(layoutlift, mount, policy)
    with stopped_process(mount.pid), layoutlift.running_plainly("cleanup", "apply", plan, ALONE) as process:
        wait_until(lambda: has_begun(mount), what="the run has begun")
        hang(mount)
        code, _, stderr, seconds = interrupt(process, within=30)
    assert (code, seconds < 15) == (130, True), stderr


def test_nothing_is_written_below_a_mount_that_was_taken_away(
    impatient: Layoutlift, mount: S3Fs, policy: Path
) -> None:
    """It could not be mounted again over what is there."""
    plan = made_plan(impatient, mount, policy)
    with impatient.running_plainly("cleanup", "apply", plan, ALONE) as process:
        wait_until(lambda: has_begun(mount), what="the run has begun")
        subprocess.run(["fusermount3", "-uz", str(mount.mountpoint)], check=True)
        _, stderr = process.communicate(timeout=ENDS_WITHIN)
    assert process.returncode == 1, stderr
    assert "was taken away" in stderr
    assert list(mount.mountpoint.iterdir()) == []
    assert not list(holes(stored(mount)))


def test_nothing_is_written_for_a_first_request_below_a_mount_that_went_just_now(
    mount: S3Fs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the last look whether it is there; each request that waits for none has a channel of its own."""
    with closing(WatchedWritable(str(mount.mountpoint), patience_with_source())) as writable:
        assert writable.files.now()
        subprocess.run(["fusermount3", "-uz", str(mount.mountpoint)], check=True)
        monkeypatch.setattr(writable._process, "check_mounted", lambda *_, **__: None)
        with closing(writable._process._idle.pop()), pytest.raises(SourceUnavailableError, match="was taken away"):
            writable.files.write_file("app/index.json", b"{}", None)
    assert list(mount.mountpoint.iterdir()) == []
