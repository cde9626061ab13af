"""Which tags are of the newest manifests of a repository, where a run is about those alone.

Tags of one manifest count as one and come together: bringing a second name of what comes anyway costs nothing, and
`1.4` is as old as the `1.4.0` that it names. A manifest none of whose tags has a place in the order comes besides.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING

from tasks.oci.codes import Remark
from tasks.oci.errors import OrderUnknownError
from tasks.oci.reference import is_own_name, referrers_tag_of
from tasks.operations.choosing.tag_order import DatedTag, OrderBy, newest_first
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tasks.oci.digest import Digest
    from tasks.operations.reports.results import TagEntry

_WHY_NONE = {
    OrderBy.CREATED: "their writer noted no time",
    OrderBy.SEMVER: "their names are no versions such as 1.4.0",
}


class NewestBy(StrEnum):
    """The orders that an index tells by itself; when blobs were stored says nothing in a bucket that was copied."""

    CREATED = "created"
    SEMVER = "semver"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Newest:
    """How many manifests of each repository are wanted, and by what they are newest."""

    count: int
    order_by: NewestBy = NewestBy.CREATED


def images_of(tags: Iterable[TagEntry]) -> list[TagEntry]:
    """Those of the tags that name no other digest: cosign's, and others that do, are referrers of what they name."""
    return [entry for entry in tags if referrers_tag_of(entry.tag or "", entry.descriptor.digest) is None]


def plan_newest(tags: Sequence[TagEntry], made: Mapping[Digest, float], newest: Newest) -> list[TagEntry]:
    """Of `tags`, those that name one of the newest manifests; `made` has the time of each where that is known.

    What has no name but one that is made of its own digest is counted by itself. Tags that name another digest are
    none of these; where there are no others, as in a repository that holds the signatures of many, they are all.

    Raises:
        OrderUnknownError: there are more than are wanted, and none has a place in the order.
    """
    named = images_of(tags)
    if not named:
        return list(tags)
    groups = _groups(named)
    if all(len(group) <= newest.count for group in groups):
        return named
    dated = [DatedTag(e.tag or "", e.descriptor.digest, made.get(e.descriptor.digest)) for e in named]
    order_by = OrderBy(newest.order_by)
    ordered = newest_first(dated, order_by)
    if not ordered:
        asked = f"the {newest.count} newest of {sum(map(len, groups))} manifests by {order_by}"
        raise OrderUnknownError(f"{asked} can't be told: {_WHY_NONE[order_by]}")
    placed = dict.fromkeys(tag.digest for tag in ordered)
    left = {each for group in groups for each in islice((d for d in placed if d in group), newest.count, None)}
    return [entry for entry in named if entry.descriptor.digest not in left]


def _groups(named: Sequence[TagEntry]) -> tuple[frozenset[Digest], frozenset[Digest]]:
    """Manifests that people named, and others: neither take the others' places, as a tool may name many by digest."""
    both = frozenset(entry.descriptor.digest for entry in named)
    by_people = frozenset(
        entry.descriptor.digest for entry in named if not is_own_name(entry.tag or "", entry.descriptor.digest)
    )
    return by_people, both - by_people


def not_ordered(path: str, chosen: Sequence[TagEntry], newest: Newest | None) -> tuple[Finding, ...]:
    """A finding where more manifests without a place in the order come along than were wanted as the newest."""
    if newest is None:
        return ()
    besides = sum(max(0, len(group) - newest.count) for group in _groups(images_of(chosen)))
    if besides <= newest.count:
        return ()
    message = f"{besides} manifests come besides the {newest.count} newest: they have no place in the order by "
    return (Finding(path, Remark.NOT_ORDERED, f"{message}{newest.order_by}"),)
