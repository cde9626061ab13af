"""Where the state of runs is kept in a bucket: a prefix for each (source, target), for machines that come and go."""

from __future__ import annotations

import logging
import shutil
import tempfile
import weakref
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.ledger.ledger import Ledger
from tasks.oci.errors import ConfigurationError, StateError
from tasks.stores.bucket.s3_client import make_client
from tasks.stores.state.bucket_lock import BucketLock, seen_locks
from tasks.stores.state.ledger_bucket import LedgerBucket
from tasks.stores.state.lock_group import held_with_others
from tasks.stores.state.lock_holder import LockHolder
from tasks.stores.state.run_spool import REPORT
from tasks.stores.state.run_state import file_name, pair_name, plan_forgetting, prefix_of, without_credentials
from tasks.stores.state.state_errors import as_state_error
from tasks.stores.state.state_objects import StateObjects

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from tasks.ledger.ledger_memory import LedgerPart
    from tasks.ports import Shard
    from tasks.stop import Stop
    from tasks.stores.bucket.s3_address import BucketAccess, BucketAddress

READ_SECONDS = 15.0
"""The objects are small, and a lock is to be renewed well within its expiry."""
LOCK_SECONDS = 30.0
"""For how long what the store does not answer for the moment is asked again while the lock is taken."""
FORGOTTEN_AT_ONCE = 100
"""The most reports that one run removes: each is a request, and usually there is one to go."""
_RUNS = "runs/"

logger = logging.getLogger(__name__)


class StateBucket:
    """See `RunState`; a run's results are in a temporary folder, and only its report goes to the bucket."""

    def __init__(self, root: BucketAddress, access: BucketAccess, source: str, target: str, stop: Stop) -> None:
        """Name the pair's prefix below `root`; nothing is sent yet.

        Raises:
            ConfigurationError: the settings for S3 can't be used, or there is no folder for what a run finds.
        """
        self._source = without_credentials(source)
        self._target = without_credentials(target)
        self._address = replace(root, prefix=f"{root.prefix}{pair_name(self._source, self._target)}/")
        self._client = make_client(access, READ_SECONDS)
        self._stop = stop
        self._objects = StateObjects(self._client, self._address, stop)
        self._folder = _temporary_folder()
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)

    def lock(
        self, run_id: str, on_lost: Callable[[], None] | None = None, shard: Shard | None = None
    ) -> AbstractContextManager[BucketLock]:
        """See `RunState.lock`."""
        soon = StateObjects(self._client, self._address, self._stop, patience=LOCK_SECONDS)
        at_once = StateObjects(self._client, self._address, self._stop, patience=0)
        holder = LockHolder.here(run_id, self._source, self._target)
        return held_with_others(
            shard,
            lambda name: BucketLock(soon, holder, on_lost, name=name, beating=at_once),
            lambda own: seen_locks(self._objects, own),
        )

    def ledger(self, run_id: str, only: LedgerPart | None = None) -> Ledger:
        """See `RunState.ledger`."""
        return Ledger(LedgerBucket(self._objects, run_id), prefix_of(self._target), only)

    def run_folder(self, run_id: str) -> Path:
        """See `RunState.run_folder`; it is gone when the process ends."""
        return self._folder / file_name(run_id)

    def keep_report(self, run_id: str, report: Path) -> str:
        """See `RunState.keep_report`."""
        name = f"{_RUNS}{file_name(run_id)}/{REPORT}"
        with as_state_error(report, "can't be read"), report.open("rb") as opened:
            self._objects.put(name, opened)
        self._forget_old_runs()
        return f"{self._address}/{name}"

    def _forget_old_runs(self) -> None:
        """Remove the reports of old runs by the store's clock, which has just written the newest; others stay."""
        at_once = StateObjects(self._client, self._address, self._stop, patience=0)
        try:
            written = {name: when for name, when in at_once.written(_RUNS) if name.endswith(f"/{REPORT}")}
            for name in plan_forgetting(written, max(written.values(), default=0.0))[:FORGOTTEN_AT_ONCE]:
                at_once.delete(name)
        except (StateError, ConfigurationError) as error:
            logger.warning("reports of old runs stay for now: %s", error)


def _temporary_folder() -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix="layoutlift-"))
    except OSError as error:
        message = f"a run's results can't be kept until its end ({error.strerror}): make room, or set TMPDIR"
        raise ConfigurationError(message) from error
