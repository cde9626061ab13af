"""Which tags name what is neither too old nor too new, where a run is about those alone.

An age is that of a manifest, which comes with all its tags. What has no time counts as just made: it is new enough,
and it is never old enough, so that nothing gets past a quarantine by keeping its time to itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.oci.codes import Remark
from tasks.oci.errors import AgeUnknownError
from tasks.operations.choosing.newest import images_of
from tasks.operations.reports.counts import counted
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tasks.oci.digest import Digest
    from tasks.operations.choosing.selection import Selection
    from tasks.operations.reports.results import RepositoryInventory, TagEntry

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Ages:
    """How old a manifest may be, and how old it has to be, in seconds before `now`; None: as old as it likes.

    `now` is one moment for a whole run, in seconds since 1970: a run of hours, and each of its parts, decides by it.
    """

    newer_than: float | None
    older_than: float | None
    now: float

    def allow(self, made: float | None) -> bool:
        """Whether what was made then is of such an age; None is what has no time."""
        age = 0.0 if made is None else self.now - made
        is_new_enough = self.newer_than is None or age <= self.newer_than
        return is_new_enough and (self.older_than is None or age >= self.older_than)


def plan_of_age(tags: Sequence[TagEntry], made: Mapping[Digest, float], ages: Ages) -> list[TagEntry]:
    """Of `tags`, those that name a manifest of such an age; `made` has the time of each where that is known.

    Signatures under tags that name another digest have no age; see `plan_newest`.

    Raises:
        AgeUnknownError: nothing tells the age of any.
    """
    images = images_of(tags)
    if not images:
        return list(tags)
    digests = {entry.descriptor.digest for entry in images}
    if made.keys().isdisjoint(digests):
        which = counted(len(digests), "manifest")
        raise AgeUnknownError(f"the age of {which} can't be told: their writer noted no time")
    return [entry for entry in images if ages.allow(made.get(entry.descriptor.digest))]


def undated(inventory: RepositoryInventory, selection: Selection) -> tuple[Finding, ...]:
    """A finding on what the patterns choose and nothing dates, beside what has a time.

    It is a problem where that stays behind: nobody asked for it to, and by tomorrow it will be no older.
    """
    if selection.ages is None:
        return ()
    images = images_of([e for e in inventory.tags if selection.matches(inventory.path, e.tag)])
    without = [entry for entry in images if entry.descriptor.digest not in inventory.made]
    if not without or len(without) == len(images):
        return ()
    number = len({entry.descriptor.digest for entry in without})
    which, names = counted(number, "manifest"), _named(without)
    if selection.ages.allow(None):
        message = f"{which} without a time {'counts' if number == 1 else 'count'} as new, and so come along: {names}"
        return (Finding(inventory.path, Remark.NOT_DATED, message),)
    message = f"{which} {'stays' if number == 1 else 'stay'} behind, as no time tells that it is old enough: {names}"
    return (Finding(inventory.path, AgeUnknownError.code, message),)


def too_new(inventory: RepositoryInventory, selection: Selection) -> tuple[Finding, ...]:
    """A remark on how many tags stay behind because they are not old enough yet; what has no time is `undated`."""
    ages = selection.ages
    if ages is None or ages.older_than is None:
        return ()
    young = {digest for digest, made in inventory.made.items() if ages.now - made < ages.older_than}
    tags = [entry for entry in inventory.tags if entry.descriptor.digest in young]
    held = images_of([entry for entry in tags if selection.matches(inventory.path, entry.tag)])
    if not held:
        return ()
    are = "is" if len(held) == 1 else "are"
    message = f"{counted(len(held), 'tag')} {are} too new yet: {_named(held)}"
    return (Finding(inventory.path, Remark.TOO_NEW, message),)


def _named(entries: Sequence[TagEntry]) -> str:
    names = ", ".join(entry.tag or "" for entry in entries[:_SHOWN])
    return names if len(entries) <= _SHOWN else f"{names} and {len(entries) - _SHOWN} more"
