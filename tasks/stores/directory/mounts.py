"""Tells whether a path lies on a file system that may never answer, without touching that file system.

A FUSE mount whose program is stopped, or a hard NFS mount whose server is away, holds whoever asks it anything
in the kernel, where no signal reaches. So do parallel file systems, and what a virtual machine sees of its host.
`/proc/self/mountinfo` answers from memory.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from tasks.oci.errors import ConfigurationError

MOUNT_TABLE = Path("/proc/self/mountinfo")
_MAY_HANG = re.compile(
    r"fuse.*|nfs4?|cifs|smb3|ceph|afs|autofs"
    r"|lustre|gpfs|beegfs(_nodev)?|pvfs2"
    r"|9p|virtiofs|vboxsf|prl_fs"
)
_OCTAL = re.compile(r"\\([0-7]{3})")
_MOST_LINKS = 40
_MOUNT_POINT, _SEPARATOR = 4, "-"


def hanging_mounts() -> frozenset[str]:
    """Where file systems are mounted that may hang; none where the system has no such table."""
    return frozenset(_mount_point(fields) for fields in _entries() if _may_hang(fields))


def mount_points() -> list[str]:
    """Where file systems of any kind are mounted, in the order of mounting."""
    return [_mount_point(fields) for fields in _entries()]


def on_the_way(mounts: frozenset[str], path: str) -> list[str]:
    """Which of these mounts a path leads through, the outermost first."""
    return sorted((mount for mount in mounts if is_below(path, mount)), key=len)


def mounted_below(mounts: frozenset[str], path: str) -> list[str]:
    """Which of these mounts are below a path."""
    return sorted(mount for mount in mounts if mount != path and is_below(mount, path))


def is_below(path: str, folder: str) -> bool:
    """Whether a path is a folder or lies in it; both are real paths."""
    return f"{path.rstrip('/')}/".startswith(f"{folder.rstrip('/')}/")


def taken_away(mounts: frozenset[str], path: str, *, below: bool = False) -> str | None:
    """Which of these mounts, on the way to a path, is there no more: what was below it looks absent since.

    Of what is said of a whole tree, also one `below` the path.
    """
    now = frozenset(mount_points())
    missing = mounts - now if now else frozenset()  # without a table, nothing is known
    gone = on_the_way(missing, path) + (mounted_below(missing, path) if below else [])
    return gone[0] if gone else None


def _entries() -> list[list[str]]:
    try:
        table = MOUNT_TABLE.read_bytes()
    except OSError:
        return []
    lines = table.decode("utf-8", "surrogateescape").split("\n")  # a mount point's carriage return is no end of one
    return [line.split(" ") for line in lines if line]


def _may_hang(fields: list[str]) -> bool:
    return _MAY_HANG.fullmatch(fields[fields.index(_SEPARATOR) + 1]) is not None


def _mount_point(fields: list[str]) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[_MOUNT_POINT])


def resolve(path: str, mounts: frozenset[str] | None = None) -> tuple[str, bool]:
    """The real path, and whether it is on a mount that may hang or has one below it.

    Links are resolved up to the first such mount; what comes behind it is taken as it is written.

    Raises:
        ConfigurationError: it begins at the working folder, which is gone.
    """
    known = hanging_mounts() if mounts is None else mounts
    whole = path if path.startswith("/") else f"{_working_folder(path)}/{path}"
    resolved, pending, links = "", _parts(whole), 0
    while pending:
        name = pending.pop(0)
        if name == "..":
            resolved = resolved.rpartition("/")[0]
            continue
        here = f"{resolved}/{name}"
        if here in known:
            return os.path.normpath("/".join([here, *pending])), True
        link = _link(here) if links < _MOST_LINKS else None
        if link is None:
            resolved = here
            continue
        links += 1
        pending = _parts(link) + pending
        resolved = "" if link.startswith("/") else resolved
    below = resolved + "/"
    return resolved or "/", "/" in known or any(mount.startswith(below) for mount in known)


def _working_folder(path: str) -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - `..` stays in what is added to it: links come first
    except FileNotFoundError:
        raise ConfigurationError(
            f"{path}: the working folder was deleted; change to another, or write the path in full"
        ) from None


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in {"", "."}]


def _link(path: str) -> str | None:
    try:
        return os.readlink(path)  # noqa: PTH115 - text in, text out
    except OSError:
        return None
