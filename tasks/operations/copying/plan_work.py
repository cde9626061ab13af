"""The work of a plan on one repository: what a migration would do with each tag, which changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.operations.referrers.referrer_lists import ReferrerListing
from tasks.operations.reports.results import Depth, Outcome, RepositoryInventory, TagResult
from tasks.operations.source.graph_walk import BROKEN_AT_SOURCE
from tasks.operations.verifying.check_work import CheckWork
from tasks.operations.work.planning import Action
from tasks.operations.work.repository_work import REFUSALS, Unit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tasks.oci.digest import Digest
    from tasks.oci.errors import LayoutliftError
    from tasks.oci.registry_profiles import RegistryProfile
    from tasks.operations.copying.tag_planner import TagPlanner
    from tasks.operations.referrers.referrer_lists import ReferrerLists
    from tasks.operations.source.source_graph import Census, SourceGraph
    from tasks.operations.work.planning import TagPlan
    from tasks.ports import Finding

_OUTCOMES = {
    Action.COPY: Outcome.TO_COPY,
    Action.OVERWRITE: Outcome.TO_COPY,
    Action.UP_TO_DATE: Outcome.UP_TO_DATE,
    Action.REFUSE: Outcome.REFUSED,
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
        repository: str,
        lists: ReferrerLists,
        profile: RegistryProfile,
        announced: Iterable[Finding],
        referrers: bool,
    ) -> None:
        super().__init__(inventory, graph, census, Depth.BLOBS, f"{host}/{repository}", referrers=referrers)
        self._planner = planner
        self._lists = lists
        self._repository = repository
        self._profile = profile
        self._findings.extend(announced)

    def _execute(self, unit: Unit) -> list[TagResult]:
        if unit.subject is not None:
            return [self._planned_list(unit, unit.subject)]
        plans = self._planner.plans(unit)
        broken = self._broken(unit)
        if not unit.tags:
            return [self._planned(unit, None, self._planner.plan_untagged(unit).action, broken)]
        return [
            self._refused(unit, tag, plan)
            if plan.action is Action.REFUSE
            else self._planned(unit, tag, plan.action, broken)
            for tag, plan in plans.items()
        ]

    def _planned_list(self, unit: Unit, subject: Digest) -> TagResult:
        """A list is merged into what the target has, so never in conflict with it; none is there by tag and API."""
        listing, members = ReferrerListing.LOST, self.inventory.referrers.get(subject, ())
        if not self._planner.is_new:
            listing = self._lists.check(self._repository, subject, members)
        action = Action.COPY if listing is ReferrerListing.LOST else Action.UP_TO_DATE
        by_tag = listing is not ReferrerListing.API and bool(members)
        return self._planned(unit, unit.tags[0], action, self._broken(unit), at_target=by_tag)

    def _broken(self, unit: Unit) -> LayoutliftError | None:
        try:
            found = self._walk(unit.descriptor)
        except BROKEN_AT_SOURCE as error:
            return error
        return next((no for each in found if (no := self._profile.refusal(each)) is not None), None)

    def _planned(
        self, unit: Unit, tag: str | None, action: Action, broken: LayoutliftError | None, *, at_target: bool = True
    ) -> TagResult:
        if broken is None or action is Action.UP_TO_DATE:
            return self._result(unit, tag, _OUTCOMES[action], at_target=at_target)
        outcome = Outcome.REFUSED if isinstance(broken, REFUSALS) else Outcome.FAILED
        return self._result(unit, tag, outcome, code=broken.code, message=str(broken))

    def _refused(self, unit: Unit, tag: str, plan: TagPlan) -> TagResult:
        return self._result(unit, tag, Outcome.REFUSED, code=plan.code, message=plan.message)
