"""Deletes the last two files of an empty layout, and writes them again where that was too early or is undone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.file_ports import below
from tasks.oci.errors import InterruptedRunError
from tasks.oci.image_layout import BLOBS, INDEX, INGEST, MARKER, iter_index
from tasks.operations.cleanup.applying.apply_tools import RepositoryOutcome
from tasks.operations.cleanup.layout.layout_view import blobs_begun, uploads_begun
from tasks.operations.cleanup.records.journal import Record, Step, list_records, read_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tasks.file_ports import FileReader, FileWriter
    from tasks.operations.cleanup.applying.apply_tools import ApplyTools
    from tasks.operations.cleanup.records.journal import RecordPlace


def drop_layout(tools: ApplyTools, path: str) -> bool:
    """Delete `oci-layout` and `index.json` of a layout that was seen empty; both or, as far as we can, neither.

    Raises:
        SourceError: that can't be told or done.
        LockHeldError: the lease is another run's by now.
    """
    files = tools.source.files
    places = [below(path, name) for name in (INDEX, MARKER)]
    stored = [file for place in places if (file := files.stat_file(place)) is not None]
    contents = [(place, files.read_file(place)) for place in places]
    texts = tuple(
        (place, each.raw.decode("utf-8", "surrogateescape")) for place, each in contents if each is not None
    )
    if len(texts) != len(stored):
        return False  # one came or went just now, or can't be read: nobody knows what goes, nor could put it back
    index = dict(texts).get(below(path, INDEX))
    if (index is not None and next(iter_index(index), None) is not None) or _has_writer(files, path):
        return False  # somebody has written it since the look, or is about to
    tools.guard()
    tools.journal.announce(Record(Step.DROP, path, files.now(), contents=texts))
    is_whole = len(files.delete_files(stored)) == len(stored)
    if is_whole and not _has_writer(files, path):
        return True
    restore_dropped(files, texts)
    return False


def _has_writer(files: FileReader, path: str) -> bool:
    """Whether a writer has stored content, or begun to."""
    begun = list(files.list_files(below(path, INGEST)))
    is_empty = next(iter(files.list_files(below(path, BLOBS))), None) is None
    is_sending = next(uploads_begun(files, path, begun), None) is not None
    return not is_empty or is_sending or bool(blobs_begun(begun, below(path, INGEST)))


def restore_dropped(files: FileWriter, contents: Sequence[tuple[str, str]]) -> bool:
    """Write the files of a dropped layout again where there are none; whether any was missing."""
    missing = [(path, text) for path, text in reversed(contents) if files.read_file(path) is None]
    for path, text in missing:
        files.write_file(path, text.encode("utf-8", "surrogateescape"), None)
    return bool(missing)


def remake_halves(
    files: FileWriter, *, is_alone: bool, check_stop: Callable[[], None] = lambda: None
) -> Iterator[RepositoryOutcome]:
    """Write what is missing of dropped layouts of whose two files one is there; what came of each.

    A writer that looked before such a layout went takes `oci-layout` for there, and writes its index alone however
    much later; a process that dies in between leaves one of the two. An index is written on condition that there is
    none, or where nobody else writes (`is_alone`): a writer may bring its own at that moment.

    Raises:
        SourceError: the journals can't be listed.
        InterruptedRunError: the run was told to end.
    """
    may_write_index = is_alone or files.is_conditional
    for place in list_records(files):
        if place.step is not Step.DROP:
            continue
        check_stop()
        outcome = RepositoryOutcome(place.repository)
        with outcome.noting(InterruptedRunError):
            outcome.remade = _remake_half(files, place, may_write_index=may_write_index)
        if outcome.remade or outcome.problems:
            yield outcome


def _remake_half(files: FileWriter, place: RecordPlace, *, may_write_index: bool) -> bool:
    """Write the file that is missing of a dropped layout if the other one is there; whether that was so."""
    contents = read_record(files, place).contents
    if all(files.stat_file(path, waits=False) is None for path, _ in contents):
        return False  # as nearly all are; of one that only seems so the next run takes care
    missing = [path for path, _ in contents if files.stat_file(path) is None]
    is_half = 0 < len(missing) < len(contents)
    if not is_half or (below(place.repository, INDEX) in missing and not may_write_index):
        return False
    return restore_dropped(files, contents)
