"""A lock that one run holds on a (source, target) pair: a file with a heartbeat, good on shared folders too.

Age is told by comparing the lock's time with that of a file made just now in the same folder, so that the clocks
of hosts and file servers need not agree. Where a mount dates files by its host's clock they may not agree all the
same: a lock of another machine that seems to have ended is watched for two heartbeats before it is taken over.
Judging and replacing a lock is done under a `flock`, which the kernel takes back when its holder dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import secrets
import time
from typing import TYPE_CHECKING, NamedTuple, Self

from tasks.oci.errors import LockHeldError
from tasks.stop import Stop
from tasks.stores.state.lock_group import PAIR, SHARDS, SeenLock
from tasks.stores.state.lock_holder import Heartbeat, LockHolder, give_time_to_beat, held_message, keeps_out
from tasks.stores.state.state_errors import state_error
from tasks.uptime import uptime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_GUARD = "lock.guard"
_GUARD_SECONDS = 10.0
_GUARD_STEP_SECONDS = 0.02
_WATCHED = "lock of this source and target"

logger = logging.getLogger(__name__)


class _Look(NamedTuple):
    """A lock as it was seen; both are other ones after a heartbeat, or after somebody took it."""

    content: bytes
    modified: float

    @classmethod
    def at(cls, path: Path) -> Self:
        return cls(path.read_bytes(), path.stat().st_mtime)

    @property
    def has_our_clock(self) -> bool:
        """Whether the holder is on this machine, so that its time can be relied upon."""
        holder = LockHolder.parse(self.content)
        return holder is not None and holder.is_here


class RunLock:
    """The lock of one run, held between enter and exit.

    Raises on entering:
        LockHeldError: another run holds it; the message names that run.
        InterruptedRunError: the run is to end, and another one's lock was being watched.
        StateError: the folder can't be written.
    """

    def __init__(
        self,
        folder: Path,
        holder: LockHolder,
        on_lost: Callable[[], None] | None = None,
        *,
        name: str = PAIR,
        stop: Stop | None = None,
    ) -> None:
        """Lock `folder` for `holder`; `on_lost` is called, once, should another run take the lock away."""
        self._folder = folder
        self._path = folder / name
        self._holder = holder
        self._stop = stop or Stop()
        self._seen = uptime()
        self._heart = Heartbeat(self._renew, on_lost)

    def __enter__(self) -> Self:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if (silent := self._acquire(None)) is not None:
                give_time_to_beat(self._stop, _WATCHED)
                self._acquire(silent)
        except OSError as error:
            raise state_error(error.filename or self._path, error) from error
        self._heart.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._heart.stop()
        with contextlib.suppress(OSError, LockHeldError), _guarded(self._folder):
            if self._is_ours():
                self._path.unlink()

    def unseen(self) -> float:
        """For how many seconds nobody has seen that the lock is ours, those included in which the machine slept."""
        return uptime() - self._seen

    def _acquire(self, watched: _Look | None) -> _Look | None:
        """Take the lock, or tell how one looks that has to be watched before that."""
        with _guarded(self._folder):
            with contextlib.suppress(FileNotFoundError):
                if (silent := self._give_way_or_take_over(watched)) is not None:
                    return silent
            self._make()
        return None

    def _make(self) -> None:
        self._seen = uptime()
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except FileExistsError as error:  # where there is no `flock`, another run was quicker
            raise LockHeldError(held_message(None, 0, str(self._path))) from error
        try:
            with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
                file.write(self._holder.content())
        except OSError:
            self._path.unlink(missing_ok=True)
            raise

    def _give_way_or_take_over(self, watched: _Look | None) -> _Look | None:
        found = _Look.at(self._path)
        holder = LockHolder.parse(found.content)
        age = _folder_time(self._folder) - found.modified
        if keeps_out(holder, age):
            raise LockHeldError(held_message(holder, age, str(self._path)))
        if watched is None and not found.has_our_clock:
            return found
        if watched not in {None, found}:
            raise LockHeldError(held_message(holder, 0, str(self._path)))
        self._path.unlink()
        return None

    def _is_ours(self) -> bool:
        return self._holder.wrote(self._path.read_bytes())

    def _renew(self) -> bool:
        began = uptime()
        try:
            if not self._is_ours():
                return False
            self._seen = began
            os.utime(self._path)
        except FileNotFoundError:
            return False
        except OSError:
            return True  # a share that is away for a moment; the next beat may reach it
        return True


def seen_locks(folder: Path, own: str, stop: Stop | None = None) -> Iterator[SeenLock]:
    """The other locks of a folder that are held just now; the time is that of the lock `own`, taken a moment ago.

    Whoever holds the lock of a run watches those of shards of other machines that seem to have ended, as it would
    another run's, and removes what did, if it may: nobody takes them again, and each is watched by every later run.

    Raises:
        LockHeldError: somebody else is judging locks there.
        InterruptedRunError: the run is to end, and locks were being watched.
        StateError: they can't be read, or removed.
    """
    silent: dict[Path, _Look] = {}
    try:
        now = (folder / own).stat().st_mtime
        for path in [folder / PAIR, *sorted(folder.glob(f"{SHARDS}*"))]:
            with contextlib.suppress(FileNotFoundError):
                look = _Look.at(path)
                holder, age = LockHolder.parse(look.content), now - look.modified
                if path.name != own and keeps_out(holder, age):
                    yield SeenLock(path.name, holder, age)
                elif own == PAIR != path.name:
                    silent[path] = look
        if silent:
            yield from _watched(folder, silent, stop or Stop())
    except OSError as error:
        raise state_error(error.filename or folder, error) from error


def _watched(folder: Path, silent: dict[Path, _Look], stop: Stop) -> list[SeenLock]:
    """Those of the locks that somebody dates anew while they are watched; the others are removed."""
    if not all(look.has_our_clock for look in silent.values()):
        give_time_to_beat(stop, _WATCHED)
    with _guarded(folder):
        return [lock for path, look in silent.items() if (lock := _renewed_or_removed(path, look)) is not None]


def _renewed_or_removed(path: Path, before: _Look) -> SeenLock | None:
    with contextlib.suppress(FileNotFoundError):
        if (found := _Look.at(path)) != before:
            return SeenLock(path.name, LockHolder.parse(found.content), 0)
        _remove(path)
    return None


def _remove(path: Path) -> None:
    """Remove a lock that keeps nobody out any more; another user's may stay, as in a folder with the sticky bit."""
    try:
        path.unlink()
    except PermissionError as error:
        why = error.strerror or error
        logger.warning("the lock %s of a shard that ended stays, to be removed by whoever may: %s", path, why)


def _folder_time(folder: Path) -> float:
    """The time by the clock of whatever serves the folder, in seconds."""
    path = folder / f".now-{secrets.token_hex(8)}"
    try:
        path.write_bytes(b"")
        return path.stat().st_mtime
    finally:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _guarded(folder: Path) -> Iterator[None]:
    """Let one process at a time judge and change the lock; file systems without `flock` do without."""
    descriptor = os.open(folder / _GUARD, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        _take_guard(descriptor)
        yield
    finally:
        os.close(descriptor)


def _take_guard(descriptor: int) -> None:
    give_up = time.monotonic() + _GUARD_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up:
                raise LockHeldError("another run is taking the lock of this source and target") from None
            time.sleep(_GUARD_STEP_SECONDS)
        except OSError:
            return
        else:
            return
