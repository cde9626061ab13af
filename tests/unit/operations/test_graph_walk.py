"""A walk meets everything once, also where manifests are shared or lead back."""

from tasks.oci.digest import Digest
from tasks.operations.graph_walk import reached_from

A, B, C, D = (Digest.of(name) for name in (b"a", b"b", b"c", b"d"))


def test_what_is_shared_is_met_once_and_the_root_first() -> None:
    edges = {A: [B, C], B: [D], C: [D], D: [A]}
    reached = reached_from(A, edges.__getitem__)
    assert reached[0] == A
    assert sorted(reached) == sorted([A, B, C, D])


def test_what_nothing_leads_to_is_not_met() -> None:
    assert reached_from(D, lambda digest: {A: [D]}.get(digest, [])) == [D]
