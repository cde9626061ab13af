"""The moment when both sides were equal, or why none can be named.

Equal means: every tag that was chosen at the source has the same digest at the target, proved in this run by asking
the target, and no index of the source changed, came or went from before the first question until after the last.
Nor is a layout of an earlier run out of sight, below a folder that is empty now: a mount within the source went away;
nor are only files or blobs left of one, as while it is copied.
What the target has besides does not count. The moment is the end of the questions.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tasks.oci.codes import Problem, Remark
from tasks.oci.errors import LayoutliftError
from tasks.operations.choosing.ancestry import with_ancestors
from tasks.operations.in_step.since_last import owners
from tasks.operations.reports.counts import counted
from tasks.operations.reports.findings import NOTHING_CHOSEN, is_harmful
from tasks.operations.reports.results import Outcome
from tasks.operations.source.index_marks import changed_layouts, index_marks
from tasks.operations.source.split_source import SplitSource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tasks.operations.choosing.selection import Selection
    from tasks.operations.reports.run_log import RunLog
    from tasks.ports import Source


class Equality:
    """`at` is the moment, in ISO 8601; where it is None, `reason` says why. `known` are layouts of earlier runs."""

    def __init__(self, source: Source, selection: Selection, log: RunLog, known: Callable[[], Iterable[str]]) -> None:
        self._source = source
        self._selection = selection
        self._log = log
        self._known = known
        self.at: str | None = None
        self.reason: str | None = "the run did not come to its end"

    def settle(self, *, complete: bool, unasked: bool = False) -> None:
        """Judge at the end of the run's work; `unasked`: some layouts were taken from the ledger.

        The source's indexes are read once more, unless the answer is no already.
        """
        moment = datetime.now(UTC).isoformat(timespec="seconds")
        self.reason = (
            self._difference(complete=complete, unasked=unasked)
            or self._hidden()
            or self._remains()
            or self._change()
        )
        self.at = moment if self.reason is None else None

    def withdraw(self, reason: str) -> None:
        """Name no moment after all; a reason that there was before stays."""
        self.at, self.reason = None, self.reason or reason

    def _difference(self, *, complete: bool, unasked: bool) -> str | None:
        if NOTHING_CHOSEN in self._log.findings:
            return "the patterns choose nothing"
        totals = self._log.progress.totals
        equal = totals.outcomes[Outcome.COPIED] + totals.outcomes[Outcome.UP_TO_DATE]
        if equal != totals.tags:
            return f"{totals.tags - equal} of {totals.tags} tags are not equal"
        if any(each.code == Problem.MISSING_AT_SOURCE for each in self._log.findings):
            return "the list of --tags-from has lines that find nothing at the source"
        if not complete:
            codes = ", ".join(sorted({each.code for each in self._log.findings if is_harmful(each)}))
            return f"something besides the tags has a problem ({codes})" if codes else "the run was interrupted"
        if unasked:
            return "with --since-last, the target was not asked for layouts that were unchanged"
        return None if totals.tags else "no tag was chosen, so there was nothing to compare"

    def _hidden(self) -> str | None:
        """Why vanished layouts may only be hidden: a folder is empty in which an earlier run found some."""
        empty = {each.path for each in self._log.findings if each.code == Remark.EMPTY_FOLDER}
        lost = self._lost() if empty else set()
        if isinstance(self._source, SplitSource):  # nobody knows in which folder a layout of these names lay
            places = empty if lost else set()
        else:
            places = empty.intersection(folder for path in lost for folder in with_ancestors(path))
        if not places:
            return None
        folder = min(places)
        found = "layouts that are gone" if isinstance(self._source, SplitSource) else "layouts there"
        return f"the folder {folder!r} is empty, and an earlier run found {found}; is something mounted there?"

    def _lost(self) -> set[str]:
        """The layouts of earlier runs that are chosen, and that this one did not find."""
        return set(filter(self._selection.may_match, set(self._known()) - self._log.indexes.keys()))

    def _remains(self) -> str | None:
        """Why a layout of an earlier run is neither there nor gone: without its index, something of it is left."""
        strays = [each.path for each in self._log.findings if each.code == Remark.NOT_A_LAYOUT]
        left = {owner for path in strays for owner in owners(path)} - self._log.indexes.keys()
        lost = self._lost() if left else set()
        if isinstance(self._source, SplitSource):  # nobody knows which repositories a layout held that has no index
            if not lost or left <= set(strays):
                return None
            return f"there are blobs without an index, which may have named {min(lost)!r}, as in an earlier run"
        if not (lost := lost & left):
            return None
        return f"of {min(lost)!r}, a layout in an earlier run, only files or blobs are left; is it being copied?"

    def _change(self) -> str | None:
        """What changed at the source since its indexes were read first."""
        changed = {each.path for each in self._log.findings if each.code == Remark.INDEX_CHANGED}
        try:
            changed |= changed_layouts(self._log.indexes, index_marks(self._source, self._selection))
        except LayoutliftError as error:
            return f"the source can't be read again: {error}"
        if not changed:
            return None
        layouts = counted(len(changed), "layout")
        return f"the source was written to during the run: {layouts}, {min(changed)!r} among them"
