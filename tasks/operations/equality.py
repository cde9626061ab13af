"""The moment when both sides were equal, or why none can be named.

Equal means: every tag that was chosen at the source has the same digest at the target, proved in this run by asking
the target, and no index of the source changed, came or went from before the first question until after the last.
What the target has besides does not count. The moment is the end of the questions.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tasks.oci.errors import LayoutliftError
from tasks.operations.results import Outcome
from tasks.operations.run_log import INDEX_CHANGED, NOTHING_CHOSEN
from tasks.ports import Finding

if TYPE_CHECKING:
    from tasks.operations.run_log import RunLog
    from tasks.operations.selection import Selection
    from tasks.ports import Source

READS_AT_ONCE = 8


class Equality:
    """`at` is the moment, in ISO 8601; where it is None, `reason` says why."""

    def __init__(self, source: Source, selection: Selection, log: RunLog) -> None:
        self._source = source
        self._selection = selection
        self._log = log
        self.at: str | None = None
        self.reason: str | None = "the run did not come to its end"

    def settle(self, *, complete: bool, unasked: bool = False) -> None:
        """Judge at the end of the run's work; `unasked`: some layouts were taken from the ledger.

        The source's indexes are read once more, unless the answer is no already.
        """
        moment = datetime.now(UTC).isoformat(timespec="seconds")
        self.reason = self._difference(complete=complete, unasked=unasked) or self._change()
        self.at = moment if self.reason is None else None

    def _difference(self, *, complete: bool, unasked: bool) -> str | None:
        if NOTHING_CHOSEN in self._log.findings:
            return "the patterns choose nothing"
        totals = self._log.progress.totals
        equal = totals.outcomes[Outcome.COPIED] + totals.outcomes[Outcome.UP_TO_DATE]
        if equal != totals.tags:
            return f"{totals.tags - equal} of {totals.tags} tags are not equal"
        if not complete:
            return "something could not be read or ordered, or the run was interrupted"
        if unasked:
            return "with --since-last, the target was not asked for layouts that were unchanged"
        return None

    def _change(self) -> str | None:
        """What changed at the source since its indexes were read first."""
        changed = {each.path for each in self._log.findings if each.code == INDEX_CHANGED}
        try:
            changed |= self._changed_since()
        except LayoutliftError as error:
            return f"the source can't be read again: {error}"
        if not changed:
            return None
        return f"the source was written to during the run: {len(changed)} layouts, {min(changed)!r} among them"

    def _etag(self, path: str) -> str:
        return self._source.read_index(path).etag

    def _changed_since(self) -> set[str]:
        before = dict(self._log.indexes)
        listed = self._source.list_layouts()
        paths = [path for path in listed if not isinstance(path, Finding) and self._selection.may_match(path)]
        with ThreadPoolExecutor(READS_AT_ONCE, thread_name_prefix="equal") as pool:
            after = dict(zip(paths, pool.map(self._etag, paths), strict=True))
        return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
