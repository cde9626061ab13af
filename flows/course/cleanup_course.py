"""The course of a scheduled cleanup: plan, ask or not, apply that very plan.

A run that was asked to wait begins anew, in another process, once it has its answer; it finds its plan on the
shelf. A plan that is not found there is made anew, and asked for anew.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from prefect.client.schemas.objects import State, StateType
from prefect.context import FlowRunContext

from flows.course.cleanup_applying import apply_plan, check_limits
from flows.course.cleanup_planning import plan_cleanup
from flows.course.deployed_paths import refuse_passing
from flows.course.flow_body import SKIPPED
from flows.dashboard.cleanup_approval import ask
from flows.dashboard.cleanup_publishing import Applied, publish_plan
from flows.dashboard.dashboard_limits import ended_by_a_pause
from flows.forms.quantities import seconds
from flows.server.settings_of_run import logged_to_run
from tasks.cleanup_plans import open_plan
from tasks.oci.errors import IncompleteError, LayoutliftError, LockHeldError, RefusedError
from tasks.operations.cleanup.planning.plan_summary import PlanSummary, in_short
from tasks.operations.cleanup.values import PlanFooter
from tasks.operations.reports.counts import counted
from tasks.operations.reports.shown_text import escape_markdown, human_bytes
from tasks.operations.reports.told_errors import told, told_plainly
from tasks.stop import Stop
from tasks.stores.state.plan_shelf import PlanShelf
from tasks.stores.state.state_directory import made_state_root

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from flows.forms.cleanup_parameters import ApplyParameters, CleanupParameters
    from tasks.cleanup_plans import Logins
    from tasks.operations.cleanup.planning.limits import LimitCheck
    from tasks.operations.cleanup.values import PlanHeader, RepositoryPlan
    from tasks.ports import Finding
    from tasks.stores.state.plan_shelf import KeptPlan

REJECTED = "Rejected"
"""The state of a run to whose plan somebody said no; of the type cancelled."""

logger = logging.getLogger(__name__)


@told_plainly()
def clean_up(given: CleanupParameters, logins: Logins) -> State[None]:
    """Carry a cleanup to its end in the flow that this is called from; the state that it should end in.

    Raises:
        RefusedError: the plan goes beyond its limits, and nobody is to be asked; nothing was changed.
        IncompleteError: it was applied, and something is not as it should be.
        LayoutliftError: it could not be planned or applied.
    """
    refuse_passing(state=given.state)
    root = Path(given.state) if given.state else made_state_root(os.environ) / "cleanups" / "plans"
    run, stop = _run_id(), Stop()
    course = _Course(given, logins, PlanShelf(root), run, stop)
    try:
        with logged_to_run(), ended_by_a_pause(stop.set):
            ended = course.carry_out()
    except LayoutliftError:
        course.shelf.close(run)
        raise
    except BaseException:
        stop.set()  # whoever waits, or was told to end, goes on with this plan later
        raise
    course.shelf.close(run)
    return ended


def _run_id() -> str:
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise RuntimeError("a cleanup's course belongs to a flow run")
    return str(context.flow_run.id)


@dataclass(frozen=True, slots=True)
class _Course:
    given: CleanupParameters
    logins: Logins
    shelf: PlanShelf
    run: str
    stop: Stop

    def carry_out(self) -> State[None]:
        plan = self.shelf.find(self.run) or self._plan()
        takes, footer = _look(plan)
        if not takes or self.given.auto_apply:
            return self._apply(plan, self.given.to_apply(), is_approved=False)
        answer = self._ask(plan, footer)
        if answer is None:
            return State(type=StateType.CANCELLED, name=REJECTED, message="Somebody said no; nothing was changed.")
        return self._apply(plan, answer, is_approved=True)

    def _plan(self) -> KeptPlan:
        """Plan, show the plan, and put it on the shelf."""
        draft, shown = self.shelf.draft(), _Shown()
        is_whole = plan_cleanup(self.given.to_plan(str(draft)), self.stop, shown.show, logins=self.logins)
        plan = self.shelf.keep(self.run, draft, shown.header.plan, is_whole=is_whole)
        publish_plan(shown.summary.markdown(shown.header, shown.footer, shown.findings, str(plan.path)))
        logger.info("plan %s: %s", plan.path, in_short(shown.footer.totals))
        return plan

    def _ask(self, plan: KeptPlan, footer: PlanFooter) -> ApplyParameters | None:
        """The parameters to apply with, None where somebody said no; a yes beyond the limits is asked back."""
        question = self._question(plan, footer)
        digest, within = plan.digest(), seconds(self.given.approval_within)
        while True:
            answer = ask(question, digest, within)
            if not answer.approve:
                return None
            applied = self.given.to_apply(**answer.raised)
            try:
                check_limits(plan.path, applied.raised)
            except RefusedError as beyond:
                logger.warning("a yes alone was not enough: %s", told(beyond))
                question = f"A yes alone is not enough for this plan. {question}"  # another one, to be answered anew
                continue
            return applied

    def _question(self, plan: KeptPlan, footer: PlanFooter) -> str:
        question = f"{in_short(footer.totals)}. The artifact cleanup-plan says what goes and why."
        try:
            check_limits(plan.path, self.given.to_apply().raised)
        except RefusedError as beyond:
            return f"{question}\n\n**Raise a limit, or it can't be applied:** {escape_markdown(str(beyond))}"
        return question

    def _apply(self, plan: KeptPlan, applied: ApplyParameters, *, is_approved: bool) -> State[None]:
        done = Applied()
        try:
            apply_plan(applied, plan.path, self.stop, done.show, self.logins)
        except LockHeldError as held:
            if is_approved:
                raise
            return State(type=StateType.CANCELLED, name=SKIPPED, message=told(held))
        if done.problems or not plan.is_whole:
            problems = f" with {counted(len(done.problems), 'problem')}" if done.problems else ""
            findings = "" if plan.is_whole else "; the findings in cleanup-plan say what it left alone"
            raise IncompleteError(f"the plan was applied{problems}{findings}")
        changed = counted(done.repositories, "repository")
        message = f"{changed} changed, {human_bytes(done.bytes_freed)} came back; run {done.run}"
        return State(type=StateType.COMPLETED, message=message)


class _Shown:
    """What is remembered of a plan while it is written; see `ShowPlan`."""

    header: PlanHeader
    footer: PlanFooter
    summary: PlanSummary
    findings: Sequence[Finding]

    def show(
        self, header: PlanHeader, plans: Iterable[RepositoryPlan], check: LimitCheck, findings: Sequence[Finding]
    ) -> None:
        self.header, self.findings, self.summary = header, findings, PlanSummary(header.timing.mode)
        for plan in plans:
            self.summary.see(plan)
        self.footer = check.footer()


def _look(plan: KeptPlan) -> tuple[bool, PlanFooter]:
    """Whether a plan takes anything away, and its totals, read from its file and nowhere else."""
    with open_plan(plan.path) as opened:
        summary = PlanSummary(opened.header.timing.mode)
        for repository in opened.repositories():
            summary.see(repository)
        return summary.takes, opened.footer or PlanFooter()
