"""When a run removes what vanished: decided and checked before anything is copied, done after all of it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.oci.codes import Problem, Remark
from tasks.oci.errors import InterruptedRunError, LayoutliftError, TooManyVanishedError
from tasks.operations.in_step.lost_at_target import no_more_ours
from tasks.operations.in_step.vanished import VanishedRemoval
from tasks.operations.in_step.vanished_search import Vanished
from tasks.operations.reports.counts import counted
from tasks.operations.reports.findings import RUN_WIDE
from tasks.ports import Finding
from tasks.uptime import uptime

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from tasks.ledger.ledger import Ledger
    from tasks.operations.in_step.vanished import DeletionLimits, VanishedTag
    from tasks.operations.in_step.vanished_search import VanishedSearch
    from tasks.operations.reports.run_log import RunLog
    from tasks.ports import Target


OTHER_SOURCE = (
    "the source has none of the layouts that earlier runs knew: if it is another one at the same path, give each a "
    "name (--source-name); if it is the same, migrate once without --delete-vanished"
)

_LOST = (
    "no index of the source names it any more, but {digest} is still there, as two writers leave it of whom the "
    "second did not see the first's entry"
)
_UNREAD = (
    "{digest} is still there, and whether anything names it can't be told: an index of its layout that can't be read "
    "may have it for a part"
)

_BELIEVED_FOR, _TIMES = 60.0, 10
"""A look at the source is believed for a minute, or where it takes long for so many times what it took."""
_IDLE_LOOKS = 3
"""After so many looks in a row that were too old by the time the target was ready, the rest is left."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What the source was seen without, and until when that is believed."""

    found: Vanished
    until: float

    def is_believed(self) -> bool:
        """Whether a tag may go still on the strength of it: whoever lost the lock may have slept for hours."""
        return uptime() < self.until


class VanishedCourse:
    """`begin` after the survey, `settle` after the copy; a plan only begins."""

    def __init__(
        self,
        search: VanishedSearch,
        target: Target,
        ledger: Ledger,
        *,
        log: RunLog,
        limits: DeletionLimits,
        wait: Callable[[], bool],
        is_held: Callable[[], bool],
    ) -> None:
        """Before each tag but the first, `wait` until the run may go on; it says whether that took time.

        For tags that were lost nothing waits while the run `is_held`.
        """
        self._search = search
        self._target = target
        self._ledger = ledger
        self._log = log
        self._limits = limits
        self._wait = wait
        self._is_held = is_held
        self._repositories: Mapping[str, str] = {}
        self._found = Vanished()
        self._seen = self._found

    @property
    def has_planned(self) -> bool:
        """Whether something is to go."""
        return bool(self._found.tags)

    def begin(self, repositories: Mapping[str, str], *, only_plan: bool) -> None:
        """Find what is to go; a plan has a finding for each tag, and one where it is more than the limits allow.

        With doubts about one layout no run deletes anything, and the limits are not asked.

        Raises:
            TooManyVanishedError: more than may go, or the source seems to be another one; nothing was changed.
            SourceError: the source can't be listed.
            InterruptedRunError: the run is to end.
        """
        if self._log.reason_to_skip() is not None:
            message = "no vanished tag was looked for, and none was deleted, because the run ended before its work"
            self._log.note(Finding(".", Remark.NOT_DELETED, message))
            return
        self._repositories = dict(repositories)
        found = self._search.find(self._repositories)
        self._seen = found
        self._note_doubts(found)
        if only_plan:
            self._log.note_all(map(self._lost, sorted(found.lost)))
        if found.doubts:
            if found.tags:
                message = f"{_not_deleted(found.tags, planned=only_plan)}, because of what can't be told"
                self._log.note(Finding(".", Remark.NOT_DELETED, message))
            return
        self._found = found
        if only_plan:
            self._log.note_all(self._to_delete(found))
        try:
            self._check(found)
        except TooManyVanishedError as error:
            if not only_plan:
                raise
            self._log.note(Finding(".", error.code, str(error)))

    def _to_delete(self, found: Vanished) -> Iterator[Finding]:
        for each in sorted(found.tags):
            message = f"{self._target.host}/{each} vanished at the source, and would be deleted ({each.digest})"
            yield Finding(each.path, Remark.TO_DELETE, message)

    def _note_doubts(self, found: Vanished) -> None:
        """Say what can't be told to have vanished, unless the survey said so."""
        self._log.note_all(each for each in found.doubts if each not in self._log.findings)

    def _check(self, found: Vanished) -> None:
        if found.tags and found.is_other:
            raise TooManyVanishedError(OTHER_SOURCE)
        self._limits.check(len(found.tags), self._search.brought(self._repositories))

    def settle(self, *, complete: bool) -> None:
        """Delete what was planned and is still not at the source, if everything else went well.

        Last of all it is said what the source has lost: that keeps nothing else from being deleted. Of that the
        target is asked whether it has it still, whatever else went wrong, unless the run was ended or is held: the
        next one may ask as well.

        The source is looked at again after each time that the run was held, and when the last look is old: others
        may have brought a tag back.

        Raises:
            StateError: the ledger can't be written.
        """
        may_go_on = self._settle(complete=complete)
        for each in sorted(filter(self._is_noted, self._seen.lost)):
            if may_go_on and self._may_ask():
                may_go_on = self._ask(each)
            else:
                self._log.note(self._lost(each))

    def _is_noted(self, lost: VanishedTag) -> bool:
        """Whether it is still as an earlier run brought it: this one may have found it again, with other content."""
        note = self._ledger.entry(lost.repository, lost.tag)
        return note is not None and note.digest == lost.digest

    def _may_ask(self) -> bool:
        return self._log.reason_to_skip() is None and not self._is_held()

    def _ask(self, lost: VanishedTag) -> bool:
        """Forget it where the target has nothing of ours, and say what is so; whether it may be asked for others."""
        try:
            last_word = no_more_ours(self._target, lost)
        except LayoutliftError as error:
            self._log.note(self._lost(lost, f"; whether the target has it still can't be told: {error}"))
            return error.code not in RUN_WIDE
        if last_word is not None:
            self._ledger.forget_tag(lost.repository, lost.tag)
        self._log.note(last_word or self._lost(lost))
        return True

    def _lost(self, tag: VanishedTag, but: str = "") -> Finding:
        why = _UNREAD if tag.path in self._seen.unread else _LOST
        message = f"{self._target.host}/{tag} stays: {why.format(digest=tag.digest)}{but}"
        return Finding(tag.path, Problem.LOST_AT_SOURCE, message)

    def _settle(self, *, complete: bool) -> bool:
        """Whether nothing has ended the run by then."""
        if not self._found.tags:
            if complete:
                self._forget(self._found)
            return True
        left, may_go_on, idle = sorted(self._found.tags), True, 0
        while complete and left and may_go_on and idle < _IDLE_LOOKS:
            try:
                look = self._look()
            except InterruptedRunError:
                break
            except LayoutliftError as error:
                self._log.note(Finding(".", error.code, f"{_not_deleted(left)}: {error}"))
                return error.code not in RUN_WIDE
            self._note_doubts(look.found)
            if look.found.doubts:
                break
            tags = [each for each in left if each in look.found.tags]
            left, may_go_on = self._delete(tags, look)
            idle = idle + 1 if left == tags else 0
            if not left:
                self._forget(look.found)
        if left:
            self._log.note(Finding(".", Remark.NOT_DELETED, f"{_not_deleted(left)}, because {_why_not(idle)}"))
        return may_go_on

    def _look(self) -> _Look:
        began = uptime()
        found = self._search.find(self._repositories)
        self._seen = found
        return _Look(found, began + max(_BELIEVED_FOR, _TIMES * (uptime() - began)))

    def _forget(self, found: Vanished) -> None:
        """Forget layouts that are gone, and whose tags went before them: no later run need ask for those."""
        for path in () if found.is_other or found.doubts else sorted(found.layouts):
            note = self._ledger.layout(path)
            if note is not None and not self._ledger.brought_to(note.repository, path):
                self._ledger.forget_layout(path)

    def _delete(self, tags: list[VanishedTag], look: _Look) -> tuple[list[VanishedTag], bool]:
        """Delete these as far as the run may go on; what is left, and whether it may be deleted later."""
        parts, done = self._search.parts(look.found), 0
        removal = VanishedRemoval(self._target, self._ledger, parts.may_need, look.is_believed)
        for done, finding in enumerate(removal.execute(tags, look.found.layouts), 1):
            self._log.note(finding)
            if finding.code in RUN_WIDE:
                return tags[done:], False
            was_held = self._wait() if tags[done:] else False
            is_over = self._log.reason_to_skip() is not None
            if was_held or is_over:
                return tags[done:], not is_over
        return tags[done:], self._log.reason_to_skip() is None


def _why_not(idle: int) -> str:
    if idle < _IDLE_LOOKS:
        return "the run is not complete"
    return f"the target was not ready to delete one until the look at the source was old, {idle} times in a row"


def _not_deleted(tags: Collection[VanishedTag], *, planned: bool = False) -> str:
    if planned:
        return f"{counted(len(tags), 'vanished tag')} would not be deleted"
    return f"{counted(len(tags), 'vanished tag', 'were')} not deleted"
