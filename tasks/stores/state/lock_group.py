"""Locks of a pair that belong together: one of a run, and beneath it one of each shard that is part of the run.

Whoever takes a lock looks at the others only then. Of two that come at the same moment at least one sees the
other, so they may both give way, and never both go on. A run whose shards are still at work, though it died
itself, keeps others out as long as they are.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from tasks.oci.errors import LockHeldError
from tasks.stores.state.lock_holder import held_message
from tasks.stores.state.run_state import file_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from tasks.ports import Shard
    from tasks.stores.state.lock_holder import LockHolder

PAIR = "lock"
SHARDS = "shard-"
_Lock = TypeVar("_Lock")


@dataclass(frozen=True, slots=True)
class SeenLock:
    """A lock that somebody holds, and how old their last sign of life is, in seconds; None is one half written."""

    name: str
    holder: LockHolder | None
    age: float


@contextmanager
def held_with_others(
    shard: Shard | None,
    lock: Callable[[str], AbstractContextManager[_Lock]],
    seen: Callable[[str], Iterable[SeenLock]],
) -> Iterator[_Lock]:
    """Hold the lock of a run, or of a shard of one; `lock` makes it by its name, `seen` tells which others are held.

    Raises on entering:
        LockHeldError: another run, or a shard of one, is at work; or the very same shard.
    """
    name = PAIR if shard is None else f"{_group(shard.run)}{shard.number}"
    with lock(name) as held:
        for other in seen(name):
            if shard is None or not _belongs(other, shard.run):
                raise LockHeldError(held_message(other.holder, other.age, other.name))
        yield held


def are_of_one_run(one: str, other: str) -> bool:
    """Whether two names are those of shards of the same run, which never are in each other's way."""
    group = one.rpartition("-")[0]
    return group.startswith(SHARDS) and group == other.rpartition("-")[0]


def _belongs(other: SeenLock, run: str) -> bool:
    if other.name == PAIR:
        return other.holder is not None and other.holder.run == run
    return are_of_one_run(other.name, f"{_group(run)}0")


def _group(run: str) -> str:
    return f"{SHARDS}{file_name(run)}-"
