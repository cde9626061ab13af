"""What a user can say of a cleanup: the options of its commands, and the form of its flow."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from flows.forms import field_checks as checks
from flows.forms import parameter_fields as p
from flows.forms.block_names import block_name
from flows.forms.quantities import seconds, size_in_bytes
from flows.forms.source_parameters import Parameters, SourceParameters
from tasks.endpoints import TargetOptions
from tasks.stores.state.plan_shelf import KEPT_SECONDS

if TYPE_CHECKING:
    from tasks.operations.cleanup.values import PlanLimits
    from tasks.stores.registry.credentials import Credentials

PolicyPath = Annotated[str, Field(description="File with the policy, in YAML; layoutlift cleanup init writes one")]
GATE = "Registry that must hold whatever goes, as host[:port][/prefix]"
GateTarget = Annotated[
    str | None,
    Field(
        description=f"{GATE}; else the policy's target",
        json_schema_extra=p.ADDRESS_FORM,
    ),
    AfterValidator(lambda text: text if text is None or block_name(text) else checks.check_address(text)),
]
Output = Annotated[
    str | None,
    Field(description="Write the plan to this file, for layoutlift cleanup apply"),
    AfterValidator(partial(checks.check_file, instead="--json prints the plan")),
]
Readers = Annotated[int, Field(description="How many requests are made at once", ge=1, le=256)]
OnlyWriter = Annotated[
    bool,
    Field(description="Vouch that nobody else writes; needed where the source can't compare and write at once"),
]
MaxTags = Annotated[int | None, Field(description="In place of the plan's limit: how many tags may go", ge=0)]
MaxPercent = Annotated[
    float | None,
    Field(description="In place of the plan's limit: percent of a repository's tags that may go", gt=0, le=100),
]
MinTagsLeft = Annotated[
    int | None, Field(description="In place of the plan's limit: how many tags a repository keeps at least", ge=0)
]
MaxBytes = Annotated[
    int | None,
    Field(description="In place of the plan's limit: how many bytes may go", ge=0),
    BeforeValidator(lambda given: size_in_bytes(given) if isinstance(given, str) else given),
]
AutoApply = Annotated[
    bool,
    Field(description="Apply the plan without asking where it keeps within the limits, and fail where it does not"),
]


def _while_it_is_kept(text: str) -> str:
    if seconds(text) > KEPT_SECONDS:
        raise ValueError(f"a plan waits for {KEPT_SECONDS / 86_400:.0f}d at most: it is not kept longer")
    return text


ApprovalWithin = Annotated[
    str,
    Field(description="How long a plan waits for a yes before its run fails, 90d at most: 6d, 12h"),
    AfterValidator(_while_it_is_kept),
]
PlansFolder = Annotated[
    str | None,
    Field(description="Folder for plans that wait for a yes, one for all workers; else below the state folder"),
    AfterValidator(checks.check_local),
]


class AskingParameters(Parameters):
    """How to ask the target that must hold what goes."""

    jobs: Readers = 16
    plain_http: p.PlainHttp = False
    ca_file: p.CaFile = None

    def to_gate(self, target: str | None, credentials: Credentials | None = None) -> TargetOptions | None:
        """The same as values of the engine, for this target; None where none is asked."""
        if target is None:
            return None
        return TargetOptions(target, self.plain_http, self.ca_file, self.jobs, credentials=credentials)


class PlanParameters(SourceParameters):
    """How plans are made, whatever they are about."""

    jobs: Readers = 16
    output: Output = None


class CleanupPlanParameters(PlanParameters, AskingParameters):
    """Parameters of `cleanup plan`."""

    policy: PolicyPath
    gate: GateTarget = None


class ApplyParameters(AskingParameters):
    """Parameters of `cleanup apply`; limits that are not given are the plan's own."""

    i_am_the_only_writer: OnlyWriter = False
    max_tags: MaxTags = None
    max_percent: MaxPercent = None
    min_tags_left: MinTagsLeft = None
    max_bytes: MaxBytes = None

    def raised(self, limits: PlanLimits) -> PlanLimits:
        """The plan's limits, with those in their place that were given for this run."""
        given = {name: getattr(self, name) for name in asdict(limits)}
        return replace(limits, **{name: value for name, value in given.items() if value is not None})


class UndoParameters(Parameters):
    """Parameters of `cleanup undo`."""

    endpoint_url: p.EndpointUrl = None
    request_payer: p.RequestPayer = False
    i_am_the_only_writer: OnlyWriter = False
    jobs: Readers = 16


class DeleteParameters(PlanParameters, AskingParameters):
    """Parameters of `delete`."""

    gate: Annotated[GateTarget, Field(description=GATE)] = None
    keep_referrers: Annotated[bool, Field(description="Leave what refers to it, such as signatures")] = False
    i_am_the_only_writer: OnlyWriter = False


class RecoverParameters(PlanParameters):
    """Parameters of `recover`."""

    marked: Annotated[bool, Field(description="Also what an earlier cleanup or undo has marked")] = False
    i_am_the_only_writer: OnlyWriter = False


class CleanupParameters(SourceParameters, ApplyParameters):
    """Parameters of the flow `cleanup`: to plan, to ask, and to apply that very plan."""

    policy: PolicyPath
    gate: Annotated[GateTarget, Field(description=f"{GATE}, or block:NAME; else the policy's target")] = None
    auto_apply: AutoApply = False
    approval_within: ApprovalWithin = "6d"
    state: PlansFolder = None

    def to_plan(self, output: str) -> CleanupPlanParameters:
        """Those of `cleanup plan`."""
        named = {name: getattr(self, name) for name in CleanupPlanParameters.model_fields if name != "output"}
        return CleanupPlanParameters(**named, output=output)

    def to_apply(self, **raised: float | None) -> ApplyParameters:
        """Those of `cleanup apply`, with the limits in place that somebody raised for this plan."""
        named = {name: getattr(self, name) for name in ApplyParameters.model_fields}
        return ApplyParameters(**named | {name: value for name, value in raised.items() if value is not None})
