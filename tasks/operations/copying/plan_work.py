"""The work of a plan on one repository: what a migration would do with each tag, which changes nothing."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from tasks.oci.errors import LayoutliftError
from tasks.operations.copying.later_referrers import referrers_to_copy
from tasks.operations.copying.overwritten import is_loss, to_overwrite
from tasks.operations.copying.presence import is_lost
from tasks.operations.referrers.referrer_lists import ReferrerListing
from tasks.operations.reports.results import Depth, Outcome, RepositoryInventory, TagResult
from tasks.operations.source.manifest_reading import BROKEN_AT_SOURCE
from tasks.operations.verifying.check_work import CheckWork
from tasks.operations.work.planning import TagAction

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from typing import TypeAlias

    from tasks.oci.descriptor import Descriptor
    from tasks.oci.digest import Digest
    from tasks.oci.registry_profiles import RegistryProfile
    from tasks.operations.copying.losses import Losses
    from tasks.operations.copying.noted_tags import NotedTags
    from tasks.operations.copying.tag_planner import TagPlanner
    from tasks.operations.referrers.referrer_lists import ReferrerLists
    from tasks.operations.source.source_graph import Census, SourceGraph
    from tasks.operations.work.planning import TagPlan
    from tasks.operations.work.repository_work import Unit
    from tasks.ports import Finding

    _Plans: TypeAlias = "list[tuple[str | None, TagPlan]]"

_OUTCOMES = {
    TagAction.COPY: Outcome.TO_COPY,
    TagAction.OVERWRITE: Outcome.TO_COPY,
    TagAction.UP_TO_DATE: Outcome.UP_TO_DATE,
    TagAction.REFUSE: Outcome.REFUSED,
}


class PlanWork(CheckWork):
    """Says what a migration would do with each tag, and what of the source would keep it from it."""

    def __init__(
        self,
        inventory: RepositoryInventory,
        graph: SourceGraph,
        census: Census,
        planner: TagPlanner,
        *,
        host: str,
        lists: ReferrerLists,
        profile: RegistryProfile,
        announced: Iterable[Finding],
        noted: NotedTags,
        losses: Losses | None = None,
    ) -> None:
        """Plan; of tags that an earlier run `noted` as proved with all that refers to them, that is not asked for.

        What is there is looked below for `losses`, where those are to be brought.
        """
        place, referrers = f"{host}/{noted.repository}", noted.policy.referrers
        super().__init__(inventory, graph, census, Depth.BLOBS, place, referrers=referrers)
        self._planner = planner
        self._lists = lists
        self._profile = profile
        self._noted = noted
        self._losses = losses
        self._findings.extend(announced)
        self._to_bring: dict[Digest, None] = {}
        self._to_restore: set[Digest] = set()
        self._there: set[Digest] = set()
        self._archived_below: dict[Digest, set[Digest]] = {}
        self._tags = frozenset(entry.tag for entry in inventory.tags)

    def found(self) -> list[Finding]:
        """See `RepositoryWork.found`; what refers to a tag that is there has no row of its own."""
        return [*super().found(), *referrers_to_copy(self.inventory.path, self._to_bring)]

    def _archived(self) -> Collection[Digest]:
        """See `CheckWork._archived`; what is at the target already is not read, and need not be restored."""
        to_bring = (self._archived_below.get(each, ()) for each in self._to_bring)
        return self._to_restore.union(*to_bring) - self._there

    def _note_content(self, root: Descriptor, content: list[Descriptor], *, to_copy: bool) -> None:
        """See `CheckWork._note_content`; a referrer of what is there may turn out to be lacking."""
        super()._note_content(root, content, to_copy=to_copy)
        if archived := {each.digest for each in content if each.digest in self._graph.archived}:
            self._archived_below[root.digest] = archived
            self._to_restore |= archived if to_copy else set()

    def _execute(self, unit: Unit) -> list[TagResult]:
        if unit.subject is not None:
            return [self._planned_list(unit, unit.subject)]
        plans, results = self._proved_again(unit, self._plans(unit))
        to_copy = any(_OUTCOMES[plan.action] is Outcome.TO_COPY for _, plan in plans)
        broken, referrers = self._looked_at(unit, to_copy=to_copy)
        note = partial(self._note_lacking, unit, [each.digest for each in referrers])
        plans, wrong = self._sent_again(unit, plans, note)
        results += wrong
        if any(plan.action is TagAction.UP_TO_DATE for _, plan in plans):
            self._there |= self._archived_below.get(unit.descriptor.digest, set())
        if broken is None:
            self._note_losses(plans)
        return results + [
            self._refused(unit, tag, plan)
            if plan.action is TagAction.REFUSE
            else self._planned(unit, tag, plan.action, broken)
            for tag, plan in plans
        ]

    def _proved_again(self, unit: Unit, plans: _Plans) -> tuple[_Plans, list[TagResult]]:
        """The plans where what is there is proved again, and the results of what that finds to be wrong for good."""
        losses = self._losses
        if losses is None:
            return plans, []
        return self._sent_again(unit, plans, lambda _: losses.are_below(unit.descriptor, self._planner.lacking))

    def _sent_again(
        self, unit: Unit, plans: _Plans, lacks: Callable[[list[str | None]], bool]
    ) -> tuple[_Plans, list[TagResult]]:
        """The plans where something below the tags that are there may be lost, and the results where that fails."""
        there = [tag for tag, plan in plans if plan.action is TagAction.UP_TO_DATE]
        try:
            if not there or not lacks(there):
                return plans, []
        except LayoutliftError as error:
            others = [(tag, plan) for tag, plan in plans if plan.action is not TagAction.UP_TO_DATE]
            return others, self._failed_by(unit, there, error)
        return [(t, replace(p, action=TagAction.COPY) if t in there else p) for t, p in plans], []

    def _note_losses(self, plans: _Plans) -> None:
        """Note what others would lose at the target."""
        self._findings += (
            to_overwrite(self.inventory.path, f"{self._place}:{tag}", plan, self._planner.backup_of(tag, plan))
            for tag, plan in plans
            if tag is not None and is_loss(plan)
        )

    def _plans(self, unit: Unit) -> _Plans:
        if not unit.tags:
            return [(None, self._planner.ask_untagged(unit))]
        return [(tag, self._planner.kept(tag, plan, self._tags)) for tag, plan in self._planner.plans(unit).items()]

    def _planned_list(self, unit: Unit, subject: Digest) -> TagResult:
        """A list is merged into what the target has, so never in conflict with it; none is there by tag and API."""
        listing, members = ReferrerListing.LOST, self.inventory.referrers.get(subject, ())
        if not self._planner.is_new:
            listing = self._listing(subject, members)
        action = TagAction.COPY if listing is ReferrerListing.LOST else TagAction.UP_TO_DATE
        by_tag = listing is not ReferrerListing.API and bool(members)
        broken, _ = self._looked_at(unit, to_copy=action is TagAction.COPY)
        return self._planned(unit, unit.tags[0], action, broken, at_target=by_tag)

    def _listing(self, subject: Digest, members: Sequence[Descriptor]) -> ReferrerListing:
        listing, losses = self._lists.check(self._noted.repository, subject, members), self._losses
        if listing is ReferrerListing.LOST or losses is None or not any(map(losses.are_below, members)):
            return listing
        return ReferrerListing.LOST

    def _looked_at(self, unit: Unit, *, to_copy: bool) -> tuple[LayoutliftError | None, list[Descriptor]]:
        """What keeps a unit from being copied, and what would come along with it."""
        try:
            found, referrers = self._walk(unit.descriptor, to_copy=to_copy)
        except BROKEN_AT_SOURCE as error:
            return error, []
        return self._refusal(found), referrers

    def _refusal(self, content: Iterable[Descriptor], /) -> LayoutliftError | None:
        """See `CheckWork._refusal`."""
        return next((no for each in content if (no := self._profile.refusal(each)) is not None), None)

    def _note_lacking(self, unit: Unit, referrers: list[Digest], there: list[str | None]) -> bool:
        """Note what a migration would bring to tags that are `there`, as it does unless a run has proved them.

        Whether it would send all of it again, as the target can't tell of a referrer for good.
        """
        digest = unit.descriptor.digest
        if not referrers or all(t is not None and self._noted.is_proved(t, digest, referrers) for t in there):
            return False
        try:
            self._to_bring |= dict.fromkeys(self._planner.lacking(referrers))
        except LayoutliftError as error:
            if not is_lost(error):
                raise
            return True
        return False

    def _planned(
        self,
        unit: Unit,
        tag: str | None,
        action: TagAction,
        broken: LayoutliftError | None,
        *,
        at_target: bool = True,
    ) -> TagResult:
        if broken is None or action is TagAction.UP_TO_DATE:
            return self._result(unit, tag, _OUTCOMES[action], at_target=at_target)
        return self._failed_by(unit, (tag,), broken)[0]
