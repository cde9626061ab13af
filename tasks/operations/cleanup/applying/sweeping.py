"""Moves blobs out of a layout whose wait is over, and deletes for good what was in the quarantine for long enough.

A blob that leaves the layout is absent for every writer from then on, so that the next one sends it again. One who
looked just before still names it; so whoever sweeps looks again afterwards, and so does every later run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.file_ports import StoredFile
from tasks.operations.cleanup.records.holdings import HeldBlob
from tasks.operations.cleanup.records.journal import TRASH, Record, Step, blob_digest
from tasks.operations.cleanup.records.marks import read_marks
from tasks.operations.cleanup.values import Action, QuarantineMode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tasks.file_ports import FileWriter
    from tasks.oci.digest import Digest
    from tasks.operations.cleanup.applying.apply_tools import ApplyTools, RepositoryOutcome
    from tasks.operations.cleanup.applying.fresh_view import FreshView
    from tasks.operations.cleanup.records.marks import Mark
    from tasks.operations.cleanup.values import BlobDecision, RepositoryPlan

BATCH = 1000


@dataclass(slots=True)
class Sweep:
    """The sweep of one repository, on the word of its plan and of a fresh look."""

    tools: ApplyTools
    plan: RepositoryPlan
    outcome: RepositoryOutcome
    held: tuple[HeldBlob, ...]

    def run(self, view: FreshView) -> tuple[HeldBlob, ...]:
        """Purge, then hide; what was hidden.

        Raises:
            SourceError: something can't be moved or deleted; what was hidden by then is in the journal.
        """
        now = self._files.now()
        self._purge(view, now)
        marks = read_marks(self._files, self.plan.path)
        waited = [
            decision.digest
            for decision in self.plan.blobs
            if decision.action is Action.QUARANTINE and self._is_ripe(decision, view, marks, now)
        ]
        needed = self.tools.shared.needing(self.plan.path, waited)
        ripe = [view.blobs[digest] for digest in waited if digest not in needed]
        return tuple(blob for batch in _batches(ripe) for blob in self._hide(batch, now))

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

    def _hide(self, batch: tuple[StoredFile, ...], now: float) -> Iterator[HeldBlob]:
        run, path, mode = self.tools.journal.run, self.plan.path, self.tools.timing.mode
        self.tools.guard()
        if mode is QuarantineMode.NONE:
            for file in self._files.delete_files(batch):
                self.outcome.purged += 1
                self.outcome.bytes_freed += file.size
            return
        trash = f"{TRASH}/{run}" if mode is QuarantineMode.PREFIX else None
        self.tools.journal.announce(Record(Step.HIDE, path, now, files=batch, trash=trash))
        for file in self._files.hide_files(batch, trash):
            digest = blob_digest(path, file.path)
            self.outcome.hidden += 1
            self.outcome.bytes_hidden += file.size
            if digest is not None:
                yield HeldBlob(run, path, digest, file, now, trash)

    def _purge(self, view: FreshView, now: float) -> None:
        places: dict[tuple[str, str | None], list[StoredFile]] = {}
        for blob in self._ripe_to_purge(view, now):
            places.setdefault((blob.run, blob.trash), []).append(blob.file)
        for (run, trash), files in sorted(places.items(), key=lambda place: str(place[0])):
            for batch in _batches(files):
                self.tools.guard()
                self._files.purge_files([file.path for file in batch], trash)
                self.tools.journal.settle(run, Record(Step.SETTLED, self.plan.path, now, files=batch))
                self.outcome.purged += len(batch)
                self.outcome.bytes_freed += sum(file.size for file in batch)

    def _ripe_to_purge(self, view: FreshView, now: float) -> list[HeldBlob]:
        """What the plan has deleted for good, and nobody needs, in other repositories neither."""
        wanted = {(each.run, each.digest) for each in self.plan.quarantined if each.action is Action.PURGE}
        ripe = [blob for blob in self.held if (blob.run, blob.digest) in wanted and self._may_purge(blob, view, now)]
        needed = self.tools.shared.needing(self.plan.path, [blob.digest for blob in ripe])
        return [blob for blob in ripe if blob.digest not in needed]

    def _may_purge(self, blob: HeldBlob, view: FreshView, now: float) -> bool:
        """Whether nobody needs it from the quarantine: its time is over, and what is needed is in the layout.

        Old versions are purged all at once, so none of them may be one that was hidden again later.
        """
        others = [other for other in self.held if other.digest == blob.digest and other.trash == blob.trash]
        waited = all(now - other.since >= self.tools.timing.hold for other in others)
        return waited and (blob.digest not in view.needed or blob.digest in view.blobs)


def _file_of(decision: BlobDecision, path: str) -> StoredFile:
    return StoredFile(path, decision.size, decision.modified, decision.etag)


def _batches(files: Sequence[StoredFile]) -> Iterator[tuple[StoredFile, ...]]:
    return (tuple(files[start : start + BATCH]) for start in range(0, len(files), BATCH))
