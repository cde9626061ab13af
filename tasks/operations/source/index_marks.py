"""Whether somebody writes to a source: two looks at the marks of its indexes, and what is different between them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tasks.oci.errors import InvalidLayoutError
from tasks.operations.work.concurrency import READS_AT_ONCE, map_ahead
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.operations.choosing.selection import Selection
    from tasks.ports import Source


def index_marks(source: Source, selection: Selection) -> dict[str, str]:
    """The mark of every index of which something may be chosen; what others write elsewhere is theirs.

    Raises:
        SourceError, InvalidLayoutError: one can't be read; then nobody can say that it did not change.
    """
    listed = source.list_layouts()
    paths = [path for path in listed if not isinstance(path, Finding) and selection.may_match(path)]
    marks = map_ahead(partial(_mark, source), paths, READS_AT_ONCE, name="index")
    return dict(zip(paths, marks, strict=True))


def _mark(source: Source, path: str) -> str:
    try:
        return source.read_index(path).etag
    except InvalidLayoutError as error:  # which names the file alone
        raise InvalidLayoutError(f"{path}: {error}") from error


def changed_layouts(before: Mapping[str, str], after: Mapping[str, str]) -> set[str]:
    """The layouts whose index changed, came or went between two looks."""
    return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
