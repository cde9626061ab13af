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
    InterruptedRunError,
    LayoutliftError,
    LayoutMissingError,
    NameCollisionError,
    OutsideSourceError,
    SourceReadError,
    SourceUnavailableError,
)
from tasks.operations.reports.findings import is_harmful
from tasks.operations.source.looking_again import RETRY_DELAYS, look_again
from tasks.operations.source.named_parts import parts_of
from tasks.operations.work.concurrency import READS_AT_ONCE, map_ahead
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from tasks.oci.descriptor import Descriptor
    from tasks.oci.digest import Digest
    from tasks.operations.source.named_parts import IndexPart
    from tasks.operations.work.concurrency import MapConcurrently
    from tasks.ports import BlobContent, BlobStat, IndexFile, LayoutReader, Source
    from tasks.stop import Stop

_SHOWN = 5


class _Part(NamedTuple):
    """What a layout has of a repository: its entries, or None where that is the layout's own of this mark."""

    layout: str
    etag: str
    entries: IndexPart | None


class SplitSource:
    """A `Source` over another one; an index is as it was when the layouts were listed last.

    Safe to share.
    """

    def __init__(self, whole: Source, stop: Stop, *, layouts: Collection[str] = ()) -> None:
        """Take the source that is to be split; nothing is read yet.

        With `layouts`, it looks at no others, and does not search for any.
        """
        self.whole = whole
        self._stop = stop
        self._only = layouts
        self._lock = threading.Lock()
        self._parts: Mapping[str, list[_Part]] | None = None
        self._unread: dict[str, LayoutliftError] = {}
        self._layouts: dict[str, str] = {}

    def list_layouts(self) -> Iterator[str | Finding]:
        """See `Source.list_layouts`; all indexes are read for it.

        Where one can't be, or a folder, any repository may be missing from the list: that is a finding of the source.
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
            raise self._why_unknown(path)
        (part,) = parts
        return part.entries.file() if part.entries else self._read_whole(part)

    def blob(self, path: str, descriptor: Descriptor) -> BlobContent:
        """See `LayoutReader.blob`."""
        return self.whole.blob(self.layout_of(path), descriptor)

    def stat_blob(self, path: str, digest: Digest) -> BlobStat | None:
        """See `LayoutReader.stat_blob`; a layout that can't be read may be that of a repository unknown."""
        layout = self.layout_of(path)
        layouts = [layout] if path in self._layouts else [layout, *self._unread]
        found = (self.whole.stat_blob(each, digest) for each in layouts)
        return next((blob for blob in found if blob is not None), None)

    def layout_of(self, path: str) -> str:
        """The layout of a repository, of an earlier listing if need be: its blobs may still be there."""
        self._parts_of(path)
        return self._layouts.get(path, path)

    def with_all_layouts(self) -> SplitSource:
        """The same source as it is for whom no layouts were named; nothing is read before it is asked."""
        return SplitSource(self.whole, self._stop) if self._only else self

    def _why_unknown(self, path: str) -> LayoutliftError:
        """Why there is nothing of a repository: a layout that can't be read may hold it."""
        unread = self._unread.get(path) or next(iter(self._unread.values()), None)
        return unread or LayoutMissingError("no layout of the source holds images of this name")

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

    def _list(self) -> tuple[Mapping[str, list[_Part]], list[Finding]]:
        """What there is of each repository, and what else was found.

        Raises:
            SourceUnavailableError: the source is gone.
        """
        listed = list(self._only or self.whole.list_layouts())
        found_besides = [each for each in listed if isinstance(each, Finding)]
        others = [_of_source(each) if _hides_names(each) else each for each in found_besides]
        parts: dict[str, list[_Part]] = defaultdict(list)
        self._unread = {}
        for path, found in self._looked_at([each for each in listed if not isinstance(each, Finding)]).items():
            if isinstance(found, LayoutliftError):
                self._unread[path] = found
                others.append(_of_source(Finding(path, found.code, str(found))))
                continue
            for repository, part in found.items():
                parts[repository].append(part)
        self._layouts |= {repository: each[0].layout for repository, each in parts.items()}
        self._parts = parts
        return parts, others

    def _looked_at(self, paths: list[str]) -> Mapping[str, Mapping[str, _Part] | LayoutliftError]:
        return look_again(self._look, paths, self._stop, RETRY_DELAYS)

    def _look(self, paths: list[str]) -> dict[str, Mapping[str, _Part] | LayoutliftError]:
        with ThreadPoolExecutor(READS_AT_ONCE, thread_name_prefix="parts") as pool:
            found = map_ahead(partial(self._look_at, pool.map), paths, READS_AT_ONCE, name="layouts")
            return dict(zip(paths, found, strict=True))

    def _look_at(self, map_concurrently: MapConcurrently, path: str) -> Mapping[str, _Part] | LayoutliftError:
        if self._stop.requested:
            raise InterruptedRunError("the run was interrupted while it looked through the source")
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


def _of_source(found: Finding) -> Finding:
    """What keeps a place from being read, as a finding of the whole source: any repository may lie there."""
    return Finding(".", found.code, f"{found.path}: {found.message}; so nobody knows which repositories it holds")


def _hides_names(found: Finding) -> bool:
    """Whether it tells of a part of the source that can't be read; what a link leads out to is none."""
    return is_harmful(found) and found.code != OutsideSourceError.code


def layouts_of(source: Source, repositories: Iterable[str]) -> Mapping[str, str]:
    """The layout of each repository of a source that is split; of any other, nothing: a path says it there."""
    return {each: source.layout_of(each) for each in repositories} if isinstance(source, SplitSource) else {}


def with_all_layouts(source: LayoutReader) -> LayoutReader:
    """The source in which a part of a run finds the repositories that it was not told of, too."""
    return source.with_all_layouts() if isinstance(source, SplitSource) else source
