"""Mounts whose program is stopped, so that they hang, and the processes that commands leave behind there."""

import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from infra.real_parts import S3Fs


@contextmanager
def stopped_process(pid: int) -> Generator[None]:
    """Let a process go on at the end of the block, whatever happened."""
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def hang(mount: S3Fs) -> None:
    """Stop the program of a mount; for the block of `stopped_process`."""
    os.kill(mount.pid, signal.SIGSTOP)


def left_behind(stderr: str) -> int:
    """The process that the message names."""
    return int(stderr.partition("The process ")[2].partition(" ")[0])


def is_running(pid: int) -> bool:
    """Whether a process is there that is no zombie."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
