"""What a user can say of a run: the fields of the dashboard's form, and the options of the command.

Both are made of these models, so each parameter is described once. No secret is among them: parameters are
shown in the dashboard.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from tasks.endpoints import TargetOptions
from tasks.operations.planning import CopyPolicy, OnConflict, Untagged
from tasks.operations.results import Depth
from tasks.runs import RunOptions

_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kKMG]?)i?B?(?:/s)?")
_UNITS = {"": 1, "k": 1024, "K": 1024, "M": 1024**2, "G": 1024**3}

Source = Annotated[
    str, Field(description="Directory that holds the image layouts, such as a mounted bucket", min_length=1)
]
Target = Annotated[str, Field(description="Registry to migrate to, as host[:port][/prefix]", min_length=1)]
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
Jobs = Annotated[int, Field(description="How many tags and blobs are in work at once", ge=1, le=256)]
LimitRate = Annotated[str | None, Field(description="Most bytes to send a second, such as 50M")]
MaxRequests = Annotated[float | None, Field(description="Most requests to send a second", gt=0)]
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
State = Annotated[str | None, Field(description="Folder for the ledger and lock of this pair of source and target")]
Report = Annotated[str | None, Field(description="Write the report of the run, as JSON, to this file")]


class _Parameters(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TargetParameters(_Parameters):
    """How to reach the target, and how hard to press it."""

    jobs: Jobs = 8
    max_requests: MaxRequests = None
    plain_http: PlainHttp = False
    ca_file: CaFile = None


class MigrateParameters(TargetParameters):
    """Parameters of `migrate` and `plan`."""

    source: Source
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
    fail_fast: FailFast = False
    limit_rate: LimitRate = None
    state: State = None
    report: Report = None

    @field_validator("limit_rate")
    @classmethod
    def _rate_is_readable(cls, value: str | None) -> str | None:
        if value is not None:
            bytes_per_second(value)
        return value

    @field_validator("backup_tag")
    @classmethod
    def _backup_differs(cls, value: str | None) -> str | None:
        if value is not None and "{tag}" not in value:
            raise ValueError("it must hold {tag}, so that each tag has a backup of its own")
        return value

    def to_options(self) -> RunOptions:
        """The same as values of the engine."""
        return RunOptions(
            source=self.source,
            target=TargetOptions(self.target, self.plain_http, self.ca_file, self.jobs, self.max_requests),
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
            state=self.state,
            jobs=self.jobs,
            report=self.report,
        )


class VerifyParameters(TargetParameters):
    """Parameters of `verify`."""

    source: Source
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
            target=TargetOptions(self.target, self.plain_http, self.ca_file, self.jobs, self.max_requests),
            include=tuple(self.include),
            exclude=tuple(self.exclude),
            rename=tuple(self.rename),
            policy=CopyPolicy(referrers=not self.exclude_referrers, depth=self.depth, strict_names=self.strict_names),
            state=self.state,
            jobs=self.jobs,
            report=self.report,
        )


class CheckParameters(_Parameters):
    """Parameters of `check`."""

    source: Source
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
        )


class ListParameters(_Parameters):
    """Parameters of `ls`."""

    source: Source
    include: Include = []
    exclude: Exclude = []


def bytes_per_second(text: str) -> float:
    """Read a rate such as `50M`; the letters count in steps of 1,024.

    Raises:
        ValueError: it is none.
    """
    match = _RATE.fullmatch(text.strip())
    if match is None or not float(match[1]):
        raise ValueError("a rate is a number of bytes a second, with k, M or G behind it: 50M")
    return float(match[1]) * _UNITS[match[2]]
