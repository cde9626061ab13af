"""Finds image layouts in a directory tree, at any depth, with any name."""

from __future__ import annotations

import os
from enum import Enum, auto
from typing import TYPE_CHECKING

from tasks.layout_ports import OWN_FOLDER
from tasks.oci import image_layout
from tasks.oci.errors import ContentNotFoundError, SourceError, SourceUnavailableError
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

INSIDE_LAYOUT = frozenset({image_layout.BLOBS, image_layout.INGEST})
"""What belongs to a layout and is not searched for others."""
SHOWN_FILES = 3
"""How many of the files that belong to no layout a finding names."""


def find_layouts(root: str, scan: Callable[[str], list[os.DirEntry[str]]]) -> Iterator[str | Finding]:
    """Walk the tree below `root` in order of names; links are reported, not followed.

    A directory with `oci-layout` or `index.json` is taken for a layout, so that a broken one is reported
    when its index is read. A directory that holds files but no layout is a finding; what cleanup keeps in
    `.layoutlift` is neither. `scan` lists a directory by its path below `root`.

    Raises:
        SourceUnavailableError: the root can't be listed, or the mount is gone.
    """
    pending = ["."]
    while pending:
        path = pending.pop()
        try:
            entries = _by_kind(scan(path))
        except (SourceError, ContentNotFoundError) as error:
            if path == "." or isinstance(error, SourceUnavailableError):
                raise SourceUnavailableError(f"the source can't be listed: {error}") from error
            yield Finding(path, "unreadable_directory", f"the directory can't be listed: {error}")
            continue
        directories = [name for name in entries[_Kind.DIRECTORY] if name != OWN_FOLDER]
        files = entries[_Kind.FILE]
        if not {image_layout.MARKER, image_layout.INDEX}.isdisjoint(files):
            yield path
            directories = [name for name in directories if name not in INSIDE_LAYOUT]
        elif files:
            yield stray_files(path, len(files), files)
        yield from _links(root, [_below(path, name) for name in entries[_Kind.LINK]])
        for name in entries[_Kind.UNREADABLE]:
            yield Finding(_below(path, name), "unreadable_entry", "whether this is a directory can't be read")
        pending.extend(_below(path, name) for name in reversed(directories))


def _below(path: str, name: str) -> str:
    return name if path == "." else f"{path}/{name}"


class _Kind(Enum):
    """What an entry of a directory is to the search; a link is one to a directory."""

    DIRECTORY = auto()
    FILE = auto()
    LINK = auto()
    UNREADABLE = auto()


def _by_kind(entries: list[os.DirEntry[str]]) -> dict[_Kind, list[str]]:
    names: dict[_Kind, list[str]] = {kind: [] for kind in _Kind}
    for entry in sorted(entries, key=lambda entry: entry.name):
        names[_kind(entry)].append(entry.name)
    return names


def _kind(entry: os.DirEntry[str]) -> _Kind:
    """One entry that can't be looked at must not cost the others."""
    try:
        if entry.is_symlink():
            return _Kind.LINK if _leads_to_directory(entry) else _Kind.FILE
        return _Kind.DIRECTORY if entry.is_dir(follow_symlinks=False) else _Kind.FILE
    except OSError:
        return _Kind.UNREADABLE


def _leads_to_directory(link: os.DirEntry[str]) -> bool:
    try:
        return link.is_dir()
    except OSError:  # a link in a circle, or into a place that can't be read
        return False


def _links(root: str, paths: list[str]) -> Iterator[Finding]:
    for path in paths:
        real = os.path.realpath(f"{root}/{path}")
        if real == root or real.startswith(f"{root.rstrip('/')}/"):
            yield Finding(path, "link_not_followed", "a link to a place inside the source, which is read there")
        else:
            yield Finding(path, "outside_source", "a link that leaves the source; it was not followed")


def stray_files(path: str, count: int, names: list[str]) -> Finding:
    """What is said of a directory with `count` files and no layout; `names` are the first of them at least."""
    shown = ", ".join(repr(name) for name in names[:SHOWN_FILES]) + (", …" if count > SHOWN_FILES else "")
    return Finding(path, "not_a_layout", f"{count} files that belong to no layout: {shown}")
