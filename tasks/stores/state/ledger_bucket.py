"""The ledger of a (source, target) pair in a bucket: objects of JSON lines that are written once and never changed.

A run writes another object every ten seconds in which it has something to say. The names order the lines of all
runs by time, and whatever a machine's clock says, after those that it has read; many that nobody can come before any
more are made one under the name of their last.
"""

from __future__ import annotations

import contextlib
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tasks.oci.errors import StateError
from tasks.stores.state.json_lines import json_line, parse_json_lines
from tasks.stores.state.ledger_memory import LedgerMemory
from tasks.stores.state.line_buffer import LineBuffer
from tasks.stores.state.run_state import file_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tasks.stores.state.state_objects import StateObjects, StoredObject

FLUSH_SECONDS = 10.0
MOST_OBJECTS = 100
SETTLED_SECONDS = 600.0
"""Shards write at once, by clocks of their own and with patience: so old, no object is preceded by a late one."""
_BUFFERED_BYTES = 1024 * 1024
_PREFIX, _MADE_ONE = "ledger-", "+"
_READERS = 8
_READ_ATTEMPTS = 5
_STAMP = re.compile(rf"{_PREFIX}([0-9]+)-")


class LedgerBucket:
    """See `LedgerLines`; safe to use from several threads."""

    def __init__(self, objects: StateObjects, run_id: str) -> None:
        """Read all below the prefix of `objects`, write the lines of this run there."""
        self._objects = objects
        self._run = file_name(run_id)
        self._stamp = 0
        self._lines = LineBuffer(self._write, seconds=FLUSH_SECONDS, most_bytes=_BUFFERED_BYTES)

    def read(self) -> LedgerMemory:
        """See `LedgerLines.read`; old objects that are many are made one."""
        for _ in range(_READ_ATTEMPTS):
            names = list(self._objects.names(_PREFIX))
            memory = self._read(names)
            if memory is not None:
                self._stamp = max((int(stamp[1]) for name in names if (stamp := _STAMP.match(name))), default=0)
                return memory
        raise StateError(f"the ledger below {self._objects} changes faster than it can be read")

    def append(self, line: Mapping[str, object], *, before_it_is_so: bool = False) -> None:  # noqa: ARG002
        """See `LedgerLines.append`; an object for each tag would cost more than to take a tag for another's."""
        self._lines.append(json_line(line))

    def flush(self) -> None:
        """See `LedgerLines.flush`."""
        self._lines.flush()

    def close(self) -> None:
        """See `LedgerLines.close`."""
        self._lines.close()

    def _write(self, lines: bytes) -> None:
        self._stamp = max(time.time_ns() // 1_000_000, self._stamp + 1)
        self._objects.put(f"{_PREFIX}{self._stamp:014d}-{self._run}", lines)

    def _read(self, names: Sequence[str]) -> LedgerMemory | None:
        """What the objects say, in their order; None when one was taken away, and none that stands for it was listed.

        What lacks some of the objects that another one stands for begins with that one. It was made just now, or by
        whom died over it: the others are left to whoever is at it, since what is made of a part is not all of it.
        """
        memory, settled, lacks = LedgerMemory(), True, False
        made_one = max((place for place, name in enumerate(names) if name.endswith(_MADE_ONE)), default=-1)
        with ThreadPoolExecutor(_READERS, thread_name_prefix="ledger") as pool:
            for place, found in enumerate(pool.map(self._objects.get, names)):
                if found is None:
                    if place >= made_one:
                        return None
                    lacks = True
                    continue
                if settled and not _is_settled(found):
                    settled = False
                    if place > made_one:
                        self._compact_if_many(names[:place], memory)
                if lacks and place == made_one:
                    memory = LedgerMemory()
                for line in parse_json_lines(found.body.splitlines()):
                    memory.take_line(line)
        if settled:
            self._compact_if_many(names, memory)
        return memory

    def _compact_if_many(self, names: Sequence[str], memory: LedgerMemory) -> None:
        """Write one object in place of all; should two runs do so at once, both write the same.

        Objects do not change, so none can be in use, and the new one sorts after all that it stands for and
        before all that were written since. Where this fails, everything stays readable as it is.
        """
        if len(names) <= MOST_OBJECTS:
            return
        with contextlib.suppress(StateError):
            self._objects.put(f"{names[-1]}{_MADE_ONE}", b"".join(map(json_line, memory.lines())))
            for name in names:
                self._objects.delete(name)


def _is_settled(found: StoredObject) -> bool:
    return time.time() - found.modified >= SETTLED_SECONDS
