import os
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.oci.errors import LockHeldError, RefusedError, SourceUnavailableError
from tasks.stores.benchmark.area_marker import MARKER
from tasks.stores.benchmark.folder_area import FolderArea
from tasks.stores.state.lock_holder import LockHolder
from tests.unit.stores.benchmark.test_remains import a_dead_pid

DEAD, OURS = "run-20260101T000000-aaaaaa", "20260102T000000-bbbbbb"


def test_a_mount_that_goes_away_is_named_in_one_line(tmp_path: Path) -> None:
    area = FolderArea(tmp_path, OURS)
    area.claim()
    for path in sorted(tmp_path.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    with pytest.raises(SourceUnavailableError, match="layoutlift-benchmark can't be used: No such file"):
        area.empty()
    with pytest.raises(SourceUnavailableError, match="layoutlift-benchmark can't be used: No such file"):
        area.release()


def left_behind(mount: Path, folder: str, *, by: int | None) -> Path:
    """A file in the area, with the marker of a run of that process, if any."""
    path = mount / "layoutlift-benchmark" / folder / "file"
    path.parent.mkdir(parents=True)
    path.touch()
    if by is not None:
        holder = replace(LockHolder.here("run", "", ""), pid=by)
        (path.parents[1] / MARKER).write_bytes(holder.content())
    return path


def test_what_a_dead_run_left_is_removed(tmp_path: Path) -> None:
    left = left_behind(tmp_path, DEAD, by=a_dead_pid())
    area = FolderArea(tmp_path, OURS)
    area.claim()
    assert not left.exists()
    area.release()
    assert list(tmp_path.iterdir()) == []


def test_an_area_of_a_run_that_is_at_work_is_left_alone(tmp_path: Path) -> None:
    left = left_behind(tmp_path, DEAD, by=os.getpid())
    area = FolderArea(tmp_path, OURS)
    with pytest.raises(LockHeldError, match="is in use by the benchmark run"):
        area.claim()
    area.release()
    assert left.exists()


@pytest.mark.parametrize("is_marked", [False, True])
def test_what_is_not_the_benchmarks_is_left_alone(tmp_path: Path, *, is_marked: bool) -> None:
    """What is named as a run's only is one's where the marker is."""
    left = left_behind(tmp_path, "data" if is_marked else DEAD, by=a_dead_pid() if is_marked else None)
    area = FolderArea(tmp_path, OURS)
    with pytest.raises(RefusedError, match="is not the benchmark's"):
        area.claim()
    area.release()
    assert left.exists()
