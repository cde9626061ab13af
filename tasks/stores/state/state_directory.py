"""Where the state of runs is kept: a folder for each (source, target), with its lock and its ledger."""

from __future__ import annotations

import contextlib
import logging
import shutil
import time
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.ledger.ledger import Ledger
from tasks.stores.home_folder import home_of
from tasks.stores.state.ledger_folder import LedgerFolder
from tasks.stores.state.lock_group import held_with_others
from tasks.stores.state.lock_holder import LockHolder
from tasks.stores.state.run_lock import RunLock, seen_locks
from tasks.stores.state.run_spool import REPORT, RESULTS
from tasks.stores.state.run_state import (
    KEPT_SECONDS,
    file_name,
    pair_name,
    plan_forgetting,
    prefix_of,
    without_credentials,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from tasks.ledger.ledger_memory import LedgerPart
    from tasks.ports import Shard
    from tasks.stop import Stop

logger = logging.getLogger(__name__)

DEAD_SECONDS = 30 * 24 * 3600.0
"""After so long without a result, a run that has no report was killed: its results are of no more use."""


def default_state_root(environment: Mapping[str, str]) -> Path:
    """The XDG base directory specification's place for state; a relative XDG_STATE_HOME is ignored, as it asks.

    Raises:
        ConfigurationError: there is none, as this user has no home.
    """
    chosen = Path(environment.get("XDG_STATE_HOME", ""))
    return (chosen if chosen.is_absolute() else home_of(environment) / ".local" / "state") / "layoutlift"


def made_state_root(environment: Mapping[str, str]) -> Path:
    """The same, made if need be for this user alone, as that specification asks; what is there keeps its rights.

    Reports and ledgers name repositories, hosts and what went wrong.
    """
    root = default_state_root(environment)
    with contextlib.suppress(OSError):  # who writes there says what is wrong
        for folder in (root.parent, root):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return root


class StateDirectory:
    """The state of one (source, target) pair below `root`; nothing is made before it is needed."""

    def __init__(self, root: Path, source: str, target: str, stop: Stop | None = None) -> None:
        """Name the pair's folder; credentials in an address are left out of all that is kept."""
        self._stop = stop
        self._source = without_credentials(source)
        self._target = without_credentials(target)
        self.folder = root / pair_name(self._source, self._target)
        self._lock: RunLock | None = None

    def run_folder(self, run_id: str) -> Path:
        """See `RunState.run_folder`; the report stays there, too."""
        return self.folder / "runs" / file_name(run_id)

    def keep_report(self, run_id: str, report: Path) -> str:  # noqa: ARG002 - it is where it belongs
        """See `RunState.keep_report`; what is left of old runs goes."""
        _forget_old_runs(self.folder / "runs")
        return str(report)

    def lock(
        self, run_id: str, on_lost: Callable[[], None] | None = None, shard: Shard | None = None
    ) -> AbstractContextManager[RunLock]:
        """See `RunState.lock`."""
        holder = LockHolder.here(run_id, self._source, self._target)

        def lock_of(name: str) -> RunLock:
            self._lock = RunLock(self.folder, holder, on_lost, name=name, stop=self._stop)
            return self._lock

        return held_with_others(shard, lock_of, lambda own: seen_locks(self.folder, own, self._stop))

    def ledger(self, run_id: str, only: LedgerPart | None = None) -> Ledger:
        """See `RunState.ledger`."""
        return Ledger(LedgerFolder(self.folder, run_id, self._unseen), prefix_of(self._target), only)

    def _unseen(self) -> float:
        return 0.0 if self._lock is None else self._lock.unseen()


def _forget_old_runs(runs: Path) -> None:
    """Remove what old runs left, so that schedules fill no disk; what can't be removed stays, and that is said."""
    stays: dict[Path, OSError] = {}
    with _noted(stays, runs):
        _forget(runs, time.time(), stays)
    if stays:
        folder, error = next(iter(stays.items()))
        more = f", and in {len(stays) - 1} more," if len(stays) > 1 else ""
        logger.warning("what old runs left in %s%s stays for now: %s", folder, more, error.strerror or error)


def _forget(runs: Path, now: float, stays: dict[Path, OSError]) -> None:
    """Remove each by itself; a run that is at work has no report yet."""
    written = {path.parent: path.stat().st_mtime for path in runs.glob(f"*/{REPORT}")}
    for folder in plan_forgetting(written, now):
        with _noted(stays, folder):
            shutil.rmtree(folder)
    for folder, when in written.items():
        if now - when > KEPT_SECONDS:  # the report has all of it; until then, who prints its end may read it
            with _noted(stays, folder):
                (folder / RESULTS).unlink(missing_ok=True)
    for folder in filter(Path.is_dir, {*runs.iterdir()} - written.keys()):
        with _noted(stays, folder):
            if _is_dead(folder, now):
                shutil.rmtree(folder)


def _is_dead(folder: Path, now: float) -> bool:
    return all(now - path.stat().st_mtime > DEAD_SECONDS for path in chain((folder,), folder.iterdir()))


@contextlib.contextmanager
def _noted(stays: dict[Path, OSError], folder: Path) -> Iterator[None]:
    """Note why a folder stays; one that is gone already is what another run is at, too."""
    try:
        yield
    except FileNotFoundError:
        return
    except OSError as error:
        stays.setdefault(folder, error)
