"""What a selection chooses of one repository, and which lines of its list find something there."""

from __future__ import annotations

from collections import defaultdict
from itertools import chain
from typing import TYPE_CHECKING

from tasks.oci.errors import DigestOnlyError
from tasks.oci.reference import referrers_tag_of
from tasks.operations.choosing.by_age import plan_of_age, undated
from tasks.operations.choosing.newest import not_ordered, plan_newest
from tasks.operations.reports.findings import tagless
from tasks.operations.reports.results import TagEntry
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from tasks.oci.descriptor import Descriptor
    from tasks.oci.digest import Digest
    from tasks.operations.choosing.selection import Selection
    from tasks.operations.reports.results import RefusedEntry, RepositoryInventory


def plan_chosen(inventory: RepositoryInventory, selection: Selection) -> Sequence[TagEntry]:
    """The tags that the patterns fit; where only those of an age are wanted, those, and of them the newest.

    Of a list, those that it names, and without a tag what it names by a digest that none of these has.

    Raises:
        AgeUnknownError: nothing tells how old they are.
        OrderUnknownError: nothing tells which are newest.
    """
    fitting = [e for e in inventory.tags if selection.matches(inventory.path, e.tag)]
    if selection.listed is not None:
        return [*fitting, *_by_digest(inventory, selection.listed.of(inventory.path), fitting)]
    if selection.ages is not None:
        fitting = plan_of_age(fitting, inventory.made, selection.ages)
    return fitting if selection.newest is None else plan_newest(fitting, inventory.made, selection.newest)


def _by_digest(
    inventory: RepositoryInventory, wanted: Collection[str], fitting: Iterable[TagEntry]
) -> Iterator[TagEntry]:
    done = {e.descriptor.digest for e in fitting}
    for entry in inventory.by_digest:
        if entry.descriptor.digest in wanted and entry.descriptor.digest not in done:
            done.add(entry.descriptor.digest)
            yield TagEntry(None, entry.descriptor, entry.kind)


def marked_of(inventory: RepositoryInventory, selection: Selection) -> tuple[object, ...]:
    """What of the choice neither the index nor the options tell, for the ledger's mark of a layout.

    That is what a list has of it, and with ages the tags that are of such an age now: an index that has not changed
    may have others of it tomorrow.
    """
    if selection.ages is None:
        return selection.wanted_of(inventory.path)
    return (tuple(sorted(entry.tag or "" for entry in plan_chosen(inventory, selection))),)


def absent_of(inventory: RepositoryInventory, selection: Selection) -> tuple[Finding, ...]:
    """Name each line of a list that finds nothing in a repository; an entry that is refused is there by its tag."""
    if selection.listed is None:
        return ()
    names = chain(
        (entry.tag for entry in inventory.tags),
        (entry.tag for entry in inventory.refused),
        (entry.descriptor.digest for entry in inventory.by_digest),
    )
    wanted = selection.listed.of(inventory.path)
    return selection.listed.absent(inventory.path, {name for name in names if name is not None and name in wanted})


def said_of(inventory: RepositoryInventory, chosen: Sequence[TagEntry], selection: Selection) -> Iterator[Finding]:
    """What is to be said of a layout besides its tags, of which these are chosen, and what of them is refused."""
    yield from inventory.findings
    yield from absent_of(inventory, selection)
    yield from not_ordered(inventory.path, chosen, selection.newest)
    yield from undated(inventory, selection)


def listed_findings(
    inventory: RepositoryInventory, chosen: Sequence[TagEntry], selection: Selection
) -> Iterator[Finding]:
    """What a list says of a layout besides its tags, of which these are chosen.

    Runs say some of it elsewhere: which chosen entries can't be migrated, and that nothing has a tag.
    """
    yield from said_of(inventory, chosen, selection)
    for entry in refused_of(inventory, selection, (each.descriptor.digest for each in chosen)):
        yield Finding(inventory.path, entry.code, entry.message)
    if _is_tagless(inventory) and selection.takes_whole(inventory.path, has_tags=False):
        yield tagless(inventory.path, len(inventory.untagged))


def _is_tagless(inventory: RepositoryInventory) -> bool:
    takes_nothing = not inventory.tags and not inventory.refused
    return takes_nothing and (bool(inventory.untagged) or not inventory.findings)


def refused_of(inventory: RepositoryInventory, selection: Selection, sent: Iterable[Digest]) -> list[RefusedEntry]:
    """The chosen entries that can't be migrated; one with a digest for a name is left out if that is sent."""
    chosen = [entry for entry in inventory.refused if selection.matches(inventory.path, entry.tag)]
    if all(entry.code != DigestOnlyError.code for entry in chosen):
        return chosen
    digests = set(sent)
    return [entry for entry in chosen if entry.code != DigestOnlyError.code or entry.digest not in digests]


def plan_selection(
    inventory: RepositoryInventory,
    selection: Selection,
    children_of: Callable[[Iterable[Descriptor]], Iterable[Digest]] = lambda _: (),
) -> tuple[TagEntry, ...]:
    """The tags that the user asked for, and those that by their name are referrers of what these hold, at any depth.

    `children_of` tells the manifests below indexes; it is asked only where there are such names left to judge.

    Raises:
        AgeUnknownError, OrderUnknownError: as `plan_chosen`.
    """
    if selection.is_everything:
        return inventory.tags
    chosen = plan_chosen(inventory, selection)
    tags = {e.tag for e in chosen}
    waiting: dict[Digest, list[TagEntry]] = defaultdict(list)
    for entry in inventory.tags:
        named = None if entry.tag in tags else referrers_tag_of(entry.tag or "", entry.descriptor.digest)
        if named is not None:
            waiting[named.subject].append(entry)
    if waiting:
        held = [e.descriptor.digest for e in chosen]
        tags |= {e.tag for e in _referring([*held, *children_of(e.descriptor for e in chosen)], waiting, inventory)}
    return (*(e for e in inventory.tags if e.tag in tags), *(e for e in chosen if e.tag is None))


def _referring(
    held: list[Digest], waiting: dict[Digest, list[TagEntry]], inventory: RepositoryInventory
) -> Iterator[TagEntry]:
    """The entries of `waiting` that refer to what is held, to what refers to that, and so on."""
    seen = set(held)
    while held:
        subject = held.pop()
        entries = waiting.get(subject, [])
        yield from entries
        referrers = inventory.referrers.get(subject, ())
        further = {e.descriptor.digest for e in entries} | {each.digest for each in referrers}
        further -= seen
        seen |= further
        held += further
