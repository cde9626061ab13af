"""A walk meets everything once, also where manifests are shared or lead back."""

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.media_types import IMAGE_MANIFEST
from tasks.operations.source.graph_walk import reached_from, referrers_of

A, B, C, D = (Digest.of(name) for name in (b"a", b"b", b"c", b"d"))


def test_what_is_shared_is_met_once_and_the_root_first() -> None:
    edges = {A: [B, C], B: [D], C: [D], D: [A]}
    reached = reached_from(A, edges.__getitem__)
    assert reached[0] == A
    assert sorted(reached) == sorted([A, B, C, D])


def test_what_nothing_leads_to_is_not_met() -> None:
    assert reached_from(D, lambda digest: {A: [D]}.get(digest, [])) == [D]


def test_what_refers_to_a_referrer_is_found_and_a_circle_ends() -> None:
    """No writer can make a circle of digests; a list under a tag of referrers can say anything."""
    signature, sbom = (Descriptor(IMAGE_MANIFEST, digest, 1) for digest in (B, C))
    known = {A: (signature,), B: (sbom,), C: (signature,)}
    assert referrers_of([A], known, lambda referrer: [referrer.digest]) == [signature, sbom, signature]
    assert referrers_of([D], known, lambda referrer: [referrer.digest]) == []


def test_what_refers_to_a_part_of_a_referrer_is_found() -> None:
    sboms, signature = (Descriptor(IMAGE_MANIFEST, digest, 1) for digest in (B, C))
    parts = {sboms: [B, D], signature: [C]}
    assert referrers_of([A], {A: (sboms,), D: (signature,)}, parts.__getitem__) == [sboms, signature]
