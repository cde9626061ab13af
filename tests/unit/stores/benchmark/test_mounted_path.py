import os
import sys
from pathlib import Path

import pytest

from tasks.oci.errors import ProgramFailedError, StateError
from tasks.stores.benchmark import mounted_path
from tasks.stores.benchmark.mounted_path import MountedPath

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


def test_a_program_that_cannot_be_written_down_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No later run would find it."""
    monkeypatch.setattr(mounted_path, "check_fuse", lambda: None)
    started: list[int] = []

    def refuse(pid: int) -> None:
        started.append(pid)
        raise StateError("full")

    mount = MountedPath(
        tmp_path, name="sleep", mount=SLEEP, unmount_by=["true"], environment=os.environ, on_start=refuse
    )
    with pytest.raises(StateError, match="full"):
        mount.start()
    (pid,) = started
    assert not Path(f"/proc/{pid}").exists()


def test_a_program_that_does_not_end_when_it_is_unmounted_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be measured along with the next path."""
    monkeypatch.setattr(mounted_path, "check_fuse", lambda: None)
    monkeypatch.setattr(mounted_path, "is_mounted", lambda _: True)
    monkeypatch.setattr(mounted_path, "FLUSH_SECONDS", 0.0)
    started: list[int] = []
    mount = MountedPath(
        tmp_path, name="sleep", mount=SLEEP, unmount_by=["true"], environment=os.environ, on_start=started.append
    )
    with pytest.raises(ProgramFailedError, match="in vain until sleep ends"), mount:
        pass
    assert not Path(f"/proc/{started[0]}").exists()
