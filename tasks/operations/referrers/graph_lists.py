"""Has the target list what a copied graph refers to: its referrers, and what of the graph has a subject itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.oci.errors import (
    ManifestRefusedError,
    MissingReferencedContentError,
    PayloadTooLargeError,
    ReferrerConflictError,
    ReferrersLostError,
)
from tasks.operations.referrers.referrer_lists import ReferrerListing, lost_referrers
from tasks.operations.referrers.subjects import Subjects

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from tasks.oci.descriptor import Descriptor
    from tasks.oci.digest import Digest
    from tasks.operations.referrers.referrer_lists import ReferrerLists

NOT_TAKEN = (
    ManifestRefusedError,
    MissingReferencedContentError,
    PayloadTooLargeError,
    ReferrerConflictError,
    ReferrersLostError,
)
"""What keeps a list from being written: a tag that does not move or is another's, or a list too long or not liked."""


class GraphLists:
    """What one repository of the target lists of what is copied into it; shared by all workers on it.

    `subjects` is to be told of what is read. Where a list lacks something, `note` is told a code and a message.
    What the source has under its `own_names` keeps these at the target.
    """

    def __init__(
        self,
        lists: ReferrerLists,
        repository: str,
        note: Callable[[str, str], None],
        own_names: Collection[Digest] = (),
    ) -> None:
        self._lists = lists
        self._repository = repository
        self._note = note
        self._own_names = own_names
        self.subjects = Subjects()
        self._unlisted: set[Digest] = set()

    def list_subjects(self, digests: Iterable[Digest], but: Digest | None = None) -> None:
        """Have the target list those of `digests` that refer to something.

        `but` is a subject whose list is written already.
        """
        for subject, referrers in self.subjects.referring(digests, but).items():
            note = self._unlisted.difference_update if self.ensure_all(subject, referrers) else self._unlisted.update
            note(referrer.digest for referrer in referrers)

    def ensure(self, subject: Digest, referrers: Sequence[Descriptor]) -> ReferrerListing:
        """Have the target list `referrers`, which it has, each as its manifest tells of itself.

        A list in a layout may tell less, and clients choose by it (distribution-spec v1.1.1, "Referrers Tag Schema").

        Raises:
            ReferrerConflictError, ReferrersLostError: see `ReferrerLists.ensure`.
        """
        told = [self.subjects.as_told(referrer, subject) for referrer in referrers]
        return self._lists.ensure(self._repository, subject, told, has_own_name=subject in self._own_names)

    def ensure_all(self, subject: Digest, referrers: Sequence[Descriptor]) -> bool:
        """As `ensure`; whether the target lists all of them, which is noted where it does not.

        A list that the target does not take, or has no place for, is not the fate of what it belongs to.
        """
        try:
            if self.ensure(subject, referrers) is not ReferrerListing.LOST:
                return True
            because = ""
        except NOT_TAKEN as refusal:
            because = f": {refusal}"
        self._note(ReferrersLostError.code, lost_referrers(subject, referrers) + because)
        return False

    @property
    def lacks_some(self) -> bool:
        """Whether anything is known to refer to something that does not list it."""
        return bool(self._unlisted)

    def are_listed(self, digests: Iterable[Digest]) -> bool:
        """Whether all of these that refer to something are listed there, as far as is known."""
        return self._unlisted.isdisjoint(digests)
