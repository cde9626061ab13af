"""What a plan adds up to. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tasks.operations.cleanup.values import CleanupAction, PlanTotals, QuarantineMode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tasks.operations.cleanup.values import BlobDecision, FileDecision, QuarantineDecision, RepositoryPlan


def totals_of(plan: RepositoryPlan, mode: QuarantineMode) -> PlanTotals:
    """The counts of one repository."""
    tags = Counter(tag.action for tag in plan.tags)
    blobs = Counter(blob.action for blob in plan.blobs)
    hidden = Counter(blob.action for blob in plan.quarantined)
    swept = _bytes(plan.blobs, CleanupAction.QUARANTINE)
    gone = _bytes(plan.quarantined, CleanupAction.PURGE) + _bytes(plan.files, CleanupAction.DELETE)
    waiting = _bytes(plan.blobs, CleanupAction.MARK) + _bytes(plan.quarantined, CleanupAction.KEEP)
    held_back = sum(each.size for each in plan.held_back)
    # what is held back is not marked: it waits for no date
    blobs.subtract(blob.action for blob in plan.blobs if blob.is_held_back)
    at_once = mode is QuarantineMode.NONE
    return PlanTotals(
        repositories=1,
        refused=plan.refused is not None,
        tags_kept=tags[CleanupAction.KEEP],
        tags_deleted=tags[CleanupAction.DELETE],
        tags_added=tags[CleanupAction.ADD],
        entries_removed=len(plan.removals),
        blobs_kept=blobs[CleanupAction.KEEP],
        blobs_marked=blobs[CleanupAction.MARK],
        blobs_quarantined=blobs[CleanupAction.QUARANTINE],
        blobs_restored=hidden[CleanupAction.RESTORE],
        blobs_purged=hidden[CleanupAction.PURGE],
        files_deleted=sum(file.action is CleanupAction.DELETE for file in plan.files),
        layouts_dropped=plan.drop_layout,
        bytes_kept=_bytes(plan.blobs, CleanupAction.KEEP),
        bytes_now=gone + (swept if at_once else 0),
        bytes_later=waiting - held_back + (0 if at_once else swept),
        bytes_held=held_back,
    )


def has_work(totals: PlanTotals) -> bool:
    """Whether anything is done when a cleanup's plan is applied, which also names what it only keeps."""
    return any(
        (
            totals.tags_deleted,
            totals.tags_added,
            totals.entries_removed,
            totals.blobs_marked,
            totals.blobs_quarantined,
            totals.blobs_restored,
            totals.blobs_purged,
            totals.files_deleted,
            totals.layouts_dropped,
            totals.bytes_now,
        )
    )


def _bytes(decisions: Iterable[BlobDecision | QuarantineDecision | FileDecision], action: CleanupAction) -> int:
    """How many bytes an action is about."""
    return sum(each.size for each in decisions if each.action is action)
