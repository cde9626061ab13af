"""The work of a migration on one repository: what becomes of each tag, and making it so."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tasks.oci.digest import Digest
from tasks.oci.errors import BackupRefusedError, LayoutliftError, MissingAtTargetError
from tasks.operations.copy_graph import RepositoryCopy
from tasks.operations.planning import Action, CopyPolicy, TagPlan
from tasks.operations.referrer_lists import ReferrerListing
from tasks.operations.repository_work import REFUSALS, RepositoryWork, Unit
from tasks.operations.results import Depth, Outcome, RepositoryInventory, TagResult
from tasks.operations.tag_planner import open_planner
from tasks.operations.verification import RepositoryVerifier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tasks.ledger_ports import Ledger
    from tasks.oci.descriptor import Descriptor
    from tasks.operations.copy_graph import Copied
    from tasks.operations.copy_tools import CopyTools
    from tasks.operations.results import Traffic
    from tasks.ports import Finding, RemoteManifest


class CopyWork(RepositoryWork):
    """Copies the units of one repository."""

    def __init__(
        self,
        tools: CopyTools,
        inventory: RepositoryInventory,
        repository: str,
        policy: CopyPolicy,
        ledger: Ledger,
        *,
        immutable: bool = False,
    ) -> None:
        super().__init__(inventory, f"{tools.target.host}/{repository}")
        self._tools = tools
        self._repository = repository
        self._policy = policy
        self._ledger = ledger
        self._planner = open_planner(tools.target, repository, policy, ledger, immutable=immutable)
        self._is_new = self._planner.is_new
        self._copier = RepositoryCopy(tools, inventory, repository, new=self._is_new, referrers=policy.referrers)
        self._verifier = RepositoryVerifier(tools.target, repository, policy.depth, tools.hands)

    def take_traffic(self) -> Traffic:
        """See `RepositoryWork.take_traffic`."""
        return self._copier.blobs.take_traffic()

    def finish(self) -> list[Finding]:
        """See `RepositoryWork.finish`."""
        self._tools.blobs.forget(self._repository)
        self._tools.manifests.forget(self._repository)
        return self._copier.findings

    def _execute(self, unit: Unit) -> list[TagResult]:
        if unit.subject is not None:
            return [self._merge_list(unit, unit.subject)]
        if not unit.tags:
            there = self._planner.plan_untagged(unit).action is Action.UP_TO_DATE
            return self._confirm_or_mend(unit, (None,), {}) if there else self._copy(unit, (), {})
        plans = self._planner.plans(unit)
        results = [self._refused(unit, tag, p) for tag, p in plans.items() if p.action is Action.REFUSE]
        current = [tag for tag, plan in plans.items() if plan.action is Action.UP_TO_DATE]
        wanted = [tag for tag, plan in plans.items() if plan.action in {Action.COPY, Action.OVERWRITE}]
        if current:
            results += self._attempt(unit, current, partial(self._confirm_or_mend, unit, current, plans))
        if wanted:
            results += self._attempt(unit, wanted, partial(self._back_up_and_copy, unit, wanted, plans))
        return results

    def _attempt(
        self, unit: Unit, tags: Sequence[str | None], act: Callable[[], list[TagResult] | None]
    ) -> list[TagResult]:
        """What goes wrong with some tags of a unit is not the fate of its others."""
        try:
            return act() or []
        except LayoutliftError as error:
            return self._failed(unit, tags, error.code, str(error), refused=isinstance(error, REFUSALS))

    def _back_up_and_copy(self, unit: Unit, tags: Sequence[str], plans: Mapping[str, TagPlan]) -> list[TagResult]:
        """Copy, and overwrite only what could be kept."""
        results: list[TagResult] = []
        for tag in tags:
            if plans[tag].action is Action.OVERWRITE:
                results += self._attempt(unit, (tag,), partial(self._back_up, tag))
        failed = {result.tag for result in results}
        left = [tag for tag in tags if tag not in failed]
        return results + (self._copy(unit, left, plans) if left else [])

    def _copy(self, unit: Unit, tags: Sequence[str], plans: Mapping[str, TagPlan]) -> list[TagResult]:
        self._ledger.note_started(self._repository)
        refused: dict[str, TagPlan] = {}
        may_write = partial(self._may_write, unit, plans, refused)
        copied = self._copier.copy(unit.descriptor, tags, may_write, patient=unit.patient)
        written = [tag for tag in tags if tag not in copied.failed and tag not in refused]
        for tag in written:  # ours from now on, proved or not
            self._note(unit, tag, None, 0)
        results = [
            self._failed(unit, [tag], error.code, str(error), refused=isinstance(error, REFUSALS))[0]
            for tag, error in copied.failed.items()
        ]
        results += [self._refused(unit, tag, plan) for tag, plan in refused.items()]
        for proved in written or (() if tags else (None,)):
            results += self._attempt(unit, (proved,), partial(self._prove, unit, proved, copied))
        return results

    def _prove(self, unit: Unit, tag: str | None, copied: Copied) -> list[TagResult]:
        self._verify_copied(unit, () if tag is None else (tag,), copied.manifests)
        return self._done(unit, (tag,), Outcome.COPIED, copied.referrers)

    def _may_write(self, unit: Unit, plans: Mapping[str, TagPlan], refused: dict[str, TagPlan], tag: str) -> bool:
        """Whether a tag is still as it was when its fate was decided, or may be written all the same."""
        plan = self._planner.renewed(unit, tag, plans[tag])
        if plan.action is Action.REFUSE:
            refused[tag] = plan
        elif plan.action is Action.OVERWRITE and plan.seen != plans[tag].seen:
            self._back_up(tag)
        return plan.action is not Action.REFUSE

    def _verify_copied(self, unit: Unit, tags: Sequence[str], manifests: Sequence[Digest]) -> None:
        if self._policy.depth is Depth.MANIFEST:
            self._verifier.verify_presence(tags, manifests)
            return
        for tag in tags or (None,):
            self._verifier.verify_graph(unit.descriptor, tag)
        for referrer in self._copier.referrers_of(unit.descriptor):
            self._verifier.verify_graph(referrer, None)

    def _confirm_or_mend(
        self, unit: Unit, tags: Sequence[str | None], plans: Mapping[str, TagPlan]
    ) -> list[TagResult]:
        """A graph with a hole, as after a deletion below a tag, is sent again."""
        try:
            return self._confirm(unit, tags)
        except MissingAtTargetError:
            return self._copy(unit, [tag for tag in tags if tag is not None], plans)

    def _confirm(self, unit: Unit, tags: Sequence[str | None]) -> list[TagResult]:
        """Tags whose digest the target was just asked for: what an earlier run proved is not proved again."""
        referrers = len(self._copier.referrers_of(unit.descriptor))
        unproved = [tag for tag in tags if not self._is_proved(unit, tag, referrers)]
        if unproved and self._policy.depth is Depth.MANIFEST:
            self._verifier.verify_presence((), self._copier.closure(unit.descriptor))
            referrers = self._copier.complete_referrers(unit.descriptor, patient=unit.patient)
        elif unproved:
            self._verifier.verify_graph(unit.descriptor, None)  # a part that is missing is listed nowhere either
            referrers = self._copier.complete_referrers(unit.descriptor, patient=unit.patient)
            self._verify_copied(unit, (), ())
        return self._done(unit, tags, Outcome.UP_TO_DATE, referrers)

    def _is_proved(self, unit: Unit, tag: str | None, referrers: int) -> bool:
        noted = self._ledger.entry(self._repository, tag) if tag is not None else None
        if noted is None or noted.digest != unit.descriptor.digest or noted.verified is None:
            return False
        return Depth(noted.verified).includes(self._policy.depth) and noted.referrers == referrers

    def _merge_list(self, unit: Unit, subject: Digest) -> TagResult:
        members, (tag,) = self.inventory.referrers.get(subject, ()), unit.tags
        self._ledger.note_started(self._repository)
        expected = len({each.digest for member in members for each in (member, *self._copier.referrers_of(member))})
        is_proved = self._is_proved(unit, tag, expected)
        complete = partial(self._copier.complete_referrer_list, subject, members, patient=unit.patient)
        listing, outcome = self._listing(subject, members, is_proved=is_proved), Outcome.UP_TO_DATE
        if listing is ReferrerListing.LOST:
            listing, outcome = self._copier.copy_referrer_list(subject, members), Outcome.COPIED
            is_whole = complete(ask=False)
            self._note(unit, tag, None, 0, found=True)
            self._verify_members(members)
        else:
            is_whole = is_proved or complete(ask=True)
        if listing is ReferrerListing.LOST:
            message = f"the target does not list all {len(members)} referrers of {subject}"
            return self._failed(unit, unit.tags, "referrer_lost", message)[0]
        proved = self._policy.depth if is_whole else None
        self._note(unit, tag, proved, expected, found=True)  # a list is never deleted: others are in it
        by_tag = listing is ReferrerListing.FALLBACK
        return self._result(unit, tag, outcome, verified=self._policy.depth, referrers=len(members), at_target=by_tag)

    def _listing(self, subject: Digest, members: Sequence[Descriptor], *, is_proved: bool) -> ReferrerListing:
        """How the target lists `members`; a list may name what was deleted since, and then it lists nothing.

        What an earlier run proved is not proved again, as with tags. A repository that was not there when the work
        began lists nothing, and is not asked: some registries would answer as if they had no such API.
        """
        if self._is_new:
            return ReferrerListing.LOST
        listing = self._tools.lists.check(self._repository, subject, members)
        if listing is not ReferrerListing.LOST and not is_proved:
            try:
                self._verify_members(members)
            except MissingAtTargetError:
                return ReferrerListing.LOST
        return listing

    def _verify_members(self, members: Sequence[Descriptor]) -> None:
        if members and self._policy.depth is Depth.MANIFEST:
            self._verifier.verify_presence((), [member.digest for member in members])
            return
        for member in members:
            for root in (member, *self._copier.referrers_of(member)):
                self._verifier.verify_graph(root, None)

    def _back_up(self, tag: str) -> None:
        """Keep what is about to be overwritten under another tag, where the user asked for that.

        What an earlier run wrote needs no backup: the source had it.

        Raises:
            BackupRefusedError: the backup's tag is one of the source's, or holds something else already.
        """
        if self._policy.backup_tag is None:
            return
        existing = self._theirs(tag)
        if existing is None:
            return
        name = self._policy.backup_tag.replace("{tag}", tag)
        kept = self._tools.target.resolve_manifest(self._repository, name)
        if any(entry.tag == name for entry in self.inventory.tags) or kept not in {None, Digest.of(existing.raw)}:
            raise BackupRefusedError(f"the backup's tag {name} is taken, so {tag} was not overwritten")
        self._tools.target.push_manifest(self._repository, name, existing)

    def _theirs(self, tag: str) -> RemoteManifest | None:
        """What the target has under a tag, None where that is nothing, or what an earlier run wrote."""
        existing = self._tools.target.fetch_manifest(self._repository, tag)
        noted = self._ledger.entry(self._repository, tag)
        if existing is None or (noted is not None and noted.digest == Digest.of(existing.raw)):
            return None
        return existing

    def _done(self, unit: Unit, tags: Sequence[str | None], outcome: Outcome, referrers: int) -> list[TagResult]:
        depth = self._policy.depth
        for tag in tags:
            if tag is not None:
                self._note(unit, tag, depth, referrers, found=outcome is Outcome.UP_TO_DATE)
        return [self._result(unit, tag, outcome, verified=depth, referrers=referrers) for tag in tags]

    def _note(self, unit: Unit, tag: str, verified: Depth | None, referrers: int, *, found: bool = False) -> None:
        digest, layout = unit.descriptor.digest, self.inventory.path
        self._ledger.note_tag(self._repository, tag, digest, verified, referrers, layout=layout, found=found)

    def _refused(self, unit: Unit, tag: str, plan: TagPlan) -> TagResult:
        return self._result(unit, tag, Outcome.REFUSED, code=plan.code, message=plan.message)
