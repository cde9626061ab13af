"""The work of a migration on one repository: what becomes of each tag, and making it so."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import (
    BackupRefusedError,
    LayoutliftError,
    ReferrersLostError,
    SpecError,
)
from tasks.oci.manifest import parse_manifest
from tasks.operations.copying.copy_graph import RepositoryCopy
from tasks.operations.copying.kept_manifests import KeptManifests
from tasks.operations.copying.later_referrers import referrers_copied
from tasks.operations.copying.list_merge import ListMerge
from tasks.operations.copying.overwritten import Overwritten
from tasks.operations.copying.presence import is_lost
from tasks.operations.referrers.referrer_lists import ReferrerListing, lost_referrers
from tasks.operations.reports.results import Depth, Outcome, RepositoryInventory, TagResult
from tasks.operations.verifying.verification import RepositoryVerifier, in_layout
from tasks.operations.work.planning import TagAction, TagPlan
from tasks.operations.work.repository_work import RepositoryWork, Unit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tasks.operations.copying.copy_graph import Copied
    from tasks.operations.copying.copy_tools import CopyTools
    from tasks.operations.copying.noted_tags import NotedTags
    from tasks.operations.copying.tag_planner import TagPlanner
    from tasks.ports import Finding, RemoteManifest


@dataclass(frozen=True, slots=True)
class _LastLook:
    """Looks at each tag of a unit before each attempt to write it: its fate was decided a while ago."""

    unit: Unit
    plans: Mapping[str, TagPlan]
    planner: TagPlanner
    back_up: Callable[[str], None]
    left: dict[str, TagPlan] = field(default_factory=dict, init=False)
    """What was not to be written after all, and why."""
    tried: dict[str, TagPlan] = field(default_factory=dict, init=False)
    """What was written, or may have been, and what was there before."""

    def may_write(self, tag: str) -> bool:
        """Whether a tag is still as it was when its fate was decided, or may be written all the same.

        One that has come meanwhile with the very content is `left`, too: some targets let none be written twice, and
        what others brought is theirs. Once it was tried, it is ours, and an answer was lost.
        """
        before = self.tried.get(tag, self.plans[tag])
        plan = self.planner.renewed(self.unit, tag, before)
        has_come = plan.action is TagAction.UP_TO_DATE and self.plans[tag].action is not TagAction.UP_TO_DATE
        if has_come or plan.action is TagAction.REFUSE:
            if not (has_come and tag in self.tried):
                self.left[tag] = plan
            return False
        if plan.action is TagAction.OVERWRITE and plan.seen != before.seen:
            self.back_up(tag)
        self.tried[tag] = plan
        return True


class CopyWork(RepositoryWork):
    """Copies the units of the repository of which `noted` tells, as `planner` decides on its tags."""

    def __init__(
        self,
        tools: CopyTools,
        inventory: RepositoryInventory,
        noted: NotedTags,
        planner: TagPlanner,
        *,
        announced: Iterable[Finding] = (),
    ) -> None:
        repository, policy = noted.repository, noted.policy
        super().__init__(inventory, f"{tools.target.host}/{repository}")
        self._tools = tools
        self._repository = repository
        self._policy = policy
        self._has_mended = False
        """Whether something was sent again which tags may share that are proved again after that."""
        self._taken = frozenset(e.tag for e in inventory.tags) if policy.backup_tag is not None else frozenset()
        self._noted = noted
        self._planner = planner
        is_new = planner.is_new  # asked before anything is noted as begun
        self._announced = tuple(announced)
        deep = policy.depth is Depth.CONTENT
        self._copier = RepositoryCopy(
            tools, inventory, repository, new=is_new, referrers=policy.referrers, opened=deep
        )
        self._overwritten = Overwritten(inventory.path, f"{tools.target.host}/{repository}", policy)
        self._kept = KeptManifests(tools, self._copier, noted)
        self._verifier = RepositoryVerifier(
            tools.target,
            repository,
            policy.depth,
            tools.hands,
            pushed=True,
            proof=tools.proof,
            is_at_source=in_layout(tools.source, inventory.path),
        )
        self._lists = ListMerge(
            tools.lists,
            noted,
            copier=self._copier,
            verifier=self._verifier,
            is_new=is_new,
        )

    def found(self) -> list[Finding]:
        """See `RepositoryWork.found`."""
        brought = referrers_copied(self.inventory.path, self._copier.referrers.brought)
        return [*self._announced, *self._copier.findings, *self._overwritten.findings, *brought]

    def finish(self) -> list[Finding]:
        """See `RepositoryWork.finish`."""
        unsettled = self._kept.settle()
        self._tools.blobs.forget(self._repository)
        self._tools.manifests.forget(self._repository)
        return [*super().finish(), *unsettled]

    def _execute(self, unit: Unit) -> list[TagResult]:
        if unit.subject is not None:
            return [self._merge_list(unit, unit.subject)]
        if not unit.tags:
            plan = self._planner.ask_untagged(unit)
            if plan.seen == unit.descriptor.digest:
                self._verifier.note_presence(plan.seen)
            there = plan.action is TagAction.UP_TO_DATE
            return self._confirm_or_mend(unit, (None,), {}) if there else self._copy(unit, (), {})
        plans = self._planner.plans(unit)
        results = [self._refused(unit, tag, p) for tag, p in plans.items() if p.action is TagAction.REFUSE]
        current = [tag for tag, plan in plans.items() if plan.action is TagAction.UP_TO_DATE]
        wanted = [tag for tag, plan in plans.items() if plan.action in {TagAction.COPY, TagAction.OVERWRITE}]
        for tag in current:
            self._overwritten.note_there(tag)
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
            return self._failed_by(unit, tags, error)

    def _back_up_and_copy(self, unit: Unit, tags: Sequence[str], plans: Mapping[str, TagPlan]) -> list[TagResult]:
        """Copy, and overwrite only what could be kept."""
        results: list[TagResult] = []
        overwritten = {
            p.seen for tag in tags if (p := plans[tag]).action is TagAction.OVERWRITE and p.seen is not None
        }
        at_risk = self._kept.put_at_risk(overwritten)
        for tag in tags:
            if plans[tag].action is TagAction.OVERWRITE:
                results += self._attempt(unit, (tag,), partial(self._back_up, tag))
        failed = {result.tag for result in results}
        left = [tag for tag in tags if tag not in failed]
        results += self._copy(unit, left, plans) if left else []
        self._kept.keep(at_risk)
        return results

    def _copy(self, unit: Unit, tags: Sequence[str], plans: Mapping[str, TagPlan]) -> list[TagResult]:
        self._noted.note_started()
        self._noted.note_coming(tags, unit.descriptor.digest)
        look = _LastLook(unit, plans, self._planner, self._back_up)
        copied = self._copier.copy(unit.descriptor, tags, look.may_write, patient=unit.patient)
        results = self._not_there(unit, copied, look.left)
        not_there = {result.tag for result in results}
        there = [tag for tag in tags if tag not in not_there]
        for tag in there:  # what was written is ours from now on, proved or not; not what had a hole that was filled
            was_there = tag in look.left or plans[tag].seen == unit.descriptor.digest
            self._noted.note_unproved(tag, unit.descriptor.digest, found=was_there)
            if tag in look.tried:
                self._overwritten.note(tag, look.tried[tag])
        for tag in look.tried.keys() & copied.failed.keys():
            self._overwritten.note_unanswered(tag, look.tried[tag])
        for proved in there or (() if tags else (None,)):
            results += self._attempt(unit, (proved,), partial(self._prove, unit, proved, copied))
        return results

    def _not_there(self, unit: Unit, copied: Copied, left: Mapping[str, TagPlan]) -> list[TagResult]:
        """The results of the tags that could not be written, and of those that were not to be, after all."""
        failed = [result for tag, error in copied.failed.items() for result in self._failed_by(unit, (tag,), error)]
        refused = [(tag, plan) for tag, plan in left.items() if plan.action is TagAction.REFUSE]
        return failed + [self._refused(unit, tag, plan) for tag, plan in refused]

    def _prove(self, unit: Unit, tag: str | None, copied: Copied) -> list[TagResult]:
        if self._policy.depth is Depth.MANIFEST:
            self._verifier.verify_presence(() if tag is None else (tag,), copied.manifests)
        else:
            self._verifier.verify_graph(unit.descriptor, tag)
        self._verify_referrers(unit)
        return self._done(unit, (tag,), Outcome.COPIED, copied.referrers)

    def _verify_referrers(self, unit: Unit) -> None:
        if self._policy.depth is Depth.MANIFEST:
            return  # that the target lists them is proof enough
        for referrer in self._copier.links.referrers_of(unit.descriptor):
            self._verifier.verify_graph(referrer, None)

    def _confirm_or_mend(
        self, unit: Unit, tags: Sequence[str | None], plans: Mapping[str, TagPlan]
    ) -> list[TagResult]:
        """A graph with a hole, as after a deletion below a tag, is sent again."""
        try:
            return self._confirm(unit, tags)
        except LayoutliftError as error:
            if not is_lost(error):
                raise
            self._has_mended = self._policy.prove_again
            return self._copy(unit, [tag for tag in tags if tag is not None], plans)

    def _confirm(self, unit: Unit, tags: Sequence[str | None]) -> list[TagResult]:
        """Tags whose digest the target was just asked for: what an earlier run proved is not proved again."""
        expected = self._referrers_of(unit)
        referrers, digest = len(expected), unit.descriptor.digest
        unproved = [tag for tag in tags if tag is None or not self._noted.is_proved(tag, digest, expected)]
        if unproved:
            if self._policy.depth is Depth.MANIFEST:
                self._verifier.verify_presence((), self._copier.links.closure(unit.descriptor))
            else:
                self._verifier.verify_graph(unit.descriptor, None)  # a part that is missing is listed nowhere either
            referrers = self._copier.referrers.complete(unit.descriptor, patient=unit.patient)
            self._verify_referrers(unit)
        return self._done(unit, tags, Outcome.UP_TO_DATE, referrers)

    def _merge_list(self, unit: Unit, subject: Digest) -> TagResult:
        self._noted.note_started()
        members = self.inventory.referrers.get(subject, ())
        listing, outcome = self._lists.merge(unit, subject, members)
        if listing is ReferrerListing.LOST:
            return self._failed(unit, unit.tags, ReferrersLostError.code, lost_referrers(subject, members))[0]
        depth, by_tag = self._policy.depth, listing is ReferrerListing.FALLBACK and bool(members)
        return self._result(unit, unit.tags[0], outcome, verified=depth, referrers=len(members), at_target=by_tag)

    def _back_up(self, tag: str) -> None:
        """Keep what is about to be overwritten under another tag, where the user asked for that.

        What an earlier run wrote needs no backup: the source had it.

        Raises:
            BackupRefusedError: the backup's tag is one of the source's, holds something else already, or is too long;
                or what is to be kept is no manifest.
        """
        name = self._policy.backup_of(tag)
        if name is None:
            return
        existing = self._theirs(tag)
        if existing is None:
            return
        digest = Digest.of(existing.raw)
        try:  # led elsewhere, we may have got what only this machine reaches, which the target is not to be given
            parse_manifest(existing.raw, Descriptor(existing.media_type, digest, len(existing.raw)))
        except SpecError as error:
            message = f"what the target gives for {tag} is no manifest, so it was not overwritten"
            raise BackupRefusedError(message) from error
        if (wrong := self._planner.wrong_with_backup(name, self._taken, digest)) is not None:
            raise BackupRefusedError(f"the backup's tag {name} is {wrong}, so {tag} was not overwritten")
        self._tools.target.push_manifest(self._repository, name, existing)
        self._overwritten.note_kept(tag, digest)

    def _theirs(self, tag: str) -> RemoteManifest | None:
        """What the target has under a tag, None where that is nothing, or what an earlier run wrote."""
        existing = self._tools.target.fetch_manifest(self._repository, tag)
        if existing is None or self._noted.is_ours(tag, Digest.of(existing.raw)):
            return None
        return existing

    def _done(self, unit: Unit, tags: Sequence[str | None], outcome: Outcome, referrers: int) -> list[TagResult]:
        depth, digest, expected = self._policy.depth, unit.descriptor.digest, self._referrers_of(unit)
        is_listed = self._copier.referrers.is_listed(unit.descriptor)
        proved = depth if is_listed else None  # what is not listed is looked at again
        mended = self._has_mended or self._copier.referrers.were_brought(expected)
        for tag in tags:
            if tag is not None:
                self._noted.note(tag, digest, proved, referrers, expected, mended=mended)
        return [self._result(unit, tag, outcome, verified=depth, referrers=referrers) for tag in tags]

    def _referrers_of(self, unit: Unit) -> list[Digest]:
        return [referrer.digest for referrer in self._copier.links.referrers_of(unit.descriptor)]
