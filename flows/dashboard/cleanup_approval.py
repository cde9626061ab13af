"""Asks somebody at the dashboard for a yes to a plan, and lets the run's process end meanwhile.

The question belongs to the very bytes of a plan: another plan is another question, so nobody's yes to one is ever
taken for a yes to the other.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from prefect import get_client
from prefect.context import FlowRunContext
from prefect.flow_runs import pause_flow_run, suspend_flow_run
from prefect.input import RunInput
from pydantic import Field

from flows.forms import cleanup_parameters as c  # noqa: TC001 - pydantic reads annotations

if TYPE_CHECKING:
    from uuid import UUID


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
    run = context.flow_run if context is not None else None
    key = hashlib.sha256(f"{plan}\n{question}".encode()).hexdigest()
    form, timeout = Approval.with_initial_data(description=question), max(1, int(within))
    if run is None or run.deployment_id is None:
        return pause_flow_run(wait_for_input=form, timeout=timeout, key=key)
    if key not in (run.empirical_policy.pause_keys or ()):
        _forget_earlier(run.id, key)
    return suspend_flow_run(wait_for_input=form, timeout=timeout, key=key)


def _forget_earlier(run: UUID, key: str) -> None:
    """Take away the form and the answer of the same question from before the run was retried, if it was.

    Prefect then asks again, but refuses a form that it has already; and a yes from back then is no answer now.
    """
    with get_client(sync_client=True) as client:
        for left in client.filter_flow_run_input(run, key_prefix=f"suspended-{key}", limit=3, exclude_keys=set()):
            client.delete_flow_run_input(run, left.key)
