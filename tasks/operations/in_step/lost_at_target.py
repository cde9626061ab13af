"""What the target has of a tag that the source lost: nothing of it is deleted, and what is not ours is forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.oci.codes import Remark
from tasks.oci.errors import LayoutliftError
from tasks.operations.in_step.stand_ins import is_stand_in
from tasks.ports import Finding

if TYPE_CHECKING:
    from tasks.ledger.ledger import Ledger
    from tasks.oci.digest import Digest
    from tasks.operations.in_step.vanished import VanishedTag
    from tasks.ports import Target


def forget_if_not_ours(target: Target, ledger: Ledger, lost: VanishedTag) -> Finding | None:
    """Forget a tag that the target has no more, or has from others, and say so; None where it stays as ours.

    Where the target does not say, that is the finding.

    Raises:
        StateError: the ledger can't be written.
    """
    place = f"{target.host}/{lost}"
    try:
        present = target.resolve_manifest(lost.repository, lost.tag)
        if present == lost.digest or (present is not None and is_stand_in(target, lost.repository, present)):
            return None
    except LayoutliftError as error:
        return Finding(lost.path, error.code, f"{place} was lost at the source, and may be there still: {error}")
    ledger.forget_tag(lost.repository, lost.tag)
    return _last_word(place, lost, present)


def _last_word(place: str, lost: VanishedTag, theirs: Digest | None) -> Finding:
    """No later run tells of the tag, and what is left of it at the source may be the last copy."""
    left = f"{lost.digest} is still at the source (layoutlift recover shows what has no name there)"
    if theirs is None:
        message = f"{place} was lost at the source, and the target has it no more; {left}"
        return Finding(lost.path, Remark.TAG_DELETED, message)
    message = f"{place} was lost at the source; the target has {theirs} by now, of others, and keeps it; {left}"
    return Finding(lost.path, Remark.TAG_KEPT, message)
