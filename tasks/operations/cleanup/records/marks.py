"""Marks: when each blob of a repository was first seen with nothing that names it, and what it was then.

A mark holds for that very file: one that was written anew since, by a writer who sent it again, starts over.
Notes of entries that nothing holds have the same form; see `strays`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tasks.file_ports import OWN_FOLDER, below
from tasks.oci.bounded_json import json_within
from tasks.oci.digest import Digest
from tasks.operations.cleanup.values import MALFORMED, MOST_RECORD_VALUES

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from tasks.file_ports import FileReader, FileWriter, StoredFile

_FOLDER = f"{OWN_FOLDER}/marks"
_SCHEMA = 1
UNREFERENCED = "unreferenced.json"
STRAYS = "strays.json"
_NOT_BEGUN = 0.0
"""Earlier than any file was written, so that no wait counts from it."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A blob that nothing named at `since`, in seconds since 1970 by the store's clock."""

    since: float
    size: int
    modified: float
    etag: str

    @classmethod
    def of(cls, file: StoredFile, since: float) -> Mark:
        """Mark a file."""
        return cls(since, file.size, file.modified, file.etag)

    def is_of(self, file: StoredFile) -> bool:
        """Whether the file is still the one that was marked."""
        return (self.size, self.modified, self.etag) == (file.size, file.modified, file.etag) and bool(file.etag)


def read_marks(files: FileReader, repository: str, kind: str = UNREFERENCED) -> Mapping[Digest, Mark]:
    """The marks of a repository; none where they are missing or can't be understood, so that the wait starts over.

    Raises:
        SourceError: they are there and can't be read.
    """
    found = files.read_file(_path(repository, kind))
    if found is None:
        return {}
    try:
        body = json_within(found.raw, MOST_RECORD_VALUES)
        if body.get("schema", _SCHEMA) != _SCHEMA:
            return {}
        return {Digest(digest): _mark(fields) for digest, fields in body["blobs"].items()}
    except MALFORMED:
        return {}


def _mark(body: dict[str, Any]) -> Mark:
    return Mark(float(body["since"]), int(body["size"]), float(body["modified"]), str(body["etag"]))


def still_marked(
    marks: Mapping[Digest, Mark], blobs: Mapping[Digest, StoredFile], needed: Container[Digest]
) -> dict[Digest, Mark]:
    """Those marks that hold yet: their file is the one that was marked, and nothing needs it."""
    return {
        digest: mark
        for digest, mark in marks.items()
        if digest not in needed and digest in blobs and mark.is_of(blobs[digest])
    }


def write_marks(files: FileWriter, repository: str, marks: Mapping[Digest, Mark], kind: str = UNREFERENCED) -> None:
    """Put these marks in place of the repository's earlier ones.

    Raises:
        SourceError: they can't be written, or another cleaner writes them too.
    """
    path, raw = _path(repository, kind), _raw(marks)
    before = files.read_file(path)
    if before is None and not marks:
        return
    if before is None or before.raw != raw:
        files.write_file(path, raw, None if before is None else before.etag)


def _raw(marks: Mapping[Digest, Mark]) -> bytes:
    body = {"schema": _SCHEMA, "blobs": {digest: asdict(mark) for digest, mark in sorted(marks.items())}}
    return json.dumps(body, separators=(",", ":")).encode()


def notes_anything(files: FileReader, repository: str) -> bool:
    """Whether anything is noted of a repository, understood or not; of one that was dropped empty files are left.

    Raises:
        SourceError: it can't be read.
    """
    found = [files.read_file(file.path) for file in list_marks(files, repository)]
    return any(each is not None and each.raw != _raw({}) for each in found)


def forget_marks(files: FileWriter, repository: str) -> None:
    """Delete what is noted of a repository that is gone.

    Raises:
        SourceError: it can't be deleted.
    """
    files.delete_files(list_marks(files, repository))


def list_marks(files: FileReader, repository: str) -> list[StoredFile]:
    """The files with what is noted of a repository.

    Raises:
        SourceError: they can't be looked at.
    """
    paths = [_path(repository, kind) for kind in (UNREFERENCED, STRAYS)]
    return [file for path in paths if (file := files.stat_file(path)) is not None]


def mark_ahead(
    files: FileWriter, repository: str, going: Mapping[Digest, StoredFile], needed: Container[Digest] = ()
) -> None:
    """Note blobs that nothing will name once the index is written; their wait does not begin by that.

    So whoever comes after a run that died right after it wrote the index knows that no writer lost anything.
    Earlier marks stay, but for those of what is `needed`.

    Raises:
        SourceError: see `write_marks`.
    """
    ahead = {digest: Mark.of(file, _NOT_BEGUN) for digest, file in going.items()}
    known = {digest: mark for digest, mark in read_marks(files, repository).items() if digest not in needed}
    write_marks(files, repository, {**known, **ahead})


def _path(repository: str, kind: str) -> str:
    return f"{_FOLDER}/{below(repository, kind)}"
