"""Where the state of runs is kept: a folder for each (source, target), with its lock and its ledger."""

from __future__ import annotations

import re
import secrets
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.stores.ledger import Ledger, file_name
from tasks.stores.run_lock import LockHolder, RunLock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_READABLE = 60
_HASH = 12


def default_state_root(environment: Mapping[str, str]) -> Path:
    """The XDG base directory specification's place for state; a relative XDG_STATE_HOME is ignored, as it asks."""
    chosen = Path(environment.get("XDG_STATE_HOME", ""))
    if chosen.is_absolute():
        return chosen / "layoutlift"
    home = environment.get("HOME")
    return (Path(home) if home else Path.home()) / ".local" / "state" / "layoutlift"


class StateDirectory:
    """The state of one (source, target) pair below `root`; nothing is made before it is needed."""

    def __init__(self, root: Path, source: str, target: str) -> None:
        """Name the pair's folder; credentials in an address are left out of all that is kept."""
        self._source = _without_credentials(source)
        self._target = _without_credentials(target)
        self._folder = root / _folder_name(self._source, self._target)
        self._run_id = secrets.token_hex(8)

    @property
    def folder(self) -> Path:
        """The pair's own folder."""
        return self._folder

    def run_folder(self, run_id: str) -> Path:
        """Where a run keeps its results and report; not made here."""
        return self._folder / "runs" / file_name(run_id)

    def lock(self, run_id: str, on_lost: Callable[[], None] | None = None) -> RunLock:
        """Keep other runs out while inside the `with` block.

        `on_lost` is called, from another thread, should another run take the lock over because this one gave
        no sign of life for a minute.

        Raises on entering:
            LockHeldError: another run is inside; the message names its id, host, pid and start.
            StateError: the folder can't be written.
        """
        self._run_id = run_id
        return RunLock(self._folder, LockHolder.here(run_id, self._source, self._target), on_lost)

    def ledger(self, run_id: str | None = None) -> Ledger:
        """What earlier runs wrote to the target; this run's entries go to a file of its own, by `run_id`.

        Without `run_id`, the run that last asked for the lock is meant.

        Raises:
            StateError: it can't be read.
        """
        return Ledger(self._folder, run_id or self._run_id)


def _without_credentials(address: str) -> str:
    return re.sub(r"^([a-z0-9]+://)?[^/@]*:[^/@]*@", r"\1", address.rstrip("/") or address)


def _folder_name(source: str, target: str) -> str:
    readable = "--".join(re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-.")[-_READABLE:] for text in (source, target))
    whole = f"{source}\n{target}".encode(errors="backslashreplace")
    return f"{readable}-{sha256(whole).hexdigest()[:_HASH]}"
