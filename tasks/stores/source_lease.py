"""The lease on a source: one cleaner at a time, wherever it runs, by a file at the source itself.

It is written on the condition that it is what was read, where the store knows conditions. Elsewhere whoever took
it looks again a moment later, and watches another machine's for two heartbeats before taking it over. A run that
slept for long renews it before it takes anything away.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Self

from tasks.file_ports import OWN_FOLDER
from tasks.oci.errors import (
    ContentNotFoundError,
    LockHeldError,
    SourceChangedError,
    SourceError,
)
from tasks.stores.state.lock_holder import (
    EXPIRY_SECONDS,
    Heartbeat,
    LockHolder,
    give_time_to_beat,
    held_message,
    keeps_out,
)
from tasks.uptime import uptime

if TYPE_CHECKING:
    from tasks.file_ports import FileContent, FileWriter
    from tasks.stop import Stop

PATH = f"{OWN_FOLDER}/lease"
SETTLE_SECONDS = 1.0
"""How long two who took it at once may need to see each other, where nothing compares and writes in one step."""
_RELEASED = b"{}"
_ATTEMPTS = 3


class SourceLease:
    """The lease of one run, held between enter and exit.

    Raises on entering:
        LockHeldError: another run holds it; the message names that run.
        InterruptedRunError: the run is to end, and another one's lease was being watched.
        SourceWriteError: the source can't be written to.
    """

    def __init__(self, files: FileWriter, run: str, source: str, stop: Stop) -> None:
        """Take the lease on `source`, whose files these are, for `run`."""
        self._files = files
        self._stop = stop
        self._holder = LockHolder.here(run, source, "")
        self._beats = count()
        self._mark: str | None = None
        self._renewed = uptime()
        self._lock = threading.Lock()
        self._heart = Heartbeat(self._renew, None)

    def __enter__(self) -> Self:
        for _ in range(_ATTEMPTS):
            found = self._files.read_file(PATH)
            if found is not None:
                self._give_way(found)
            self._mark = None if found is None else found.etag
            if self._write():
                break
        if not self._files.is_conditional:
            self._stop.pause(SETTLE_SECONDS)
        if not self._is_ours():
            raise LockHeldError(held_message(None, 0, PATH))
        self._heart.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._heart.stop()
        with suppress(SourceError, ContentNotFoundError), self._lock:  # then it expires
            self._files.write_file(PATH, _RELEASED, self._mark)

    def check(self) -> None:
        """Pass while the lease is ours; asked before each step that takes something away.

        Raises:
            LockHeldError: another run took it, as after this process slept for longer than the expiry.
        """
        is_stale = uptime() - self._renewed > EXPIRY_SECONDS / 2
        if self._heart.is_lost or (is_stale and not self._renew()):  # a look alone would not keep others out
            raise LockHeldError("another run took the lease on this source over; nothing more was changed")

    def _give_way(self, found: FileContent) -> None:
        if found.raw == _RELEASED:
            return
        holder, stored = LockHolder.parse(found.raw), self._files.stat_file(PATH)
        age = 0.0 if stored is None else self._files.now() - stored.modified
        is_dead = holder is not None and holder.is_dead
        if abs(age) > EXPIRY_SECONDS and not is_dead and not self._files.is_conditional:
            self._watch(found)
        if keeps_out(holder, age):
            raise LockHeldError(held_message(holder, age, PATH))

    def _watch(self, found: FileContent) -> None:
        """See that nobody renews it."""
        give_time_to_beat(self._stop, "lease on this source")
        seen = self._files.read_file(PATH)
        if seen is not None and seen.raw not in {found.raw, _RELEASED}:
            raise LockHeldError(held_message(LockHolder.parse(seen.raw), 0, PATH))

    def _is_ours(self) -> bool:
        found = self._files.read_file(PATH)
        if found is None or not self._holder.wrote(found.raw):
            return False
        self._mark = found.etag
        return True

    def _renew(self) -> bool:
        with self._lock:  # after a beat that was carried out without our hearing of it, what is there is ours
            return self._write() or (self._is_ours() and self._write())

    def _write(self) -> bool:
        """Date the lease anew if it is what we saw last; by our clock no later than the store does."""
        began = uptime()
        try:
            self._mark = self._files.write_file(PATH, self._content(), self._mark)
        except SourceChangedError:
            return False
        self._renewed = began
        return True

    def _content(self) -> bytes:
        """Another one each time, as the mark of equal contents is equal."""
        return self._holder.content(beat=next(self._beats))
