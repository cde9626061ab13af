"""What a user can say of a cleanup: the options of its commands, and the form of its flow."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from flows import parameters as p

PolicyPath = Annotated[str, Field(description="File with the policy, in YAML; layoutlift cleanup init writes one")]
GateTarget = Annotated[
    str | None,
    Field(description="Registry that must hold whatever goes, as host[:port][/prefix]; else the policy's target"),
]
Output = Annotated[str | None, Field(description="Write the plan to this file, for layoutlift cleanup apply")]
Readers = Annotated[int, Field(description="How many manifests are read at once", ge=1, le=256)]


class PlanParameters(p.SourceParameters):
    """How plans are made, whatever they are about."""

    jobs: Readers = 16
    output: Output = None


class CleanupPlanParameters(PlanParameters):
    """Parameters of `cleanup plan`."""

    policy: PolicyPath
    gate: GateTarget = None
    plain_http: p.PlainHttp = False
    ca_file: p.CaFile = None
