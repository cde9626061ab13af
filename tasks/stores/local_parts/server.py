"""A real program that serves until it is stopped: start, readiness, end, log."""

from __future__ import annotations

import os
import signal
import subprocess
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Self

from tasks.oci.errors import ProgramFailedError
from tasks.stores.hidden_secrets import end_without_secrets
from tasks.stores.local_parts.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

START_DEADLINE_SECONDS = 60.0
STOP_DEADLINE_SECONDS = 15.0
LOG_TAIL_CHARACTERS = 2_000


class Server(ABC):
    """One process with a folder of its own for configuration, data and log.

    The ports are chosen when the object is made, so that a part that was stopped or killed starts again
    at the same address with the same data.
    """

    name: str
    stop_signal = signal.SIGTERM

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def _command(self) -> list[str]:
        """Write the configuration and return the command line."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Say whether the part does its work already, by asking it for a real answer."""

    def _environment(self) -> dict[str, str]:
        """Return what the program's environment has beyond our own."""
        return {}

    def _whole_environment(self) -> dict[str, str]:
        return os.environ | self._environment()

    @property
    def log_file(self) -> Path:
        """Where the program's output goes, appended to over restarts."""
        return self.folder / f"{self.name}.log"

    @property
    def pid(self) -> int:
        """The process id of the running program."""
        if self._process is None:
            raise ProgramFailedError(f"{self.name} is not running")
        return self._process.pid

    @property
    def leftovers(self) -> list[Path]:
        """What the program leaves behind outside its folder when it ends."""
        return []

    def start(self) -> Self:
        """Start the program and return once it answers.

        Raises:
            ProgramMissingError: it is not installed, or this user may not use it.
            ProgramFailedError: it does not answer in time, or ended; the message holds the end of its log.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._process = self._launch()
        try:
            wait_until(self._is_ready_or_gone, what=f"{self.name} answers", deadline_seconds=START_DEADLINE_SECONDS)
            self._fail_if_gone()
        except BaseException as failure:
            self.stop()
            if isinstance(failure, ProgramFailedError):
                raise ProgramFailedError(f"{failure}; the end of its log:\n{self.log_tail()}") from None
            raise
        return self

    def stop(self) -> None:
        """End the program in an orderly way and wait until it is gone; harmless when it is not running."""
        self._end(self.stop_signal)
        for leftover in self.leftovers:
            leftover.unlink(missing_ok=True)

    def kill(self) -> None:
        """End the program as a crash would."""
        self._end(signal.SIGKILL)

    def log_tail(self) -> str:
        """The end of the log, for a message."""
        if not self.log_file.exists():
            return "(no log)"
        return end_without_secrets(self.log_file.read_text(errors="replace"), LOG_TAIL_CHARACTERS)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _launch(self) -> subprocess.Popen[bytes]:
        command = self._command()
        with self.log_file.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - a program of the project's choice, or the user's
                command,
                cwd=self.folder,
                env=self._whole_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C at the terminal is for the caller; the demo outlives it
            )

    def _is_ready_or_gone(self) -> bool:
        return self._is_gone() or self._is_ready()

    def _is_gone(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def _fail_if_gone(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            raise ProgramFailedError(f"{self.name} ended by itself with status {self._process.returncode}")

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(STOP_DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_DEADLINE_SECONDS)
        self._process = None
