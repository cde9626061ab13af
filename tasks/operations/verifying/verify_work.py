"""The work of a verification on one repository: the target has every tag, and lists every referrer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.oci.codes import Remark
from tasks.oci.errors import (
    DamagedAtTargetError,
    DifferentAtTargetError,
    LayoutliftError,
    MissingAtTargetError,
    ReferrersLostError,
    SizeMismatchError,
)
from tasks.oci.reference import is_referrers_tag
from tasks.operations.referrers.referrer_lists import ReferrerListing, lost_referrers
from tasks.operations.reports.results import Outcome, RepositoryInventory, TagResult
from tasks.operations.work.repository_work import RepositoryWork, Unit
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tasks.oci.descriptor import Descriptor
    from tasks.oci.digest import Digest
    from tasks.operations.referrers.referrer_lists import ReferrerLists
    from tasks.operations.verifying.verification import RepositoryVerifier
    from tasks.operations.work.planning import CopyPolicy


class VerifyWork(RepositoryWork):
    """Proves that the target holds what the source says."""

    def __init__(
        self,
        inventory: RepositoryInventory,
        repository: str,
        verifier: RepositoryVerifier,
        lists: ReferrerLists,
        policy: CopyPolicy,
        *,
        host: str,
        target_tags: frozenset[str] | None,
    ) -> None:
        super().__init__(inventory, f"{host}/{repository}")
        self._repository = repository
        self._verifier = verifier
        self._lists = lists
        self._policy = policy
        self._target_tags = target_tags

    def found(self) -> list[Finding]:
        """What the target has besides; where it does not list its tags, that this is not known."""
        if self._target_tags is None:
            message = f"{self._place}: the target does not list its tags, so what it has besides is not known"
            return [Finding(self.inventory.path, Remark.TAGS_NOT_LISTED, message)]
        known = {entry.tag for entry in self.inventory.tags} | {entry.tag for entry in self.inventory.refused}
        extra = sorted(tag for tag in self._target_tags - known if not is_referrers_tag(tag))
        return [
            Finding(self.inventory.path, Remark.EXTRA_AT_TARGET, f"{self._place}:{tag} is not at the source")
            for tag in extra
        ]

    def _execute(self, unit: Unit) -> list[TagResult]:
        if unit.subject is not None:
            return [self._verify_list(unit, unit.subject)]
        failed = {tag: error for tag in unit.tags or (None,) if (error := self._error_of(unit, tag)) is not None}
        intact = [tag for tag in unit.tags or (None,) if tag not in failed]
        count = self._verify_referrers(unit.descriptor) if intact and self._policy.referrers else 0
        depth = self._policy.depth
        return [
            *(self._result(unit, tag, Outcome.FAILED, code=e.code, message=str(e)) for tag, e in failed.items()),
            *(self._result(unit, tag, Outcome.UP_TO_DATE, verified=depth, referrers=count) for tag in intact),
        ]

    def _error_of(self, unit: Unit, tag: str | None) -> LayoutliftError | None:
        try:
            self._verifier.verify_graph(unit.descriptor, tag)
        except LayoutliftError as error:
            return error
        return None

    def _verify_referrers(self, root: Descriptor, listed: Digest | None = None) -> int:
        """Referrers of the graph and theirs: each is there, and the target lists it; those of `listed` it does."""
        pending = self._verifier.closure(root)
        self._verify_listed(pending, listed)
        visited = set()
        count = 0
        while pending:
            subject = pending.pop()
            referrers = self.inventory.referrers.get(subject, ())
            if subject in visited or not referrers:
                continue
            visited.add(subject)
            for referrer in referrers:
                self._verify_referrer(referrer, subject)
                reached = self._verifier.closure(referrer)
                self._verify_listed(reached, subject)
                pending += reached
            self._check_listed(subject, referrers)
            count += len(referrers)
        return count

    def _verify_referrer(self, referrer: Descriptor, subject: Digest) -> None:
        """See that a referrer is there and whole; else say so with the words that a migration has before that."""
        try:
            self._verifier.verify_graph(referrer, None)
        except (MissingAtTargetError, DifferentAtTargetError, DamagedAtTargetError, SizeMismatchError) as error:
            raise type(error)(f"{referrer.digest}, a referrer of {subject}: {error}") from error

    def _verify_listed(self, digests: Iterable[Digest], listed: Digest | None) -> None:
        """What of these refers to something itself is listed there; of several in one list, that is read once."""
        for subject, referrers in self._verifier.subjects.referring(digests, but=listed).items():
            self._check_listed(subject, referrers)

    def _check_listed(self, subject: Digest, referrers: Sequence[Descriptor]) -> ReferrerListing:
        listing = self._lists.check(self._repository, subject, referrers)
        if listing is ReferrerListing.LOST:
            raise ReferrersLostError(lost_referrers(subject, referrers))
        return listing

    def _verify_list(self, unit: Unit, subject: Digest) -> TagResult:
        members = self.inventory.referrers.get(subject, ())
        for member in members:
            self._verify_referrer(member, subject)
        listing = self._check_listed(subject, members)
        for member in members:
            self._verify_referrers(member, listed=subject)
        depth, by_tag = self._policy.depth, listing is ReferrerListing.FALLBACK and bool(members)
        return self._result(
            unit, unit.tags[0], Outcome.UP_TO_DATE, verified=depth, referrers=len(members), at_target=by_tag
        )
