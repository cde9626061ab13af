"""A lock that one run holds on a (source, target) pair: a file with a heartbeat, good on shared folders too.

Age is told by comparing the lock's time with that of a file made just now in the same folder, so that the clocks
of hosts and file servers need not agree. Judging and replacing a lock is done under a `flock`, which the kernel
takes back when its holder dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import socket
import threading
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tasks.oci.errors import LockHeldError
from tasks.stores.json_lines import state_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

HEARTBEAT_SECONDS = 10.0
EXPIRY_SECONDS = 60.0
_LOCK = "lock"
_GUARD = "lock.guard"
_GUARD_SECONDS = 10.0
_GUARD_STEP_SECONDS = 0.02
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class LockHolder:
    """Who holds a lock; `machine` tells apart boots and containers, `token` two locks of one process."""

    run: str
    host: str
    pid: int
    started: str
    source: str
    target: str
    machine: str
    token: str

    @classmethod
    def here(cls, run_id: str, source: str, target: str) -> Self:
        """This process, from now on."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        host = socket.gethostname()
        return cls(run_id, host, os.getpid(), now, source, target, _machine(), secrets.token_hex(8))

    @classmethod
    def parse(cls, raw: bytes) -> Self | None:
        """Read a lock's content; None when it is half written or not ours."""
        try:
            value = json.loads(raw)
            fields = {name: value[name] for name in cls.__dataclass_fields__}
        except (ValueError, RecursionError, KeyError, TypeError):
            return None
        if type(fields.pop("pid")) is not int or not all(isinstance(text, str) for text in fields.values()):
            return None
        return cls(pid=value["pid"], **fields)

    @property
    def is_dead(self) -> bool:
        """Whether the holder ran on this boot of this machine and is gone; False where that can't be told."""
        if self.host != socket.gethostname() or self.machine != _machine() or not self.machine or self.pid <= 0:
            return False
        try:
            os.kill(self.pid, 0)
        except (ProcessLookupError, OverflowError):
            return True
        except PermissionError:
            return False
        return False


def _machine() -> str:
    """This boot and this process name space (process ids mean nothing outside of it); empty where unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


class RunLock:
    """The lock of one run, held between enter and exit.

    Raises on entering:
        LockHeldError: another run holds it; the message names that run.
        StateError: the folder can't be written.
    """

    def __init__(self, folder: Path, holder: LockHolder, on_lost: Callable[[], None] | None = None) -> None:
        """Lock `folder` for `holder`; `on_lost` is called, once, should another run take the lock away."""
        self._folder = folder
        self._path = folder / _LOCK
        self._holder = holder
        self._on_lost = on_lost
        self._released = threading.Event()
        self._lost = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="lock heartbeat", daemon=True)

    @property
    def is_lost(self) -> bool:
        """Whether another run took the lock, as after this process slept for longer than the expiry."""
        return self._lost.is_set()

    def __enter__(self) -> Self:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with _guarded(self._folder):
                self._acquire()
        except FileExistsError as error:  # where there is no `flock`, another run was quicker
            raise LockHeldError(_held_message(None, 0)) from error
        except OSError as error:
            raise state_error(str(self._path), error) from error
        self._heart.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._released.set()
        self._heart.join(timeout=HEARTBEAT_SECONDS)  # it may hang on a share that is away
        with contextlib.suppress(OSError, LockHeldError), _guarded(self._folder):
            if self._is_ours():
                self._path.unlink()

    def _acquire(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._give_way_or_take_over()
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            with open(descriptor, "wb") as file:  # noqa: PTH123  (a descriptor, not a path)
                file.write(json.dumps(asdict(self._holder)).encode())
        except OSError:
            self._path.unlink(missing_ok=True)
            raise

    def _give_way_or_take_over(self) -> None:
        holder = LockHolder.parse(self._path.read_bytes())
        age = _folder_time(self._folder) - self._path.stat().st_mtime
        if age <= EXPIRY_SECONDS and not (holder and holder.is_dead):
            raise LockHeldError(_held_message(holder, age))
        self._path.unlink()

    def _is_ours(self) -> bool:
        holder = LockHolder.parse(self._path.read_bytes())
        return holder is not None and holder.token == self._holder.token

    def _beat(self) -> None:
        while not self._released.wait(HEARTBEAT_SECONDS):
            try:
                if self._is_ours():
                    os.utime(self._path)
                    continue
            except FileNotFoundError:
                pass
            except OSError:
                continue  # a share that is away for a moment; the next beat may reach it
            self._lost.set()
            if self._on_lost:
                self._on_lost()
            return


def _held_message(holder: LockHolder | None, age: float) -> str:
    if holder is None:
        return f"another run is taking the lock of this source and target (tried {age:.0f} s ago)"
    run, host, started = (repr(text[:_SHOWN])[1:-1] for text in (holder.run, holder.host, holder.started))
    return (
        f"run {run} on {host} (pid {holder.pid}) has worked on this source and target since {started}; "
        f"its last sign of life is {max(age, 0):.0f} s old, after {EXPIRY_SECONDS:.0f} s another run may start"
    )


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
