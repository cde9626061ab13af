"""Checks what zot would serve of a source, were it pointed at it, and what its default settings would do to it."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.oci.codes import Problem, Remark
from tasks.oci.media_types import is_manifest
from tasks.operations.reports.counts import counted
from tasks.operations.reports.results import Depth, Outcome, RepositoryInventory, TagResult, UntaggedKind
from tasks.operations.verifying.check_work import CheckWork
from tasks.operations.zot.zot_index import ServedIndex, is_in_catalog, name_obstacle, read_served_index
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tasks.oci.descriptor import Descriptor
    from tasks.oci.digest import Digest
    from tasks.operations.source.source_graph import Census, SourceGraph
    from tasks.operations.work.repository_work import Unit
    from tasks.ports import LayoutReader


@dataclass(slots=True)
class RepeatedContent:
    """Which content is in several repositories; safe to share, about 150 bytes a blob."""

    _first: dict[bytes, str] = field(default_factory=dict)
    _repeated: set[bytes] = field(default_factory=set)
    _counts: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, path: str, content: Iterable[Descriptor]) -> None:
        """Note content of a repository."""
        with self._lock:
            before = len(self._repeated)
            for descriptor in content:
                key = bytes.fromhex(descriptor.digest.encoded)
                if self._first.setdefault(key, path) != path:
                    self._repeated.add(key)
            self._counts[path] += len(self._repeated) - before

    def count(self, path: str) -> int:
        """How much turned out to be in several repositories when it was noted of this one; each counts once."""
        with self._lock:
            return self._counts[path]


@dataclass(frozen=True, slots=True)
class ServedLayout:
    """A layout as zot has it: its name, what of its index works, and the listed manifests that are not there."""

    name: str
    index: ServedIndex
    broken: tuple[Digest, ...]

    @property
    def obstacle(self) -> str | None:
        """Why zot serves nothing of it, None where it serves something."""
        return name_obstacle(self.name) or self.index.obstacle


def read_served_layout(source: LayoutReader, path: str, prefix: str) -> ServedLayout:
    """Read the layout at `path` as zot does, whose storage begins `prefix` above the source.

    Raises:
        InvalidLayoutError: nobody can read its index.
        SourceError: it can't be read.
    """
    index = read_served_index(source.read_index(path).raw)
    broken = []
    for digest, size in index.manifests.items():
        stat = source.stat_blob(path, digest)
        if stat is None or stat.size != size:
            broken.append(digest)
    name = prefix.rstrip("/") if path == "." else f"{prefix}{path}"
    return ServedLayout(name, index, tuple(broken))


class ZotWork(CheckWork):
    """Checks that zot serves every tag with all that belongs to it."""

    def __init__(
        self,
        inventory: RepositoryInventory,
        graph: SourceGraph,
        census: Census,
        depth: Depth,
        *,
        served: ServedLayout,
        repeated: RepeatedContent,
    ) -> None:
        super().__init__(inventory, graph, census, depth)
        self._served = served
        self._repeated = repeated

    def finish(self) -> list[Finding]:
        """See `RepositoryWork.finish`."""
        path = self.inventory.path
        found = [Finding(path, Problem.NOT_SERVED, message) for message in self._referrers_not_served()]
        found += [Finding(path, Remark.CHANGED_BY_DEFAULTS, message) for message in self._changes()]
        if self._served.obstacle is None and not is_in_catalog(self._served.name):
            message = f"zot serves it but does not list it: a folder of {self._served.name} ends with 'blobs'"
            found.append(Finding(path, Remark.NOT_IN_CATALOG, message))
        return [*super().finish(), *found]

    def _execute(self, unit: Unit) -> list[TagResult]:
        if (obstacle := self._served.obstacle) is not None:
            return self._failed(unit, unit.tags, Problem.NOT_SERVED, obstacle, refused=True)
        found = self._walk(unit.descriptor).content
        self._repeated.note(self.inventory.path, found)
        if (unlisted := self._unlisted(found)) is not None:
            return self._failed(unit, unit.tags, Problem.NOT_SERVED, unlisted, refused=True)
        return [self._answered(unit, tag) for tag in unit.tags or (None,)]

    def _answered(self, unit: Unit, tag: str | None) -> TagResult:
        if tag is None or tag in self._served.index.tags:
            return self._result(unit, tag, Outcome.UP_TO_DATE, verified=self._depth)
        message = f"index.json names {tag} by a full reference; zot shows that as a tag and answers 404 for it"
        return self._result(unit, tag, Outcome.REFUSED, code=Problem.NOT_SERVED, message=message)

    def _unlisted(self, found: Iterable[Descriptor]) -> str | None:
        for each in found:
            if is_manifest(each.media_type) and each.digest not in self._served.index.manifests:
                return f"zot answers 404 for {each.digest}, which belongs to it: index.json itself does not list it"
        return None

    def _referrers_not_served(self) -> Iterator[str]:
        referrers = [found.digest for listed in self.inventory.referrers.values() for found in listed]
        if self._served.obstacle is not None or not referrers:
            return
        unlisted = [digest for digest in referrers if digest not in self._served.index.manifests]
        if unlisted:
            several, more = counted(len(unlisted), "referrer"), " …" if unlisted[1:] else ""
            yield f"zot does not show {several} that index.json itself does not list: {unlisted[0]}{more}"
        if broken := self._served.broken:
            yield (
                f"zot answers no list of referrers here, for any subject, while index.json lists manifests that "
                f"are missing or cut off: {len(broken)}, such as {broken[0]}"
            )

    def _changes(self) -> Iterator[str]:
        moved = sum(entry.kind is UntaggedKind.MOVED for entry in self.inventory.untagged)
        if moved + self._served.index.unknown:
            yield (
                f"zot's garbage collection, on by default, deletes {counted(moved, 'untagged manifest')} here and "
                f"{counted(self._served.index.unknown, 'entry')} of types that it does not know"
            )
        if repeated := self._repeated.count(self.inventory.path):
            yield (
                f"zot's deduplication, on by default, leaves one copy of {_manifests_and_blobs(repeated)} that "
                "other repositories have too: in a bucket the others become empty objects, in a directory links"
            )


def _manifests_and_blobs(number: int) -> str:
    return "1 manifest or blob" if number == 1 else f"{number:,} manifests and blobs"
