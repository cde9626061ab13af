"""How the files and objects of a ledger are named: by when each was begun, which is their order, and by its run."""

from __future__ import annotations

import re
import time

PREFIX = "ledger-"
_STAMP = re.compile(rf"{PREFIX}([0-9]{{14}})-")


def named(stamp: int, run: str) -> str:
    """The name, without an ending, of what a run begins at this stamp."""
    return f"{PREFIX}{stamp:014d}-{run}"


def stamp_of(name: str) -> int | None:
    """When it was begun, in milliseconds of Unix time; None of a file that an earlier version named."""
    stamp = _STAMP.match(name)
    return None if stamp is None else int(stamp[1])


def next_stamp(last: int) -> int:
    """Now, or whatever the clock says, after the last that is known."""
    return max(time.time_ns() // 1_000_000, last + 1)
