"""Writes files that are there whole or not at all, whatever happens to the process or the machine meanwhile."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO


def is_special(path: Path) -> bool:
    """Whether it is there and no file: a device, a pipe, or `/dev/stdout`, wherever that goes."""
    return _standard_stream(path) is not None or (path.exists() and not path.is_file())


def is_unfinished(name: str) -> bool:
    """Whether a file is called as one is that is not whole yet; a process that is killed leaves it."""
    return name.startswith(".") and name.endswith(".tmp")


@contextlib.contextmanager
def whole_or_not_at_all(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes its name when all of it is on disk; a pipe, device or stream is written to directly.

    Raises:
        OSError: it can't be written, or its folder is not there; what was at the path before is still there.
    """
    if is_special(path):
        with _opened_as_it_is(path) as out:
            yield out
        return
    path = _followed(path)
    unfinished = path.with_name(f".{secrets.token_hex(8)}.tmp")  # its own name may have no byte to spare
    try:
        with unfinished.open("xb") as out:
            with contextlib.suppress(FileNotFoundError):
                keep_rights(out.fileno(), path.stat())
            yield out
            out.flush()
            os.fsync(out.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    _sync_folder(path.parent)


def keep_rights(descriptor: int, before: os.stat_result) -> None:
    """Give a new file the owner and rights of what it takes the place of, whose readers are to go on with it."""
    ours = os.fstat(descriptor)
    if (before.st_uid, before.st_gid) != (ours.st_uid, ours.st_gid):
        with contextlib.suppress(OSError):  # only root may give a file away, and not to ids that a container lacks
            os.fchown(descriptor, before.st_uid, before.st_gid)
    rights, given = before.st_mode & 0o777, ours.st_mode & 0o777
    if rights != given:
        may_stay = contextlib.suppress(OSError) if not given & ~rights else contextlib.nullcontext()
        with may_stay:  # not every mount can change them; nobody may read more than before
            os.fchmod(descriptor, rights)


def _opened_as_it_is(path: Path) -> BinaryIO:
    stream = _standard_stream(path)
    return path.open("wb") if stream is None else os.fdopen(os.dup(stream), "wb")


def _standard_stream(path: Path) -> int | None:
    """The descriptor of our standard output or error, where a link leads to it.

    A shell may have it go to a file: a new file of that name would have nothing else of what is printed.
    """
    if path.is_symlink():
        for stream in (1, 2):
            with contextlib.suppress(OSError):
                if os.path.samestat(path.stat(), os.fstat(stream)):
                    return stream
    return None


def _followed(path: Path) -> Path:
    """Where links lead; the kernel refuses here those that it follows for nobody (`fs.protected_symlinks`)."""
    if path.is_symlink():
        with contextlib.suppress(FileNotFoundError):
            os.close(os.open(path, os.O_WRONLY | os.O_CLOEXEC))
    return Path(os.path.realpath(path))


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # many mounts can't
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
