"""Copies what refers to a graph, and has the target list it.

A tag may stand without its referrers, but not the other way round: one that can't be copied is a finding.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from tasks.oci.errors import (
    DamagedAtTargetError,
    ManifestRefusedError,
    MissingReferencedContentError,
    PayloadTooLargeError,
)
from tasks.operations.source.manifest_reading import BROKEN_AT_SOURCE, leaves_open

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tasks.oci.descriptor import Descriptor
    from tasks.oci.digest import Digest
    from tasks.operations.referrers.graph_lists import GraphLists
    from tasks.operations.referrers.referrer_lists import ReferrerListing
    from tasks.operations.source.graph_links import GraphLinks

NOT_BROUGHT = (
    *BROKEN_AT_SOURCE,
    DamagedAtTargetError,
    ManifestRefusedError,
    MissingReferencedContentError,
    PayloadTooLargeError,
)
"""What is wrong with a referrer alone, at the source, at the target or in its eyes."""


class ReferrerCopy:
    """Works between one layout and one repository of the target; shared by all workers on it.

    `send` has a manifest there with all below it, `is_there` says whether manifests are, and `note` is told a code
    and a message of each referrer that can't be copied. To the `patient`, one that can't be read for the moment is
    not such a one: that is raised.
    """

    def __init__(
        self,
        links: GraphLinks,
        lists: GraphLists,
        *,
        send: Callable[[Descriptor], None],
        is_there: Callable[[Iterable[Digest]], bool],
        note: Callable[[str, str], None],
    ) -> None:
        self._links = links
        self._lists = lists
        self._send = send
        self._is_there = is_there
        self._note = note
        self.brought: dict[Digest, None] = {}
        """What was sent although what it refers to was there already, in the order in which it was."""

    def copy(self, subjects: Iterable[Digest], *, patient: bool, ask: bool = False) -> int:
        """Copy all referrers of `subjects` and theirs, breadth first, each once; how many are there and listed.

        `ask` for what the target may have already.
        """
        pending = deque(subjects)
        visited: set[Digest] = set()
        count = 0
        while pending:
            subject = pending.popleft()
            if subject in visited:
                continue
            visited.add(subject)
            bring = partial(self._bring, subject, ask=ask, patient=patient)
            copied = [referrer for referrer in self._links.direct_referrers(subject) if bring(referrer)]
            if copied and self._lists.ensure_all(subject, copied):
                count += len(copied)
            reached = [digest for referrer in copied for digest in self._links.reached(referrer)]
            self._lists.list_subjects(set(reached) - {referrer.digest for referrer in copied})
            pending.extend(reached)
        return count

    def complete(self, root: Descriptor, *, patient: bool) -> int:
        """Have all referrers of a graph that is at the target already there and listed; how many of them are.

        What of the graph itself refers to something is listed too.
        """
        self._links.read(root)
        self._lists.list_subjects(self._links.reached(root))
        return self.copy(self._links.subjects_of(root), ask=True, patient=patient)

    def copy_list(self, subject: Digest, members: Sequence[Descriptor]) -> ReferrerListing:
        """Copy the members of a list of referrers, and have the target list them.

        Raises:
            LayoutliftError: a member can't be read or sent.
        """
        for member in members:
            self._send(member)
        return self._lists.ensure(subject, members)

    def complete_list(self, subject: Digest, members: Sequence[Descriptor], *, ask: bool, patient: bool) -> bool:
        """Have there, and listed, what refers to members of a list; whether all of it is.

        `ask` for what the target may have already.
        """
        for member in members if ask else ():
            self._links.read(member)
        reached = [digest for member in members for digest in self._links.closure(member)]
        self._lists.list_subjects(reached, but=subject)
        expected = self._links.referrers_of(*members)
        return self.copy(reached, ask=ask, patient=patient) == len(expected)

    def is_listed(self, root: Descriptor) -> bool:
        """Whether what refers to something in the graph of `root`, or in its referrers, is listed, as last asked."""
        graphs = (root, *self._links.referrers_of(root)) if self._lists.lacks_some else ()
        return all(self._lists.are_listed(self._links.held_by(each)) for each in graphs)

    def were_brought(self, referrers: Iterable[Digest]) -> bool:
        """Whether one of these was sent although what it refers to was there already."""
        return any(referrer in self.brought for referrer in referrers)

    def _bring(self, subject: Digest, referrer: Descriptor, *, ask: bool, patient: bool) -> bool:
        try:
            if ask and self._is_there(self._links.closure(referrer)):
                self._links.read(referrer)
            else:
                self._send(referrer)
                if ask:
                    self.brought[referrer.digest] = None
        except NOT_BROUGHT as error:
            if leaves_open(error, patient=patient):
                raise
            self._note(error.code, f"{referrer.digest}, a referrer of {subject}: {error}")
            return False
        return True
