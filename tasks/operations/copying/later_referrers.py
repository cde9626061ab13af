"""What is said of referrers that come to what the target has already: no row of a report is about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.oci.codes import Remark
from tasks.operations.reports.counts import counted
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from tasks.oci.digest import Digest


def referrers_to_copy(path: str, referrers: Collection[Digest]) -> Iterator[Finding]:
    """What a plan says of them, if there are any."""
    if referrers:
        what = f"{counted(len(referrers), 'referrer')} of what is there would be copied"
        yield Finding(path, Remark.REFERRERS_TO_COPY, _with_first(what, referrers))


def referrers_copied(path: str, referrers: Collection[Digest]) -> Iterator[Finding]:
    """What a migration says of them, if there are any."""
    if referrers:
        were = "was" if len(referrers) == 1 else "were"
        what = f"{counted(len(referrers), 'referrer')} of what was there already {were} copied"
        yield Finding(path, Remark.REFERRERS_COPIED, _with_first(what, referrers))


def _with_first(what: str, referrers: Collection[Digest]) -> str:
    first = next(iter(referrers))
    return f"{what}: {first}" if len(referrers) == 1 else f"{what}, {first} among them"
