"""Where nothing can be mounted, a benchmark says why before it begins."""

from pathlib import Path

import pytest

from tasks.oci.errors import ProgramMissingError
from tasks.stores.local_parts import fuse


@pytest.fixture
def status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The kernel's words on this process, which anybody may write here; the other conditions are met."""
    monkeypatch.setattr(fuse, "program", lambda name: Path("/bin") / name)
    monkeypatch.setattr(fuse, "FUSE_DEVICE", tmp_path)
    path = tmp_path / "status"
    monkeypatch.setattr(fuse, "STATUS", path)
    return path


@pytest.mark.parametrize(("user", "flag", "refused"), [(1000, 1, True), (1000, 0, False), (0, 1, False)])
def test_a_user_who_may_not_become_root_mounts_nothing(
    status: Path, monkeypatch: pytest.MonkeyPatch, user: int, flag: int, *, refused: bool
) -> None:
    """As under systemd's NoNewPrivileges."""
    monkeypatch.setattr(fuse.os, "geteuid", lambda: user)
    status.write_text(f"Name:\tpython\nNoNewPrivs:\t{flag}\nSeccomp:\t0\n")
    if not refused:
        return fuse.check_fuse()
    with pytest.raises(ProgramMissingError, match="NoNewPrivileges"):
        fuse.check_fuse()
    return None


def test_a_device_that_is_closed_is_named(status: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuse, "FUSE_DEVICE", status.with_name("none"))
    with pytest.raises(ProgramMissingError, match="none is missing or closed"):
        fuse.check_fuse()
