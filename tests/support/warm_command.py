"""Runs the command in a fork of a process that has imported it: a process of its own, but for what starting costs."""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FuturesTimeoutError
from pathlib import Path
from typing import NoReturn

import pytest

PROCESS = Path(__file__).with_name("warm_process.py")
# What Python and the C library read when they start: who gives another value gets a process that starts with it.
READ_AT_START = ("PYTHON", "LANG", "LC_", "TZ", "MALLOC_", "LD_")
AT_START = {"LANG": "C.UTF-8"}


class WarmCommand:
    """A process that waits with all imported, and has a child for each command, one at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def run(
        self, line: Sequence[str], environment: Mapping[str, str], cwd: Path, stdin: str, timeout: float
    ) -> subprocess.CompletedProcess[str] | None:
        """As `subprocess.run`; None where the command has to start by itself: in another language, or beside another.

        Raises subprocess.TimeoutExpired when it takes more than `timeout` seconds.
        """
        if {name: value for name, value in environment.items() if name.startswith(READ_AT_START)} != AT_START:
            return None
        if not self._lock.acquire(blocking=False):
            return None
        try:
            with tempfile.TemporaryFile() as wanted, tempfile.TemporaryFile() as given:
                wanted.write(json.dumps({"arguments": line, "environment": environment, "cwd": str(cwd)}).encode())
                given.write(stdin.encode())
                wanted.seek(0)
                given.seek(0)
                return self._become(line, wanted.fileno(), given.fileno(), timeout)
        finally:
            self._lock.release()

    def _become(
        self, line: Sequence[str], wanted: int, given: int, timeout: float
    ) -> subprocess.CompletedProcess[str]:
        (out, out_end), (err, err_end) = os.pipe(), os.pipe()
        connection = self._connected()
        socket.send_fds(connection, [b"."], [wanted, given, out_end, err_end])
        os.close(out_end)
        os.close(err_end)
        answers = connection.makefile()
        child = int(answers.readline() or self._failed())
        with ThreadPoolExecutor(3) as readers:
            code = readers.submit(answers.readline)
            said, complained = readers.submit(_all_of, out), readers.submit(_all_of, err)
            try:
                return subprocess.CompletedProcess(
                    line, int(code.result(timeout)), said.result(), complained.result()
                )
            except FuturesTimeoutError as error:
                os.kill(child, signal.SIGKILL)
                raise subprocess.TimeoutExpired(line, timeout) from error

    def _failed(self) -> NoReturn:
        assert self._process is not None
        pytest.fail(f"what commands are forked from has ended: {self._process.communicate()[1].decode()}")

    def _connected(self) -> socket.socket:
        """To the process, which is started at the first call, and ends when the tests do."""
        if self._connection is None:
            self._connection, its_own = socket.socketpair()
            with its_own:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", PROCESS, str(its_own.fileno())],
                    env={"PATH": os.environ["PATH"]} | AT_START,
                    stdin=subprocess.PIPE,  # pipes, as a command's are: Python looks at them when it starts
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    pass_fds=[its_own.fileno()],
                )
            atexit.register(self._process.wait)
            atexit.register(self._connection.close)
        return self._connection


def _all_of(number: int) -> str:
    with open(number, encoding="utf-8") as file:
        return file.read()


WARM = WarmCommand()
