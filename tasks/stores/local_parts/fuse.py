"""Mounting and unmounting FUSE file systems, told without asking the file systems, which may hang."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tasks.oci.errors import ProgramFailedError, ProgramMissingError
from tasks.stores.directory.mounts import mount_points
from tasks.stores.local_parts.programs import program

FUSE_DEVICE = Path("/dev/fuse")
STATUS = Path("/proc/self/status")
UNMOUNT_SECONDS = 30.0


def check_fuse() -> None:
    """Say why no FUSE file system can be mounted on this machine, where that is so.

    Raises:
        ProgramMissingError: fusermount3 is missing, the device is closed to this user, or the user may not become
            root by it, as it is setuid.
    """
    program("fusermount3")
    if not os.access(FUSE_DEVICE, os.R_OK | os.W_OK):
        raise ProgramMissingError(
            f"FUSE is not allowed here: {FUSE_DEVICE} is missing or closed "
            "(a container needs `--device /dev/fuse --cap-add SYS_ADMIN`)"
        )
    if os.geteuid() != 0 and re.search(r"^NoNewPrivs:\s*1$", STATUS.read_text(), re.MULTILINE):
        raise ProgramMissingError(
            "FUSE is not allowed here: fusermount3 mounts as root, which a process without new privileges can't "
            "become (NoNewPrivileges= of a systemd unit, `--security-opt no-new-privileges` of a container)"
        )


def is_mounted(mountpoint: Path) -> bool:
    """Say whether something is mounted there, be it a file system whose program has crashed."""
    return str(mountpoint.parent.resolve() / mountpoint.name) in mount_points()


def unmount(mountpoint: Path) -> None:
    """Unmount a FUSE file system; one that is still in use disappears from the tree and ends with its user.

    Raises:
        ProgramFailedError: it can't be unmounted; the message says why.
    """
    refusal = _fusermount("-u", str(mountpoint))
    if refusal:
        refusal = _fusermount("-u", "-z", str(mountpoint))
    if refusal:
        raise ProgramFailedError(f"cannot unmount {mountpoint}: {refusal}")


def _fusermount(*arguments: str) -> str:
    """Return why fusermount3 refused, or nothing."""
    command = [str(program("fusermount3")), *arguments]
    try:
        outcome = subprocess.run(command, capture_output=True, check=False, text=True, timeout=UNMOUNT_SECONDS)  # noqa: S603 - of the system
    except subprocess.TimeoutExpired:
        return "it does not answer"
    return "" if outcome.returncode == 0 else outcome.stderr.strip() or f"status {outcome.returncode}"
