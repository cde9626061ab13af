"""The work of a check on one repository: what every tag refers to is in the source, and unaltered."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from tasks.oci.codes import Remark
from tasks.operations.reports.counts import counted
from tasks.operations.reports.results import Depth, Outcome, RefusedEntry, RepositoryInventory, TagResult
from tasks.operations.source.graph_walk import referrers_of
from tasks.operations.source.manifest_reading import BROKEN_AT_SOURCE
from tasks.operations.work.repository_work import RepositoryWork, Unit
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from tasks.oci.descriptor import Descriptor
    from tasks.oci.digest import Digest
    from tasks.oci.errors import LayoutliftError
    from tasks.operations.source.source_graph import Census, SourceGraph


class Walked(NamedTuple):
    """What a graph is made of, and what refers to something in it or in its referrers and is whole itself."""

    content: list[Descriptor]
    referrers: list[Descriptor]


class CheckWork(RepositoryWork):
    """Checks that the graph of every tag is whole inside the source."""

    def __init__(
        self,
        inventory: RepositoryInventory,
        graph: SourceGraph,
        census: Census,
        depth: Depth,
        place: str | None = None,
        *,
        referrers: bool = True,
    ) -> None:
        """Check what refers to something in a graph, too, unless `referrers` are left out."""
        super().__init__(inventory, place)
        self._graph = graph
        self._census = census
        self._depth = depth
        self._followed = inventory.referrers if referrers else {}
        self._findings: list[Finding] = []
        self._broken_referrers: set[Digest] = set()
        self._counting = threading.Lock()
        self._is_counted = False
        self._counted: set[Digest] = set()

    def found(self) -> list[Finding]:
        """See `RepositoryWork.found`."""
        return [*self._findings, *self._told_archived()]

    def _told_archived(self) -> list[Finding]:
        if not (archived := self._archived()):
            return []
        blobs = counted(len(archived), "blob", "are")
        return [
            Finding(self.inventory.path, Remark.ARCHIVED, f"{blobs} archived, and can't be read before a restore")
        ]

    def _archived(self) -> Collection[Digest]:
        """The archived blobs of which users are told."""
        return self._graph.archived

    def execute(self, unit: Unit) -> list[TagResult]:
        """See `RepositoryWork.execute`; a repository counts once anything of it was chosen."""
        self._count()
        return super().execute(unit)

    def skip(self, unit: Unit, error: LayoutliftError) -> list[TagResult]:
        """See `RepositoryWork.skip`."""
        self._count()
        return super().skip(unit, error)

    def refuse(self, entry: RefusedEntry) -> TagResult:
        """See `RepositoryWork.refuse`."""
        self._count()
        return super().refuse(entry)

    def _count(self) -> None:
        with self._counting:
            if self._is_counted:
                return
            self._is_counted = True
        known = sum(len(found) for found in self.inventory.referrers.values())
        self._census.note_repository(known, len(self.inventory.untagged))

    def _execute(self, unit: Unit) -> list[TagResult]:
        self._walk(unit.descriptor)
        return [self._result(unit, tag, Outcome.UP_TO_DATE, verified=self._depth) for tag in unit.tags or (None,)]

    def _walk(self, root: Descriptor, *, to_copy: bool = False) -> Walked:
        """Check a graph, which is `to_copy` or not, and the referrers of all that is in it and in them."""
        found = self._graph.check(root)
        to_copy = to_copy and self._refusal(found) is None
        self._note_content(root, found, to_copy=to_copy)
        check = partial(self._check_referrer, to_copy=to_copy)
        referrers = referrers_of((each.digest for each in found), self._followed, check)
        return Walked(found, [each for each in referrers if each.digest not in self._broken_referrers])

    def _check_referrer(self, referrer: Descriptor, *, to_copy: bool) -> list[Digest]:
        """Check a referrer, and give what it is made of; a broken one is a finding, and may have referrers, too."""
        try:
            found = self._graph.check(referrer)
        except BROKEN_AT_SOURCE as error:
            message = f"the referrer {referrer.digest}: {error}"
            self._findings.append(Finding(self.inventory.path, error.code, message))
            self._broken_referrers.add(referrer.digest)
            return [referrer.digest]
        self._note_content(referrer, found, to_copy=to_copy and self._refusal(found) is None)
        return [each.digest for each in found]

    def _note_content(self, root: Descriptor, content: list[Descriptor], *, to_copy: bool) -> None:
        """Count a graph once, however many units its tags are in, and however often one is tried."""
        with self._counting:
            is_again = root.digest in self._counted
            self._counted.add(root.digest)
        self._census.note_content(content, to_copy=to_copy, is_again=is_again)

    def _refusal(self, _content: Iterable[Descriptor], /) -> LayoutliftError | None:
        """Why a target would not take all of it; here there is none."""
        return None
