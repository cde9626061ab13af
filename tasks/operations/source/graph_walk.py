"""Walks over graphs of manifests, and how deep a graph may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.oci.errors import NestingTooDeepError
from tasks.oci.media_types import is_index

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tasks.oci.descriptor import Descriptor
    from tasks.oci.digest import Digest
    from tasks.oci.manifest import Manifest


MAX_NESTING = 32
"""Levels of indexes within indexes; honest writers use two or three."""


def check_nesting(depth: int) -> None:
    """Pass at a depth at which a graph may still have manifests; its root is at 0.

    Raises:
        NestingTooDeepError: the depth is beyond `MAX_NESTING`.
    """
    if depth > MAX_NESTING:
        raise NestingTooDeepError(f"indexes are nested more than {MAX_NESTING} levels deep")


def reached_from(root: Digest, below: Callable[[Digest], Iterable[Digest]]) -> list[Digest]:
    """The root, and everything that `below` leads to from it, each once."""
    reached: dict[Digest, None] = {}
    pending = [root]
    while pending:
        digest = pending.pop()
        if digest not in reached:
            reached[digest] = None
            pending.extend(below(digest))
    return list(reached)


def manifests_of(
    entries: Iterable[Descriptor], read: Callable[[list[Descriptor]], Iterable[Manifest]]
) -> Iterator[Manifest]:
    """The manifests of `entries` and of all indexes below, level by level.

    `read` gives the manifests of several descriptors, in any order, and leaves out those that can't be read.
    """
    level = {each.digest: each for each in entries}
    seen: set[Digest] = set()
    while level:
        seen |= level.keys()
        below: dict[Digest, Descriptor] = {}
        for manifest in read(list(level.values())):
            yield manifest
            below |= {each.digest: each for each in manifest.manifests if is_index(each.media_type)}
        level = {digest: each for digest, each in below.items() if digest not in seen}


def referrers_of(
    subjects: Iterable[Digest],
    known: Mapping[Digest, tuple[Descriptor, ...]],
    held_by: Callable[[Descriptor], Iterable[Digest]],
) -> list[Descriptor]:
    """The referrers of `subjects`, and of all that these are made of, as `held_by` says; `known` by subject."""
    found: list[Descriptor] = []
    pending = list(subjects)
    visited: set[Digest] = set()
    while pending:
        subject = pending.pop()
        if subject not in visited:
            visited.add(subject)
            referrers = known.get(subject, ())
            found += referrers
            pending += (digest for referrer in referrers for digest in held_by(referrer))
    return found
