"""Which manifests of a repository the source has still a use for, whatever becomes of one of their tags."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from tasks.oci.errors import LayoutliftError
from tasks.oci.image_layout import parse_index
from tasks.operations.source.many_manifests import ManyManifests
from tasks.operations.work.concurrency import READS_AT_ONCE, CallersPool

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from tasks.oci.descriptor import Descriptor
    from tasks.oci.digest import Digest
    from tasks.ports import LayoutReader
    from tasks.stop import Stop

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class _Parts:
    """The manifests that are listed, or below what is; others may be where not all of it can be read."""

    known: frozenset[Digest]
    is_whole: bool


class SourceParts:
    """`feeding` are the layouts that go to each repository; those of one are read when it is first asked for."""

    def __init__(self, source: LayoutReader, feeding: Mapping[str, Collection[str]], stop: Stop) -> None:
        self._source = source
        self._feeding = feeding
        self._stop = stop
        self._parts: dict[str, _Parts | LayoutliftError] = {}
        self._seen: dict[str, tuple[str, _Parts]] = {}
        """Of layouts, with the mark of the index; what that names by digest stays the same."""

    def afresh(self, feeding: Mapping[str, Collection[str]]) -> SourceParts:
        """For another look at the source: of layouts that have not changed, only the index is read again."""
        parts = SourceParts(self._source, feeding, self._stop)
        parts._seen = self._seen
        return parts

    def may_need(self, repository: str, digest: Digest) -> bool:
        """Whether an index of a layout lists a manifest, or has it below; so it may where one is broken.

        Raises:
            InvalidLayoutError, SourceError: a layout can't be read, or an index not for the moment.
            InterruptedRunError: the run is to end.
        """
        parts = self._of(repository)
        return digest in parts.known or not parts.is_whole

    def has(self, repository: str, digest: Digest) -> bool:
        """Whether an index of a layout surely lists a manifest, or has it below.

        Raises:
            InvalidLayoutError, SourceError, InterruptedRunError: as `may_need`.
        """
        return digest in self._of(repository).known

    def is_whole(self, repository: str) -> bool:
        """Whether all indexes can be read, so that what none has is in none.

        Raises:
            InvalidLayoutError, SourceError, InterruptedRunError: as `may_need`.
        """
        return self._of(repository).is_whole

    def _of(self, repository: str) -> _Parts:
        if repository not in self._parts:
            self._parts[repository] = self._read_or_error(self._feeding.get(repository, ()))
        parts = self._parts[repository]
        if isinstance(parts, LayoutliftError):
            raise parts
        return parts

    def _read_or_error(self, layouts: Collection[str]) -> _Parts | LayoutliftError:
        """Errors are kept as well: each further tag would have all of it read again."""
        try:
            return self._read(layouts)
        except LayoutliftError as error:
            return error

    def _read(self, layouts: Collection[str]) -> _Parts:
        """All manifests of some layouts, as far as they are listed and can be read."""
        with CallersPool(READS_AT_ONCE, thread_name_prefix="parts") as pool:
            parts = [self._of_layout(pool, path) for path in sorted(layouts)]
        known = frozenset(chain.from_iterable(each.known for each in parts))
        return _Parts(known, all(each.is_whole for each in parts))

    def _of_layout(self, pool: CallersPool, path: str) -> _Parts:
        self._stop.check()
        index = self._source.read_index(path)
        etag, parts = self._seen.get(path, (None, None))
        if parts is None or etag != index.etag:
            parts = self._read_layout(pool, path, index.raw)
        if parts.is_whole:
            self._seen[path] = (index.etag, parts)
        return parts

    def _read_layout(self, pool: CallersPool, path: str, raw: bytes) -> _Parts:
        index = parse_index(raw)
        manifests = ManyManifests(self._source, path, partial(self._map, pool), patient=True)
        known = frozenset((*(entry.digest for entry in index.entries), *manifests.below(index.entries)))
        return _Parts(known, not (index.broken or manifests.findings))

    def _map(
        self, pool: CallersPool, act: Callable[[Descriptor], _Value], some: Iterable[Descriptor]
    ) -> Iterable[_Value]:
        self._stop.check()
        return pool.map(act, some)
