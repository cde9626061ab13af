"""Writes lists of references as CSV or JSON, by the file's ending; a file is there whole or not at all."""

from __future__ import annotations

import csv
import io
import json
import os
from typing import TYPE_CHECKING

from tasks.oci.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

ENDINGS = (".csv", ".json")


def check_name(path: Path) -> None:
    """See, before the work begins, that a file can be written in the end.

    Raises:
        ConfigurationError: its ending is not known, or its folder is not there.
    """
    if path.suffix not in ENDINGS:
        raise ConfigurationError(f"{path}: the file's name must end in {' or '.join(ENDINGS)}")
    if not path.parent.is_dir():
        raise ConfigurationError(f"{path}: there is no folder {path.parent}")


def write_rows(path: Path, rows: Sequence[Mapping[str, str]], header: Mapping[str, object]) -> None:
    """Write rows with the same columns; JSON begins with what `header` says, CSV has no place for it.

    Raises:
        ConfigurationError: the file can't be written.
    """
    text = _csv(rows) if path.suffix == ".csv" else json.dumps({**header, "references": list(rows)}, indent=1) + "\n"
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")
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
        writer.writerows(rows)
    return out.getvalue()
