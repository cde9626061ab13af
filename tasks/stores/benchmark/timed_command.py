"""Runs one command and sees what it cost: the kernel's own account of it, and when its first byte arrived."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.oci.errors import ProgramFailedError
from tasks.stores.hidden_secrets import end_without_secrets
from tasks.stores.local_parts.processes import use_of
from tasks.stores.state.state_errors import as_state_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from resource import struct_rusage
    from typing import IO

    from tasks.stop import Stop

LOOK_SECONDS = 0.005
"""How often a folder is looked at for its first byte: that is how exact the time to it is."""
WAIT_SECONDS = 0.2
SMALL_SECONDS = 60.0
"""How long a command is waited for that moves no content."""
LETS_GO_SECONDS = 5.0
"""How long a killed command is waited for; what a hung mount holds ends only after the mount's program."""
READY = b"ready\n"
_TAIL = 400


@dataclass(frozen=True, slots=True)
class CommandTime:
    """Times of one command in seconds, its children's included."""

    wall: float
    user: float
    system: float
    first_byte: float | None


@dataclass(frozen=True, slots=True)
class _CommandPatience:
    """For how long a command is waited for."""

    stop: Stop
    seconds: float
    since: float = field(default_factory=time.monotonic)

    def check(self) -> None:
        """Pass as long as it is.

        Raises:
            ProgramFailedError: its time is over.
            InterruptedRunError: the run was told to stop.
        """
        self.stop.check()
        if time.monotonic() - self.since > self.seconds:
            raise ProgramFailedError(f"it did not end within {self.seconds:.0f} s")


class TimedCommand:
    """A command that is to run in a folder with an environment; its output goes to a log beside that folder."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        log: Path,
        patience: float = SMALL_SECONDS,
    ) -> None:
        self._command, self._folder, self._environment, self._log = command, folder, environment, log
        self._patience = patience

    def run(self, stop: Stop, *, out: Path | None = None, waits: bool = False) -> CommandTime:
        """Run it to its end.

        `out` is looked at for the first byte. A command that `waits` says that it is ready and begins when it gets
        a line; what it used until then is not counted.

        Raises:
            ProgramFailedError: it ended with another status than 0, or not within its time.
            InterruptedRunError: the run was told to stop; the command was ended.
            StateError: its log can't be written.
        """
        with self._opened_log() as log, _ended(self._launched(log, waits=waits)) as process:
            patience = _CommandPatience(stop, self._patience)
            before = self._begin(process, patience) if waits else (0.0, 0.0)
            started = time.monotonic()
            first_byte, usage = _wait(process, patience, started, out)
            wall = time.monotonic() - started
        if process.returncode != 0:
            raise ProgramFailedError(f"{self._command[0]} ended with status {process.returncode}: {self._tail()}")
        return CommandTime(wall, usage.ru_utime - before[0], usage.ru_stime - before[1], first_byte)

    def _opened_log(self) -> IO[bytes]:
        with as_state_error(self._log):
            return self._log.open("wb")

    def _launched(self, log: IO[bytes], *, waits: bool) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(  # noqa: S603 - a path's own command
                list(self._command),
                cwd=self._folder,
                env=dict(self._environment),
                stdin=subprocess.PIPE if waits else subprocess.DEVNULL,
                stdout=subprocess.PIPE if waits else log,
                stderr=log if waits else subprocess.STDOUT,
                bufsize=0,
                start_new_session=True,  # Ctrl-C is for us, who end it in order
            )
        except OSError as error:
            raise ProgramFailedError(f"{self._command[0]} can't be started: {error.strerror}") from error

    def _begin(self, process: subprocess.Popen[bytes], patience: _CommandPatience) -> tuple[float, float]:
        assert process.stdin is not None  # noqa: S101 - as it was started
        if _first_line(process, patience) != READY:
            raise ProgramFailedError(f"{self._command[0]} did not get ready: {self._tail()}")
        used = use_of(process.pid)
        process.stdin.write(b"\n")
        return (used.user, used.system) if used else (0.0, 0.0)

    def _tail(self) -> str:
        text = " ".join(self._log.read_text(errors="replace").split())
        return end_without_secrets(text, _TAIL) or "it said nothing"  # it becomes a part of the results


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Kill it, and what it started, where the block ends before it does."""
    try:
        yield process
    except BaseException:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                process.wait(LETS_GO_SECONDS)
        raise
    finally:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _first_line(process: subprocess.Popen[bytes], patience: _CommandPatience) -> bytes:
    """What it says first, as far as that goes."""
    assert process.stdout is not None  # noqa: S101 - as it was started
    line = b""
    while not line.endswith(b"\n"):
        if select.select([process.stdout], [], [], WAIT_SECONDS)[0]:
            if not (read := process.stdout.read(len(READY))):
                break
            line += read
        patience.check()
    return line


def _wait(
    process: subprocess.Popen[bytes], patience: _CommandPatience, started: float, out: Path | None
) -> tuple[float | None, struct_rusage]:
    """Wait for the end, looking for the first byte meanwhile; returns when it was there, and the kernel's account."""
    first_byte: float | None = None
    descriptor = os.pidfd_open(process.pid)
    try:
        ended = False
        while not ended:
            looking = out is not None and first_byte is None
            ended = bool(select.select([descriptor], [], [], LOOK_SECONDS if looking else WAIT_SECONDS)[0])
            patience.check()
            if looking and out is not None and _has_content(out):
                first_byte = time.monotonic() - started
    finally:
        os.close(descriptor)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return first_byte, usage


def _has_content(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(entry.stat().st_size for entry in entries)
    except FileNotFoundError:  # a program may give its file another name meanwhile
        return True
