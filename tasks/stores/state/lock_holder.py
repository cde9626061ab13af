"""What locks of runs have in common, wherever they are kept: who holds one, and the sign of life that renews it."""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import threading
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tasks.oci.errors import InterruptedRunError, LayoutliftError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.stop import Stop

logger = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 10.0
EXPIRY_SECONDS = 60.0
FREE_SECONDS = EXPIRY_SECONDS + 4 * HEARTBEAT_SECONDS
"""So long after its last sign of life another run can be at work in a folder at the latest: there it watches the lock
of one that died, and then those of its shards."""
LOST = (
    "another run has taken over the lock of this one, which gave no sign of life for a minute, "
    "or somebody removed it: this one ends"
)
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

    def content(self, **more: int) -> bytes:
        """What a lock of this holder holds; `more` makes it another one, where equal contents look alike."""
        return json.dumps({**asdict(self), **more}).encode()

    def wrote(self, raw: bytes) -> bool:
        """Whether a lock that holds this is of this holder."""
        holder = self.parse(raw)
        return holder is not None and holder.token == self.token

    @property
    def is_here(self) -> bool:
        """Whether the holder ran on this boot of this machine, among the processes that we see."""
        return self.host == socket.gethostname() and self.machine == _machine()

    @property
    def is_dead(self) -> bool:
        """Whether the holder ran on this boot of this machine and is gone; False where that can't be told."""
        if not self.is_here or not self.machine or self.pid <= 0:
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


class Heartbeat:
    """Calls `renew` every ten seconds, until it is stopped or `renew` says that the lock is another run's.

    One that raises an error of ours meets a store that is away for a moment; the next beat may reach it.
    """

    def __init__(self, renew: Callable[[], bool], on_lost: Callable[[], None] | None) -> None:
        """Begin with `start`; `on_lost` is called, once, from the heartbeat's thread."""
        self._renew = renew
        self._on_lost = on_lost
        self._stopped = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lock heartbeat", daemon=True)

    @property
    def is_lost(self) -> bool:
        """Whether another run took the lock, as after this process slept for longer than the expiry."""
        return self._lost.is_set()

    def start(self) -> None:
        """Have the heart beat from now on."""
        self._thread.start()

    def stop(self) -> None:
        """End it; what it waits for, as a share that is away, is waited for no longer than a beat takes."""
        self._stopped.set()
        self._thread.join(timeout=HEARTBEAT_SECONDS)

    def _beat(self) -> None:
        while not self._stopped.wait(HEARTBEAT_SECONDS):
            if self._renews() or self._stopped.is_set():  # what was released meanwhile is not lost
                continue
            self._lost.set()
            logger.warning(LOST)
            if self._on_lost:
                self._on_lost()
            return

    def _renews(self) -> bool:
        try:
            return self._renew()
        except LayoutliftError:
            return True


def give_time_to_beat(stop: Stop, lock: str) -> None:
    """Give whoever holds a `lock` two heartbeats, in which they date it anew if they live.

    Many mounts date a file by the clock of the machine that wrote it, so that an old date alone says little.

    Raises:
        InterruptedRunError: the run is to end.
    """
    stop.pause(2 * HEARTBEAT_SECONDS)
    if stop.requested:
        raise InterruptedRunError(f"the run was interrupted before it had the {lock}")


def keeps_out(holder: LockHolder | None, age: float) -> bool:
    """Whether a lock that was last renewed `age` seconds ago keeps other runs out."""
    return age <= EXPIRY_SECONDS and not (holder is not None and holder.is_dead)


def held_message(holder: LockHolder | None, age: float, lock: str) -> str:
    """Who holds the lock that is called `lock`, last renewed `age` seconds ago; None is somebody just taking it."""
    if holder is None and age >= -EXPIRY_SECONDS:
        return f"another run is taking the lock of this source and target (tried {max(age, 0):.0f} s ago)"
    return f"{_words_of(holder)}; {_sign_of_life(age, lock)}"


def _words_of(holder: LockHolder | None) -> str:
    if holder is None:
        return "another run was taking the lock of this source and target"
    run, host, started = (repr(text[:_SHOWN])[1:-1] for text in (holder.run, holder.host, holder.started))
    return f"run {run} on {host} (pid {holder.pid}) has worked on this source and target since {started}"


def _sign_of_life(age: float, lock: str) -> str:
    """A run at work dates its lock anew with each beat; a store's clocks differ by less than a minute."""
    if age >= -EXPIRY_SECONDS:
        return (
            f"its last sign of life is {max(age, 0):.0f} s old; if it dies, another run may start "
            f"{FREE_SECONDS:.0f} s after its last one at the latest"
        )
    return (
        f"its last sign of life is dated {-age:.0f} s ahead of the clock there, which was set back: "
        f"if that is still so in a minute, the run has ended, and {lock} can be removed"
    )
