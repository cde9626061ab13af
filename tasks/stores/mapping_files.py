"""Writes lists of references as CSV or JSON, by the file's ending; a file is there whole or not at all."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import secrets
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from tasks.oci.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

ENDINGS = (".csv", ".json")
_FORMULA = ("=", "+", "-", "@", "\t")
"""How a cell begins that spreadsheets calculate; one of them can send what stands in the others to anybody."""


def check_files(paths: Iterable[Path]) -> None:
    """See, before the work begins, that files can be written in the end; what is there is left alone.

    Raises:
        ConfigurationError: an ending is not known, a folder is not there or can't be written to, or two are one.
    """
    seen: set[Path] = set()
    for path in paths:
        _check(path)
        if (real := path.resolve()) in seen:
            raise ConfigurationError(f"{path}: two lists can't be in one file")
        seen.add(real)


def _check(path: Path) -> None:
    if path.suffix not in ENDINGS:
        raise ConfigurationError(f"{path}: the file's name must end in {' or '.join(ENDINGS)}")
    if not path.parent.is_dir():
        raise ConfigurationError(f"{path}: there is no folder {path.parent}")
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise ConfigurationError(f"{path} can't be written: {error.strerror}") from error


def write_rows(path: Path, rows: Sequence[Mapping[str, str]], header: Mapping[str, object]) -> None:
    """Write rows with the same columns; JSON begins with what `header` says, CSV has no place for it.

    A cell of CSV that spreadsheets would take for a formula gets an apostrophe before it.

    Raises:
        ConfigurationError: the file can't be written.
    """
    text = _csv(rows) if path.suffix == ".csv" else json.dumps({**header, "references": list(rows)}, indent=1) + "\n"
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with unfinished.open("x", encoding="utf-8", errors="backslashreplace", newline="") as out:
            out.write(text)
        unfinished.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path} can't be written: {error.strerror}") from error
    finally:
        unfinished.unlink(missing_ok=True)


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
