"""Finds image layouts in a listing of keys, with the same results as a walk through the mounted bucket.

Kept are folders, not keys: memory grows with the number of layouts, whatever they hold.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.file_ports import OWN_FOLDER
from tasks.oci import image_layout
from tasks.oci.codes import Problem, Remark
from tasks.ports import Finding
from tasks.stores.bucket.s3_address import NO_COMPONENT
from tasks.stores.directory.layout_search import SHOWN_FILES, Place, stray_files

if TYPE_CHECKING:
    from collections.abc import Iterator

_OWN = f"/{OWN_FOLDER}/"
Stamp = tuple[str, int]
"""ETag and size: objects of one bucket that agree in both have the same content."""


@dataclass(slots=True)
class _Folder:
    """What lies directly in a folder: how many files, the first of their names, and a layout's two files."""

    count: int = 0
    names: list[str] = field(default_factory=list)
    marker: Stamp | None = None
    has_index: bool = False

    @property
    def is_layout(self) -> bool:
        return self.has_index or self.marker is not None

    def add(self, name: str, stamp: Stamp) -> None:
        self.count += 1
        if name == image_layout.MARKER:
            self.marker = stamp
        elif name == image_layout.INDEX:
            self.has_index = True
        elif len(self.names) < SHOWN_FILES or name < self.names[-1]:
            self.names = sorted([*self.names, name])[:SHOWN_FILES]


class KeySearch:
    """`add` all objects of a source, in any order, then ask for the `layouts`.

    Keys that no path can name (an empty component, or one of dots) are findings and nothing else. A key with a
    slash at its end is how some tools mark a folder: no file. What cleanup keeps in `.layoutlift` is left out.
    """

    def __init__(self, prefix: str) -> None:
        self._skipped = len(prefix)
        self._folders: dict[str, _Folder] = {}
        self._unusable: dict[str, _Folder] = {}
        self._last: tuple[str, _Folder] | None = None
        self.is_empty = True

    def add(self, key: str, stamp: Stamp) -> None:
        """Note an object below the prefix."""
        self.is_empty = False
        folder, slash, name = key[self._skipped :].rpartition("/")
        if name and _OWN not in f"/{folder}/":
            self._folder(f"{folder}{slash}", name).add(name, stamp)

    def layouts(self) -> Iterator[str | Finding]:
        """See `Source.list_layouts`."""
        for components, folder in self._in_order():
            path = "/".join(components) or "."
            place = self._place_of(components)
            if folder.is_layout and place is not None:
                yield path
            elif place is Place.OUTSIDE:
                yield stray_files(path, folder.count, folder.names)
        for stem in sorted(self._unusable):
            yield _unusable(stem, self._unusable[stem])

    def markers(self) -> dict[str, Stamp]:
        """The stamps of the layouts' `oci-layout`, by path."""
        found = ((folder.rstrip("/") or ".", each.marker) for folder, each in self._folders.items())
        return {path: marker for path, marker in found if marker is not None}

    def _folder(self, folder: str, name: str) -> _Folder:
        """The folder, named with a slash at its end, that counts a file; mostly that of the key before."""
        if self._last is not None and self._last[0] == folder and name not in NO_COMPONENT:
            return self._last[1]
        stem = _unusable_stem(folder, name)
        if stem is not None:
            return self._unusable.setdefault(stem, _Folder())
        known = self._folders.get(folder)
        if known is None:
            known = self._folders[folder] = _Folder()
        self._last = (folder, known)
        return known

    def _in_order(self) -> list[tuple[tuple[str, ...], _Folder]]:
        named = ((tuple(folder.split("/")[:-1]), each) for folder, each in self._folders.items())
        return sorted(named, key=lambda each: each[0])

    def _place_of(self, components: tuple[str, ...]) -> Place | None:
        place: Place | None = Place.OUTSIDE
        for depth, name in enumerate(components):
            if place is not None:
                place = place.below(name, is_layout=self._is_layout(components[:depth]))
        return place

    def _is_layout(self, components: tuple[str, ...]) -> bool:
        found = self._folders.get("".join(f"{component}/" for component in components))
        return found is not None and found.is_layout


def _unusable_stem(folder: str, name: str) -> str | None:
    """The part of a key up to the first component that no path can have, None where all are fine."""
    components = [*folder.split("/")[:-1], name]
    for place, component in enumerate(components):
        if component in NO_COMPONENT:
            return "/".join(components[: place + 1])
    return None


def _unusable(stem: str, folder: _Folder) -> Finding:
    """A layout among such keys is a loss, and more than a remark."""
    shown = f"{stem}/" if stem.endswith("/") or not stem else stem  # an empty component is seen by its slashes
    keys = f"{folder.count} keys begin with {shown!r}, which is no path; no mount shows them either"
    if folder.is_layout:
        message = f"{keys}, and there is a layout among them: copy it to another prefix"
        return Finding(stem, Problem.UNUSABLE_KEY, message)
    return Finding(stem, Remark.NOT_A_LAYOUT, keys)
