"""The flow that migrates a tree of image layouts into a registry."""

from __future__ import annotations

from typing import Any

from prefect import State

from flows.course.deployed_variables import warn_of_variables
from flows.course.flow_body import run_as_flow
from flows.forms import scale_parameters as s
from flows.forms.filled_in import filled_in
from flows.forms.flow_forms import takes
from flows.scale.scaling import work_for
from flows.server.own_flow import OF_BATCHES, flow
from tasks.run_options import RunKind


@flow(name="migrate", flow_run_name="{source} → {target}", **OF_BATCHES)
@takes(s.ScaledMigrateParameters)
def migrate(**given: Any) -> State[None] | None:
    """Lift every repository and tag of a tree of image layouts into a registry, verified."""
    parameters = filled_in(s.ScaledMigrateParameters, given)
    warn_of_variables(parameters)
    return run_as_flow(RunKind.MIGRATE, parameters.to_options(), work_for(parameters))
