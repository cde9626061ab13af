"""Runs one command and writes what it cost as JSON; a process of its own, so that its memory is not counted.

A child starts with the peak memory of the process that it was forked from: the harness has far more of it than
this bare interpreter (`python -I -S`). Standard library only, and little of it.

    python -I -S launcher.py RESULT TIMEOUT_SECONDS COMMAND...
"""

import json
import os
import signal
import sys
import time


def main(result: str, timeout_seconds: str, *command: str) -> None:
    """Run to the end or the timeout; both are results."""
    timed_out = False
    began = time.monotonic()
    child = os.posix_spawnp(command[0], command, os.environ, setsid=True)

    def end_all(*_: object) -> None:
        nonlocal timed_out
        timed_out = True
        os.killpg(child, signal.SIGKILL)

    for number in (signal.SIGALRM, signal.SIGINT, signal.SIGTERM):  # with the harness goes what it measured
        signal.signal(number, end_all)
    signal.alarm(int(timeout_seconds))
    _, status, usage = os.wait4(child, 0)
    wall = time.monotonic() - began
    signal.alarm(0)
    outcome = {
        "wall": wall,
        "user": usage.ru_utime,
        "system": usage.ru_stime,
        "peak_kib": usage.ru_maxrss,  # of the largest process, where there are several
        "exit_code": None if timed_out else os.waitstatus_to_exitcode(status),
    }
    with open(result, "w", encoding="ascii") as file:  # noqa: PTH123 - pathlib would double this process
        json.dump(outcome, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
