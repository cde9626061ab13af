"""What the target has of a tag that the source lost: nothing of it is deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.oci.codes import Remark
from tasks.operations.in_step.stand_ins import is_stand_in
from tasks.ports import Finding

if TYPE_CHECKING:
    from tasks.oci.digest import Digest
    from tasks.operations.in_step.vanished import VanishedTag
    from tasks.ports import Target


def no_more_ours(target: Target, lost: VanishedTag) -> Finding | None:
    """The last word on a tag that the target has no more, or has from others; None where it stays as ours.

    Raises:
        RegistryError: the target does not say.
    """
    present = target.resolve_manifest(lost.repository, lost.tag)
    if present == lost.digest or (present is not None and is_stand_in(target, lost.repository, present)):
        return None
    return _last_word(f"{target.host}/{lost}", lost, present)


def _last_word(place: str, lost: VanishedTag, theirs: Digest | None) -> Finding:
    """No later run tells of the tag, and what is left of it at the source may be the last copy."""
    left = f"{lost.digest} is still at the source (layoutlift recover shows what has no name there)"
    if theirs is None:
        message = f"{place} was lost at the source, and the target has it no more; {left}"
        return Finding(lost.path, Remark.TAG_DELETED, message)
    message = f"{place} was lost at the source; the target has {theirs} by now, of others, and keeps it; {left}"
    return Finding(lost.path, Remark.TAG_KEPT, message)
