"""Finds image layouts in a directory tree, at any depth, with any name."""

from __future__ import annotations

import os
import stat
import threading
from enum import Enum, auto
from typing import TYPE_CHECKING

from tasks.file_ports import OWN_FOLDER, below
from tasks.oci import image_layout
from tasks.oci.codes import Problem, Remark
from tasks.oci.errors import ContentNotFoundError, OutsideSourceError, SourceError, SourceUnavailableError
from tasks.ports import Finding
from tasks.stores.directory.file_errors import translate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

ALGORITHMS = frozenset({"sha256", "sha512"})
"""Below a layout's `blobs`, the folders that hold its content: they are not looked into."""
PAUSES = (5.0, 20.0)
"""Seconds before what can't be listed for the moment is tried again, as a batch is for what can't be read."""
SHOWN_FILES = 3
"""How many of the files that belong to no layout a finding names."""


def wait_alone(seconds: float) -> None:
    """Wait where nothing else is done, as in a process of its own, whose owner leaves it when the run ends."""
    threading.Event().wait(seconds)


class Place(Enum):
    """Where a folder is; of what belongs to a layout, only other layouts are told."""

    OUTSIDE = auto()
    BLOBS = auto()
    INSIDE = auto()
    SYNCS = auto()

    def below(self, name: str, *, is_layout: bool) -> Place | None:
        """The place of a folder of this name in one at this place, None where it is not looked into.

        A repository may be called `blobs` or `ingest` and lie below another one: then that one's own folder of
        this name is a layout too. Where zot has images until they are whole, only its own folders are left out.
        """
        if self is Place.BLOBS and name in ALGORITHMS:
            return None
        if self is Place.SYNCS and image_layout.is_of_a_sync(name):
            return None
        if name == image_layout.SYNCS:
            return Place.SYNCS
        if is_layout:
            return _PLACES_IN_LAYOUT.get(name, Place.OUTSIDE)
        return Place.OUTSIDE if self is Place.OUTSIDE else Place.INSIDE


_PLACES_IN_LAYOUT = {
    image_layout.BLOBS: Place.BLOBS,
    image_layout.INGEST: Place.INSIDE,
    image_layout.UPLOADS: Place.INSIDE,
    image_layout.OLAREGS_UPLOADS: Place.INSIDE,
}


class _Folders:
    """Folders to be searched; those that can't be listed for the moment come last, after a pause."""

    def __init__(self, pause: Callable[[float], object]) -> None:
        self._now = [(".", Place.OUTSIDE)]
        self._later: list[tuple[str, Place]] = []
        self._pause = pause
        self._pauses = list(PAUSES)

    def __iter__(self) -> Iterator[tuple[str, Place]]:
        while self._now:
            yield self._now.pop()
            if not self._now and self._later:
                self._pause(self._pauses.pop(0))
                self._now, self._later = self._later, []

    def add(self, folders: Iterable[tuple[str, Place]]) -> None:
        self._now.extend(folders)

    def put_off(self, path: str, place: Place) -> bool:
        """Have a folder come once more; False where it came often enough."""
        if self._pauses:
            self._later.append((path, place))
        return bool(self._pauses)


def find_layouts(
    root: str, scan: Callable[[str], list[os.DirEntry[str]]], pause: Callable[[float], object] = wait_alone
) -> Iterator[str | Finding]:
    """Walk the tree below `root` in order of names; links are reported, not followed.

    A directory with `oci-layout` or `index.json` is taken for a layout, so that a broken one is reported when its
    index is read. A directory that holds files but no layout is a finding, outside of what belongs to a layout, and
    so is an empty one, as a mount that is gone leaves it. What cleanup keeps in `.layoutlift` is neither. `scan`
    lists a directory by its path below `root`. One that can't be listed for the moment, or of an entry of which that
    can't be told what it is, is a finding only where `pause`, called with seconds, did not help.

    Raises:
        SourceUnavailableError: the root can't be listed, or the mount is gone.
    """
    folders = _Folders(pause)
    for path, place in folders:
        try:
            folder = _Folder(path, place, _by_kind(scan(path)))
        except (SourceError, ContentNotFoundError) as error:
            if path == "." or isinstance(error, SourceUnavailableError):
                raise SourceUnavailableError(f"the source can't be listed: {error}") from error
            if not (error.transient and folders.put_off(path, place)):
                yield Finding(path, Problem.UNREADABLE_DIRECTORY, f"the directory can't be listed: {error}")
            continue
        if folder.is_unsure and folders.put_off(path, place):
            continue
        yield from folder.found(root)
        folders.add(folder.folders())


class _Kind(Enum):
    """What an entry of a directory is to the search; a link is one to a directory."""

    DIRECTORY = auto()
    FILE = auto()
    LINK = auto()
    UNREADABLE = auto()
    UNSURE = auto()
    """Unreadable for the moment, or gone since it was listed: some mounts say so when the store answered 503."""


class _Folder:
    """A folder that was listed, at `path` below the source's root."""

    def __init__(self, path: str, place: Place, names: Mapping[_Kind, list[str]]) -> None:
        self._path = path
        self._place = place
        self._names = names
        self._is_layout = not {image_layout.MARKER, image_layout.INDEX}.isdisjoint(names[_Kind.FILE])

    @property
    def is_unsure(self) -> bool:
        """Whether another look may tell more of it."""
        return bool(self._names[_Kind.UNSURE])

    def found(self, root: str) -> Iterator[str | Finding]:
        """The folder itself if it is a layout, and what in it is neither a layout's nor searched."""
        files = self._names[_Kind.FILE]
        if self._is_layout:
            yield self._path
        elif files and self._place is Place.OUTSIDE:
            yield stray_files(self._path, len(files), files)
        elif self._looks_unmounted():
            message = "there is nothing in this folder; is something mounted there?"
            yield Finding(self._path, Remark.EMPTY_FOLDER, message)
        yield from _links(root, [path for path, _ in self._searched(self._names[_Kind.LINK])])
        for name in (*self._names[_Kind.UNREADABLE], *self._names[_Kind.UNSURE]):
            message = "whether this is a directory can't be read"
            yield Finding(below(self._path, name), Problem.UNREADABLE_ENTRY, message)

    def _looks_unmounted(self) -> bool:
        """Whether it is empty, and none of those that cleanups leave of a layout or file systems have."""
        is_empty, name = not any(self._names.values()), self._path.rpartition("/")[2]
        is_known = name in {".", *ALGORITHMS, *_PLACES_IN_LAYOUT, "lost+found"}
        return is_empty and not is_known and self._place is Place.OUTSIDE

    def folders(self) -> Iterator[tuple[str, Place]]:
        """The folders to be searched next, the last one by its name first."""
        return self._searched(name for name in reversed(self._names[_Kind.DIRECTORY]) if name != OWN_FOLDER)

    def _searched(self, names: Iterable[str]) -> Iterator[tuple[str, Place]]:
        """Path and place of those that are looked into."""
        for name in names:
            place = self._place.below(name, is_layout=self._is_layout)
            if place is not None:
                yield below(self._path, name), place


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
        if entry.is_dir(follow_symlinks=False):
            return _Kind.DIRECTORY
        if entry.is_file(follow_symlinks=False):
            return _Kind.FILE
        mode = entry.stat(follow_symlinks=False).st_mode  # for Python, what is said not to be there is none of these
    except OSError as error:
        return _Kind.UNSURE if translate(error, entry.name).transient else _Kind.UNREADABLE
    return _Kind.UNSURE if stat.S_ISDIR(mode) or stat.S_ISLNK(mode) else _Kind.FILE


def _leads_to_directory(link: os.DirEntry[str]) -> bool:
    try:
        return link.is_dir()
    except OSError:  # a link in a circle, or into a place that can't be read
        return False


def _links(root: str, paths: list[str]) -> Iterator[Finding]:
    for path in paths:
        real = os.path.realpath(f"{root}/{path}")
        if real == root or real.startswith(f"{root.rstrip('/')}/"):
            yield Finding(path, Remark.LINK_NOT_FOLLOWED, "a link to a place inside the source, which is read there")
        else:
            yield Finding(path, OutsideSourceError.code, "a link that leaves the source; it was not followed")


def stray_files(path: str, count: int, names: list[str]) -> Finding:
    """What is said of a directory with `count` files and no layout; `names` are the first of them at least."""
    shown = ", ".join(repr(name) for name in names[:SHOWN_FILES]) + (", …" if count > SHOWN_FILES else "")
    files = "a file that belongs" if count == 1 else f"{count} files that belong"
    return Finding(path, Remark.NOT_A_LAYOUT, f"{files} to no layout: {shown}")
