"""What shapes a run, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from tasks.exact_lists import read_exact_list
from tasks.oci.registry_profiles import RegistryKind
from tasks.operations.choosing.selection import Selection
from tasks.operations.in_step.vanished import DeletionLimits
from tasks.operations.reports.results import Depth
from tasks.operations.running.hold import Limits
from tasks.operations.running.hours import Hours
from tasks.operations.work.planning import CopyPolicy, Untagged
from tasks.stores.bucket.s3_address import BucketAccess, BucketLogin

if TYPE_CHECKING:
    from tasks.endpoints import TargetOptions
    from tasks.operations.choosing.by_age import Ages
    from tasks.operations.choosing.content_part import ContentPart
    from tasks.operations.choosing.newest import Newest
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
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    newest: Newest | None = None
    ages: Ages | None = None
    tags_from: str | None = None
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
    def selection(self) -> Selection:
        """Which tags the run is about; a list of them is read each time.

        Raises:
            ConfigurationError: a pattern or list can't be used.
        """
        listed = read_exact_list(self.tags_from)
        return Selection.parse(self.include, self.exclude, self.newest, listed, self.counted_ages)

    @property
    def counted_ages(self) -> Ages | None:
        """Which ages are asked for, from the moment that counts: a part has that of its whole run."""
        moment = None if self.shard is None else self.shard.moment
        return self.ages if self.ages is None or moment is None else replace(self.ages, now=moment)

    @property
    def leaves_out(self) -> bool:
        """Whether the user left something of the source out, so that the run can't speak for all of it."""
        chosen = (self.include, self.exclude, self.newest, self.ages, self.tags_from)
        return any(chosen) or not self.policy.referrers

    @property
    def takes_all_tags(self) -> bool:
        """Whether each tag of the source has an outcome, and nothing else has one."""
        return not self.leaves_out and self.policy.untagged is Untagged.NONE

    @property
    def choice_settings(self) -> tuple[object, ...]:
        """The options that make the selection, for the ledger's marks; `marked_of` has what each repository adds."""
        newest = () if self.newest is None else (self.newest.count, str(self.newest.order_by))
        ages = () if self.ages is None else (("ages", self.ages.newer_than, self.ages.older_than),)
        return (self.include, self.exclude, *newest, *ages)

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
        _shown_choice(options)
        | _shown_course(options)
        | (_shown_target(options.target) if options.target is not None else {})
        | (_shown_deletion(options.deletion) if options.deletion is not None else {})
        | {n: getattr(policy, n) for n in changed}
        | {"jobs": options.jobs, "depth": str(policy.depth)}
        | ({} if part is None else {"content_part": f"{part.number}/{part.parts}"})
    )


def _shown_choice(options: RunOptions) -> dict[str, Any]:
    listed = ("include", "exclude", "rename")
    shown: dict[str, Any] = {n: list(getattr(options, n)) for n in listed if getattr(options, n)}
    if options.newest is not None:
        shown |= {"newest": options.newest.count, "order_by": str(options.newest.order_by)}
    if (ages := options.counted_ages) is not None:
        limits = {"newer_than": ages.newer_than, "older_than": ages.older_than}
        shown |= {name: seconds for name, seconds in limits.items() if seconds is not None}
        shown["ages_from"] = datetime.fromtimestamp(ages.now, UTC).isoformat(timespec="seconds")
    named = ("source_name", "tags_from", "split_by_name", "flatten")
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
