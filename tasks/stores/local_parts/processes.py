"""What the kernel knows of a process: when it started, the processor time and memory that it had."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_STATE, _USER, _SYSTEM, _CHILD_USER, _CHILD_SYSTEM, _START = 0, 11, 12, 13, 14, 19
_RESET_PEAK = "5"


@dataclass(frozen=True, slots=True)
class ProcessUse:
    """Seconds of processor time, ended children included, and the most resident memory in bytes."""

    user: float
    system: float
    peak: int


def start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None if it is gone, or a zombie nobody has collected."""
    fields = _stat(pid)
    return None if fields is None or fields[_STATE] in "ZX" else int(fields[_START])


def use_of(pid: int) -> ProcessUse | None:
    """What a process has used since its start; None if it is gone."""
    fields = _stat(pid)
    if fields is None:
        return None
    user, system = (int(fields[_USER]) + int(fields[_CHILD_USER]), int(fields[_SYSTEM]) + int(fields[_CHILD_SYSTEM]))
    return ProcessUse(user / _TICKS, system / _TICKS, _peak(pid))


def reset_peak(pid: int) -> None:
    """Have the most memory of a process counted anew; where that is not allowed it stays the most since its start."""
    try:
        Path(f"/proc/{pid}/clear_refs").write_text(_RESET_PEAK, encoding="ascii")
    except OSError:
        return


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()  # after the program's name, which may hold anything


def _peak(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    lines = (line.split() for line in status.splitlines() if line.startswith("VmHWM:"))
    return next((int(words[1]) * 1024 for words in lines), 0)
