"""What is in the quarantine, as the journals of all runs tell it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.operations.cleanup.records.journal import Record, Step, blob_digest, list_records, read_record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tasks.file_ports import FileReader, StoredFile
    from tasks.oci.digest import Digest
    from tasks.operations.cleanup.records.journal import Journal, RecordPlace


@dataclass(frozen=True, slots=True)
class HeldBlob:
    """A blob that `run` hid at `since`; `trash` is as in `Record`."""

    run: str
    repository: str
    digest: Digest
    file: StoredFile
    since: float
    trash: str | None

    @property
    def size(self) -> int:
        """Bytes."""
        return self.file.size


class Holdings:
    """The quarantine of a source: listed once, read repository by repository."""

    def __init__(self, files: FileReader, listed: Iterable[RecordPlace] | None = None) -> None:
        """See which repositories have something in the quarantine, by one listing, unless the records are `listed`.

        Raises:
            SourceError: the journals can't be listed.
        """
        self._files = files
        self._places: dict[str, list[RecordPlace]] = {}
        for place in list_records(files) if listed is None else listed:
            if place.step in {Step.HIDE, Step.SETTLED}:
                self._places.setdefault(place.repository, []).append(place)

    @property
    def repositories(self) -> tuple[str, ...]:
        """The repositories for which runs hid anything."""
        return tuple(sorted(self._places))

    def held(self, repository: str) -> tuple[HeldBlob, ...]:
        """The blobs of a repository that are in the quarantine, in the order in which they got there.

        Raises:
            StateError: a journal is damaged.
            SourceError: one can't be read.
        """
        return self.held_and_returned(repository)[0]

    def held_and_returned(self, repository: str) -> tuple[tuple[HeldBlob, ...], tuple[HeldBlob, ...]]:
        """What `held` gives, and what has come back since and was never deleted for good.

        Of the latter the quarantine may have a copy all the same: a run that slept, or whose last request was late,
        takes an original away after another one saw it in its place.

        Raises:
            StateError: a journal is damaged.
            SourceError: one can't be read.
        """
        hidden: dict[tuple[str, str], HeldBlob] = {}
        returned: list[tuple[HeldBlob, float]] = []
        purged: dict[str, float] = {}
        for place in self._places.get(repository, ()):
            record = read_record(self._files, place)
            for file in record.files:
                digest = blob_digest(repository, file.path)
                if place.step is Step.SETTLED:
                    blob = hidden.pop((place.run, file.path), None)
                    if blob is not None and record.back:
                        returned.append((blob, record.time))
                    elif not record.back:
                        purged[file.path] = max(record.time, purged.get(file.path, 0.0))
                elif digest is not None:
                    found = HeldBlob(place.run, repository, digest, file, record.time, record.trash)
                    hidden[place.run, file.path] = found
        left = (blob for blob, when in returned if when >= purged.get(blob.file.path, 0.0))
        return _in_order(hidden.values()), _in_order(left)


def _in_order(blobs: Iterable[HeldBlob]) -> tuple[HeldBlob, ...]:
    return tuple(sorted(blobs, key=lambda blob: (blob.since, blob.run, blob.digest)))


def in_place(held: Iterable[HeldBlob], blobs: Mapping[Digest, StoredFile]) -> tuple[HeldBlob, ...]:
    """What is said to be hidden and whose very file is where it was: its run was killed before it came to that."""
    return tuple(blob for blob in held if blobs.get(blob.digest) == blob.file)


def settle_restored(journal: Journal, repository: str, restored: Iterable[HeldBlob], now: float) -> None:
    """Note of blobs that came back that the quarantine has them no more, so that no later run counts them as gone.

    Raises:
        SourceError: the journal can't be written.
    """
    runs: dict[str, list[StoredFile]] = {}
    for blob in restored:
        runs.setdefault(blob.run, []).append(blob.file)
    for run, files in runs.items():
        journal.settle(run, Record(Step.SETTLED, repository, now, files=tuple(files), back=True))


def by_digest(held: Iterable[HeldBlob]) -> Mapping[Digest, list[HeldBlob]]:
    """What is held, by digest; the same blob may have been hidden by several runs."""
    grouped: dict[Digest, list[HeldBlob]] = {}
    for blob in held:
        grouped.setdefault(blob.digest, []).append(blob)
    return grouped
