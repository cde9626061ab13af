"""The ledger of a (source, target) pair in a bucket: objects of JSON lines that are written once and never changed.

A run writes another object every ten seconds in which it has something to say. The names order the lines of all
runs by time, and whatever a machine's clock says, after those that it has read; many that nobody can come before any
more are made one under the name of their last.
"""

from __future__ import annotations

import io
import logging
import tempfile
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from tasks.ledger.ledger_memory import LedgerMemory
from tasks.oci.errors import StateError
from tasks.stores.state.json_lines import json_line, parse_json_lines
from tasks.stores.state.ledger_names import PREFIX, named, next_stamp, stamp_of
from tasks.stores.state.line_buffer import LineBuffer
from tasks.stores.state.run_state import file_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tasks.ledger.ledger_memory import LedgerPart
    from tasks.stores.state.object_parts import ObjectPart
    from tasks.stores.state.state_objects import StateObjects

FLUSH_SECONDS = 10.0
MOST_OBJECTS = 100
SETTLED_SECONDS = 600.0
"""Shards write at once, by clocks of their own and with patience: so old, no object is preceded by a late one."""
_BUFFERED_BYTES = 1024 * 1024
_MADE_ONE = "+"
_AT_ONCE = 8
AHEAD = 2 * _AT_ONCE
"""How many objects are read before their turn: all of them would be the ledger in memory once more."""
_READ_ATTEMPTS = 5

logger = logging.getLogger(__name__)


class _TakenAwayError(Exception):
    """An object went while it was read; others stand for it."""


class LedgerBucket:
    """See `LedgerLines`; safe to use from several threads."""

    def __init__(self, objects: StateObjects, run_id: str) -> None:
        """Take where the lines of all runs are, and the name of this one; nothing is read or written yet."""
        self._objects = objects
        self._run = file_name(run_id)
        self._stamp = 0
        self._lines = LineBuffer(self._write, seconds=FLUSH_SECONDS, most_bytes=_BUFFERED_BYTES)

    def read(self, only: LedgerPart | None = None) -> LedgerMemory:
        """See `LedgerLines.read`; old objects that are many are made one."""
        for _ in range(_READ_ATTEMPTS):
            written = list(self._objects.written(PREFIX))
            memory = self._read(written, only)
            if memory is not None:
                self._stamp = max((stamp_of(name) or 0 for name, _ in written), default=0)
                return memory
        raise StateError(f"the ledger below {self._objects} changes faster than it can be read")

    def append(self, line: Mapping[str, object], *, before_it_is_so: bool = False) -> None:  # noqa: ARG002 - see below
        """See `LedgerLines.append`; an object for each tag would cost more than to take a tag for another's."""
        self._lines.append(json_line(line))

    def flush(self) -> None:
        """See `LedgerLines.flush`."""
        self._lines.flush()

    def close(self) -> None:
        """See `LedgerLines.close`."""
        self._lines.close()

    def _write(self, lines: bytes) -> None:
        self._stamp = next_stamp(self._stamp)
        self._objects.put(named(self._stamp, self._run), lines)

    def _read(self, written: Sequence[tuple[str, float]], only: LedgerPart | None) -> LedgerMemory | None:
        """What the objects say, in their order; None when one was taken away, since others stand for it then."""
        made_one, said = _last_made_one(written), _not_said_again(written)
        fresh = next((name for name, when in said if time.time() - when < SETTLED_SECONDS), None)
        names, memory = [name for name, _ in said], LedgerMemory(only)
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="ledger") as pool:
            for name, found in zip(names, self._found(names, pool), strict=True):
                if found is None:
                    return None
                if only is None and name == fresh and name > made_one:
                    self._compact_if_many([each for each, _ in written if each < fresh], memory)
                try:
                    for line in parse_json_lines(self._lines_of(name, found)):
                        memory.take_line(line)
                except _TakenAwayError:
                    return None
        if only is None and fresh is None:
            self._compact_if_many([name for name, _ in written], memory)
        return memory

    def _lines_of(self, name: str, first: ObjectPart) -> Iterator[bytes]:
        """The lines of an object, of which one part is in memory: once made one, it is nearly all of the ledger.

        Raises:
            _TakenAwayError: it was, or is another one by now.
        """
        part: ObjectPart | None = first
        begun = b""
        while part is not None:
            for line in io.BytesIO(part.body):
                begun += line
                if line.endswith(b"\n"):
                    yield begun
                    begun = b""
            if part.is_last:
                yield begun
                return
            part = self._objects.part(name, part)
        raise _TakenAwayError

    def _found(self, names: Sequence[str], pool: ThreadPoolExecutor) -> Iterator[ObjectPart | None]:
        """The first part of each."""
        waiting: deque[Future[ObjectPart | None]] = deque()
        for name in names:
            waiting.append(pool.submit(self._objects.part, name))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _compact_if_many(self, names: Sequence[str], memory: LedgerMemory) -> None:
        """Write one object in place of all; should two runs do so at once, the later of the two stands for both.

        Objects do not change, so none can be in use, and the new one sorts after all that it stands for and
        before all that were written since. Where this fails, everything stays readable as it is, and that is said.
        """
        if len(names) <= MOST_OBJECTS:
            return
        try:
            self._compact(names, memory)
        except (StateError, OSError) as error:
            reason = (isinstance(error, OSError) and error.strerror) or error
            logger.warning("%d objects of the ledger are not made one for now: %s", len(names), reason)

    def _compact(self, names: Sequence[str], memory: LedgerMemory) -> None:
        with tempfile.TemporaryFile() as whole:
            whole.writelines(map(json_line, memory.lines()))
            self._objects.put(f"{names[-1]}{_MADE_ONE}", whole)
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="ledger") as pool:
            for _ in pool.map(self._objects.delete, names):
                pass


def _last_made_one(written: Sequence[tuple[str, float]]) -> str:
    return max((name for name, _ in written if name.endswith(_MADE_ONE)), default="")


def _not_said_again(written: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """The objects to read, of all with their times: without those that the last which was made of others stands for.

    Of these, some may be there and others not: whoever made it is at it, or died over it; and what a part of them
    says may be over. An object that is younger is read before it: a shard whose clock is behind wrote it.
    """
    made_one = _last_made_one(written)
    until = dict(written).get(made_one, 0.0) - SETTLED_SECONDS
    return [(name, when) for name, when in written if name >= made_one or when > until]
