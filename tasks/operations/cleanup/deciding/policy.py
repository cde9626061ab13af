"""What a user wants kept, as values: made of a policy's file, read by the decisions.

The words are those that users know from zot, Harbor, ECR and restic; see docs/cleanup.md for the whole list.
Durations are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from tasks.oci.errors import ConfigurationError
from tasks.operations.choosing.selection import Selection
from tasks.operations.choosing.tag_order import OrderBy
from tasks.operations.cleanup.values import PlanLimits, Timing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.oci.digest import Digest

DAY = 86_400.0
PROTECTED_ANYWAY = ("latest", "stable")
DEFAULT_TIMING = Timing(grace=7 * DAY, hold=14 * DAY)
DEFAULT_INGEST_AFTER = 7 * DAY
DEFAULT_MULTIPART_AFTER = 7 * DAY


class Per(StrEnum):
    """Of which lines of versions `keep_newest_semver` keeps the newest."""

    ALL = "all"
    MAJOR = "major"
    MINOR = "minor"


class OtherTags(StrEnum):
    """What becomes of a tag that no rule matches."""

    KEEP = "keep"
    DELETE = "delete"


class Referrers(StrEnum):
    """Whether referrers go with their subject, or stay and keep it."""

    WITH_SUBJECT = "with_subject"
    KEEP = "keep"


class Period(StrEnum):
    """Spans of the calendar, in UTC."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    YEARLY = "yearly"


@dataclass(frozen=True, slots=True)
class TagRule:
    """Which tags one rule is about and what it keeps of them; a tag that any rule keeps is kept."""

    tags: Selection
    shown: str
    keep_all: bool = False
    keep_last: int | None = None
    keep_within: float | None = None
    keep_periods: tuple[tuple[Period, int], ...] = ()
    keep_newest_semver: int | None = None
    per: Per = Per.ALL

    @property
    def keeps_any(self) -> bool:
        """Whether it keeps anything at all."""
        counts = (self.keep_last, self.keep_within, self.keep_newest_semver)
        return self.keep_all or bool(self.keep_periods) or any(count is not None for count in counts)


@dataclass(frozen=True, slots=True)
class RepositoryPolicy:
    """What to keep of the repositories that it matches; untagged and orphans are kept where no time is set.

    `shown_excludes` are the patterns of `repositories` that exclude, as they were written.
    """

    name: str
    repositories: Selection
    rules: tuple[TagRule, ...]
    other_tags: OtherTags = OtherTags.KEEP
    order_by: OrderBy = OrderBy.CREATED
    protected_tags: Selection | None = None
    untagged_after: float | None = None
    referrers: Referrers = Referrers.WITH_SUBJECT
    orphans_after: float | None = None
    drop_empty_layouts: bool = False
    shown_excludes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """All rules of a cleanup. The first of `policies` that matches a repository decides about it.

    A repository that none matches is left as it is. `gate` is the target that must hold what goes. `shown_protected`
    are the patterns of protected tags that somebody wrote.
    """

    policies: tuple[RepositoryPolicy, ...]
    protected_digests: frozenset[Digest] = frozenset()
    timing: Timing = DEFAULT_TIMING
    limits: PlanLimits = field(default_factory=PlanLimits)
    ingest_after: float = DEFAULT_INGEST_AFTER
    multipart_after: float = DEFAULT_MULTIPART_AFTER
    gate: str | None = None
    shown_protected: tuple[str, ...] = ()

    def of(self, repository: str) -> RepositoryPolicy | None:
        """The policy of a repository, None where it is left alone."""
        return next((p for p in self.policies if p.repositories.matches(repository, None)), None)


def select_tags(match: Sequence[str], exclude: Sequence[str] = ()) -> Selection:
    """Tags by globs, `regex:` and `semver:`.

    Raises:
        ConfigurationError: a pattern can't be used.
    """
    return Selection.parse([f":{pattern}" for pattern in match], [f":{pattern}" for pattern in exclude])


def select_repositories(include: Sequence[str], exclude: Sequence[str] = ()) -> Selection:
    """Repositories by globs.

    Raises:
        ConfigurationError: a pattern can't be used, or has a part for tags.
    """
    chosen = Selection.parse(include, exclude)
    for pattern, text in zip((*chosen.include, *chosen.exclude), (*include, *exclude), strict=True):
        if pattern.tag is not None:
            raise ConfigurationError(f"{text!r} holds a tag; tags are chosen under 'tags'")
    return chosen
