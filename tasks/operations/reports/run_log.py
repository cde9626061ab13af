"""Keeps what comes of a run as it comes, and knows when the rest is not worth trying."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Protocol

from tasks.oci.codes import Remark
from tasks.oci.errors import InterruptedRunError, LayoutliftError, StateError
from tasks.operations.reports.findings import FATAL, is_harmful
from tasks.operations.reports.shown_text import printable
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tasks.operations.reports.progress import Progress
    from tasks.operations.reports.results import TagResult
    from tasks.operations.reports.shard_report import ShardSummary
    from tasks.stop import Stop

logger = logging.getLogger(__name__)

FAILED_FAST = "--fail-fast ended the run"
LOST_LOCK = "the run lost its lock"
INTERRUPTED = "the run was interrupted"
MOST_TOLD = 200
"""Problems that are logged one by one, as many as the dashboard's table shows."""


class Recorder(Protocol):
    """Keeps results where they outlive the process."""

    def record(self, result: TagResult) -> None:
        """Keep a result; called by many threads."""
        ...


class RunLog:
    """Results, findings and counters of one run; shared by all workers."""

    def __init__(self, recorder: Recorder, progress: Progress, stop: Stop, *, fail_fast: bool) -> None:
        self._recorder = recorder
        self.progress = progress
        self._stop = stop
        self._fail_fast = fail_fast
        self._lock = threading.Lock()
        self._fatal: LayoutliftError | None = None
        self._told = 0
        self.ended_by: str | None = None
        """What ended the run, where it was not told to end."""
        self.findings: list[Finding] = []
        self.unasked = False
        """Whether layouts were taken from the ledger, without a question to the target."""
        self.indexes: dict[str, str] = {}
        """The mark of each layout's index as it was read last."""

    def keep(self, result: TagResult) -> None:
        """Keep the result of a tag.

        Raises:
            StateError: it can't be kept; nothing more is begun, of which no report would tell.
        """
        try:
            self._recorder.record(result)
        except StateError as error:
            self.give_up(error)
            raise
        self.progress.note(result)
        if not result.is_problem:
            return
        if not self._was_left(result):
            self._tell(result)
        for kind in FATAL:
            if result.code == kind.code:
                self._give_up(kind(f"not tried, since before it: {result.message}"), result.message or "")
        if self._fail_fast and not self._stop.requested:
            self.ended_by = FAILED_FAST
            self._stop.set()

    def _was_left(self, result: TagResult) -> bool:
        """Whether it has the code of what ended the run: that is said of the run, and not of each tag."""
        fatal = self._fatal
        return result.code == InterruptedRunError.code or (fatal is not None and result.code == fatal.code)

    def _tell(self, result: TagResult) -> None:
        """Log a problem, unless there were many: each line costs as much as a tag where Prefect keeps them."""
        with self._lock:
            self._told += 1
            number = self._told
        if number <= MOST_TOLD:
            place, message = result.target or result.place, result.message or ""
            logger.warning("%s %s: %s", result.outcome, printable(place), printable(message))
        elif number == MOST_TOLD + 1:
            logger.warning("more than %d tags have a problem: the report has them all", MOST_TOLD)

    def note(self, finding: Finding, *, is_of_tags: bool = False) -> None:
        """Keep a finding, and count it where it is more than a remark; one that `is_of_tags` is counted with them."""
        with self._lock:
            self.findings.append(finding)
        if is_harmful(finding) and not is_of_tags:
            self.progress.note_problem()

    def note_all(self, findings: Iterable[Finding]) -> None:
        """Keep each of these."""
        for finding in findings:
            self.note(finding)

    def note_index(self, path: str, etag: str) -> None:
        """Keep the mark of an index that was read; where it differs from an earlier one, somebody wrote to it."""
        with self._lock:
            before, self.indexes[path] = self.indexes.get(path, etag), etag
        if before != etag:
            message = f"index.json was written to during the run: {before}, then {etag}"
            self.note(Finding(path, Remark.INDEX_CHANGED, message))

    def note_unasked(self) -> None:
        """Keep that a layout was taken from the ledger."""
        self.unasked = True

    def absorb(self, summary: ShardSummary, results: Iterable[TagResult]) -> None:
        """Keep what another process did as a part of this run."""
        self.progress.note_traffic(summary.traffic)
        self.progress.note_bytes(summary.bytes_read)
        for path, etag in summary.indexes.items():
            self.note_index(path, etag)
        self.note_all(summary.findings)
        for result in results:
            self.keep(result)
        self.unasked |= summary.unasked

    def give_up(self, error: LayoutliftError) -> None:
        """Have the run begin nothing more, for the reason that `error` gives."""
        self._give_up(error, str(error))

    def _give_up(self, error: LayoutliftError, reason: str) -> None:
        """`error` is said of each tag that is left, `reason` once."""
        with self._lock:
            is_first, self._fatal = self._fatal is None, self._fatal or error
        if is_first:
            logger.warning("the rest is not tried: %s", printable(reason))

    def reason_to_skip(self) -> LayoutliftError | None:
        """Why nothing more should be begun, None while the run goes on."""
        if self._stop.requested:
            return InterruptedRunError(f"{self.ended_by or 'the run ended'} before this was begun")
        return self._fatal

    @property
    def how_it_ended(self) -> str | None:
        """How the run ended before its time, None where it did not."""
        return (self.ended_by or INTERRUPTED) if self._stop.requested else None
