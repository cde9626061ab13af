"""Which tags of earlier runs the source lost, without anybody having taken them away.

Two writers of one layout who write `index.json` one after the other lose the entries of the first, while its blobs
stay. Who takes a tag away removes its manifest with it, as oras does, and what collects blobs; or leaves a mark on
it, as a cleanup does; or an entry without a tag.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.oci.digest import Digest
from tasks.oci.errors import InterruptedRunError, LayoutliftError
from tasks.operations.in_step.unlisted import ASKED_AT_ONCE
from tasks.operations.work.concurrency import map_ahead
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from tasks.operations.in_step.source_parts import SourceParts
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


@dataclass(slots=True)
class _Looked:
    """What was found so far, by path."""

    unnamed: set[tuple[str, str]] = field(default_factory=set)
    unread: set[str] = field(default_factory=set)
    doubts: dict[str, Finding] = field(default_factory=dict)

    def doubt(self, path: str, error: LayoutliftError) -> None:
        """Note once of a layout that it can't be told."""
        message = f"whether somebody took away the tags that vanished can't be told for the moment: {error}"
        self.doubts.setdefault(path, Finding(path, error.code, message))


class LostTags:
    """Looks for the manifests of tags that no index names any more.

    `marked` tells which digests cleanups have marked in a layout, given its path; `parts` knows what earlier looks
    at the source have read.
    """

    def __init__(
        self, source: LayoutReader, parts: SourceParts, marked: Callable[[str], Collection[str]], stop: Stop
    ) -> None:
        self._source = source
        self._parts = parts
        self._marked = marked
        self._stop = stop

    def among(self, tags: Collection[VanishedTag]) -> Lost:
        """Those of some tags, of layouts that are there, that nobody took away.

        Raises:
            InterruptedRunError: the run is to end.
        """
        asked = sorted({(each.path, Digest(each.digest)) for each in tags})
        there: dict[str, set[Digest]] = defaultdict(set)
        looked = _Looked()
        for (path, digest), is_there in zip(asked, self._are_there(asked), strict=True):
            if isinstance(is_there, LayoutliftError):
                looked.doubt(path, is_there)
            elif is_there:
                there[path].add(digest)
        for path in sorted(there.keys() - looked.doubts.keys()):
            self._look_for_names(path, there[path], looked)
        lost = frozenset(each for each in tags if (each.path, each.digest) in looked.unnamed)
        return Lost(lost, frozenset(looked.unread), tuple(looked.doubts.values()))

    def _are_there(self, asked: Iterable[tuple[str, Digest]]) -> Iterator[bool | LayoutliftError]:
        return map_ahead(self._is_there, asked, workers=ASKED_AT_ONCE, name="lost")

    def _is_there(self, asked: tuple[str, Digest]) -> bool | LayoutliftError:
        self._stop.check()
        try:
            return self._source.stat_blob(*asked) is not None
        except InterruptedRunError:
            raise
        except LayoutliftError as error:
            return error

    def _look_for_names(self, path: str, digests: set[Digest], looked: _Looked) -> None:
        """Note those of the manifests that neither an index names nor a cleanup has marked."""
        parts = self._parts.afresh({path: (path,)})
        try:
            left = digests.difference(map(Digest, self._marked(path)))
            unnamed = {(path, digest) for digest in left if not parts.has(path, digest)}
            is_unread = bool(unnamed) and not parts.is_whole(path)
        except InterruptedRunError:
            raise
        except LayoutliftError as error:
            looked.doubt(path, error)
            return
        looked.unnamed |= unnamed
        looked.unread |= {path} if is_unread else set()
