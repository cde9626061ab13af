"""The flow that does one part of a verification that another flow run has split up; nobody starts it by hand."""

from __future__ import annotations

from typing import Any

from prefect import State

from flows.forms.filled_in import filled_in
from flows.forms.flow_forms import takes
from flows.forms.shard_parameters import VerifyShardParameters
from flows.scale.shard_body import run_shard
from flows.server.own_flow import OF_BATCHES, flow
from tasks.run_options import RunKind


@flow(name="verify-shard", **OF_BATCHES)
@takes(VerifyShardParameters)
def verify_shard(**given: Any) -> State[None] | None:
    """Verify some repositories of a source, and hand the report to the run that it is a part of."""
    return run_shard(RunKind.VERIFY, filled_in(VerifyShardParameters, given))
