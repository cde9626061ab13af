"""Forgets runs that nothing can be undone of any more, so that journals don't grow for ever, and left drafts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.file_ports import DRAFTS
from tasks.operations.cleanup.layout.index_edit import read_entry
from tasks.operations.cleanup.planning.gone_layouts import is_gone
from tasks.operations.cleanup.records.holdings import Holdings
from tasks.operations.cleanup.records.journal import RUNS, TRASH, Step, list_records, read_record
from tasks.operations.cleanup.records.marks import forget_marks, read_marks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tasks.file_ports import FileReader
    from tasks.oci.digest import Digest
    from tasks.operations.cleanup.applying.apply_tools import ApplyTools
    from tasks.operations.cleanup.records.journal import RecordPlace


DRAFT_SECONDS = 3600.0
"""Nothing is a draft for as long as that, unless what wrote it died."""


def forget_old_runs(tools: ApplyTools) -> tuple[str, ...]:
    """Delete the journals of runs of which nothing can be undone any more; their names.

    A run that hid blobs is kept for the quarantine's time, and while it has anything in it. One that edited an
    index is kept for the grace time besides, and while a manifest waits that it took out: blobs follow later. In a
    layout that somebody removed whole nothing waits, and its marks are deleted. So are drafts that were left.

    Raises:
        StateError: a journal is damaged.
        SourceError: something can't be listed, read or deleted.
    """
    files = tools.source.files
    latest = _last_written(files)
    now, holdings = files.now(), Holdings(files)
    in_use: set[str] = set()
    held: set[tuple[str, Digest]] = set()
    for path in holdings.repositories:
        for blob in holdings.held(path):
            in_use.add(blob.run)
            held.add((path, blob.digest))
    edits = _edits(files)
    waiting = _Waiting(tools, held)
    for run in [run for run in latest if run not in in_use]:
        waits = tools.timing.hold + (tools.timing.grace if run in edits else 0.0)
        if now - latest[run] < waits or waiting.has_any(edits.get(run, ())):
            in_use.add(run)
    old = tuple(sorted(latest.keys() - in_use))
    for run in old:
        _forget(tools, run)
    if left := [draft for draft in files.list_files(DRAFTS) if now - draft.modified > DRAFT_SECONDS]:
        tools.guard()
        files.delete_files(left)
    return old


def _last_written(files: FileReader) -> dict[str, float]:
    """When each run last wrote to its journal."""
    latest: dict[str, float] = {}
    for file in files.list_files(RUNS):
        run = file.path.removeprefix(f"{RUNS}/").partition("/")[0]
        latest[run] = max(latest.get(run, 0.0), file.modified)
    return latest


def _forget(tools: ApplyTools, run: str) -> None:
    """Delete a run's journal and what else is left of it."""
    files = tools.source.files
    tools.guard()
    for upload in files.list_uploads(f"{TRASH}/{run}"):  # of a large blob, whose copying was cut off
        files.abort_upload(upload)
    for folder in (f"{TRASH}/{run}", f"{RUNS}/{run}"):  # the journal last, so that a crash leaves it to find
        tools.guard()
        files.delete_files(list(files.list_files(folder)))


def _edits(files: FileReader) -> dict[str, list[RecordPlace]]:
    """The records of edits of an index, by run; not read yet."""
    found: dict[str, list[RecordPlace]] = {}
    for place in list_records(files):
        if place.step is Step.INDEX:
            found.setdefault(place.run, []).append(place)
    return found


class _Waiting:
    """Which manifests wait to be deleted, marked in their layout or hidden in the quarantine."""

    def __init__(self, tools: ApplyTools, held: Iterable[tuple[str, Digest]]) -> None:
        self._tools = tools
        self._held = frozenset(held)
        self._marked: dict[str, frozenset[Digest]] = {}

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
        files = self._tools.source.files
        if not is_gone(files, path):
            return frozenset(read_marks(files, path))
        self._tools.guard()
        forget_marks(files, path)
        return frozenset()
