"""Layouts that somebody removed whole while the quarantine still holds blobs of theirs; reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.file_ports import below
from tasks.oci.image_layout import BLOBS, INDEX, MARKER
from tasks.operations.cleanup.deciding.blob_decisions import decide_unneeded, hidden_of, spare
from tasks.operations.cleanup.planning.holding_back import hidden_protected, hold_back_quarantined
from tasks.operations.cleanup.planning.plan_tools import or_left_alone
from tasks.operations.cleanup.values import RepositoryPlan

if TYPE_CHECKING:
    from tasks.file_ports import FileReader, StoredFile
    from tasks.operations.cleanup.planning.plan_tools import PlanTools
    from tasks.operations.work.concurrency import MapConcurrently


def is_gone(files: FileReader, path: str, map_concurrently: MapConcurrently) -> bool:
    """Whether nothing of a layout is left: neither of its two files, nor anything below `blobs`.

    Of one that is there nothing is listed, which a mount takes its time for. Else all three are looked for beside
    each other, as a mount is given time for each.

    Raises:
        SourceError: that can't be told.
    """
    if any(files.stat_file(below(path, name), waits=False) is not None for name in (INDEX, MARKER)):
        return False

    def look(name: str) -> StoredFile | None:
        place = below(path, name)
        return next(iter(files.list_files(place)), None) if name == BLOBS else files.stat_file(place)

    return all(found is None for found in map_concurrently(look, (INDEX, MARKER, BLOBS)))


def plan_gone(tools: PlanTools, path: str) -> RepositoryPlan | None:
    """Decide on what the quarantine holds of a layout that is gone; None where it holds nothing, or is not gone.

    Raises:
        InterruptedRunError: the run was told to end.
    """
    return or_left_alone(path, lambda: _plan(tools, path))


def _plan(tools: PlanTools, path: str) -> RepositoryPlan | None:
    held = tools.holdings.held(path)
    if not held or not is_gone(tools.files, path, tools.map_concurrently):
        return None
    decisions = [decide_unneeded(blob, tools.rules) for blob in held]
    hidden = hidden_of(tools.protected, held, ())
    quarantined = hold_back_quarantined(tools, path, spare(decisions, hidden))
    findings = hidden_protected(path, hidden, is_gone=True)
    return RepositoryPlan(path, "", quarantined=quarantined, is_gone=True, findings=findings)
