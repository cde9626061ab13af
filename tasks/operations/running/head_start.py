"""First attempts at the batches of a run, begun while Prefect is being loaded.

Loading Prefect takes longer than copying a small tree: meanwhile the run surveys its source and begins. The flow then
calls `execute` for each batch, as if nothing had been done. Where a first attempt was begun, the call waits for its
outcome; from the first call on, no more of them are begun here.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from tasks.operations.running.tree_run import BATCHES_AT_ONCE

if TYPE_CHECKING:
    from tasks.operations.running.batches import Batch
    from tasks.operations.running.source_survey import Survey
    from tasks.operations.running.tree_run import TreeRun


class HeadStart:
    """See the module; surveying begins at once, in a thread."""

    def __init__(self, tree: TreeRun) -> None:
        self._tree = tree
        self._pool = ThreadPoolExecutor(BATCHES_AT_ONCE, thread_name_prefix="head start")
        self._attempts: dict[Batch, Future[None]] = {}
        self._surveyed = self._pool.submit(self._begin)

    def survey(self) -> Survey:
        """The run's survey, once it is done.

        Raises:
            SourceUnavailableError: the source is not there.
        """
        return self._surveyed.result()

    def execute(self, batch: Batch, *, last_attempt: bool) -> None:
        """Do a batch as `TreeRun.execute` does; its first attempt may have been made."""
        self._begin_no_more()
        attempt = self._attempts.pop(batch, None)
        if attempt is None or attempt.cancelled():
            self._tree.execute(batch, last_attempt=last_attempt)
        else:
            attempt.result()

    def close(self) -> None:
        """Wait for what is under way; it ends early where the run was told to stop."""
        wait([self._surveyed])
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _begin(self) -> Survey:
        survey = self._tree.survey()
        for batch in survey.batches:
            self._attempts[batch] = self._pool.submit(self._tree.execute, batch, last_attempt=False)
        return survey

    def _begin_no_more(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
