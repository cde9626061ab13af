"""Merges a list of referrers, which the source keeps under a tag of its subject, into what the target lists.

A list is never in conflict, and never deleted: others are in it, too.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tasks.oci.errors import LayoutliftError
from tasks.operations.copying.presence import is_lost
from tasks.operations.referrers.referrer_lists import ReferrerListing
from tasks.operations.reports.results import Depth, Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.oci.descriptor import Descriptor
    from tasks.oci.digest import Digest
    from tasks.operations.copying.copy_graph import RepositoryCopy
    from tasks.operations.copying.noted_tags import NotedTags
    from tasks.operations.referrers.referrer_lists import ReferrerLists
    from tasks.operations.verifying.verification import RepositoryVerifier
    from tasks.operations.work.repository_work import Unit


class ListMerge:
    """Merges lists into one repository of the target; one that `is_new` was not there when the work began."""

    def __init__(
        self,
        lists: ReferrerLists,
        noted: NotedTags,
        *,
        copier: RepositoryCopy,
        verifier: RepositoryVerifier,
        is_new: bool,
    ) -> None:
        self._lists = lists
        self._noted = noted
        self._copier = copier
        self._verifier = verifier
        self._is_new = is_new

    def merge(self, unit: Unit, subject: Digest, members: Sequence[Descriptor]) -> tuple[ReferrerListing, Outcome]:
        """Have the target list the members of a list, and what refers to them; how it does, and what that took.

        Raises:
            LayoutliftError: a member can't be read, sent or verified.
        """
        (tag,), digest = unit.tags, unit.descriptor.digest
        expected = {each.digest for member in members for each in self._with_referrers(member)}
        is_proved = self._noted.is_proved(tag, digest, expected)
        complete = partial(self._copier.referrers.complete_list, subject, members, patient=unit.patient)
        listing, outcome = self._listing(subject, members, is_proved=is_proved), Outcome.UP_TO_DATE
        if listing is ReferrerListing.LOST:
            listing, outcome = self._copier.referrers.copy_list(subject, members), Outcome.COPIED
            is_whole = complete(ask=False)
            self._noted.note_unproved(tag, digest, found=True)
            self._verify(members)
        else:
            is_whole = is_proved or complete(ask=True)
        if listing is not ReferrerListing.LOST:
            depth, mended = self._noted.policy.depth, self._copier.referrers.were_brought(expected)
            self._noted.note(tag, digest, depth if is_whole else None, len(expected), expected, mended=mended)
        return listing, outcome

    def _listing(self, subject: Digest, members: Sequence[Descriptor], *, is_proved: bool) -> ReferrerListing:
        """How the target lists `members`; a list may name what was deleted since, and then it lists nothing.

        What an earlier run proved is not proved again, as with tags. A repository that is new lists nothing, and is
        not asked: some registries would answer as if they had no such API.
        """
        if self._is_new:
            return ReferrerListing.LOST
        listing = self._lists.check(self._noted.repository, subject, members)
        if listing is not ReferrerListing.LOST and not is_proved:
            try:
                self._verify(members)
            except LayoutliftError as error:
                if not is_lost(error):
                    raise
                return ReferrerListing.LOST
        return listing

    def _verify(self, members: Sequence[Descriptor]) -> None:
        if members and self._noted.policy.depth is Depth.MANIFEST:
            held = [digest for member in members for digest in self._copier.links.closure(member)]
            self._verifier.verify_presence((), held)
            return
        for member in members:
            for root in self._with_referrers(member):
                self._verifier.verify_graph(root, None)

    def _with_referrers(self, member: Descriptor) -> tuple[Descriptor, ...]:
        return (member, *self._copier.links.referrers_of(member))
