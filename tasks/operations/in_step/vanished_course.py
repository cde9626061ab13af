"""When a run removes what vanished: decided and checked before anything is copied, done after all of it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.oci.codes import Remark
from tasks.oci.errors import LayoutliftError, TooManyVanishedError
from tasks.operations.in_step.vanished import VanishedRemoval, VanishedTag
from tasks.operations.reports.counts import counted
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.ledger_ports import ForgettingLedger
    from tasks.operations.in_step.vanished import DeletionLimits
    from tasks.operations.in_step.vanished_search import VanishedSearch
    from tasks.operations.reports.run_log import RunLog
    from tasks.ports import Target


class VanishedCourse:
    """`begin` after the survey, `settle` after the copy; a plan only begins."""

    def __init__(
        self,
        search: VanishedSearch,
        target: Target,
        ledger: ForgettingLedger,
        *,
        log: RunLog,
        limits: DeletionLimits,
    ) -> None:
        self._search = search
        self._target = target
        self._ledger = ledger
        self._log = log
        self._limits = limits
        self._repositories: Mapping[str, str] = {}
        self._planned: frozenset[VanishedTag] = frozenset()

    @property
    def has_planned(self) -> bool:
        """Whether something is to go."""
        return bool(self._planned)

    def begin(self, repositories: Mapping[str, str], *, only_plan: bool) -> None:
        """Find what is to go; a plan has a finding for each tag, and one where it is more than the limits allow.

        Raises:
            TooManyVanishedError: more than may go; nothing was changed.
            SourceError: the source can't be listed.
        """
        self._repositories = dict(repositories)
        self._planned = self._search.find(self._repositories).tags
        if only_plan:
            for each in sorted(self._planned):
                message = f"{self._target.host}/{each} vanished at the source, and would be deleted ({each.digest})"
                self._log.note(Finding(each.path, Remark.TO_DELETE, message))
        try:
            self._limits.check(len(self._planned), self._search.brought(self._repositories))
        except TooManyVanishedError as error:
            if not only_plan:
                raise
            self._log.note(Finding(".", error.code, str(error)))

    def settle(self, *, complete: bool) -> None:
        """Delete what was planned and is still not at the source, if everything else went well.

        Raises:
            StateError: the ledger can't be written.
        """
        if not self._planned:
            return
        if not complete:
            message = (
                f"{counted(len(self._planned), 'vanished tag', 'were')} not deleted, because the run is not complete"
            )
            self._log.note(Finding(".", Remark.NOT_DELETED, message))
            return
        try:
            found = self._search.find(self._repositories)
        except LayoutliftError as error:
            self._log.note(Finding(".", error.code, f"nothing was deleted: {error}"))
            return
        for finding in VanishedRemoval(self._target, self._ledger).execute(self._planned & found.tags, found.layouts):
            self._log.note(finding)
