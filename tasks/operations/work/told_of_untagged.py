"""What is said of manifests without a tag: those that nobody brings, and those that may not stay where they go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.oci.codes import Remark
from tasks.operations.reports.counts import counted
from tasks.operations.reports.results import UntaggedKind
from tasks.operations.work.planning import CopyPolicy, Untagged
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tasks.oci.digest import Digest
    from tasks.oci.registry_profiles import RegistryProfile
    from tasks.operations.reports.results import RepositoryInventory
    from tasks.operations.work.repository_work import Unit


def referrers_left(inventory: RepositoryInventory, policy: CopyPolicy) -> Iterator[Finding]:
    """The finding on referrers that stay behind because what they refer to does not come, where they are wanted."""
    if not policy.referrers or policy.untagged is Untagged.ALL:
        return
    takes_moved = policy.untagged is Untagged.MOVED
    left = [digest for digest, is_of_moved in inventory.strays.items() if not (takes_moved and is_of_moved)]
    if left:
        which = f"{counted(len(left), 'referrer')} stay behind, {left[0]} among them: what they refer to"
        which = f"the referrer {left[0]} stays behind: what it refers to" if len(left) == 1 else which
        message = f"{which} has no tag here, or is not here at all"
        yield Finding(inventory.path, Remark.REFERRERS_LEFT, message)


def untagged_may_go(
    inventory: RepositoryInventory, units: Sequence[Unit], policy: CopyPolicy, profile: RegistryProfile
) -> Iterator[Finding]:
    """The finding on manifests that come without a tag, to a registry that deletes what no tag leads to."""
    if profile.keeps_untagged:
        return
    led_to = _led_to(inventory, policy) | {unit.descriptor.digest for unit in units if unit.tags}
    alone = [unit.descriptor.digest for unit in units if not unit.tags and unit.descriptor.digest not in led_to]
    if alone:
        which = f"{counted(len(alone), 'manifest')}, {alone[0]} among them, have" if alone[1:] else f"{alone[0]} has"
        message = f"{which} no tag, and {profile.title} may delete what has none"
        yield Finding(inventory.path, Remark.UNTAGGED_MAY_GO, message)


def _led_to(inventory: RepositoryInventory, policy: CopyPolicy) -> frozenset[Digest]:
    """What stays, or goes, with what it is part of or refers to: where all comes, that comes, too."""
    if policy.untagged is not Untagged.ALL:
        return frozenset()
    return frozenset(e.descriptor.digest for e in inventory.untagged if e.kind is not UntaggedKind.MOVED)
