"""The policy's file: its fields, how they are written, and the values of the engine that they mean."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003 - pydantic reads annotations
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from flows.files import policy_values as v  # noqa: TC001 - pydantic reads annotations
from flows.files.digest_lists import read_digests
from flows.files.empty_fields import LeftOut  # noqa: TC001 - as above
from flows.files.yaml_files import mistakes_in, parse_model, read_file, text_of
from tasks.oci.digest import Digest
from tasks.oci.errors import ConfigurationError
from tasks.operations.choosing.tag_order import OrderBy
from tasks.operations.cleanup.deciding import policy as engine
from tasks.operations.cleanup.deciding.policy import OtherTags, Per, Period, Referrers
from tasks.operations.cleanup.deciding.retention import human_duration
from tasks.operations.cleanup.values import PlanLimits, QuarantineMode, Timing


class _Fields(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TagRuleFields(_Fields):
    """One group of tags, and what is kept of it."""

    match: Annotated[list[v.TagPattern], Field(min_length=1)]
    exclude: list[v.TagPattern] = []
    keep: LeftOut[Literal["all", "none"]] = None
    keep_last: LeftOut[v.Count] = None
    keep_within: LeftOut[v.Duration] = None
    keep_daily: LeftOut[v.Count] = None
    keep_weekly: LeftOut[v.Count] = None
    keep_monthly: LeftOut[v.Count] = None
    keep_yearly: LeftOut[v.Count] = None
    keep_newest_semver: LeftOut[v.Count] = None
    per: Per = Per.ALL
    pulled_within: v.NoPulls = None

    @field_validator("match", "exclude", mode="before", json_schema_input_type=str | list[str])
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return value if isinstance(value, list) else [value]

    @model_validator(mode="after")
    def _says_something(self) -> TagRuleFields:
        counted = self.model_fields_set - {"match", "exclude", "per", "keep"}
        if self.keep is None and not counted:
            raise ValueError("it keeps nothing; write 'keep: none' if that is meant")
        if self.keep is not None and counted:
            raise ValueError(f"'keep: {self.keep}' goes with no other rule")
        if self.per is not Per.ALL and self.keep_newest_semver is None:
            raise ValueError("'per' goes with keep_newest_semver")
        return self

    def to_rule(self) -> engine.TagRule:
        """The same for the engine."""
        periods = ((period, getattr(self, f"keep_{period}")) for period in Period)
        return engine.TagRule(
            tags=engine.select_tags(self.match, self.exclude),
            shown=" ".join(self.match),
            keep_all=self.keep == "all",
            keep_last=self.keep_last,
            keep_within=self.keep_within,
            keep_periods=tuple((period, count) for period, count in periods if count is not None),
            keep_newest_semver=self.keep_newest_semver,
            per=self.per,
        )


class ScopeFields(_Fields):
    """Which repositories a policy is about."""

    include: Annotated[list[v.RepositoryPattern], Field(min_length=1)]
    exclude: list[v.RepositoryPattern] = []


class UntaggedFields(_Fields):
    """When manifests go that have no tag and belong to nothing: so long after they were first seen so."""

    delete_after: v.Duration


def _keep_or_fields(value: Any) -> str | None:
    """Which of its two forms `untagged` has, so that only what is wrong with that one is said."""
    if isinstance(value, dict | UntaggedFields):
        return "fields"
    return "keep" if value == "keep" else None


_Untagged = Annotated[
    Annotated[Literal["keep"], Tag("keep")] | Annotated[UntaggedFields, Tag("fields")],
    Discriminator(
        _keep_or_fields,
        custom_error_type="keep_or_fields",
        custom_error_message="it must be keep, or {delete_after: 30d}",
    ),
]


class ChoiceFields(_Fields):
    """What may stand in `defaults` and in each policy."""

    order_by: OrderBy = OrderBy.CREATED
    unmatched: OtherTags = OtherTags.KEEP
    untagged: _Untagged = "keep"
    referrers: Referrers = Referrers.WITH_SUBJECT
    orphans_after: v.Duration | None = None
    empty_layouts: OtherTags = OtherTags.KEEP
    pulled_within: v.NoPulls = None


class PolicyFields(ChoiceFields):
    """What is kept of some repositories."""

    name: Annotated[str, Field(min_length=1)]
    description: str = ""
    repositories: ScopeFields
    tags: list[TagRuleFields] = []

    @field_validator("repositories", mode="before", json_schema_input_type=str | list[str] | ScopeFields)
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return value
        return {"include": value if isinstance(value, list) else [value]}


class ProtectFields(_Fields):
    """What no rule takes away; digest files are JSON or text, of which every digest counts."""

    tags: list[v.TagPattern] = list(engine.PROTECTED_ANYWAY)
    digests: list[v.DigestText] = []
    digest_files: list[str] = []


class BlobFields(_Fields):
    """How long content waits that nothing names."""

    grace: v.Duration = engine.DEFAULT_TIMING.grace
    ingest_after: v.Duration = engine.DEFAULT_INGEST_AFTER
    multipart_after: v.Duration = engine.DEFAULT_MULTIPART_AFTER


class QuarantineFields(_Fields):
    """Where blobs wait before they are gone for good, and for how long."""

    mode: QuarantineMode = QuarantineMode.PREFIX
    hold: v.Duration = engine.DEFAULT_TIMING.hold


class LimitFields(_Fields):
    """How much one apply may take away; null is no limit."""

    max_tags: v.Count | None = None
    max_percent: Annotated[float, Field(gt=0, le=100)] | None = 25.0
    min_tags_left: Annotated[int, Field(ge=0, strict=True)] | None = 1
    max_bytes: v.Size | None = None


class PolicyFile(_Fields):
    """A policy as people write it."""

    version: Literal[1]
    policies: Annotated[list[PolicyFields], Field(min_length=1)]
    defaults: ChoiceFields = ChoiceFields()
    protect: ProtectFields = ProtectFields()
    blobs: BlobFields = BlobFields()
    quarantine: Annotated[QuarantineFields, Field(validate_default=True)] = QuarantineFields()
    limits: LimitFields = LimitFields()
    target: LeftOut[v.TargetText] = None
    migrated_only: LeftOut[bool] = None

    @field_validator("policies")
    @classmethod
    def _names_differ(cls, value: list[PolicyFields]) -> list[PolicyFields]:
        names = [policy.name for policy in value]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two policies are called {twice!r}")
        return value

    @field_validator("quarantine")
    @classmethod
    def _outlasts_a_push(cls, value: QuarantineFields, info: ValidationInfo) -> QuarantineFields:
        """A writer who looked right before a blob was hidden has no longer than `hold`, whatever `grace` says."""
        blobs = info.data.get("blobs")  # absent where it is wrong itself
        if blobs is None or value.mode is QuarantineMode.NONE or value.hold >= blobs.grace:
            return value
        hold, grace = human_duration(value.hold), human_duration(blobs.grace)
        raise ValueError(
            f"hold ({hold}) is shorter than blobs.grace ({grace}); both have to be longer than the longest push, "
            "as what a push saw just before it was hidden is deleted for good after hold"
        )

    @model_validator(mode="after")
    def _gate_has_target(self) -> PolicyFile:
        if self.migrated_only and self.target is None:
            raise ValueError("migrated_only needs the target to ask")
        return self

    def to_policy(self, listed: frozenset[Digest]) -> engine.Policy:
        """The same for the engine; `listed` is what the files with digests hold."""
        return engine.Policy(
            policies=tuple(self._policy(fields) for fields in self.policies),
            protected_digests=listed | {Digest(text) for text in self.protect.digests},
            timing=Timing(self.blobs.grace, self.quarantine.hold, self.quarantine.mode),
            limits=PlanLimits(**self.limits.model_dump()),
            ingest_after=self.blobs.ingest_after,
            multipart_after=self.blobs.multipart_after,
            gate=None if self.migrated_only is False else self.target,
            shown_protected=tuple(self.protect.tags),
        )

    def _policy(self, fields: PolicyFields) -> engine.RepositoryPolicy:
        def chosen(name: str) -> Any:
            return getattr(fields if name in fields.model_fields_set else self.defaults, name)

        untagged = chosen("untagged")
        return engine.RepositoryPolicy(
            name=fields.name,
            repositories=engine.select_repositories(fields.repositories.include, fields.repositories.exclude),
            rules=tuple(rule.to_rule() for rule in fields.tags),
            other_tags=chosen("unmatched"),
            order_by=chosen("order_by"),
            protected_tags=engine.select_tags(self.protect.tags) if self.protect.tags else None,
            untagged_after=untagged.delete_after if isinstance(untagged, UntaggedFields) else None,
            referrers=chosen("referrers"),
            orphans_after=chosen("orphans_after"),
            drop_empty_layouts=chosen("empty_layouts") is OtherTags.DELETE,
            shown_excludes=tuple(fields.repositories.exclude),
        )


def load_policy(path: Path) -> tuple[engine.Policy, Digest]:
    """The policy in a file, and the file's digest.

    Files with digests that it names are read, relative ones from its folder.

    Raises:
        ConfigurationError: it can't be read or used; a line for each mistake.
    """
    raw = read_file(path)
    text = text_of(raw, path)
    file = parse_model(text, PolicyFile, name=str(path))
    listed: set[Digest] = set()
    mistakes: list[tuple[tuple[int | str, ...], str]] = []
    for number, name in enumerate(file.protect.digest_files):
        try:
            listed |= read_digests(path.parent / name)
        except ConfigurationError as error:
            mistakes.append((("protect", "digest_files", number), str(error)))
    if mistakes:
        raise mistakes_in(text, mistakes, name=str(path))
    return file.to_policy(frozenset(listed)), Digest.of(raw)


def json_schema() -> str:
    """The JSON schema of policies, for editors."""
    schema = PolicyFile.model_json_schema()
    for definition in (schema, *schema["$defs"].values()):
        fields = definition.get("properties", {})
        fields.pop("pulled_within", None)  # there only to say why it can't be
        for field in fields.values():
            default = field.get("default", "")
            if "type" in field and (default is None or (field["type"] == "string" and not isinstance(default, str))):
                del field["default"]  # as the engine has it, which is not how it is written
    return json.dumps(schema, indent=2) + "\n"
