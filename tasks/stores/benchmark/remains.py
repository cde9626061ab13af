"""The folder in which a run works on this machine, and what is left of it when the run dies."""

from __future__ import annotations

import os
import shutil
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tasks.oci.errors import StateError
from tasks.stores.benchmark.area_marker import OTHERS_HOLD
from tasks.stores.directory.mounts import mount_points
from tasks.stores.local_parts.fuse import is_mounted, unmount
from tasks.stores.local_parts.processes import start_time
from tasks.stores.local_parts.waiting import wait_until
from tasks.stores.state.lock_holder import LockHolder
from tasks.stores.state.state_errors import as_state_error

if TYPE_CHECKING:
    from collections.abc import Iterator

_OWNER = "owner.json"
_STARTED = "started"
_END_SECONDS = 20.0


class WorkFolder:
    """A run's own folder: it names its run, and every program that the run started."""

    def __init__(self, root: Path, run_id: str) -> None:
        self.path = root / run_id
        self._owner = LockHolder.here(run_id, "", "")

    def __enter__(self) -> Self:
        """Make the folder, in which only this user may look: credentials are in it for a server of our own.

        Raises:
            StateError: it can't be made.
        """
        with as_state_error(self.path):
            self.path.mkdir(mode=0o700, parents=True)
            (self.path / _OWNER).write_bytes(self._owner.content())
        return self

    def __exit__(self, *_: object) -> None:
        """Remove it with all that is still mounted or running in it."""
        remove(self.path)

    def note_started(self, pid: int) -> None:
        """Remember a program, so that a later run can end it should this one die.

        Raises:
            StateError: it can't be written down.
        """
        with as_state_error(self.path), (self.path / _STARTED).open("a", encoding="ascii") as file:
            file.write(f"{pid} {start_time(pid)}\n")

    def folder(self, name: str) -> Path:
        """An empty folder of this name.

        Raises:
            StateError: it can't be made, or not be emptied; nothing is deleted through a mount that is still there.
        """
        path = self.path / name
        if still := _mounted_in(path):
            raise StateError(f"{still[0]} is still mounted")
        shutil.rmtree(path, ignore_errors=True)
        with as_state_error(path):
            path.mkdir(parents=True)
        return path


def work_root(state: Path) -> Path:
    """The folder below which runs work, made where it is not there yet.

    Raises:
        StateError: it can't be made.
    """
    root = state / "benchmark" / "work"
    with as_state_error(root):
        root.mkdir(parents=True, exist_ok=True)
    return root


def sweep(root: Path) -> list[str]:
    """Remove what dead runs left below `root`; the names of their folders."""
    dead = [folder for folder in sorted(root.glob("*/")) if _is_dead(folder)]
    for folder in dead:
        remove(folder)
    return [folder.name for folder in dead]


def remove(folder: Path) -> None:
    """Unmount what is mounted below a folder, end the programs that were started from it, and delete it.

    Raises:
        ProgramFailedError: something can't be unmounted or does not end; then nothing is deleted.
    """
    for mountpoint in _mounted_in(folder):
        _unmount(mountpoint)
    for pid, started in _programs(folder):
        _end(pid, started)
    for content in folder.glob("*/"):  # gigabytes: whoever is killed meanwhile still has to be known for their owner
        shutil.rmtree(content, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def _unmount(mountpoint: Path) -> None:
    unmount(mountpoint)
    wait_until(lambda: not is_mounted(mountpoint), what=f"{mountpoint} is unmounted")


def _mounted_in(folder: Path) -> list[Path]:
    inside = f"{folder.resolve()}/"
    return [Path(each) for each in mount_points() if each.startswith(inside)]


def _is_dead(folder: Path) -> bool:
    """Whether the run of a folder has ended; of another machine or boot that can't be told, and its age has to do.

    What has no owner's file is none of ours, and what can't be looked at is left alone.
    """
    try:
        owner = _owner_of(folder)
        if owner is not None and owner.is_here:
            return owner.is_dead
        return datetime.now(UTC) - _last_change(folder) > OTHERS_HOLD
    except OSError:
        return False


def _owner_of(folder: Path) -> LockHolder | None:
    """Whose folder it is; None where that is half written."""
    return LockHolder.parse((folder / _OWNER).read_bytes())


def _last_change(folder: Path) -> datetime:
    """When something was made or removed in a folder, or in one of those that are in it."""
    seconds = max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
    return datetime.fromtimestamp(seconds, UTC)


def _programs(folder: Path) -> Iterator[tuple[int, int]]:
    """The programs that a run started here, with their start times; those of another boot have ended with that."""
    try:
        owner = _owner_of(folder)
        lines = (folder / _STARTED).read_text(encoding="ascii").splitlines()
    except OSError:
        return
    if owner is None or not owner.is_here:
        return
    for pid, _, started in (line.partition(" ") for line in lines):
        if pid.isdigit() and started.isdigit():
            yield int(pid), int(started)


def _end(pid: int, started: int) -> None:
    """End a process, if it is still the one that was started."""
    if start_time(pid) != started:
        return
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: start_time(pid) != started, what=f"process {pid} ends", deadline_seconds=_END_SECONDS)
