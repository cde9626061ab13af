"""How plans of a cleanup are made from what a user gave; shared by the commands and the flow. No Prefect."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from flows.files.policy_file import load_policy
from tasks.cleanup_plans import (
    NOTHING_FITS,
    CleanupOptions,
    Logins,
    make_header,
    open_planner,
    policy_choices,
    write_plan,
)
from tasks.operations.cleanup.deciding.policy_use import PolicyUse
from tasks.operations.cleanup.planning.limits import LimitCheck
from tasks.operations.cleanup.values import PlanKind
from tasks.operations.reports.findings import NO_LAYOUTS, is_harmful
from tasks.stores.bucket.s3_address import BucketAccess
from tasks.stores.source_checks import refuse_within

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

    from flows.forms.cleanup_parameters import CleanupPlanParameters, PlanParameters
    from tasks.cleanup_plans import Planner
    from tasks.endpoints import TargetOptions
    from tasks.operations.cleanup.deciding.choices import Choice
    from tasks.operations.cleanup.deciding.policy import Policy
    from tasks.operations.cleanup.values import PlanHeader, RepositoryPlan
    from tasks.ports import Finding
    from tasks.stop import Stop

    ShowPlan = Callable[[PlanHeader, Iterable[RepositoryPlan], LimitCheck, Sequence[Finding]], None]
    """Shows plans as they are made; each was seen by the check when it comes. Findings are read after the last."""


NO_LOGINS = Logins()


def cleanup_options(
    given: PlanParameters, gate: TargetOptions | None = None, logins: Logins = NO_LOGINS
) -> CleanupOptions:
    """The engine's options."""
    access = BucketAccess(given.endpoint_url, given.request_payer, login=logins.bucket)
    return CleanupOptions(given.source, access, given.jobs, gate)


def plan_cleanup(given: CleanupPlanParameters, stop: Stop, show: ShowPlan, logins: Logins = NO_LOGINS) -> bool:
    """Plan by a policy, show the plan, keep it where the user wants it; whether everything could be read.

    Raises:
        ConfigurationError: the policy or an option is wrong, or the source is not there.
    """
    policy, digest = load_policy(Path(given.policy))
    gate = given.to_gate(policy.gate if given.gate is None else given.gate, logins.target)
    options = cleanup_options(given, gate, logins)
    with open_planner(options, policy, stop) as planner:
        refuse_within(given.source, "--output", given.output)
        now = planner.tools.rules.now
        header = make_header(options, PlanKind.CLEANUP, policy, now, digest=digest)
        output = Path(given.output) if given.output else None
        return show_and_keep(header, _watched(planner, policy, now), planner.findings, output, show)


def _watched(planner: Planner, policy: Policy, now: float) -> Generator[RepositoryPlan, None, None]:
    """The plans by a policy; in the end, what of it was about nothing is put into the findings."""
    use, choose = PolicyUse(policy), policy_choices(policy, now)

    def noted(path: str) -> Choice | None:
        use.note(path)
        return choose(path)

    yield from map(use.see, planner.plans(noted))
    if not {NO_LAYOUTS, NOTHING_FITS}.intersection(planner.findings):
        planner.findings.extend(use.findings())


def show_and_keep(
    header: PlanHeader,
    plans: Generator[RepositoryPlan, None, None],
    findings: Sequence[Finding],
    output: Path | None,
    show: ShowPlan,
) -> bool:
    """Show plans as they are made, and keep them in a file if there is one; whether everything could be judged.

    Raises:
        ConfigurationError: the file can't be written.
    """
    check = LimitCheck(header.limits, header.timing.mode)
    with closing(plans), closing(write_plan(output, header, map(check.see, plans), check)) as written:
        show(header, written, check, findings)  # what it raises has nothing read on, nor a draft left
    return not check.totals.refused and not any(map(is_harmful, findings))
