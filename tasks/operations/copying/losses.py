"""Looks below what is at the target for what was lost there, and says so before it is brought again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.oci.errors import LayoutliftError
from tasks.operations.copying.presence import is_lost
from tasks.operations.reports.results import Depth

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from tasks.oci.descriptor import Descriptor
    from tasks.oci.digest import Digest
    from tasks.operations.source.graph_links import GraphLinks
    from tasks.operations.verifying.verification import RepositoryVerifier


def _none(_: Iterable[Digest]) -> Collection[Digest]:
    return ()


@dataclass(frozen=True, slots=True)
class Losses:
    """Looks from one layout into one repository, to `depth`, as a migration does that proves again."""

    links: GraphLinks
    verifier: RepositoryVerifier
    depth: Depth

    def are_below(self, root: Descriptor, lacking: Callable[[Iterable[Digest]], Collection[Digest]] = _none) -> bool:
        """Whether a graph, or what refers to it, is to be sent again; referrers that are `lacking` come without it.

        Raises:
            LayoutliftError: what the target has is not what it should be, or it can't tell for the moment.
        """
        try:
            self._verify(root, lacking)
        except LayoutliftError as error:
            if not is_lost(error):
                raise
            return True
        return False

    def _verify(self, root: Descriptor, lacking: Callable[[Iterable[Digest]], Collection[Digest]]) -> None:
        if self.depth is Depth.MANIFEST:
            self.verifier.verify_presence((), self.links.closure(root))
            return
        self.verifier.verify_graph(root, None)
        referrers = self.links.referrers_of(root)
        come = lacking(each.digest for each in referrers)
        for referrer in referrers:
            if referrer.digest not in come:
                self.verifier.verify_graph(referrer, None)
