import os
import sys
from collections.abc import Iterator
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


@pytest.fixture
def staying(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MountedPath]:
    """A program that does not end when it is unmounted."""
    monkeypatch.setattr(mounted_path, "check_fuse", lambda: None)
    monkeypatch.setattr(mounted_path, "is_mounted", lambda _: True)
    monkeypatch.setattr(mounted_path, "FLUSH_SECONDS", 0.0)
    monkeypatch.setattr(mounted_path, "AFTER_ERROR_SECONDS", 0.0)
    started: list[int] = []
    yield MountedPath(
        tmp_path, name="sleep", mount=SLEEP, unmount_by=["true"], environment=os.environ, on_start=started.append
    )
    assert not Path(f"/proc/{started[0]}").exists()


def test_a_program_that_does_not_end_when_it_is_unmounted_is_killed(staying: MountedPath) -> None:
    """It would be measured along with the next path."""
    with pytest.raises(ProgramFailedError, match="in vain until sleep ends"), staying:
        pass


def test_a_program_that_hangs_is_not_waited_for_and_does_not_hide_what_failed(
    staying: MountedPath, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(staying, "_patience", 600.0)
    with pytest.raises(ProgramFailedError, match="it did not end within"), staying:
        raise ProgramFailedError("it did not end within 3600 s")
    assert "in vain until sleep ends" in caplog.text
