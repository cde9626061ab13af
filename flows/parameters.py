"""What a user can say of a run: the fields of the dashboard's form, and the options of the command.

Both are made of these models, so each parameter is described once. No secret is among them: parameters are
shown in the dashboard.
"""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from flows.pace_parameters import LimitRate, MaxRequests, PaceParameters
from flows.rates import bytes_per_second
from tasks.endpoints import TargetOptions, parse_target
from tasks.oci.errors import ConfigurationError
from tasks.oci.registry_profiles import RegistryKind
from tasks.operations.planning import CopyPolicy, OnConflict, Untagged
from tasks.operations.results import Depth
from tasks.ports import NewRepositories
from tasks.runs import RunOptions
from tasks.stores.s3_address import check_endpoint_url

if TYPE_CHECKING:
    from collections.abc import Callable

_Flow = TypeVar("_Flow", bound="Callable[..., Any]")

Source = Annotated[
    str,
    Field(
        description="What holds the image layouts: a directory, as of a mounted bucket, or s3://bucket[/prefix]",
        min_length=1,
    ),
]


def _address(text: str) -> str:
    """Refuse what is no address before Prefect stores it: somebody may have put a password into it."""
    try:
        parse_target(text)
    except ConfigurationError as error:
        raise ValueError(str(error).removeprefix("TARGET: ")) from None
    return text


Target = Annotated[
    str,
    Field(description="Registry to migrate to, as host[:port][/prefix]", min_length=1),
    AfterValidator(_address),
]
Include = Annotated[
    list[str],
    Field(
        description="Only these: globs on repository:tag (** crosses slashes); the tag may be regex:… or semver:…",
    ),
]
Exclude = Annotated[list[str], Field(description="Not these: patterns as for include")]
Rename = Annotated[list[str], Field(description="Change repository paths, OLD=NEW, for whole components")]
StrictNames = Annotated[
    bool, Field(description="Refuse repository names that registries don't take, instead of mapping them")
]
UntaggedChoice = Annotated[
    Untagged, Field(description="Which untagged manifests to copy by digest; children and referrers follow anyway")
]
ExcludeReferrers = Annotated[bool, Field(description="Leave signatures, SBOMs and other referrers behind")]
DepthChoice = Annotated[
    Depth, Field(description="How much to prove: manifests by digest, blobs by size, or content read back and hashed")
]
EndpointUrl = Annotated[
    str | None,
    Field(description="Endpoint of an S3 server other than Amazon's, for s3:// sources; else AWS_ENDPOINT_URL"),
    AfterValidator(lambda url: None if url is None else check_endpoint_url(url)),
]
RequestPayer = Annotated[bool, Field(description="Pay for the requests to a bucket whose requester pays")]
Jobs = Annotated[int, Field(description="How many tags and blobs are in work at once", ge=1, le=256)]
FailFast = Annotated[bool, Field(description="Stop at the first tag that is refused or fails")]
OnConflictChoice = Annotated[
    OnConflict,
    Field(description="What to do with a tag that the target has with a digest this migration did not write"),
]
BackupTag = Annotated[
    str | None, Field(description="Keep what a tag overwrites under this tag; {tag} stands for its name")
]
PlainHttp = Annotated[bool, Field(description="Talk to the registry over plain HTTP; credentials travel in clear")]
CaFile = Annotated[str | None, Field(description="PEM file of further certificate authorities to trust")]
SinceLast = Annotated[bool, Field(description="Do not ask the target for layouts unchanged since the last good run")]
State = Annotated[
    str | None,
    Field(description="Folder, or s3://bucket[/prefix], for the ledger and lock of this pair of source and target"),
]
Kind = Annotated[
    RegistryKind,
    Field(description="Whose registry the target is, where its host does not tell: its rules count"),
]
CreateRepositories = Annotated[
    bool, Field(description="Make missing repositories at Amazon ECR, missing projects at Harbor")
]
ImmutableTags = Annotated[bool, Field(description="Make repositories whose tags can't be moved (Amazon ECR)")]
ScanOnPush = Annotated[bool, Field(description="Make repositories that scan what is pushed (Amazon ECR, Harbor)")]
Report = Annotated[str | None, Field(description="Write the report of the run, as JSON, to this file")]

Metrics = Annotated[
    str | None,
    Field(description="Keep the run's counters in this file, in Prometheus's text format, for node_exporter to read"),
]
Traces = Annotated[
    bool, Field(description="Send OpenTelemetry traces of the run by OTLP, to where OTEL_EXPORTER_OTLP_ENDPOINT says")
]


def documented(model: type[BaseModel]) -> Callable[[_Flow], _Flow]:
    """Add each field's description to a flow's docstring, where Prefect looks for what its form shows."""

    def document(function: _Flow) -> _Flow:
        lines = [f"    {name}: {field.description}" for name, field in model.model_fields.items()]
        function.__doc__ = "\n".join([inspect.cleandoc(function.__doc__ or ""), "", "Args:", *lines])
        return function

    return document


class Parameters(BaseModel):
    """Fields that a user fills in; none else, and none is changed later."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TargetParameters(Parameters):
    """How to reach the target, and how hard to press it."""

    jobs: Jobs = 8
    max_requests: MaxRequests = None
    plain_http: PlainHttp = False
    ca_file: CaFile = None
    registry_kind: Kind = RegistryKind.AUTO

    def to_target(self, target: str) -> TargetOptions:
        """The same as values of the engine, for this target."""
        return TargetOptions(
            target, self.plain_http, self.ca_file, self.jobs, self.max_requests, kind=self.registry_kind
        )


class TelemetryParameters(Parameters):
    """Which monitoring systems are told of the run."""

    metrics: Metrics = None
    traces: Traces = False


class SourceParameters(Parameters):
    """What to read, and how to get at it where it is a bucket; credentials are found as the AWS tools find them."""

    source: Source
    endpoint_url: EndpointUrl = None
    request_payer: RequestPayer = False


class MigrateParameters(SourceParameters, TargetParameters, PaceParameters, TelemetryParameters):
    """Parameters of `migrate` and `plan`."""

    target: Target
    include: Include = []
    exclude: Exclude = []
    rename: Rename = []
    strict_names: StrictNames = False
    untagged: UntaggedChoice = Untagged.NONE
    exclude_referrers: ExcludeReferrers = False
    depth: DepthChoice = Depth.MANIFEST
    on_conflict: OnConflictChoice = OnConflict.REFUSE
    backup_tag: BackupTag = None
    create_repositories: CreateRepositories = False
    immutable_tags: ImmutableTags = False
    scan_on_push: ScanOnPush = False
    fail_fast: FailFast = False
    limit_rate: LimitRate = None
    since_last: SinceLast = False
    state: State = None
    report: Report = None

    @field_validator("backup_tag")
    @classmethod
    def _backup_differs(cls, value: str | None) -> str | None:
        if value is not None and "{tag}" not in value:
            raise ValueError("it must hold {tag}, so that each tag has a backup of its own")
        return value

    @field_validator("immutable_tags", "scan_on_push")
    @classmethod
    def _settings_have_a_use(cls, value: bool, info: ValidationInfo) -> bool:  # noqa: FBT001 - pydantic's own way
        if value and not info.data.get("create_repositories"):
            raise ValueError("it is a setting of --create-repositories")
        return value

    def to_options(self) -> RunOptions:
        """The same as values of the engine."""
        new = NewRepositories(self.immutable_tags, self.scan_on_push) if self.create_repositories else None
        return RunOptions(
            source=self.source,
            target=replace(self.to_target(self.target), new_repositories=new),
            include=tuple(self.include),
            exclude=tuple(self.exclude),
            rename=tuple(self.rename),
            policy=CopyPolicy(
                untagged=self.untagged,
                referrers=not self.exclude_referrers,
                on_conflict=self.on_conflict,
                backup_tag=self.backup_tag,
                depth=self.depth,
                strict_names=self.strict_names,
                fail_fast=self.fail_fast,
            ),
            limit_rate=None if self.limit_rate is None else bytes_per_second(self.limit_rate),
            since_last=self.since_last,
            state=self.state,
            jobs=self.jobs,
            report=self.report,
            endpoint_url=self.endpoint_url,
            request_payer=self.request_payer,
            metrics=self.metrics,
            traces=self.traces,
            hours=self.hours,
            limits_from=self.limits_from,
        )


class VerifyParameters(SourceParameters, TargetParameters, PaceParameters, TelemetryParameters):
    """Parameters of `verify`."""

    target: Target
    include: Include = []
    exclude: Exclude = []
    rename: Rename = []
    strict_names: StrictNames = False
    exclude_referrers: ExcludeReferrers = False
    depth: DepthChoice = Depth.BLOBS
    state: State = None
    report: Report = None

    def to_options(self) -> RunOptions:
        """The same as values of the engine."""
        return RunOptions(
            source=self.source,
            target=self.to_target(self.target),
            include=tuple(self.include),
            exclude=tuple(self.exclude),
            rename=tuple(self.rename),
            policy=CopyPolicy(referrers=not self.exclude_referrers, depth=self.depth, strict_names=self.strict_names),
            state=self.state,
            jobs=self.jobs,
            report=self.report,
            endpoint_url=self.endpoint_url,
            request_payer=self.request_payer,
            metrics=self.metrics,
            traces=self.traces,
            hours=self.hours,
            limits_from=self.limits_from,
        )


class CheckParameters(SourceParameters, TelemetryParameters):
    """Parameters of `check`."""

    include: Include = []
    exclude: Exclude = []
    depth: DepthChoice = Depth.BLOBS
    jobs: Jobs = 8
    state: State = None
    report: Report = None

    def to_options(self) -> RunOptions:
        """The same as values of the engine."""
        return RunOptions(
            source=self.source,
            target=None,
            include=tuple(self.include),
            exclude=tuple(self.exclude),
            policy=CopyPolicy(depth=self.depth),
            jobs=self.jobs,
            state=self.state,
            report=self.report,
            endpoint_url=self.endpoint_url,
            request_payer=self.request_payer,
            metrics=self.metrics,
            traces=self.traces,
        )


class ChoosingParameters(SourceParameters):
    """What to read, and what of it."""

    include: Include = []
    exclude: Exclude = []
