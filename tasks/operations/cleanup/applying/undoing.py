"""Puts back what a run took away: blobs first, then the entries that name them.

Entries are merged one by one into what the index says now, never over what came later: an entry whose tag has
another digest by now stays out and is named. Undoing may be stopped anywhere and done again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tasks.oci.codes import Problem
from tasks.oci.errors import (
    ConfigurationError,
    ContentNotFoundError,
    InterruptedRunError,
    InvalidLayoutError,
    LockHeldError,
)
from tasks.operations.cleanup.applying.apply_tools import RepositoryOutcome
from tasks.operations.cleanup.applying.changing_index import change_index
from tasks.operations.cleanup.applying.dropping import restore_dropped
from tasks.operations.cleanup.layout.index_edit import edit_index, read_as_written, read_entry
from tasks.operations.cleanup.planning.gone_layouts import is_gone
from tasks.operations.cleanup.records.holdings import settle_restored
from tasks.operations.cleanup.records.journal import (
    Record,
    Step,
    blob_digest,
    edits_made,
    list_records,
    read_record,
)
from tasks.operations.cleanup.records.marks import mark_ahead, read_marks
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tasks.file_ports import FileReader, FileWriter, StoredFile
    from tasks.operations.cleanup.applying.apply_tools import ApplyTools
    from tasks.operations.cleanup.applying.fresh_view import FreshView
    from tasks.operations.cleanup.records.holdings import HeldBlob
    from tasks.operations.cleanup.records.journal import RecordPlace
    from tasks.operations.cleanup.values import IndexEntry


def undo_run(tools: ApplyTools, run: str) -> Iterator[RepositoryOutcome]:
    """Undo a run, repository by repository; what can't be put back is in each outcome's `problems`.

    Raises, the first and the last before any outcome is asked for:
        ConfigurationError: no such run left a journal here.
        LockHeldError: another run has the lease now; nothing more may be changed.
        SourceError: the journals can't be listed.
    """
    journal = undoable(tools.source.files, run)
    return (_undo_repository(tools, run, *each) for each in journal.items())


def undoable(files: FileReader, run: str) -> Mapping[str, Sequence[RecordPlace]]:
    """The journal of a run, by repository; it is not read yet.

    Raises:
        ConfigurationError: no such run left a journal here.
        SourceError: the journals can't be listed.
    """
    found: dict[str, list[RecordPlace]] = {}
    for place in list_records(files, run) if run and "/" not in run else ():
        found.setdefault(place.repository, []).append(place)
    if not found:
        raise ConfigurationError(f"no run {run!r} has left a journal at this source; its time may be over")
    return found


def _undo_repository(
    tools: ApplyTools, run: str, repository: str, places: Sequence[RecordPlace]
) -> RepositoryOutcome:
    tools.guard()
    work = _Undoing(tools, run, RepositoryOutcome(repository))
    with work.outcome.noting(LockHeldError, InterruptedRunError):
        work.run_on([read_record(tools.source.files, place) for place in places])
    return work.outcome


@dataclass(slots=True)
class _Undoing:
    tools: ApplyTools
    run: str
    outcome: RepositoryOutcome
    held: tuple[HeldBlob, ...] = field(init=False, default=())
    """All that the quarantine had when the run began; what is back by now counts as being there."""
    returned: tuple[HeldBlob, ...] = field(init=False, default=())

    def run_on(self, records: Sequence[Record]) -> None:
        is_dropped = any(record.step is Step.DROP for record in records)
        if not is_dropped and is_gone(self._files, self.outcome.path, self.tools.map_concurrently):
            raise InvalidLayoutError("it was removed; bring it back first, then undo")
        self.held, self.returned = self.tools.holdings.held_and_returned(self.outcome.path)
        self._restore_files(records)
        for record in reversed(records):
            if record.step is Step.DROP:
                self.outcome.remade |= restore_dropped(self._files, record.contents)
        edits = edits_made(records)
        added = [body for record in edits for body in record.added]
        removed = [body for record in reversed(edits) for body in record.removed if body not in added]
        self._merge(self._complete(removed), added)
        view = self._check()
        if view.is_whole:
            self._mark_again(records, view)

    @property
    def _files(self) -> FileWriter:
        return self.tools.source.files

    def _restore_files(self, records: Sequence[Record]) -> None:
        """Bring back everything that the run hid, needed or not."""
        settled = {file.path for record in records if record.step is Step.SETTLED for file in record.files}
        settled -= self._taken_late()
        self._note_purged(settled)
        for record in records:
            waiting = [file for file in record.files if file.path not in settled]
            if record.step is Step.HIDE and waiting:
                self._restore_hidden(waiting, record.trash)

    def _taken_late(self) -> set[str]:
        """What came back of the run, and is neither in its place nor hidden by another: it was taken away late."""
        elsewhere = {blob.digest for blob in self.held}
        paths = {b.file.path for b in self.returned if b.run == self.run and b.digest not in elsewhere}
        return {path for path, file in self._stat(sorted(paths)) if file is None}

    def _note_purged(self, settled: set[str]) -> None:
        """Name what is neither in its place nor in the quarantine any more."""
        hidden = {blob.file.path for blob in self.held}
        for path, file in self._stat(sorted(settled - hidden)):
            if file is None:
                self._note(
                    ContentNotFoundError.code, f"{path} was deleted for good, its time in the quarantine was over"
                )

    def _restore_hidden(self, hidden: Sequence[StoredFile], trash: str | None) -> None:
        self.tools.guard()
        paths = [file.path for file in hidden]
        there = {path for path, file in self._stat(paths) if file is not None}
        back = self._files.restore_files(paths, trash)
        digests = (blob_digest(self.outcome.path, path) for path in sorted(back - there))
        self.outcome.restored += [digest for digest in digests if digest is not None]
        self._settle_own(tuple(file for file in hidden if file.path in back - there))
        for path in sorted(set(paths) - back):
            self._note(ContentNotFoundError.code, f"{path} is gone from the quarantine")

    def _settle_own(self, back: tuple[StoredFile, ...]) -> None:
        """Note that the quarantine has these no more, so that no later run counts them as gone."""
        if back:
            record = Record(Step.SETTLED, self.outcome.path, self._files.now(), files=back, back=True)
            self.tools.journal.settle(self.run, record)

    def _stat(self, paths: Sequence[str]) -> Iterator[tuple[str, StoredFile | None]]:
        return zip(paths, self.tools.map_concurrently(self._files.stat_file, paths), strict=True)

    def _complete(self, removed: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Have in place what the entries need, whichever run hid it; those of which nothing is gone for good."""
        path = self.outcome.path
        entries = [read_entry(body) for body in removed]
        view = self.tools.look.ensure(path, [entry.descriptor for entry in entries], self.held, self.returned)
        if view.restored:
            self.outcome.restored += sorted({blob.digest for blob in view.restored})
            settle_restored(self.tools.journal, path, view.restored, self._files.now())
        roots = [entry.descriptor.digest for entry in entries]
        whole = view.whole_of(roots, frozenset(blob.digest for blob in self.held))
        for entry, root in zip(entries, roots, strict=True):
            if root not in whole:
                self._note(ContentNotFoundError.code, f"{entry.tag or root} is not whole any more")
        return [body for body, root in zip(removed, roots, strict=True) if root in whole]

    def _merge(self, removed: Sequence[dict[str, Any]], added: Sequence[dict[str, Any]]) -> None:
        """Take out what the run put in, put in what it took out."""
        if not removed and not added:
            return
        goes = [read_as_written(body) for body in added]
        if goes:
            self._mark_ahead(goes)
        edit = change_index(
            self.tools, self.outcome.path, lambda raw: edit_index(raw, goes, removed, stood_together=True)
        )
        self.outcome.removed = [read_entry(body) for body in edit.removed]
        self.outcome.added = [read_entry(body) for body in edit.added]
        self.outcome.skipped = [*edit.taken, *edit.anew]
        for entry in edit.taken:
            self._note(Problem.TAG_TAKEN, f"{entry.tag} has other content by now and keeps it")
        for entry in edit.anew:
            name = entry.tag or entry.descriptor.digest
            self._note(Problem.TAG_TAKEN, f"{name} has other annotations than the run wrote, and stays")

    def _mark_ahead(self, goes: Sequence[IndexEntry]) -> None:
        """Note what is left unnamed when these entries are gone: no writer has lost it, and its wait starts over."""
        view = self.tools.look.view(self.outcome.path, ())
        if left := view.left_by(goes):
            self.tools.guard()
            mark_ahead(self._files, self.outcome.path, left)
            self.outcome.marked = len(left)

    def _mark_again(self, records: Sequence[Record], view: FreshView) -> None:
        """Note what came back and nothing names, as it was noted before it went: no writer has lost that.

        What is needed by now is no longer noted: if another tool takes its entry out, its wait begins anew.
        """
        path = self.outcome.path
        paths = [file.path for record in records if record.step is Step.HIDE for file in record.files]
        hidden = {digest for each in paths if (digest := blob_digest(path, each)) is not None}
        back = {digest: view.blobs[digest] for digest in hidden & (view.blobs.keys() - view.needed.keys())}
        if back or not read_marks(self._files, path).keys().isdisjoint(view.needed):
            self.tools.guard()
            mark_ahead(self._files, path, back, needed=view.needed)

    def _check(self) -> FreshView:
        view = self.tools.look.view(self.outcome.path, ())
        self.outcome.problems.extend(view.gaps(self.outcome.path))
        return view

    def _note(self, code: str, message: str) -> None:
        self.outcome.problems.append(Finding(self.outcome.path, code, message))
