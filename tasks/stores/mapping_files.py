"""Writes lists of references as CSV or JSON, by the file's ending; all files are there whole, or none is."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from tasks.oci.errors import ConfigurationError
from tasks.stores.directory.mounts import resolve
from tasks.stores.whole_files import whole_or_not_at_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

ENDINGS = (".csv", ".json")
_FORMULA = ("=", "+", "-", "@", "\t")
"""How a cell begins that spreadsheets calculate; one of them can send what stands in the others to anybody."""


def check_files(paths: Iterable[Path]) -> None:
    """See, before the work begins, that files can be written in the end; what is there is left alone.

    Raises:
        ConfigurationError: an ending is not known, a folder is not there or can't be written to, or two are one.
    """
    seen: set[str] = set()
    for path in paths:
        _check(path)
        if (real := resolve(str(path))[0]) in seen:
            raise ConfigurationError(f"{path}: two lists can't be in one file")
        seen.add(real)


def _check(path: Path) -> None:
    if path.suffix not in ENDINGS:
        raise ConfigurationError(f"{path}: the file's name must end in {' or '.join(ENDINGS)}")
    try:
        if not path.parent.is_dir():
            raise ConfigurationError(f"{path}: there is no folder {path.parent}")
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise ConfigurationError(f"{path} can't be written: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class RowList:
    """Rows with the same columns, and the file that they go to."""

    path: Path
    rows: Sequence[Mapping[str, str]]


def write_lists(lists: Iterable[RowList], header: Mapping[str, object]) -> None:
    """Write all lists, or none of them; JSON begins with what `header` says, CSV has no place for it.

    A cell of CSV that spreadsheets would take for a formula gets an apostrophe before it.

    Raises:
        ConfigurationError: a file can't be written; what was at the paths before is still there.
    """
    with ExitStack() as opened:
        for each in lists:
            opened.enter_context(_blamed_on(each.path))
            file = opened.enter_context(whole_or_not_at_all(each.path))
            text = _csv(each.rows) if each.path.suffix == ".csv" else _json(each.rows, header)
            file.write(text.encode(errors="backslashreplace"))
            file.flush()  # all are written before one takes its name


@contextmanager
def _blamed_on(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"{path} can't be written: {error.strerror}") from error


def _json(rows: Sequence[Mapping[str, str]], header: Mapping[str, object]) -> str:
    return json.dumps({**header, "references": list(rows)}, indent=1) + "\n"


def _csv(rows: Sequence[Mapping[str, str]]) -> str:
    out = io.StringIO()
    if rows:
        writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _as_text(cell) for name, cell in row.items()} for row in rows)
    return out.getvalue()


def _as_text(cell: str) -> str:
    """A cell as spreadsheets show it; names of repositories are anybody's text.

    A carriage return would end the row: older versions of the library put no quotes around one.
    """
    cell = cell.replace("\r", r"\r")
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
