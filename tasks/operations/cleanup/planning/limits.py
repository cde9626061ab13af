"""How much a plan may take away. Pure; whoever applies a plan that goes beyond has to raise the limit by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.oci.reference import is_own_name, is_referrers_tag
from tasks.operations.cleanup.planning.plan_totals import totals_of
from tasks.operations.cleanup.values import CleanupAction, PlanFooter, PlanTotals
from tasks.operations.reports.counts import counted, percentage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tasks.operations.cleanup.values import PlanLimits, QuarantineMode, RepositoryPlan, TagDecision

_SHOWN = 20


def _percent(goes: Mapping[str, bool]) -> float:
    return sum(goes.values()) * 100 / len(goes) if goes else 0.0


def _bytes_taken(plan: RepositoryPlan) -> int:
    """What a plan takes a step further; what it leaves waiting was counted by the plan that had it begin to wait."""
    blobs = sum(
        blob.size
        for blob in plan.blobs
        if blob.action is CleanupAction.QUARANTINE or (blob.action is CleanupAction.MARK and blob.since is None)
    )
    held = sum(held.size for held in plan.quarantined if held.action is CleanupAction.PURGE)
    return blobs + held + sum(file.size for file in plan.files if file.action is CleanupAction.DELETE)


def _is_of_referrers(decision: TagDecision) -> bool:
    """Whether a name in the index is a tag of referrers, also where a repository's name is before it."""
    tag = decision.meant or decision.tag
    return is_referrers_tag(tag) and not is_own_name(tag, decision.digest)


def _is_emptied(plan: RepositoryPlan) -> bool:
    """Whether entries go and no content stays."""
    return bool(plan.removals) and not any(blob.action is CleanupAction.KEEP for blob in plan.blobs)


class LimitCheck:
    """Sees the plans of all repositories go by; counts them, and says which limits they exceed together."""

    def __init__(self, limits: PlanLimits, mode: QuarantineMode) -> None:
        self._limits = limits
        self._mode = mode
        self._beyond: list[str] = []
        self._more = 0
        self._bytes = 0
        self._takes = False
        self.totals = PlanTotals()

    def see(self, plan: RepositoryPlan) -> RepositoryPlan:
        """Count one repository in; the plan itself, unchanged."""
        self.totals.add(totals_of(plan, self._mode))
        self._bytes += _bytes_taken(plan)
        self._takes = self._takes or plan.takes_something
        for line in self._repository(plan):
            if len(self._beyond) < _SHOWN:
                self._beyond.append(line)
            else:
                self._more += 1
        return plan

    def beyond(self) -> tuple[str, ...]:
        """What is exceeded, a line each; of many repositories the first."""
        more = (f"and {counted(self._more, 'more repository')}",) if self._more else ()
        return (*self._whole(), *self._beyond, *more)

    def footer(self) -> PlanFooter:
        """What stands at the end of a plan of all that was seen."""
        return PlanFooter(self.totals, self.beyond())

    def _repository(self, plan: RepositoryPlan) -> Iterator[str]:
        """Tags of referrers are tags, too, but must not make up for those that people know."""
        every = {tag.tag: tag.action is CleanupAction.DELETE for tag in plan.tags}
        known = {tag.tag: every[tag.tag] for tag in plan.tags if not _is_of_referrers(tag)}
        judged, left = max(every, known, key=_percent), len(known) - sum(known.values())
        limits = self._limits
        if limits.max_percent is not None and _percent(judged) > limits.max_percent:
            part, whole = sum(judged.values()), len(judged)
            go = f"{percentage(part, whole)} of its tags go ({part} of {whole})"
            yield f"{plan.path}: {go}, max_percent is {limits.max_percent:g}"
        goes = any(known.values()) or _is_emptied(plan)
        if limits.min_tags_left is not None and left < limits.min_tags_left and goes:
            yield f"{plan.path}: {counted(left, 'tag', 'are')} left, min_tags_left is {limits.min_tags_left}"

    def _whole(self) -> Iterator[str]:
        totals, limits = self.totals, self._limits
        if limits.max_tags is not None and totals.tags_deleted > limits.max_tags:
            yield f"{counted(totals.tags_deleted, 'tag', 'go')}, max_tags is {limits.max_tags}"
        if limits.max_bytes is not None and self._takes and self._bytes > limits.max_bytes:
            yield f"{self._bytes} bytes go, max_bytes is {limits.max_bytes}"
