"""What goes is held back for what the target lacks of it, at any depth, in time that grows with the layout alone."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tasks.file_ports import StoredFile
from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.media_types import IMAGE_MANIFEST
from tasks.oci.reference import TargetAddress
from tasks.operations.cleanup.deciding.entry_decisions import EntryDecisions
from tasks.operations.cleanup.deciding.retention import Verdict
from tasks.operations.cleanup.layout.graph import Graph, Node
from tasks.operations.cleanup.layout.layout_view import Entry, LayoutView
from tasks.operations.cleanup.planning.gate import Gate
from tasks.operations.cleanup.planning.holding_back import lacking_entries
from tests.support.graph_looks import counted_looks
from tests.support.memory_stores import MemoryTarget

CHAIN = [Digest.of(str(number).encode()) for number in range(300)]
"""Each refers to the one before; the length is up to whoever writes the layout."""
LAYER, OTHER = Digest.of(b"layer"), Digest.of(b"other")


class LackingTarget(MemoryTarget):
    """Holds everything but this."""

    def __init__(self, *lacking: Digest) -> None:
        super().__init__()
        self._lacking = frozenset(lacking)

    def has_blob(self, repository: str, descriptor: Descriptor) -> bool:
        del repository
        return descriptor.digest not in self._lacking


def held_back(*lacking: Digest) -> list[str]:
    """What becomes of a layout in which nothing has a tag, so that all of it is to go."""
    graph = Graph({digest: Node(subject=before) for before, digest in pairwise([None, *CHAIN])})
    graph.nodes |= {CHAIN[0]: Node((LAYER,)), OTHER: Node()}
    entries = tuple(Entry(None, None, Descriptor(IMAGE_MANIFEST, digest, 1)) for digest in (*CHAIN, OTHER))
    blobs = {digest: StoredFile(digest, 1, 1.0, "e") for digest in (*CHAIN, LAYER, OTHER)}
    view = LayoutView("app", "e", entries, blobs, (), ())
    decided = EntryDecisions(tuple(Verdict("it goes", keep=False) for _ in entries), {}, {})
    gate = Gate(LackingTarget(*lacking), TargetAddress("target"), "own", map)
    return [lack for _, lack in lacking_entries(gate, view, graph, decided)]


def test_what_leads_to_something_that_the_target_lacks_stays_with_the_reason() -> None:
    assert held_back(LAYER) == [f"the target does not have {LAYER}"] * len(CHAIN)
    assert held_back(CHAIN[-2]) == [f"the target does not have {CHAIN[-2]}"] * 2
    assert held_back(CHAIN[-2], OTHER) == [f"the target does not have {CHAIN[-2]}"] * 2 + [
        f"the target does not have {OTHER}"
    ]
    assert held_back() == []


@pytest.mark.parametrize("lacking", [(), (LAYER,)])
def test_a_long_chain_of_referrers_is_gone_along_once(
    lacking: tuple[Digest, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = counted_looks(monkeypatch)
    held_back(*lacking)
    assert len(looks) < 10 * len(CHAIN)
