"""The work of a verification on one repository: the target has every tag, and lists every referrer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.oci.errors import LayoutliftError, ReferrersLostError
from tasks.operations.copying.referrer_lists import ReferrerListing
from tasks.operations.reports.results import Outcome, RepositoryInventory, TagResult
from tasks.operations.running.repository_work import RepositoryWork, Unit
from tasks.ports import Finding

if TYPE_CHECKING:
    from tasks.oci.descriptor import Descriptor
    from tasks.oci.digest import Digest
    from tasks.operations.copying.planning import CopyPolicy
    from tasks.operations.copying.referrer_lists import ReferrerLists
    from tasks.operations.verifying.verification import RepositoryVerifier


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
        target_tags: frozenset[str],
    ) -> None:
        super().__init__(inventory, f"{host}/{repository}")
        self._repository = repository
        self._verifier = verifier
        self._lists = lists
        self._policy = policy
        self._target_tags = target_tags

    def finish(self) -> list[Finding]:
        """What the target has besides."""
        known = {entry.tag for entry in self.inventory.tags} | {entry.tag for entry in self.inventory.refused}
        extra = sorted(tag for tag in self._target_tags - known if not tag.startswith(("sha256-", "sha512-")))
        return [
            Finding(self.inventory.path, "extra_at_target", f"{self._place}:{tag} is not at the source")
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
        for digest in pending:
            self._verify_listed(digest, listed)
        visited = set()
        count = 0
        while pending:
            subject = pending.pop()
            referrers = self.inventory.referrers.get(subject, ())
            if subject in visited or not referrers:
                continue
            visited.add(subject)
            for referrer in referrers:
                self._verifier.verify_graph(referrer, None)
                reached = self._verifier.closure(referrer)
                for digest in reached:
                    self._verify_listed(digest, subject)
                pending += reached
            if self._lists.check(self._repository, subject, referrers) is ReferrerListing.LOST:
                raise ReferrersLostError(f"the target does not list all {len(referrers)} referrers of {subject}")
            count += len(referrers)
        return count

    def _verify_listed(self, digest: Digest, listed: Digest | None) -> None:
        own = self._verifier.subject_of(digest)
        if own is None:
            return
        subject, referrer = own
        if subject != listed and self._lists.check(self._repository, subject, [referrer]) is ReferrerListing.LOST:
            raise ReferrersLostError(f"the target does not list {digest} as a referrer of {subject}")

    def _verify_list(self, unit: Unit, subject: Digest) -> TagResult:
        members = self.inventory.referrers.get(subject, ())
        for member in members:
            self._verifier.verify_graph(member, None)
        listing = self._lists.check(self._repository, subject, members)
        if listing is ReferrerListing.LOST:
            raise ReferrersLostError(f"the target does not list all {len(members)} referrers of {subject}")
        for member in members:
            self._verify_referrers(member, listed=subject)
        depth, by_tag = self._policy.depth, listing is ReferrerListing.FALLBACK and bool(members)
        return self._result(
            unit, unit.tags[0], Outcome.UP_TO_DATE, verified=depth, referrers=len(members), at_target=by_tag
        )
