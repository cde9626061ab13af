"""A source each of whose layouts is as many repositories as its references name; see `named_parts`.

What is behind it needs to know nothing of that: a repository has a path, an index and blobs, as a layout has.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from tasks.oci.errors import (
    InvalidLayoutError,
    LayoutliftError,
    NameCollisionError,
    SourceReadError,
    SourceUnavailableError,
)
from tasks.operations.running.concurrency import map_ahead
from tasks.operations.source.named_parts import parts_of
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tasks.oci.descriptor import Descriptor
    from tasks.oci.digest import Digest
    from tasks.operations.running.concurrency import MapConcurrently
    from tasks.ports import BlobContent, BlobStat, IndexFile, Source

READS_AT_ONCE = 8
_SHOWN = 5


class _Part(NamedTuple):
    """What a layout has of a repository: its index, or None where that is the layout's own of this mark."""

    layout: str
    etag: str
    file: IndexFile | None


class SplitSource:
    """A `Source` over another one; an index is as it was when the layouts were listed last.

    Safe to share.
    """

    def __init__(self, whole: Source) -> None:
        """Take the source that is to be split; nothing is read yet."""
        self.whole = whole
        self._lock = threading.Lock()
        self._parts: Mapping[str, list[_Part]] | None = None
        self._unread: dict[str, LayoutliftError] = {}
        self._layouts: dict[str, str] = {}

    def list_layouts(self) -> Iterator[str | Finding]:
        """See `LayoutLister.list_layouts`; all indexes are read for it.

        Where one can't be, any repository may be missing from the list: its finding is one of the source.
        """
        with self._lock:
            parts, others = self._list()
        yield from others
        yield from sorted(parts, key=lambda path: path.split("/"))

    def read_index(self, path: str) -> IndexFile:
        """See `LayoutReader.read_index`.

        Raises:
            NameCollisionError: several layouts have entries of this name.
        """
        parts = self._parts_of(path)
        if len(parts) > 1:
            shown = ", ".join(repr(part.layout) for part in parts[:_SHOWN])
            raise NameCollisionError(f"{len(parts)} layouts hold images of this name, or lie there: {shown}")
        if not parts:
            raise self._unread.get(path) or InvalidLayoutError("no layout of the source holds images of this name")
        (part,) = parts
        return part.file or self._read_whole(part)

    def blob(self, path: str, descriptor: Descriptor) -> BlobContent:
        """See `LayoutReader.blob`."""
        return self.whole.blob(self._layout_of(path), descriptor)

    def stat_blob(self, path: str, digest: Digest) -> BlobStat | None:
        """See `LayoutReader.stat_blob`."""
        return self.whole.stat_blob(self._layout_of(path), digest)

    def _read_whole(self, part: _Part) -> IndexFile:
        file = self.whole.read_index(part.layout)
        if file.etag != part.etag and parts_of(self.whole, part.layout, file, map):
            raise SourceReadError("an image of another repository came into it since the source was listed")
        return file

    def _parts_of(self, path: str) -> list[_Part]:
        with self._lock:
            if self._parts is None:
                self._list()  # a part of a run is told its repositories, and lists none
            return (self._parts or {}).get(path, [])

    def _layout_of(self, path: str) -> str:
        """The layout of a repository, of an earlier listing if need be: its blobs may still be there."""
        self._parts_of(path)
        return self._layouts.get(path, path)

    def _list(self) -> tuple[Mapping[str, list[_Part]], list[Finding]]:
        """What there is of each repository, and what else was found.

        Raises:
            SourceUnavailableError: the source is gone.
        """
        listed = list(self.whole.list_layouts())
        others = [each for each in listed if isinstance(each, Finding)]
        parts: dict[str, list[_Part]] = defaultdict(list)
        self._unread = {}
        for path, found in self._look([each for each in listed if not isinstance(each, Finding)]):
            if isinstance(found, LayoutliftError):
                self._unread[path] = found
                message = f"{path}: {found}; so nobody knows which repositories it holds"
                others.append(Finding(".", found.code, message))
                continue
            for repository, part in found.items():
                parts[repository].append(part)
        self._layouts |= {repository: each[0].layout for repository, each in parts.items()}
        self._parts = parts
        return parts, others

    def _look(self, paths: list[str]) -> Iterator[tuple[str, Mapping[str, _Part] | LayoutliftError]]:
        with ThreadPoolExecutor(READS_AT_ONCE, thread_name_prefix="parts") as pool:
            found = map_ahead(partial(self._look_at, pool.map), paths, READS_AT_ONCE, name="layouts")
            yield from zip(paths, found, strict=True)

    def _look_at(self, map_concurrently: MapConcurrently, path: str) -> Mapping[str, _Part] | LayoutliftError:
        try:
            file = self.whole.read_index(path)
            found = parts_of(self.whole, path, file, map_concurrently)
        except SourceUnavailableError:
            raise
        except LayoutliftError as error:
            return error
        if not found:
            return {path: _Part(path, file.etag, None)}
        return {name: _Part(path, file.etag, part) for name, part in found.items()}
