"""Forgets runs that nothing can be undone of any more, so that journals don't grow for ever, and left drafts."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tasks.file_ports import DRAFTS, RUNS
from tasks.oci.image_layout import digest_of_path
from tasks.operations.cleanup.layout.index_edit import read_entry
from tasks.operations.cleanup.planning.gone_layouts import is_gone
from tasks.operations.cleanup.records.holdings import Holdings
from tasks.operations.cleanup.records.journal import TRASH, Step, read_record, records_among
from tasks.operations.cleanup.records.marks import forget_marks, list_marks, notes_anything, read_marks
from tasks.operations.in_step.since_last import vanished_layouts
from tasks.operations.reports.shown_text import printable
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tasks.file_ports import FileReader, StoredFile
    from tasks.oci.digest import Digest
    from tasks.operations.cleanup.applying.apply_tools import ApplyTools
    from tasks.operations.cleanup.records.journal import RecordPlace

logger = logging.getLogger(__name__)

DRAFT_SECONDS = 3600.0
"""Nothing is a draft for as long as that, unless what wrote it died."""


def forget_old_runs(tools: ApplyTools) -> tuple[str, ...]:
    """Delete the journals of runs of which nothing can be undone any more; their names.

    A run that hid blobs is kept for the quarantine's time, and while it has anything in it. One that edited an
    index is kept for the grace time besides, and while a manifest waits that it took out: blobs follow later. In a
    layout that somebody removed whole nothing waits, and its marks are deleted, unless it may be there and not seen,
    as below a mount that is away. So are drafts that were left. A run is kept, and told, in whose quarantine there is
    a blob for which its journal does not account: a listing that left its record out would have it deleted for good.

    Raises:
        StateError: a journal is damaged.
        SourceError: something can't be listed, read or deleted.
    """
    files = tools.source.files
    journals = list(files.list_files(RUNS))  # once: listings that differ would contradict each other
    latest, records = _last_written(journals), records_among(journals)
    now, holdings = files.now(), Holdings(files, records)
    in_use: set[str] = set()
    held: set[tuple[str, Digest]] = set()
    for path in holdings.repositories:
        for blob in holdings.held(path):
            in_use.add(blob.run)
            held.add((path, blob.digest))
    edits = _edits(records)
    waiting = _Waiting(tools, held)
    for run in [run for run in latest if run not in in_use]:
        waits = tools.timing.hold + (tools.timing.grace if run in edits else 0.0)
        if now - latest[run] < waits or waiting.has_any(edits.get(run, ())):
            in_use.add(run)
    forgotten = tuple(run for run in sorted(latest.keys() - in_use) if _forget(tools, run, records))
    if left := [draft for draft in files.list_files(DRAFTS) if now - draft.modified > DRAFT_SECONDS]:
        tools.guard()
        files.delete_files(left)
    return forgotten


def _last_written(journals: Iterable[StoredFile]) -> dict[str, float]:
    """When each run last wrote to its journal."""
    latest: dict[str, float] = {}
    for file in journals:
        run = file.path.removeprefix(f"{RUNS}/").partition("/")[0]
        latest[run] = max(latest.get(run, 0.0), file.modified)
    return latest


def _forget(tools: ApplyTools, run: str, records: Iterable[RecordPlace]) -> bool:
    """Delete a run's journal and what else is left of it, if it accounts for all of that; whether it does."""
    files = tools.source.files
    left = list(files.list_files(f"{TRASH}/{run}"))
    if places := sorted(_unaccounted(files, run, left, records)):
        others = f" and {len(places) - 1} more" if places[1:] else ""
        what_to_do = "put it in its place again if that is empty and needs it, else delete it by hand"
        logger.warning(
            "the run %s is not forgotten: its journal does not account for %s%s; %s",
            *(run, printable(places[0]), others, what_to_do),
        )
        return False
    tools.guard()
    for upload in files.list_uploads(f"{TRASH}/{run}"):  # of a large blob, whose copying was cut off
        files.abort_upload(upload)
    tools.guard()
    files.delete_files(left)
    tools.guard()
    files.delete_files(list(files.list_files(f"{RUNS}/{run}")))  # last, so that a crash leaves it to find
    return True


def _unaccounted(
    files: FileReader, run: str, left: Iterable[StoredFile], records: Iterable[RecordPlace]
) -> Iterable[str]:
    """Blobs in the quarantine of a run that holds none any more; of what came back it may have a copy."""
    blobs = {file.path for file in left if digest_of_path(file.path) is not None}
    if not blobs:
        return ()
    settled = [read_record(files, place) for place in records if (place.run, place.step) == (run, Step.SETTLED)]
    return blobs - {f"{TRASH}/{run}/{file.path}" for record in settled for file in record.files}


def _edits(records: Iterable[RecordPlace]) -> dict[str, list[RecordPlace]]:
    """The records of edits of an index, by run; not read yet."""
    found: dict[str, list[RecordPlace]] = {}
    for place in records:
        if place.step is Step.INDEX:
            found.setdefault(place.run, []).append(place)
    return found


class _Waiting:
    """Which manifests wait to be deleted, marked in their layout or hidden in the quarantine."""

    def __init__(self, tools: ApplyTools, held: Iterable[tuple[str, Digest]]) -> None:
        self._tools = tools
        self._held = frozenset(held)
        self._marked: dict[str, frozenset[Digest]] = {}
        self._others: tuple[Finding, ...] | None = None

    def has_any(self, edits: Iterable[RecordPlace]) -> bool:
        """Whether one of them left the index by one of these edits."""
        return any(self._waits(place) for place in edits)

    def _waits(self, place: RecordPlace) -> bool:
        path = place.repository
        if path not in self._marked:
            self._marked[path] = self._marked_in(path)
        record = read_record(self._tools.source.files, place)
        removed = [read_entry(body).descriptor.digest for body in record.removed]
        return any(digest in self._marked[path] or (path, digest) in self._held for digest in removed)

    def _marked_in(self, path: str) -> frozenset[Digest]:
        files, marks = self._tools.source.files, frozenset(read_marks(self._tools.source.files, path))
        if not ((marks or list_marks(files, path)) and is_gone(files, path, self._tools.map_concurrently)):
            return marks
        if notes_anything(files, path) and self._may_be_hidden(path):
            return marks
        self._tools.guard()
        forget_marks(files, path)
        return frozenset()

    def _may_be_hidden(self, path: str) -> bool:
        """Whether planning does not take a layout for removed, as below a folder that may be a mount that is away."""
        if self._others is None:
            found = self._tools.source.open_layouts().list_layouts()
            self._others = tuple(each for each in found if isinstance(each, Finding))
        return not any(vanished_layouts([path], (), self._others))
