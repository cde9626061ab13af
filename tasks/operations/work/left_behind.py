"""What of a layout nobody brings, though it may be meant to come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.oci.codes import Remark
from tasks.operations.reports.counts import counted
from tasks.operations.work.planning import CopyPolicy, Untagged
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.operations.reports.results import RepositoryInventory


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
