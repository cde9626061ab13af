"""A lock that one run holds on a (source, target) pair: an object that is only ever written on conditions.

Age is told by the store's clock alone. A released lock is an object without a holder, because not every store
deletes on conditions.
"""

from __future__ import annotations

import contextlib
from itertools import count
from typing import TYPE_CHECKING, Self

from tasks.oci.errors import LockHeldError, StateError
from tasks.stores.state.lock_group import PAIR, SHARDS, SeenLock, are_of_one_run
from tasks.stores.state.lock_holder import Heartbeat, LockHolder, held_message, keeps_out
from tasks.stores.state.state_objects import ConditionFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tasks.stores.state.state_objects import StateObjects, StoredObject

_RELEASED = b"{}"
_ATTEMPTS = 5


class BucketLock:
    """The lock of one run, held between enter and exit.

    Raises on entering:
        LockHeldError: another run holds it; the message names that run.
        ConfigurationError: the store can't keep a lock.
        StateError: it can't be written, or the bucket can't be used.
    """

    def __init__(
        self,
        objects: StateObjects,
        holder: LockHolder,
        on_lost: Callable[[], None] | None = None,
        *,
        name: str = PAIR,
        beating: StateObjects | None = None,
    ) -> None:
        """Lock below the prefix of `objects`; `on_lost` is called, once, should another run take the lock away.

        `beating` are the same objects, asked without patience once the lock is held: what fails waits for no longer
        than until the next beat, and at the end of a run the lock expires.
        """
        self._objects = objects
        self._beating = beating or objects
        self._name = name
        self._holder = holder
        self._beats = count()
        self._etag = ""
        self._heart = Heartbeat(self._renew, on_lost)

    def __enter__(self) -> Self:
        now = self._objects.check_conditions()
        for _ in range(_ATTEMPTS):
            found = self._objects.get(self._name)
            self._give_way(found, now)
            if self._write(self._content(), found):
                self._heart.start()
                return self
        raise LockHeldError(held_message(None, 0, f"{self._objects}/{self._name}"))

    def __exit__(self, *_: object) -> None:
        self._heart.stop()
        with contextlib.suppress(StateError):  # then it expires
            self._beating.put(self._name, _RELEASED, only_if=self._etag)

    def _give_way(self, found: StoredObject | None, now: float) -> None:
        if found is None or found.body == _RELEASED:
            return
        holder, age = LockHolder.parse(found.body), now - found.modified
        if keeps_out(holder, age):
            raise LockHeldError(held_message(holder, age, f"{self._objects}/{self._name}"))

    def _write(self, content: bytes, found: StoredObject | None) -> bool:
        """Write over what was found there, and nothing else; whether the lock is ours now."""
        with contextlib.suppress(ConditionFailedError):
            self._etag = self._objects.put(
                self._name, content, only_if=found.etag if found else None, if_absent=found is None
            )
        # an answer may have been lost, and not every store checks and writes in one step
        return self._is_ours(self._objects)

    def _is_ours(self, objects: StateObjects) -> bool:
        found = objects.get(self._name)
        if found is None or not self._holder.wrote(found.body):
            return False
        self._etag = found.etag
        return True

    def _renew(self) -> bool:
        try:
            self._etag = self._beating.put(self._name, self._content(), only_if=self._etag)
        except ConditionFailedError:
            return self._is_ours(self._beating)
        return True

    def _content(self) -> bytes:
        """Another one each time, as the ETag of equal contents may be equal."""
        return self._holder.content(beat=next(self._beats))


def seen_locks(objects: StateObjects, own: str) -> Iterator[SeenLock]:
    """The other locks below a prefix that are held just now; the time is that of the lock `own`, taken a moment ago.

    Shards of the run that `own` is a shard of are passed over. Whoever holds the lock of a run removes those of
    shards that have ended: nobody takes them again, and each would be read by every later run.

    Raises:
        StateError: they can't be read, or removed.
    """
    mine = objects.get(own)
    for name in [PAIR, *objects.names(SHARDS)]:
        found = None if name == own or are_of_one_run(name, own) else objects.get(name)
        if mine is None or found is None:
            continue
        holder, age = LockHolder.parse(found.body), mine.modified - found.modified
        if found.body != _RELEASED and keeps_out(holder, age):
            yield SeenLock(name, holder, age)
        elif own == PAIR:
            objects.delete(name)
