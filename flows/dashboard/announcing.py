"""Events of our own in Prefect's stream, for automations to wait for: that a run began, and how it ended."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from prefect.events import emit_event

from tasks.oci.codes import Refused

if TYPE_CHECKING:
    from tasks.run_options import RunKind, RunOptions
    from tasks.runs import Run

BEGUN, COMPLETE, INCOMPLETE, CONFLICTS = (
    f"layoutlift.run.{what}" for what in ("begun", "complete", "incomplete", "conflict")
)


def announce_begun(run: Run) -> None:
    """Say that a run has found what there is to do."""
    _emit(run.kind, run.options, BEGUN, {"expected": run.progress.expected})


def announce_ended(run: Run) -> None:
    """Say how a run ended, and apart from that if tags have other content at the target."""
    totals = dict(run.totals_json())
    _emit(run.kind, run.options, COMPLETE if run.tree.complete else INCOMPLETE, totals)
    conflicts = sum(result.code == Refused.CONFLICT for result in run.results()) if run.totals.problems else 0
    if conflicts:
        _emit(run.kind, run.options, CONFLICTS, totals | {"conflicts": conflicts})


def announce_conflicts(kind: RunKind, options: RunOptions, conflicts: int) -> None:
    """Say of a run that it did not begin because so many tags have other content at the target."""
    _emit(kind, options, CONFLICTS, {"conflicts": conflicts})


def _emit(kind: RunKind, options: RunOptions, event: str, payload: dict[str, int]) -> None:
    """The resource is the pair of source and target, so that automations can wait for each pair apart.

    Runs with `--since-last` have one of their own: such a run each few minutes would hide for ever that none succeeds
    which looks at the target, too.
    A shard is silent: how the pair's run ended is for that run to say.
    """
    if options.shard is not None:
        return
    pair = hashlib.sha256(options.title.encode(errors="backslashreplace")).hexdigest()[:16]
    apart, said = (".since-last", " (--since-last)") if options.since_last else ("", "")
    emit_event(
        event,
        resource={
            "prefect.resource.id": f"layoutlift.{kind}.{pair}{apart}",
            "prefect.resource.name": f"{options.title}{said}",
            "layoutlift.flow": str(kind),
        },
        payload=payload,
    )
