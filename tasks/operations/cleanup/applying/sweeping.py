"""Moves blobs out of a layout whose wait is over, and deletes for good what was in the quarantine for long enough.

A blob that leaves the layout is absent for every writer from then on, so that the next one sends it again. One who
looked just before still names it; so whoever sweeps looks again afterwards, and so does every later run.

A file that can't be moved or deleted, as its bucket holds it by a lock, is named and keeps no other where it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from tasks.file_ports import StoredFile
from tasks.oci.errors import InterruptedRunError, LayoutliftError, LockHeldError, SourceUnavailableError
from tasks.operations.cleanup.records.holdings import HeldBlob
from tasks.operations.cleanup.records.journal import TRASH, Record, Step, blob_digest
from tasks.operations.cleanup.records.marks import read_marks
from tasks.operations.cleanup.values import CleanupAction, QuarantineMode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tasks.file_ports import FileWriter
    from tasks.oci.digest import Digest
    from tasks.operations.cleanup.applying.apply_tools import ApplyTools, RepositoryOutcome
    from tasks.operations.cleanup.applying.fresh_view import FreshView
    from tasks.operations.cleanup.records.marks import Mark
    from tasks.operations.cleanup.values import BlobDecision, RepositoryPlan

    _Act = Callable[[tuple[StoredFile, ...]], Sequence[StoredFile]]

BATCH = 1000
MOST_REFUSED = 30
"""Once so many failures were told, a batch that fails is told as a whole: much may fail that takes its time to."""
ENDS_ALL = (LockHeldError, InterruptedRunError, SourceUnavailableError)
"""After these nothing more may or can be changed; after others the next file may be."""


@dataclass(slots=True)
class Sweep:
    """The sweep of one repository, on the word of its plan and of a fresh look.

    `held` is what the quarantine has of it, what was hidden by the sweep itself left out.
    """

    tools: ApplyTools
    plan: RepositoryPlan
    outcome: RepositoryOutcome
    held: tuple[HeldBlob, ...]
    _doubtful: list[StoredFile] = field(init=False, default_factory=list)
    _refused: int = field(init=False, default=0)

    def run(self, view: FreshView) -> tuple[HeldBlob, ...]:
        """Purge, then hide; what was hidden, or may have been: the next look tells, see `count_doubtful`.

        What can't be moved or deleted is in the outcome's problems, and the rest goes on.

        Raises:
            LockHeldError: the lease is another run's by now.
            InterruptedRunError: the run was told to end.
            SourceUnavailableError: the source does not answer; what was hidden by then is in the journal.
            InvalidLayoutError: what is to go may be another repository's as well; nothing was hidden.
            SourceError: it can't be told what is to go, or a purge can't be noted; nothing was hidden.
        """
        now = self._files.now()
        self._purge(view, now)
        marks = read_marks(self._files, self.plan.path)
        waited = [
            decision.digest
            for decision in self.plan.blobs
            if decision.action is CleanupAction.QUARANTINE and self._is_ripe(decision, view, marks, now)
        ]
        needed = self.tools.shared.needing(self.plan.path, waited)
        ripe = [view.blobs[digest] for digest in waited if digest not in needed]
        return tuple(self._hide_all(ripe))

    def count_doubtful(self, view: FreshView) -> None:
        """Count what has gone of batches that failed in part, as a look after the sweep shows it."""
        back = {blob.file for blob in view.restored}
        there = {file.path for file in view.blobs.values()}
        self._count_gone([file for file in self._doubtful if file in back or file.path not in there])

    @property
    def _files(self) -> FileWriter:
        return self.tools.source.files

    def _is_ripe(self, decision: BlobDecision, view: FreshView, marks: Mapping[Digest, Mark], now: float) -> bool:
        """Whether nothing names the blob, and nothing has for as long as the grace time, by the store's clock."""
        file, mark = view.blobs.get(decision.digest), marks.get(decision.digest)
        if file is None or mark is None or decision.digest in view.needed:
            return False
        is_same = mark.is_of(file) and mark.is_of(_file_of(decision, file.path)) and mark.since == decision.since
        return is_same and file.modified <= mark.since and now - mark.since >= self.tools.timing.grace

    def _hide_all(self, ripe: Sequence[StoredFile]) -> list[HeldBlob]:
        hidden: list[HeldBlob] = []
        self._refused = 0
        with self.outcome.noting(*ENDS_ALL):  # one can't be announced: no more may be done; what was, is looked at
            for batch in _batches(ripe):
                self.tools.guard()
                if self.tools.timing.mode is QuarantineMode.NONE:
                    self._gone(self._files.delete_files, batch)
                else:
                    hidden += self._hide(batch)
        return hidden

    def _hide(self, batch: tuple[StoredFile, ...]) -> Iterator[HeldBlob]:
        """Hide a batch; its wait begins now, however long those before it took."""
        run, path, now = self.tools.journal.run, self.plan.path, self._files.now()
        trash = f"{TRASH}/{run}" if self.tools.timing.mode is QuarantineMode.PREFIX else None
        self.tools.journal.announce(Record(Step.HIDE, path, now, files=batch, trash=trash))
        for file in self._gone(lambda files: self._files.hide_files(files, trash), batch):
            digest = blob_digest(path, file.path)
            if digest is not None:
                yield HeldBlob(run, path, digest, file, now, trash)

    def _gone(self, act: _Act, batch: tuple[StoredFile, ...]) -> Sequence[StoredFile]:
        """What has left its place, and is counted; where something failed all that may have, as a killed run's."""
        done, is_sure = self._in_parts(act, batch)
        self._count_gone(done)
        if is_sure:
            return done
        known = set(done)
        self._doubtful += [file for file in batch if file not in known]
        return batch

    def _count_gone(self, files: Sequence[StoredFile]) -> None:
        size = sum(file.size for file in files)
        if self.tools.timing.mode is QuarantineMode.NONE:
            self.outcome.purged += len(files)
            self.outcome.bytes_freed += size
        else:
            self.outcome.hidden += len(files)
            self.outcome.bytes_hidden += size

    def _in_parts(self, act: _Act, files: tuple[StoredFile, ...]) -> tuple[list[StoredFile], bool]:
        """Act on files, or where that fails on each half of them; what was done, and whether that is all of it."""
        try:
            return list(act(files)), True
        except ENDS_ALL:
            raise
        except LayoutliftError as error:
            if len(files) == 1 or self._refused >= MOST_REFUSED:
                self._refused += 1
                self.outcome.note(error)
                return [], False
        done: list[StoredFile] = []
        for part in (files[: len(files) // 2], files[len(files) // 2 :]):
            self.tools.guard()
            done += self._in_parts(act, part)[0]
        return done, False

    def _purge(self, view: FreshView, now: float) -> None:
        places: dict[tuple[str, str | None], list[StoredFile]] = {}
        for blob in self._ripe_to_purge(view, now):
            places.setdefault((blob.run, blob.trash), []).append(blob.file)
        for (run, trash), files in sorted(places.items(), key=lambda place: str(place[0])):
            for batch in _batches(files):
                self.tools.guard()
                purged, _ = self._in_parts(partial(self._purge_files, trash), batch)
                if purged:
                    self._settle_purged(run, purged, now)

    def _purge_files(self, trash: str | None, files: tuple[StoredFile, ...]) -> tuple[StoredFile, ...]:
        self._files.purge_files([file.path for file in files], trash)
        return files

    def _settle_purged(self, run: str, purged: Sequence[StoredFile], now: float) -> None:
        self.tools.journal.settle(run, Record(Step.SETTLED, self.plan.path, now, files=tuple(purged)))
        self.outcome.purged += len(purged)
        self.outcome.bytes_freed += sum(file.size for file in purged)
        gone = set(purged)
        self.held = tuple(blob for blob in self.held if blob.run != run or blob.file not in gone)

    def _ripe_to_purge(self, view: FreshView, now: float) -> list[HeldBlob]:
        """What the plan has deleted for good, and nobody needs, in other repositories neither."""
        wanted = {(each.run, each.digest) for each in self.plan.quarantined if each.action is CleanupAction.PURGE}
        waited = self._waited(now)
        ripe = [
            blob
            for blob in self.held
            if (blob.run, blob.digest) in wanted
            and (blob.digest, blob.trash) in waited
            and (blob.digest not in view.needed or blob.digest in view.blobs)
        ]
        needed = self.tools.shared.needing(self.plan.path, [blob.digest for blob in ripe])
        return [blob for blob in ripe if blob.digest not in needed]

    def _waited(self, now: float) -> set[tuple[Digest, str | None]]:
        """What is in the quarantine for as long as the hold time, each with the place where it is.

        Old versions are purged all at once, so none of them may be one that was hidden again later.
        """
        last: dict[tuple[Digest, str | None], float] = {}
        for blob in self.held:
            place = blob.digest, blob.trash
            last[place] = max(blob.since, last.get(place, blob.since))
        return {place for place, since in last.items() if now - since >= self.tools.timing.hold}


def _file_of(decision: BlobDecision, path: str) -> StoredFile:
    return StoredFile(path, decision.size, decision.modified, decision.etag)


def _batches(files: Sequence[StoredFile]) -> Iterator[tuple[StoredFile, ...]]:
    return (tuple(files[start : start + BATCH]) for start in range(0, len(files), BATCH))
