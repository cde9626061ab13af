"""Events of our own in Prefect's stream, for automations to wait for: that a run began, and how it ended."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from prefect.events import emit_event

from tasks.oci.codes import Refused

if TYPE_CHECKING:
    from tasks.runs import Run

BEGUN, COMPLETE, INCOMPLETE, CONFLICTS = (
    f"layoutlift.run.{what}" for what in ("begun", "complete", "incomplete", "conflict")
)


def announce_begun(run: Run) -> None:
    """Say that a run has found what there is to do."""
    _emit(run, BEGUN, {"expected": run.progress.expected})


def announce_ended(run: Run) -> None:
    """Say how a run ended, and apart from that if tags have other content at the target."""
    totals = dict(run.totals_json())
    _emit(run, COMPLETE if run.tree.complete else INCOMPLETE, totals)
    conflicts = sum(result.code == Refused.CONFLICT for result in run.results()) if run.totals.problems else 0
    if conflicts:
        _emit(run, CONFLICTS, totals | {"conflicts": conflicts})


def _emit(run: Run, event: str, payload: dict[str, int]) -> None:
    """The resource is the pair of source and target, so that automations can wait for each pair apart.

    A shard is silent: how the pair's run ended is for that run to say.
    """
    if run.options.shard is not None:
        return
    pair = hashlib.sha256(run.title.encode(errors="backslashreplace")).hexdigest()[:16]
    emit_event(
        event,
        resource={
            "prefect.resource.id": f"layoutlift.{run.kind}.{pair}",
            "prefect.resource.name": run.title,
            "layoutlift.flow": str(run.kind),
        },
        payload=payload,
    )
