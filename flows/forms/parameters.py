"""What a user can say of a run: the fields of the dashboard's form, and the options of the command.

Both are made of these models, so each parameter is described once; `parameter_fields` has what they are made of.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import ClassVar

from pydantic import ValidationInfo, field_validator

from flows.forms import parameter_fields as f
from flows.forms.pace_parameters import MaxRequests, PaceParameters, RateParameters
from flows.forms.quantities import seconds
from flows.forms.source_parameters import ChoosingParameters, Parameters
from tasks.endpoints import TargetOptions
from tasks.oci.reference import is_tag
from tasks.oci.registry_profiles import RegistryKind
from tasks.operations.choosing.content_part import ContentPart
from tasks.operations.in_step.vanished import DeletionLimits
from tasks.operations.reports.results import Depth
from tasks.operations.work.planning import CopyPolicy, OnConflict, Untagged
from tasks.registry_ports import NewRepositories
from tasks.run_options import RunOptions


class TargetParameters(Parameters):
    """How to reach the target, and how hard to press it."""

    jobs: f.Jobs = 8
    max_requests: MaxRequests = None
    plain_http: f.PlainHttp = False
    ca_file: f.CaFile = None
    registry_kind: f.Kind = RegistryKind.AUTO

    def to_target(self, target: str) -> TargetOptions:
        """The same as values of the engine, for this target."""
        return TargetOptions(
            target, self.plain_http, self.ca_file, self.jobs, self.max_requests, kind=self.registry_kind
        )


class TelemetryParameters(Parameters):
    """Which monitoring systems are told of the run."""

    metrics: f.Metrics = None
    traces: f.Traces = False


class RunParameters(ChoosingParameters, TelemetryParameters):
    """What every run over a source has, whatever it does with each tag."""

    NOT_OF_A_FILE: ClassVar[frozenset[str]] = frozenset()
    """Fields that are not taken from a migration file, which says them of other runs."""

    untagged: f.UntaggedChoice = Untagged.NONE
    jobs: f.Jobs = 8
    state: f.State = None
    source_name: f.SourceName = None
    report: f.Report = None

    @field_validator("untagged")
    @classmethod
    def _are_neither_listed_nor_dated(cls, value: Untagged, info: ValidationInfo) -> Untagged:
        if value is not Untagged.NONE and info.data.get("tags_from") is not None:
            raise ValueError("--tags-from says exactly what comes: leave this out, and list digests")
        if value is not Untagged.NONE and info.data.get("older_than") is not None:
            raise ValueError("not with --older-than: what has no tag has no age")
        return value

    @abstractmethod
    def to_options(self) -> RunOptions:
        """The same as values of the engine."""

    def _options(self, policy: CopyPolicy) -> RunOptions:
        """What is the same for every kind of run."""
        return RunOptions(
            source=self.source,
            target=None,
            choosing=self.choosing,
            policy=policy,
            jobs=self.jobs,
            state=self.state,
            source_name=self.source_name,
            report=self.report,
            endpoint_url=self.endpoint_url,
            request_payer=self.request_payer,
            no_sign_request=self.no_sign_request,
            metrics=self.metrics,
            traces=self.traces,
        )


class SplitParameters(Parameters):
    """What a repository is."""

    split_by_name: f.SplitByName = False


class PairParameters(SplitParameters, RunParameters, TargetParameters, PaceParameters):
    """What every run over a source and a target has."""

    target: f.Target
    rename: f.Rename = []  # noqa: RUF012 - pydantic copies it
    flatten: f.Flatten = None
    strict_names: f.StrictNames = False
    exclude_referrers: f.ExcludeReferrers = False

    def _options(self, policy: CopyPolicy) -> RunOptions:
        options = replace(super()._options(policy), target=self.to_target(self.target), rename=tuple(self.rename))
        return self.paced(replace(options, flatten=self.flatten, split_by_name=self.split_by_name))


class MigrateParameters(PairParameters):
    """Parameters of `migrate` and `plan`."""

    depth: f.DepthChoice = Depth.MANIFEST
    on_conflict: f.OnConflictChoice = OnConflict.REFUSE
    backup_tag: f.BackupTag = None
    create_repositories: f.CreateRepositories = False
    immutable_tags: f.ImmutableTags = False
    scan_on_push: f.ScanOnPush = False
    fail_fast: f.FailFast = False
    lock_timeout: f.LockTimeout = "0s"
    since_last: f.SinceLast = False
    prove_again: f.ProveAgain = False
    delete_vanished: f.DeleteVanished = False
    delete_max_tags: f.DeleteMaxTags = 100
    delete_max_percent: f.DeleteMaxPercent = 25.0

    @field_validator("backup_tag")
    @classmethod
    def _backup_differs(cls, value: str | None) -> str | None:
        if value is not None and "{tag}" not in value:
            raise ValueError("it must hold {tag}, so that each tag has a backup of its own")
        if value is not None and (value == "{tag}" or not is_tag(value.replace("{tag}", "v1"))):
            raise ValueError("it must make another tag of each, of letters, digits and . _ - only: old-{tag}")
        return value

    @field_validator("immutable_tags", "scan_on_push")
    @classmethod
    def _settings_have_a_use(cls, value: bool, info: ValidationInfo) -> bool:  # noqa: FBT001 - pydantic's own way
        if value and not info.data.get("create_repositories"):
            raise ValueError("it is a setting of --create-repositories")
        return value

    @field_validator("prove_again")
    @classmethod
    def _asks_of_all(cls, value: bool, info: ValidationInfo) -> bool:  # noqa: FBT001 - as above
        if value and info.data.get("since_last"):
            raise ValueError("not with --since-last, which does not ask the target for what an earlier run proved")
        return value

    @field_validator("delete_vanished")
    @classmethod
    def _can_be_told_to_have_vanished(cls, value: bool, info: ValidationInfo) -> bool:  # noqa: FBT001 - as above
        if value and info.data.get("split_by_name"):
            raise ValueError("not with --split-by-name: an entry that can't be read may have any of the names")
        return value

    def to_options(self) -> RunOptions:
        """The same as values of the engine."""
        new = NewRepositories(self.immutable_tags, self.scan_on_push) if self.create_repositories else None
        policy = CopyPolicy(
            untagged=self.untagged,
            referrers=not self.exclude_referrers,
            on_conflict=self.on_conflict,
            backup_tag=self.backup_tag,
            depth=self.depth,
            strict_names=self.strict_names,
            fail_fast=self.fail_fast,
            prove_again=self.prove_again,
        )
        return replace(
            self._options(policy),
            target=replace(self.to_target(self.target), new_repositories=new),
            since_last=self.since_last,
            lock_timeout=seconds(self.lock_timeout),
            deletion=DeletionLimits(self.delete_max_tags, self.delete_max_percent) if self.delete_vanished else None,
        )


class ComparingParameters(PairParameters):
    """What every comparison of both sides has."""

    depth: f.DepthChoice = Depth.BLOBS

    def to_options(self) -> RunOptions:
        """The same as values of the engine."""
        policy = CopyPolicy(
            untagged=self.untagged,
            referrers=not self.exclude_referrers,
            depth=self.depth,
            strict_names=self.strict_names,
        )
        return self._options(policy)


class VerifyParameters(ComparingParameters):
    """Parameters of `verify`."""

    content_part: f.ContentPartChoice = None

    def to_options(self) -> RunOptions:
        """The same as values of the engine."""
        return replace(super().to_options(), content_part=_part(self.content_part))


class InPlaceParameters(RunParameters, RateParameters):
    """Parameters of `zot check`, which looks at layouts as they are."""

    depth: f.DepthChoice = Depth.BLOBS

    def to_options(self) -> RunOptions:
        """The same as values of the engine."""
        policy = CopyPolicy(untagged=self.untagged, depth=self.depth)
        return replace(self._options(policy), limit_rate=self.rate)


class CheckParameters(SplitParameters, InPlaceParameters):
    """Parameters of `check`."""

    content_part: f.ContentPartChoice = None

    def to_options(self) -> RunOptions:
        """The same as values of the engine."""
        part = _part(self.content_part)
        return replace(super().to_options(), content_part=part, split_by_name=self.split_by_name)


def _part(text: str | None) -> ContentPart | None:
    return None if text is None else ContentPart.parse(text)
