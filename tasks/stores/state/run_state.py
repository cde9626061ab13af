"""What a run keeps of itself beyond its end, wherever that is: its lock, the ledger and its report."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from tasks.ledger.ledger import Ledger
    from tasks.ledger.ledger_memory import LedgerPart
    from tasks.ports import Shard

KEPT_RUNS = 200
KEPT_SECONDS = 24 * 3600.0
"""Of how many runs of a pair the reports are kept, the newest, and for how long all of them are."""
_READABLE = 60
_HASH = 12
_Place = TypeVar("_Place", str, Path)


class RunState(Protocol):
    """The state of one (source, target) pair."""

    def lock(
        self, run_id: str, on_lost: Callable[[], None] | None = None, shard: Shard | None = None
    ) -> AbstractContextManager[object]:
        """Keep other runs out while inside the `with` block; a `shard` lets in others of the same run.

        `on_lost` is called, from another thread, should another run take the lock over because this one gave
        no sign of life for a minute.

        Raises on entering:
            LockHeldError: another run is inside; the message names its id, host, pid and start.
            InterruptedRunError: the run is to end, and a folder's lock that seemed to have ended was being watched.
            StateError: the state can't be written.
        """
        ...

    def ledger(self, run_id: str, only: LedgerPart | None = None) -> Ledger:
        """What earlier runs wrote to the target, or a part of it; this run's entries are kept apart, by `run_id`.

        Raises:
            StateError: it can't be read.
        """
        ...

    def run_folder(self, run_id: str) -> Path:
        """A folder of this machine for a run's results; not made here."""
        ...

    def keep_report(self, run_id: str, report: Path) -> str:
        """Keep a run's report, a file of this machine; where people find it from now on.

        Those of old runs go; where they can't be removed, that is logged, and left to the next run.

        Raises:
            StateError: it can't be written.
        """
        ...


def plan_forgetting(written: Mapping[_Place, float], now: float) -> list[_Place]:
    """Which reports of runs go, the oldest first, given when each was written, in seconds as `now` is."""
    newest_first = sorted(written, key=lambda place: (written[place], place), reverse=True)
    return [place for place in reversed(newest_first[KEPT_RUNS:]) if now - written[place] > KEPT_SECONDS]


def without_credentials(address: str) -> str:
    """An address as it may be kept and shown."""
    return re.sub(r"^([a-z0-9]+://)?[^/@]*:[^/@]*@", r"\1", address.rstrip("/") or address)


def pair_name(source: str, target: str) -> str:
    """A name for a pair that is safe in paths, readable, and no other pair's."""
    readable = "--".join(re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-.")[-_READABLE:] for text in (source, target))
    whole = f"{source}\n{target}".encode(errors="backslashreplace")
    return f"{readable}-{sha256(whole).hexdigest()[:_HASH]}"


def prefix_of(target: str) -> str:
    """What the names of a target's repositories begin with; empty for the whole registry."""
    return target.partition("/")[2].strip("/")


def file_name(run_id: str) -> str:
    """A run's id as part of a file's name: itself where it is safe there, else made so and told apart by a hash."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", run_id)[:80]
    if readable == run_id and readable.strip("."):
        return readable
    return f"{readable}-{sha256(run_id.encode(errors='backslashreplace')).hexdigest()[:8]}"
