"""The files of a ledger in a folder: each is appended to by one run, and its name says when that began with it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

from tasks.stores.state.json_lines import JsonLinesWriter
from tasks.stores.state.ledger_names import PREFIX, named, next_stamp, stamp_of
from tasks.stores.state.state_errors import as_state_error
from tasks.uptime import uptime

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_FILES = f"{PREFIX}*.jsonl"


def in_order(folder: Path) -> list[Path]:
    """The files in the order in which they are read: that in which they were begun.

    A run that was stopped and lost its lock has nothing that it said before come after the words of the run that took
    its place, however late it says one more. Files of earlier versions have no stamp, but a time of their last words.
    """
    return sorted(folder.glob(_FILES), key=lambda path: (_place_of(path), path.name))


def _place_of(path: Path) -> float:
    stamp = stamp_of(path.name)
    return path.stat().st_mtime_ns / 1e6 if stamp is None else stamp


def _last_place(folder: Path) -> float:
    last = 0.0
    for path in folder.glob(_FILES):
        with contextlib.suppress(FileNotFoundError):  # made one with others just now: then it comes first
            last = max(last, _place_of(path))
    return last


class RunFile:
    """A file that a run appends to: it comes after all that are there, and is in use until it is closed."""

    def __init__(self, folder: Path, run: str) -> None:
        """Begin with a file for `run`.

        Raises:
            StateError: it can't be made.
        """
        with as_state_error(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._path = folder / f"{named(next_stamp(int(_last_place(folder))), run)}.jsonl"
        self._begun = uptime()
        self._in_use: int | None = _mark_in_use(self._path)
        self._writer = JsonLinesWriter(self._path)

    def age(self) -> float:
        """How many seconds ago it was begun."""
        return uptime() - self._begun

    def append(self, line: Mapping[str, object], *, at_once: bool) -> None:
        """See `JsonLinesWriter.append`."""
        self._writer.append(line, at_once=at_once)

    def flush(self) -> None:
        """See `JsonLinesWriter.flush`."""
        self._writer.flush()

    def close(self) -> None:
        """Have what is left outlive the machine, and let go of the file.

        Raises:
            StateError: a line could not be written, and no earlier call said so.
        """
        try:
            self._writer.close()
            self._sync()
        finally:
            if self._in_use is not None:
                os.close(self._in_use)
                self._in_use = None

    def _sync(self) -> None:
        with as_state_error(self._path):
            if self._in_use is not None:
                os.fdatasync(self._in_use)


def _mark_in_use(path: Path) -> int:
    """Open the file under a shared lock, which keeps other processes from compacting it."""
    with as_state_error(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    with contextlib.suppress(OSError):  # not every file system has locks
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return descriptor
