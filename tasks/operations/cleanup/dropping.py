"""Deletes the last two files of an empty layout, and writes them again where that was too early or is undone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.layout_ports import below
from tasks.oci.image_layout import BLOBS, INDEX, MARKER, iter_index
from tasks.operations.cleanup.journal import Record, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.layout_ports import FileWriter
    from tasks.operations.cleanup.apply_tools import ApplyTools


def drop_layout(tools: ApplyTools, path: str) -> bool:
    """Delete `oci-layout` and `index.json` of a layout that was seen empty; both or, as far as we can, neither.

    Raises:
        SourceError: that can't be told or done.
        LockHeldError: the lease is another run's by now.
    """
    files = tools.source.files
    paths = [below(path, name) for name in (INDEX, MARKER)]
    found = [file for path in paths if (file := files.stat_file(path)) is not None]
    contents = [(path, files.read_file(path)) for path in paths]
    texts = tuple(
        (path, found.raw.decode("utf-8", "surrogateescape")) for path, found in contents if found is not None
    )
    if any(True for path, text in texts if path == paths[0] for _ in iter_index(text)):
        return False  # somebody has written it since the look
    tools.guard()
    tools.journal.announce(Record(Step.DROP, path, files.now(), contents=texts))
    is_whole = len(files.delete_files(found)) == len(found)
    if is_whole and not any(True for _ in files.list_files(below(path, BLOBS))):
        return True
    restore_dropped(files, texts)
    return False


def restore_dropped(files: FileWriter, contents: Sequence[tuple[str, str]]) -> bool:
    """Write the files of a dropped layout again where there are none; whether any was missing."""
    missing = [(path, text) for path, text in reversed(contents) if files.read_file(path) is None]
    for path, text in missing:
        files.write_file(path, text.encode("utf-8", "surrogateescape"), None)
    return bool(missing)
