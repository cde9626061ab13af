"""What operations hand to each other and to people: plain values, small enough to keep one for every tag."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain
from typing import TYPE_CHECKING

from tasks.oci.codes import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tasks.oci.descriptor import Descriptor
    from tasks.oci.digest import Digest
    from tasks.ports import Finding


class Depth(StrEnum):
    """How much a verification proves; each includes the ones before it."""

    MANIFEST = "manifest"
    BLOBS = "blobs"
    CONTENT = "content"

    def includes(self, other: Depth) -> bool:
        """Whether a proof at this depth is one at `other` too."""
        order = list(Depth)
        return order.index(self) >= order.index(other)


class Outcome(StrEnum):
    """What became of a tag."""

    COPIED = "copied"
    UP_TO_DATE = "up_to_date"
    REFUSED = "refused"
    FAILED = "failed"
    TO_COPY = "to_copy"
    """Only in plans."""


class UntaggedKind(StrEnum):
    """Why an entry of `index.json` has no tag: it is a platform's manifest, a referrer, or its tag moved away."""

    CHILD = "child"
    REFERRER = "referrer"
    MOVED = "moved"


@dataclass(frozen=True, slots=True)
class TagEntry:
    """A tag of a layout and what it points at; `kind` is set where there is no tag."""

    tag: str | None
    descriptor: Descriptor
    kind: UntaggedKind | None = None


@dataclass(frozen=True, slots=True)
class RefusedEntry:
    """An entry that can't be migrated, known before anything is sent."""

    tag: str
    digest: Digest | None
    media_type: str | None
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class RepositoryInventory:
    """All that one layout's `index.json` says, and what had to be read to understand it.

    `referrers` maps a subject to the manifests that refer to it, from every convention that layouts use, and
    `broken_lists` lists of them that can't be read to why; `etag` marks the index that was read. `made` has the
    times of tagged manifests, in seconds since 1970, where they were asked for and can be known. `unnamed` is what
    is refused for its tag alone. `strays` are referrers that nothing with a tag leads to, and whether something does
    whose tag has moved.
    """

    path: str
    etag: str
    tags: tuple[TagEntry, ...] = ()
    untagged: tuple[TagEntry, ...] = ()
    refused: tuple[RefusedEntry, ...] = ()
    referrers: Mapping[Digest, tuple[Descriptor, ...]] = field(default_factory=dict)
    broken_lists: Mapping[Digest, Finding] = field(default_factory=dict)
    made: Mapping[Digest, float] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    unnamed: tuple[TagEntry, ...] = ()
    strays: Mapping[Digest, bool] = field(default_factory=dict)

    @property
    def by_digest(self) -> Iterator[TagEntry]:
        """All that can be asked for by its digest."""
        return chain(self.tags, self.untagged, self.unnamed)


@dataclass(frozen=True, slots=True)
class TagResult:
    """The report's line for one tag; `repository` is the source's path, `tag` None for an untagged copy."""

    repository: str
    tag: str | None
    digest: str | None
    media_type: str | None
    target: str | None
    outcome: Outcome
    verified: Depth | None = None
    referrers: int = 0
    code: str | None = None
    message: str | None = None

    @property
    def place(self) -> str:
        """What it is of at the source: `repository:tag`, or `repository@digest` where there is no tag."""
        return f"{self.repository}@{self.digest}" if self.tag is None else f"{self.repository}:{self.tag}"

    @property
    def is_problem(self) -> bool:
        """Whether this keeps a run from being complete; a conflict that the user said to skip does not."""
        return self.outcome in {Outcome.REFUSED, Outcome.FAILED} and self.code != Refused.CONFLICT_SKIPPED


@dataclass(slots=True)
class Traffic:
    """Counts of what was moved; added up over tags."""

    blobs_pushed: int = 0
    blobs_mounted: int = 0
    blobs_present: int = 0
    bytes_pushed: int = 0

    def add(self, other: Traffic) -> None:
        """Add the counts of `other` to these."""
        self.blobs_pushed += other.blobs_pushed
        self.blobs_mounted += other.blobs_mounted
        self.blobs_present += other.blobs_present
        self.bytes_pushed += other.bytes_pushed


@dataclass(slots=True)
class Totals:
    """Counts of outcomes over a run, with its traffic; `other_problems` are findings that are more than remarks."""

    outcomes: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    problems: int = 0
    other_problems: int = 0
    traffic: Traffic = field(default_factory=Traffic)

    @property
    def tags(self) -> int:
        """How many tags have an outcome."""
        return sum(self.outcomes.values())

    @property
    def complete(self) -> bool:
        """Whether everything that was selected is at the target and verified."""
        return not self.problems and not self.other_problems
