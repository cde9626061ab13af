"""The ledger of a (source, target) pair in a folder: a file of JSON lines a run, made one when they are many."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import time
from itertools import takewhile
from typing import TYPE_CHECKING

from tasks.ledger.ledger_memory import LedgerMemory
from tasks.stores.state.json_lines import json_line, read_json_lines
from tasks.stores.state.ledger_files import RunFile, in_order
from tasks.stores.state.lock_holder import EXPIRY_SECONDS
from tasks.stores.state.run_state import file_name
from tasks.stores.state.state_errors import state_error
from tasks.stores.whole_files import is_unfinished, whole_or_not_at_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tasks.ledger.ledger_memory import LedgerPart

MOST_FILES = 20
IDLE_SECONDS = 600.0
_COMPACTED = "compacted.jsonl"
_GUARD = "compaction.guard"
_READ_ATTEMPTS = 5
_NO_LOCKS = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS})
_STAY_MANY = (
    "become more with each run, which reads all of them: its file system has no locks, so that nobody knows which "
    "are in use; move the state to one that has them, and name it in --state"
)

logger = logging.getLogger(__name__)


class LedgerFolder:
    """See `LedgerLines`; each run appends to a file of its own, or after a sleep to another one.

    Another run may have taken its place: what this one says from then on it did after that.

    Within a second a line outlives the process, and when the run has ended the machine as well: to see to that
    sooner, mounts such as s3fs would upload all of the file each time.
    """

    def __init__(self, folder: Path, run_id: str, unseen: Callable[[], float] = lambda: 0.0) -> None:
        """Take where the lines of all runs are, and the name of this one; nothing is read or made yet.

        `unseen` tells for how many seconds nobody has seen that this run still has its lock.
        """
        self._folder = folder
        self._run = file_name(run_id)
        self._unseen = unseen
        self._file: RunFile | None = None

    def read(self, only: LedgerPart | None = None) -> LedgerMemory:
        """See `LedgerLines.read`; files that are many are made one first."""
        if only is None:
            _compact_if_many(self._folder)
        return _read_folder(self._folder, only)

    def append(self, line: Mapping[str, object], *, before_it_is_so: bool = False) -> None:
        """See `LedgerLines.append`; what is not so yet outlives the process at once."""
        if self._file is not None and min(self._unseen(), self._file.age()) > EXPIRY_SECONDS / 2:
            self.close()
        if self._file is None:
            self._file = RunFile(self._folder, self._run)
        self._file.append(line, at_once=before_it_is_so)

    def flush(self) -> None:
        """See `LedgerLines.flush`."""
        if (file := self._file) is not None:  # a thread that is closing it is waited for
            file.flush()

    def close(self) -> None:
        """See `LedgerLines.close`."""
        if self._file is not None:
            try:
                self._file.close()
            finally:
                self._file = None


def _read_folder(folder: Path, only: LedgerPart | None) -> LedgerMemory:
    """Read every file; once more where a compaction elsewhere took a file away meanwhile."""
    attempts = _READ_ATTEMPTS
    while True:
        attempts -= 1
        try:
            return _read_files([folder / _COMPACTED, *in_order(folder)], only)
        except OSError as error:
            if not attempts or not isinstance(error, FileNotFoundError):
                raise state_error(folder, error) from error


def _read_files(paths: list[Path], only: LedgerPart | None = None) -> LedgerMemory:
    memory = LedgerMemory(only)
    for path in paths:
        if path.name == _COMPACTED and not path.exists():
            continue
        for line in read_json_lines(path):
            memory.take_line(line)
    return memory


def _compact_if_many(folder: Path) -> None:
    """Make one file of old ones; where another process is at it or that fails, which is said, they stay."""
    try:
        if len(in_order(folder)) <= MOST_FILES:
            return
        with _held_alone(folder / _GUARD, os.O_CREAT):
            _remove_unfinished(folder)
            _compact(folder, list(takewhile(_is_idle, in_order(folder))))
    except (BlockingIOError, FileNotFoundError):
        return
    except OSError as error:
        if error.errno in _NO_LOCKS:
            logger.warning("the files of the ledger in %s %s", folder, _STAY_MANY)
        else:
            reason = error.strerror or error
            logger.warning("the files of the ledger in %s are not made one for now: %s", folder, reason)


def _compact(folder: Path, oldest: list[Path]) -> None:
    """Make one of the files that all others come after: what they say is read first from now on."""
    if not oldest:
        return
    with whole_or_not_at_all(folder / _COMPACTED) as out:
        for line in _read_files([folder / _COMPACTED, *oldest]).lines():
            out.write(json_line(line))
    for path in oldest:
        path.unlink(missing_ok=True)


def _remove_unfinished(folder: Path) -> None:
    """Remove what compactions left that were killed: each may be as large as all that they were to make one."""
    for path in folder.iterdir():
        if is_unfinished(path.name) and _is_old(path):
            path.unlink(missing_ok=True)


def _is_old(path: Path) -> bool:
    return time.time() - path.stat().st_mtime >= IDLE_SECONDS


def _is_idle(path: Path) -> bool:
    """Whether no run writes to a file: none holds it (as this host sees it), and it is older than ten minutes."""
    if not _is_old(path):
        return False
    try:
        with _held_alone(path):
            return True
    except BlockingIOError:
        return False


@contextlib.contextmanager
def _held_alone(path: Path, flags: int = 0) -> Iterator[None]:
    """Hold a file that nobody else holds.

    It is opened for writing, because NFS gives an exclusive lock on nothing else; another user's may only be read.

    Raises:
        BlockingIOError: somebody else does.
        OSError: it can't be opened, or the file system has no locks.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | flags, 0o666)
    except PermissionError:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
