import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tasks.oci.errors import ProgramFailedError, StateError
from tasks.stores.benchmark import remains
from tasks.stores.benchmark.remains import WorkFolder, sweep, work_root
from tasks.stores.local_parts.processes import start_time
from tasks.stores.state.lock_holder import LockHolder

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


def a_dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def leave_behind(root: Path, pid: int) -> Path:
    """A folder as a run of that process would leave it."""
    folder = root / "run"
    folder.mkdir(parents=True)
    (folder / "owner.json").write_text(json.dumps(asdict(replace(LockHolder.here("run", "", ""), pid=pid))))
    (folder / "data").write_bytes(b"x")
    return folder


def test_what_a_dead_run_left_is_removed_and_its_programs_are_ended(tmp_path: Path) -> None:
    folder = leave_behind(tmp_path, a_dead_pid())
    with subprocess.Popen(SLEEP) as program, subprocess.Popen(SLEEP) as stranger:
        try:
            (folder / "started").write_text(f"{program.pid} {start_time(program.pid)}\n{stranger.pid} 1\n")
            assert sweep(tmp_path) == ["run"]
            assert program.wait(10) == -9
            with pytest.raises(subprocess.TimeoutExpired):  # its process id was another's before
                stranger.wait(0.2)
        finally:
            program.kill()
            stranger.kill()
    assert not folder.exists()


def test_nothing_of_a_dead_run_is_deleted_while_something_is_mounted_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = leave_behind(tmp_path, a_dead_pid())
    (folder / "mount").mkdir()
    (folder / "mount" / "theirs").touch()

    def busy(mountpoint: Path) -> None:
        raise ProgramFailedError(f"{mountpoint} is busy")

    monkeypatch.setattr(remains, "mount_points", lambda: [str(folder / "mount")])
    monkeypatch.setattr(remains, "unmount", busy)
    with pytest.raises(ProgramFailedError, match="run/mount is busy"):
        sweep(tmp_path)
    assert (folder / "mount" / "theirs").exists()


def test_what_a_run_left_that_was_killed_while_it_tidied_up_is_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a second Ctrl-C; a folder whose owner is not told is left alone for good."""
    folder, unlink = leave_behind(tmp_path, a_dead_pid()), os.unlink
    for number in range(100):
        (folder / f"mounted-{number}").mkdir()
        (folder / f"mounted-{number}" / "data").write_bytes(b"x")

    def killed(path: str, **more: int) -> None:
        unlink(path, **more)
        if path == "owner.json" or not any(folder.glob("mounted-*/data")):
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            sweep(tmp_path)
    assert sweep(tmp_path) == ["run"]
    assert not folder.exists()


def test_a_run_that_is_at_work_is_left_alone(tmp_path: Path) -> None:
    folder = leave_behind(tmp_path, os.getpid())
    (tmp_path / "not ours").mkdir()
    assert sweep(tmp_path) == []
    assert folder.exists()
    assert (tmp_path / "not ours").exists()


def of_another_boot(folder: Path) -> None:
    owner = replace(LockHolder.here("run", "", ""), machine="another boot")
    (folder / "owner.json").write_text(json.dumps(asdict(owner)))


def half_written(folder: Path) -> None:
    (folder / "owner.json").write_text("{")


@pytest.mark.parametrize("owned", [of_another_boot, half_written])
def test_what_a_run_before_the_last_boot_left_goes_after_a_day_and_no_program_with_it(
    tmp_path: Path, owned: Callable[[Path], None]
) -> None:
    """Their process ids are others' by now; within that day, it may be another machine that has the folder, too."""
    folder = leave_behind(tmp_path, os.getpid())
    owned(folder)
    (folder / "started").write_text(f"{os.getpid()} {start_time(os.getpid())}\n")
    assert sweep(tmp_path) == []
    then = time.time() - remains.OTHERS_HOLD.total_seconds() - 60
    for path in (folder / "owner.json", folder / "started", folder):
        os.utime(path, (then, then))
    assert sweep(tmp_path) == [], "something in it was touched a moment ago"
    os.utime(folder / "data", (then, then))
    assert sweep(tmp_path) == ["run"]
    assert not folder.exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="file/benchmark/work can't be written"):
        work_root(tmp_path / "file")
    with pytest.raises(StateError, match="file/run can't be written"):
        WorkFolder(tmp_path / "file", "run").__enter__()
    with WorkFolder(tmp_path, "run") as work:
        (work.path / "out").touch()
        with pytest.raises(StateError, match="run/out can't be written"):
            work.folder("out")
        (work.path / "started").mkdir()
        with pytest.raises(StateError, match="run can't be written"):
            work.note_started(os.getpid())


def test_a_work_folder_is_for_its_user_only_and_goes_at_the_end(tmp_path: Path) -> None:
    with WorkFolder(tmp_path, "run") as work:
        assert work.path.stat().st_mode & 0o077 == 0
        (work.folder("out") / "file").write_bytes(b"x")
        assert list(work.folder("out").iterdir()) == []
    assert not work.path.exists()


def test_nothing_is_deleted_through_a_mount_that_is_still_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with WorkFolder(tmp_path, "run") as work:
        mountpoint = work.folder("mounted") / "mount"
        mountpoint.mkdir()
        (mountpoint / "theirs").touch()
        with monkeypatch.context() as mounted:
            mounted.setattr(remains, "mount_points", lambda: [str(mountpoint)])
            with pytest.raises(StateError, match="mounted/mount is still mounted"):
                work.folder("mounted")
        assert (mountpoint / "theirs").exists()
