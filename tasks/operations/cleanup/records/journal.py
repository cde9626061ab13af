"""The journal of a cleanup: what each step is about to do, written before it is done.

A record is a file of its own, `.layoutlift/runs/RUN/REPOSITORY/NUMBER-STEP.json`, because a bucket can't append.
Undoing a run reads them backwards; what is in the quarantine is what was hidden and not settled since. A record
whose step never happened, because the process was killed in between, does no harm: every step may be done twice.

Records lie at the source, where others write. One that no run of ours can have written is damaged: on its word blobs
would be deleted, or files written, that are none of its repository's.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from tasks.file_ports import OWN_FOLDER, RUNS, StoredFile, below
from tasks.oci.bounded_json import json_within
from tasks.oci.digest import Digest
from tasks.oci.errors import StateError
from tasks.oci.image_layout import BLOBS, INDEX, MARKER
from tasks.operations.cleanup.values import MALFORMED, MOST_RECORD_VALUES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tasks.file_ports import FileReader, FileWriter

TRASH = f"{OWN_FOLDER}/trash"
_RECORD = re.compile(r"(\d{6})-(index|hide|settled|drop)\.json")
_SCHEMA = 1


class Step(StrEnum):
    """What a record announces."""

    INDEX = "index"
    """Entries leave or enter `index.json`."""
    HIDE = "hide"
    """Files go into the quarantine."""
    SETTLED = "settled"
    """Files that this run hid are back, or gone for good."""
    DROP = "drop"
    """The last two files of an empty layout go."""


@dataclass(frozen=True, slots=True)
class Record:
    """One step; `removed` and `added` are entries of `index.json` as they stand there.

    `trash` is where hidden files went: a folder, or None where they stay in place as old versions. `contents`
    holds small files that a step deletes. `etag` is the mark of the index before the step. `withdraws` says of an
    edit of the index that it is none: the one that was announced before it was refused, and not made. `back` says of
    settled files that they are in their place, and not gone for good.
    """

    step: Step
    repository: str
    time: float
    removed: tuple[dict[str, Any], ...] = ()
    added: tuple[dict[str, Any], ...] = ()
    files: tuple[StoredFile, ...] = ()
    trash: str | None = None
    contents: tuple[tuple[str, str], ...] = ()
    etag: str = ""
    withdraws: bool = False
    back: bool = False


@dataclass(frozen=True, slots=True, order=True)
class RecordPlace:
    """Where a record is, known without reading it."""

    run: str
    repository: str
    number: int
    step: Step
    path: str

    @classmethod
    def parse(cls, path: str) -> RecordPlace | None:
        """The place that a path means, None for other files."""
        run, _, rest = path.removeprefix(f"{RUNS}/").partition("/")
        repository, _, name = rest.rpartition("/")
        found = _RECORD.fullmatch(name)
        if found is None:
            return None
        return cls(run, repository or ".", int(found[1]), Step(found[2]), path)


def list_records(files: FileReader, run: str | None = None) -> list[RecordPlace]:
    """The records of a run, or of all, in order.

    Raises:
        SourceError: they can't be listed.
    """
    return records_among(files.list_files(RUNS if run is None else f"{RUNS}/{run}"))


def records_among(listed: Iterable[StoredFile]) -> list[RecordPlace]:
    """The records among files that were listed, in order; one that a listing has twice counts once."""
    places = {RecordPlace.parse(file.path) for file in listed}
    return sorted(place for place in places if place is not None)


def read_record(files: FileReader, place: RecordPlace) -> Record:
    """A record.

    Raises:
        StateError: it is gone, can't be understood, or is of another version's form.
        SourceError: it can't be read.
    """
    found = files.read_file(place.path)
    try:
        body = json_within(found.raw if found else b"", MOST_RECORD_VALUES)
        schema = body.get("schema")
        if type(schema) is int and schema != _SCHEMA:
            raise StateError(
                f"{place.path} at the source is of form {schema}, this version reads form {_SCHEMA}: "
                "use the layoutlift that wrote it"
            )
        record = _record(body, place)
        is_ours = _may_be_ours(record, place)
    except MALFORMED as error:
        raise StateError(_damaged(place)) from error
    if not is_ours:
        raise StateError(_damaged(place))
    return record


def edits_made(records: Iterable[Record]) -> list[Record]:
    """Of the records of a repository in a run, in order, those of edits of its index that were not withdrawn."""
    made: list[Record] = []
    for record in records:
        if record.step is Step.INDEX and not record.withdraws:
            made.append(record)
        elif record.withdraws:
            del made[-1:]
    return made


def _damaged(place: RecordPlace) -> str:
    return f"{place.path} at the source is damaged; nothing that depends on it is done"


def _record(body: dict[str, Any], place: RecordPlace) -> Record:
    return Record(
        step=place.step,
        repository=place.repository,
        time=float(body["time"]),
        removed=tuple(body["removed"]),
        added=tuple(body["added"]),
        files=tuple(map(_file, body["files"])),
        trash=body["trash"],
        contents=tuple((name, text) for name, text in body["contents"]),
        etag=body["etag"],
        withdraws=body.get("withdraws") is True,  # records were written without these two
        back=body.get("back") is True,
    )


def _file(body: dict[str, Any]) -> StoredFile:
    return StoredFile(str(body["path"]), int(body["size"]), float(body["modified"]), str(body["etag"]))


def _may_be_ours(record: Record, place: RecordPlace) -> bool:
    """Whether a record keeps to what a run hides, or drops, of its repository, and to the run's own quarantine."""
    own_two = {below(place.repository, name) for name in (INDEX, MARKER)}
    return (
        record.trash in {None, f"{TRASH}/{place.run}"}
        and all(blob_digest(place.repository, file.path) is not None for file in record.files)
        and all(name in own_two and isinstance(text, str) for name, text in record.contents)
    )


def blob_digest(repository: str, path: str) -> Digest | None:
    """The digest of a file below a layout's `blobs/`, None for any other file."""
    prefix = below(repository, f"{BLOBS}/")
    return Digest.or_none(path[len(prefix) :].replace("/", ":", 1)) if path.startswith(prefix) else None


class Journal:
    """Announces the steps of one run; one thread at a time for each repository."""

    def __init__(self, files: FileWriter, run: str) -> None:
        """Write below the folder of `run`; numbers go on after what is there already."""
        self._files = files
        self._run = run
        self._next: dict[tuple[str, str], int] = {}

    @property
    def run(self) -> str:
        """The run whose journal this is."""
        return self._run

    def announce(self, record: Record) -> None:
        """Write the record of a step of this run.

        Raises:
            SourceError: it can't be written, so the step must not be done.
        """
        self._write(self._run, record)

    def settle(self, run: str, record: Record) -> None:
        """Note, in the journal of the run that hid them, that files are back or gone."""
        self._write(run, record)

    def _write(self, run: str, record: Record) -> None:
        key = run, record.repository
        number = self._next.get(key) or 1 + max(self._numbers(run, record.repository), default=0)
        name = below(record.repository, f"{number:06}-{record.step}.json")
        raw = json.dumps({"schema": _SCHEMA, **asdict(record)}, separators=(",", ":")).encode()
        self._files.write_file(f"{RUNS}/{run}/{name}", raw, None)
        self._next[key] = number + 1

    def _numbers(self, run: str, repository: str) -> Iterator[int]:
        folder = f"{RUNS}/{run}" if repository == "." else f"{RUNS}/{run}/{repository}"
        places = (RecordPlace.parse(file.path) for file in self._files.list_files(folder))
        return (place.number for place in places if place is not None and place.repository == repository)
