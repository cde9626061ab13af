"""Asks somebody at the dashboard for a yes to a plan, and lets the run's process end meanwhile.

The question belongs to the very bytes of a plan: another plan is another question, so nobody's yes to one is ever
taken for a yes to the other.
"""

from __future__ import annotations

import hashlib

from prefect.context import FlowRunContext
from prefect.flow_runs import pause_flow_run, suspend_flow_run
from prefect.input import RunInput
from pydantic import Field

from flows.forms import cleanup_parameters as c  # noqa: TC001 - pydantic reads annotations


class Approval(RunInput):
    """A yes or no to a plan; limits count in place of the plan's own, for this plan alone."""

    approve: bool = Field(title="Apply this plan", description="Yes does what the plan says; no changes nothing")
    max_tags: c.MaxTags = None
    max_percent: c.MaxPercent = None
    min_tags_left: c.MinTagsLeft = None
    max_bytes: c.MaxBytes = None

    @property
    def raised(self) -> dict[str, float | None]:
        """The limits that were given."""
        return {name: getattr(self, name) for name in type(self).model_fields if name != "approve"}


def ask(question: str, plan: str, within: float) -> Approval:
    """The answer to a question about the plan of this digest, `within` so many seconds.

    A run of a deployment ends its process here and comes here again, in another process, with the answer. One
    that has no deployment could not be started again, and waits where it is.

    Raises:
        Pause: there is no answer yet.
    """
    context = FlowRunContext.get()
    is_deployed = context is not None and context.flow_run is not None and context.flow_run.deployment_id is not None
    wait = suspend_flow_run if is_deployed else pause_flow_run
    key = hashlib.sha256(f"{plan}\n{question}".encode()).hexdigest()
    return wait(wait_for_input=Approval.with_initial_data(description=question), timeout=max(1, int(within)), key=key)
