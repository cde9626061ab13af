"""Which tags of earlier runs the source lost, without anybody having taken them away.

Two writers of one layout who write `index.json` one after the other lose the entries of the first, while its blobs
stay. Who takes a tag away removes its manifest with it, as oras does, and what collects blobs; or leaves a mark on
it, as a cleanup does; or an entry without a tag.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tasks.oci.digest import Digest
from tasks.oci.errors import InterruptedRunError, LayoutliftError
from tasks.operations.in_step.source_parts import SourceParts
from tasks.operations.work.concurrency import READS_AT_ONCE, CallersPool
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from tasks.operations.in_step.vanished import VanishedTag
    from tasks.ports import LayoutReader
    from tasks.stop import Stop


@dataclass(frozen=True, slots=True)
class Lost:
    """Tags whose manifests are still at the source, where nothing names them, and what can't be told.

    `unread` are the paths of those layouts of theirs of which an index can't be read, which may have them for parts.
    """

    tags: frozenset[VanishedTag] = frozenset()
    unread: frozenset[str] = frozenset()
    doubts: tuple[Finding, ...] = ()


class LostTags:
    """Looks for the manifests of tags that no index names any more.

    `marked` tells which digests cleanups have marked in a layout, given its path.
    """

    def __init__(self, source: LayoutReader, marked: Callable[[str], Collection[str]], stop: Stop) -> None:
        self._source = source
        self._marked = marked
        self._stop = stop

    def among(self, tags: Collection[VanishedTag]) -> Lost:
        """Those of some tags, of layouts that are there, that nobody took away.

        Raises:
            InterruptedRunError: the run is to end.
        """
        by_layout: dict[str, set[Digest]] = defaultdict(set)
        for each in tags:
            by_layout[each.path].add(Digest(each.digest))
        unnamed: set[tuple[str, str]] = set()
        unread: set[str] = set()
        doubts: list[Finding] = []
        for path, digests in sorted(by_layout.items()):
            parts = SourceParts(self._source, {path: (path,)}, self._stop)
            try:
                found = {(path, digest) for digest in self._unnamed(path, digests, parts)}
                unnamed |= found
                unread |= {path} if found and not parts.is_whole(path) else set()
            except InterruptedRunError:
                raise
            except LayoutliftError as error:
                message = f"whether somebody took away the tags that vanished can't be told for the moment: {error}"
                doubts.append(Finding(path, error.code, message))
        lost = frozenset(each for each in tags if (each.path, each.digest) in unnamed)
        return Lost(lost, frozenset(unread), tuple(doubts))

    def _unnamed(self, path: str, digests: Collection[Digest], parts: SourceParts) -> set[Digest]:
        """The manifests that are there still, and that neither an index names nor a cleanup has marked."""
        with CallersPool(READS_AT_ONCE, thread_name_prefix="lost") as pool:
            are_there = pool.map(partial(self._is_there, path), digests)
            left = {digest for digest, is_there in zip(digests, are_there, strict=True) if is_there}
        if left:
            left.difference_update(map(Digest, self._marked(path)))
        return {digest for digest in left if not parts.has(path, digest)}

    def _is_there(self, path: str, digest: Digest) -> bool:
        self._stop.check()
        return self._source.stat_blob(path, digest) is not None
