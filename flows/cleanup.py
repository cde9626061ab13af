"""The flow that cleans up a tree of image layouts by a policy, after somebody said yes to its plan."""

from __future__ import annotations

from typing import Any

from prefect import State

from flows.course.cleanup_course import clean_up
from flows.course.deployed_variables import warn_of_variables
from flows.dashboard.blocks import resolved_cleanup
from flows.forms import cleanup_parameters as c
from flows.forms.filled_in import filled_in
from flows.forms.flow_forms import takes
from flows.server.own_flow import flow


@flow(name="cleanup", flow_run_name="cleanup {source}", persist_result=False)
@takes(c.CleanupParameters)
def cleanup(**given: Any) -> State[None]:
    """Plan a cleanup, wait for a yes or keep within the limits, and apply that very plan."""
    parameters = filled_in(c.CleanupParameters, given)
    warn_of_variables(parameters, but="state")  # that of plans
    return clean_up(*resolved_cleanup(parameters))
