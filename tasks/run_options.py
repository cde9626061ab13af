"""What shapes a run, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from tasks.choosing_options import ChoosingOptions
from tasks.oci.registry_profiles import RegistryKind
from tasks.operations.in_step.vanished import DeletionLimits
from tasks.operations.reports.results import Depth
from tasks.operations.running.hold import Limits
from tasks.operations.running.hours import Hours
from tasks.operations.work.planning import CopyPolicy, Untagged
from tasks.stores.bucket.s3_address import BucketAccess, BucketLogin

if TYPE_CHECKING:
    from tasks.endpoints import TargetOptions
    from tasks.operations.choosing.content_part import ContentPart
    from tasks.ports import Shard


class RunKind(StrEnum):
    """What a run does with each tag."""

    MIGRATE = "migrate"
    PLAN = "plan"
    VERIFY = "verify"
    CHECK = "check"
    ZOT = "zot"

    @property
    def is_proof(self) -> bool:
        """Whether a good tag is reported as verified, and not as copied or to be copied."""
        return self in {RunKind.VERIFY, RunKind.CHECK, RunKind.ZOT}

    @property
    def has_census(self) -> bool:
        """Whether it counts what the source holds."""
        return self in {RunKind.PLAN, RunKind.CHECK, RunKind.ZOT}


@dataclass(frozen=True, slots=True)
class RunOptions:
    """All that shapes a run, as plain values.

    Secrets are among them where a flow found some in a block; they are never shown, and never leave the process.

    Rates are in bytes a second, and `lock_timeout` in seconds. Checks have no target.
    """

    source: str
    target: TargetOptions | None
    choosing: ChoosingOptions = field(default_factory=ChoosingOptions)
    split_by_name: bool = False
    rename: tuple[str, ...] = ()
    flatten: int | None = None
    policy: CopyPolicy = field(default_factory=CopyPolicy)
    content_part: ContentPart | None = None
    """What alone is read back of all content; None: all of it is, at that depth."""
    jobs: int = 8
    limit_rate: float | None = None
    state: str | None = None
    source_name: str | None = None
    lock_timeout: float = 0.0
    report: str | None = None
    endpoint_url: str | None = None
    request_payer: bool = False
    no_sign_request: bool = False
    since_last: bool = False
    deletion: DeletionLimits | None = None
    """How much of what vanished at the source may be deleted at the target; None: nothing is."""
    metrics: str | None = None
    traces: bool = False
    hours: str | None = None
    limits_from: str | None = None
    bucket_login: BucketLogin = field(default_factory=BucketLogin)
    shard: Shard | None = None

    @property
    def title(self) -> str:
        """What goes where."""
        return self.source if self.target is None else f"{self.source} → {self.target.target}"

    @property
    def proved_depth(self) -> Depth:
        """How much is proved of a tag with which nothing is wrong: a part of its content is not all of it."""
        return self.policy.depth if self.content_part is None else Depth.BLOBS

    @property
    def counted_choosing(self) -> ChoosingOptions:
        """What is chosen, by ages from the moment that counts: a part has that of its whole run."""
        return self.choosing if self.shard is None else self.choosing.counted_from(self.shard.moment)

    @property
    def leaves_out(self) -> bool:
        """Whether the user left something of the source out, so that the run can't speak for all of it."""
        return self.choosing.leaves_out or not self.policy.referrers

    @property
    def takes_all_tags(self) -> bool:
        """Whether each tag of the source has an outcome, and nothing else has one."""
        return not self.leaves_out and self.policy.untagged is Untagged.NONE

    @property
    def limits(self) -> Limits:
        """What the run is to keep within at its start."""
        requests = self.target.max_requests if self.target is not None else None
        return Limits(self.limit_rate, requests, Hours.parse(self.hours) if self.hours else None)

    @property
    def bucket_access(self) -> BucketAccess:
        """How to get at the source where it is a bucket: a connection for each worker and helper."""
        return BucketAccess(
            self.endpoint_url, self.request_payer, 2 * self.jobs, self.bucket_login, anonymous=self.no_sign_request
        )


def shown_options(options: RunOptions) -> dict[str, Any]:
    """The options that differ from their defaults, for the report; jobs and depth always.

    Left out is where the run writes and which certificates it trusts. Rates are in bytes a second, times in seconds.
    """
    policy, default = options.policy, CopyPolicy()
    changed = (n for n in CopyPolicy.__slots__ if getattr(policy, n) != getattr(default, n))
    part = options.content_part
    return (
        options.counted_choosing.shown()
        | _shown_source(options)
        | _shown_course(options)
        | (_shown_target(options.target) if options.target is not None else {})
        | (_shown_deletion(options.deletion) if options.deletion is not None else {})
        | {n: getattr(policy, n) for n in changed}
        | {"jobs": options.jobs, "depth": str(policy.depth)}
        | ({} if part is None else {"content_part": f"{part.number}/{part.parts}"})
    )


def _shown_source(options: RunOptions) -> dict[str, Any]:
    shown: dict[str, Any] = {"rename": list(options.rename)} if options.rename else {}
    named = ("source_name", "split_by_name", "flatten")
    access = ("endpoint_url", "request_payer", "no_sign_request", "since_last")
    return shown | {n: getattr(options, n) for n in (*named, *access) if getattr(options, n)}


def _shown_course(options: RunOptions) -> dict[str, Any]:
    named = ("limit_rate", "hours", "limits_from", "traces")
    return {n: getattr(options, n) for n in named if getattr(options, n)}


def _shown_target(target: TargetOptions) -> dict[str, Any]:
    new = target.new_repositories
    said = {
        "plain_http": target.plain_http,
        "max_requests": target.max_requests,
        "registry_kind": None if target.kind is RegistryKind.AUTO else str(target.kind),
        "create_repositories": new is not None,
        "immutable_tags": new is not None and new.immutable_tags,
        "scan_on_push": new is not None and new.scan_on_push,
    }
    return {name: value for name, value in said.items() if value}


def _shown_deletion(limits: DeletionLimits) -> dict[str, Any]:
    default = DeletionLimits()
    changed = (n for n in DeletionLimits.__slots__ if getattr(limits, n) != getattr(default, n))
    return {"delete_vanished": True} | {f"delete_{n}": getattr(limits, n) for n in changed}
