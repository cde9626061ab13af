"""Writes an index anew from what it says now, announced, and never over what somebody else wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.file_ports import below
from tasks.oci.errors import InvalidLayoutError, MaybeWrittenError, SourceChangedError
from tasks.oci.image_layout import INDEX, parse_index
from tasks.oci.reference import REF_NAME
from tasks.operations.cleanup.layout.index_edit import read_entry
from tasks.operations.cleanup.records.journal import TRASH, Record, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from tasks.file_ports import FileContent
    from tasks.operations.cleanup.applying.apply_tools import ApplyTools
    from tasks.operations.cleanup.layout.index_edit import IndexEdit

ATTEMPTS = 5
"""How often an index is read and written anew when writers are quicker."""


def change_index(tools: ApplyTools, path: str, edit: Callable[[bytes], IndexEdit]) -> IndexEdit:
    """Write `index.json` as `edit` makes it of what is there, announced, under the condition that nobody else did.

    Raises:
        SourceChangedError: writers were quicker each time.
        InvalidLayoutError: there is no index, or it can't be read whole.
    """
    files, place = tools.source.files, below(path, INDEX)
    for _ in range(ATTEMPTS):
        found = files.read_file(place)
        if found is None:
            raise InvalidLayoutError(f"{INDEX} is missing")
        made = edit(found.raw)
        if not made.changes:
            return made
        tools.guard()
        _announce_edit(tools, path, found, made)
        try:
            files.write_file(place, made.raw, found.etag)
        except SourceChangedError as error:
            if not isinstance(error, MaybeWrittenError) or not _stands(tools, place, made):
                _withdraw_edit(tools, path)
                continue
        return made
    raise SourceChangedError(f"{place} was written by others {ATTEMPTS} times in a row; it was left to them")


def _stands(tools: ApplyTools, place: str, made: IndexEdit) -> bool:
    """Whether all of an edit shows in what somebody has written since, so that it was made of that.

    Where none of it shows, that was made of the index of before. Of a writer who took out himself the very entries
    that were to go nobody can tell; then they count as ours, and can be put back.
    """
    found = tools.source.files.read_file(place)
    if found is None:
        return False
    present = {(entry.annotations.get(REF_NAME), entry.digest) for entry in parse_index(found.raw).entries}
    return present.isdisjoint(_named(made.removed)) and present.issuperset(_named(made.added))


def _named(bodies: Iterable[dict[str, Any]]) -> set[tuple[str | None, str]]:
    return {(entry.tag, entry.descriptor.digest) for entry in map(read_entry, bodies)}


def _announce_edit(tools: ApplyTools, path: str, found: FileContent, made: IndexEdit) -> None:
    """Note what the edit does, for `undo`, and keep the whole index as it was, for people.

    In this order, as what is kept goes with the journal of its run: without one it would stay for ever.
    """
    files, journal = tools.source.files, tools.journal
    record = Record(Step.INDEX, path, files.now(), removed=made.removed, added=made.added, etag=found.etag)
    journal.announce(record)
    kept = f"{TRASH}/{journal.run}/{below(path, INDEX)}.before"
    if files.read_file(kept) is None:
        files.write_file(kept, found.raw, None)


def _withdraw_edit(tools: ApplyTools, path: str) -> None:
    """Note that the edit that was announced last was not made: `undo` must not put back what a writer took.

    Where the store does not compare, it may have been made for a moment, and what was written next be made of it.
    """
    files = tools.source.files
    if files.is_conditional:
        tools.journal.announce(Record(Step.INDEX, path, files.now(), withdraws=True))
