"""What is said of tags of others that are overwritten: nothing else names what the target had."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.oci.codes import Remark
from tasks.operations.work.planning import TagAction
from tasks.ports import Finding

if TYPE_CHECKING:
    from tasks.oci.digest import Digest
    from tasks.operations.work.planning import CopyPolicy, TagPlan


def is_loss(plan: TagPlan) -> bool:
    """Whether others lose what they have under the tag."""
    return plan.action is TagAction.OVERWRITE and plan.is_theirs


def to_overwrite(path: str, reference: str, plan: TagPlan, backup: str | None) -> Finding:
    """The finding on a tag of the target that a migration would take from others."""
    kept = _nowhere(plan) if backup is None else f"as {backup}"
    message = f"{reference} has {plan.seen} from {_whose(plan)}, which would be overwritten, and kept {kept}"
    return Finding(path, Remark.TO_OVERWRITE, message)


def _whose(plan: TagPlan) -> str:
    return "others" if plan.owner is None else f"the layout {plan.owner!r}"


def _nowhere(plan: TagPlan) -> str:
    return "nowhere" if plan.owner is None else "nowhere, as the source had it"


@dataclass(frozen=True, slots=True)
class Overwritten:
    """Which tags at `place` were taken from others, and what was kept of them; shared by all workers on a layout."""

    path: str
    place: str
    policy: CopyPolicy
    findings: list[Finding] = field(default_factory=list, init=False)
    _kept: dict[str, Digest] = field(default_factory=dict, init=False)
    _unanswered: dict[str, TagPlan] = field(default_factory=dict, init=False)

    def note_kept(self, tag: str, digest: Digest) -> None:
        """Note what the backup of a tag holds."""
        self._kept[tag] = digest

    def note_unanswered(self, tag: str, plan: TagPlan) -> None:
        """Note a tag that was to be written as planned, of which the target did not say that it was."""
        self._unanswered[tag] = plan

    def note_there(self, tag: str) -> None:
        """Note that a tag was found with what was to be written: without an answer, it was written all the same."""
        if (plan := self._unanswered.get(tag)) is not None:
            self.note(tag, plan)

    def note(self, tag: str, plan: TagPlan) -> None:
        """Note a tag that was written as planned, whatever was said of it before."""
        self._unanswered.pop(tag, None)
        if not is_loss(plan):
            return
        is_kept = self._kept.get(tag) == plan.seen
        kept = f"is kept as {self.policy.backup_of(tag)}" if is_kept else f"was kept {_nowhere(plan)}"
        message = f"{self.place}:{tag} had {plan.seen} from {_whose(plan)}, which {kept}"
        self.findings.append(Finding(self.path, Remark.TAG_OVERWRITTEN, message))
