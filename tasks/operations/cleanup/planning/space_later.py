"""When the first of what waits comes back as space. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.operations.cleanup.values import CleanupAction, PlanKind, QuarantineMode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.operations.cleanup.values import PlanHeader, RepositoryPlan


def space_from(plan: RepositoryPlan, header: PlanHeader) -> float | None:
    """From when on space comes back that a plan leaves waiting, if it is applied, and others as their waits end.

    None where nothing waits, or where no policy has said for how long.
    """
    return min(_ends(plan, header), default=None) if header.kind is PlanKind.CLEANUP else None


def _ends(plan: RepositoryPlan, header: PlanHeader) -> Iterator[float]:
    """The end of each wait, as seconds since 1970."""
    now, grace, hold = header.created, header.timing.grace, header.timing.hold
    is_gone_at_once = header.timing.mode is QuarantineMode.NONE
    for blob in plan.blobs:
        if blob.action is CleanupAction.MARK and blob.size and not blob.is_held_back:
            since = now if blob.since is None else blob.since
            yield since + grace + (0.0 if is_gone_at_once else hold)
        elif blob.action is CleanupAction.QUARANTINE and blob.size and not is_gone_at_once:
            yield now + hold
    for held in plan.quarantined:
        if held.action is CleanupAction.KEEP and held.size and not held.is_held_back:
            yield held.since + hold
