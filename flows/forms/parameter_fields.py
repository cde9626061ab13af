"""The fields that forms and options are made of, each with its description and what may stand in it.

No secret is among them: parameters are shown in the dashboard.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from flows.forms import field_checks as checks
from flows.forms.block_names import block_name
from flows.forms.quantities import number, waiting_time
from tasks.oci.registry_profiles import RegistryKind
from tasks.operations.choosing.newest import NewestBy
from tasks.operations.reports.results import Depth
from tasks.operations.work.planning import OnConflict, Untagged

ADDRESS_FORM = {"pattern": "^[^@]*$"}
PLACE_FORM = {"pattern": "^(?![^/]*://[^/]*[@:])"}
"""What a Prefect server looks at before it keeps the parameters of a deployment's run: whether a login is among them.

Only forms and that server do so; what is said of a login in a command is for the validators to say.
"""

Source = Annotated[
    str,
    Field(
        description="What holds the image layouts: a directory, as of a mounted bucket, s3://bucket[/prefix], or "
        "block:NAME for a block layoutlift-source",
        min_length=1,
        json_schema_extra=PLACE_FORM,
    ),
    AfterValidator(checks.check_storage),
]
Target = Annotated[
    str,
    Field(
        description="Registry to migrate to, as host[:port][/prefix], or block:NAME for a block layoutlift-target",
        min_length=1,
        json_schema_extra=ADDRESS_FORM,
    ),
    AfterValidator(lambda text: text if block_name(text) else checks.check_address(text)),
]
Pattern = Annotated[str, AfterValidator(checks.check_pattern)]
Include = Annotated[
    list[Pattern],
    Field(
        description="Only these: globs on repository:tag (** crosses slashes); the tag may be regex:… or semver:…",
    ),
]
Exclude = Annotated[list[Pattern], Field(description="Not these: patterns as for include")]
Newest = Annotated[
    int | None,
    Field(description="Only the newest N manifests of each repository, with all their tags and referrers", ge=1),
    BeforeValidator(number),
]
Order = Annotated[
    NewestBy,
    Field(description="By what manifests are newest: the time that their writer noted, their version, or their name"),
]
NewerThan = Annotated[
    str | None,
    Field(
        description="Only what was made at most so long ago, such as 90d or 1w2d (w, d, h, m, s), by the time that "
        "its writer noted"
    ),
    AfterValidator(checks.check_age),
]
OlderThan = Annotated[
    str | None,
    Field(description="Only what was made at least so long ago, such as 6h, by the time that its writer noted"),
    AfterValidator(checks.check_age),
]
TagsFrom = Annotated[
    str | None,
    Field(
        description="Only what this file lists, repository:tag or repository@digest, one a line; - is standard input"
    ),
]
SplitByName = Annotated[
    bool,
    Field(
        description="Take a layout apart into the repositories that its references name (docker.io/library/alpine:3 "
        "goes to library/alpine)"
    ),
]
Rename = Annotated[
    list[str],
    Field(description="Change repository paths, OLD=NEW, for whole components"),
    AfterValidator(checks.check_renames),
]
Flatten = Annotated[
    int | None,
    Field(
        description="Have names at the target of N components at most, TARGET's own counted: deeper ones are joined "
        "to the last by hyphens (2: team/app/web goes to team/app-web)",
        ge=1,
    ),
    BeforeValidator(number),
]
StrictNames = Annotated[
    bool, Field(description="Refuse repository names that registries don't take, instead of mapping them")
]
UntaggedChoice = Annotated[
    Untagged, Field(description="Which untagged manifests to take by digest; children and referrers follow anyway")
]
ExcludeReferrers = Annotated[bool, Field(description="Leave signatures, SBOMs and other referrers behind")]
DepthChoice = Annotated[
    Depth, Field(description="How much to prove: manifests by digest, blobs by size, or content read back and hashed")
]
ContentPartChoice = Annotated[
    str | None,
    Field(
        description="At --depth content, read back only part K of N of all blobs, as 3/7, and look at the others "
        "as at blobs"
    ),
    AfterValidator(checks.check_content_part),
]
EndpointUrl = Annotated[
    str | None,
    Field(
        description="Endpoint of an S3 server other than Amazon's, for s3:// sources; else AWS_ENDPOINT_URL",
        json_schema_extra=ADDRESS_FORM,
    ),
    AfterValidator(checks.check_endpoint),
]
RequestPayer = Annotated[bool, Field(description="Pay for the requests to a bucket whose requester pays")]
NoSignRequest = Annotated[
    bool,
    Field(
        description="Send no credentials to the source's bucket, which everybody may read; a state still gets them"
    ),
]
Jobs = Annotated[
    int, Field(description="How many tags and blobs are in work at once", ge=1, le=256), BeforeValidator(number)
]
FailFast = Annotated[bool, Field(description="Stop at the first tag that is refused or fails")]
OnConflictChoice = Annotated[
    OnConflict,
    Field(description="What to do with a tag that the target has with a digest this migration did not write"),
]
BackupTag = Annotated[
    str | None, Field(description="Keep what a tag overwrites under this tag; {tag} stands for its name")
]
PlainHttp = Annotated[bool, Field(description="Talk to the registry over plain HTTP; credentials travel unencrypted")]
CaFile = Annotated[str | None, Field(description="PEM file of further certificate authorities to trust")]
LockTimeout = Annotated[
    str,
    Field(description="Wait for so long (30m) while another run works on this source and target, instead of ending"),
    AfterValidator(waiting_time),
]
SinceLast = Annotated[bool, Field(description="Do not ask the target for layouts unchanged since the last good run")]
ProveAgain = Annotated[
    bool,
    Field(description="Rely on nothing that an earlier run proved: look below all tags again, and send what is lost"),
]
DeleteVanished = Annotated[
    bool,
    Field(description="Delete at the target what an earlier run brought and the source has no more; plan shows it"),
]
DeleteMaxTags = Annotated[
    int | None,
    Field(description="Refuse to delete anything (exit code 3) if more tags than this vanished", ge=0),
    BeforeValidator(number),
]
DeleteMaxPercent = Annotated[
    float | None,
    Field(
        description="Refuse to delete anything if more than this percentage of the migrated tags vanished",
        ge=0,
        le=100,
    ),
    BeforeValidator(number),
]
State = Annotated[
    str | None,
    Field(
        description="Folder, or s3://bucket[/prefix], for what runs note, such as the ledger, and their reports; "
        "else below $XDG_STATE_HOME or ~/.local/state",
        json_schema_extra=PLACE_FORM,
    ),
    AfterValidator(lambda text: None if text is None else checks.check_storage(text)),
]
SourceName = Annotated[
    str | None,
    Field(
        description="Know the source by this name in ledger and lock, not by its path: where several are at one path "
        "in turn, or one is at another path by now",
        min_length=1,
    ),
    AfterValidator(checks.check_source_name),
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
Report = Annotated[
    str | None,
    Field(description="Write the report of the run, as JSON, to this file"),
    AfterValidator(partial(checks.check_file, instead="--json prints the report")),
]

Metrics = Annotated[
    str | None,
    Field(description="Keep the run's counters in this file, in Prometheus's text format, for node_exporter to read"),
    AfterValidator(checks.check_file),
]
Traces = Annotated[
    bool, Field(description="Send OpenTelemetry traces of the run by OTLP, to where OTEL_EXPORTER_OTLP_ENDPOINT says")
]
