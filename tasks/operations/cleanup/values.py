"""What a cleanup decides, as values: a plan says everything about each repository, and nothing else is done.

Times are seconds since 1970, sizes bytes, durations seconds. See docs/cleanup.md for the order of the steps.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum
from itertools import chain
from typing import TYPE_CHECKING

from tasks.oci.errors import InvalidReferenceError, SpecError
from tasks.oci.reference import tag_of_ref_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tasks.oci.descriptor import Descriptor
    from tasks.oci.digest import Digest
    from tasks.ports import Finding, Refusal

PLAN_SCHEMA = 1
REPOSITORIES_AT_ONCE = 4
"""Layouts planned or changed beside each other, each with all readers at hand; few, as each is whole in memory
meanwhile."""
MALFORMED = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError, SpecError)
"""What reading something from JSON ends with that is not what a cleanup writes."""
MOST_RECORD_VALUES = 8_000_000
"""Values of a file that a cleanup keeps at the source. The largest one that it can read has seven million, so that
nobody makes us hold more than we write ourselves."""


class PlanKind(StrEnum):
    """What asked for a plan; all three are applied by the same code."""

    CLEANUP = "cleanup"
    DELETE = "delete"
    RECOVER = "recover"


class CleanupAction(StrEnum):
    """What becomes of something, the least harmful first."""

    KEEP = "keep"
    """Left as it is. A mark that says otherwise is void."""
    RESTORE = "restore"
    """Moved from the quarantine back to its place."""
    ADD = "add"
    """Written into `index.json`."""
    MARK = "mark"
    """Noted as unreferenced, from when on; nothing else happens to it yet."""
    QUARANTINE = "quarantine"
    """Moved out of the layout, to where `undo` finds it; deleted at once where there is no quarantine."""
    DELETE = "delete"
    """Taken out of `index.json`, or deleted from the layout."""
    PURGE = "purge"
    """Deleted from the quarantine for good."""


class QuarantineMode(StrEnum):
    """Where blobs wait before they are deleted for good."""

    PREFIX = "prefix"
    VERSIONS = "versions"
    NONE = "none"


class FileKind(StrEnum):
    """What lies in a layout besides content."""

    INGEST = "ingest"
    """A file that a writer began and never finished, as oras does in `ingest`."""
    UPLOAD = "upload"
    """A multipart upload that was never completed."""


@dataclass(frozen=True, slots=True)
class PlanLimits:
    """How much one apply may take away; None is no limit. Percentages are of a repository's tags."""

    max_tags: int | None = None
    max_percent: float | None = 25.0
    min_tags_left: int | None = 1
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Timing:
    """How long blobs wait: `grace` from their mark to the quarantine, `hold` from there to the end."""

    grace: float
    hold: float
    mode: QuarantineMode = QuarantineMode.PREFIX


@dataclass(frozen=True, slots=True)
class PlanHeader:
    """What a plan is of: its own id, the source and how to reach it, and the rules for whoever applies it.

    `policy` is the digest of the policy's file, None for plans without one. `gate` is the target that must hold
    what goes, None where nothing is asked of a target.
    """

    plan: str
    kind: PlanKind
    source: str
    created: float
    limits: PlanLimits
    timing: Timing
    policy: Digest | None = None
    gate: str | None = None
    endpoint_url: str | None = None
    request_payer: bool = False


@dataclass(frozen=True, slots=True)
class TagDecision:
    """One tag, as its `ref.name` has it; `action` is KEEP, DELETE or ADD.

    `means` is the tag that it means, where only other annotations tell that.
    """

    tag: str
    digest: Digest
    action: CleanupAction
    reason: str
    means: str | None = None

    @property
    def meant(self) -> str | None:
        """The tag that it means, None where it means none."""
        if self.means is not None:
            return self.means
        try:
            return tag_of_ref_name(self.tag)
        except InvalidReferenceError:
            return None


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """An entry of `index.json`: its `ref.name` as it stands there, None without one, and what it describes.

    Of one that is to go, `is_demanded` says that somebody named it: it goes whatever it refers to. Of one that is to
    be put in, it says that an earlier index had it: it comes whatever else names its content. `written` is the digest
    of all that the entry says, its annotations with it; None stands for any.
    """

    tag: str | None
    descriptor: Descriptor
    is_demanded: bool = field(default=False, compare=False)
    written: Digest | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class BlobDecision:
    """One file below `blobs/`; `etag` is what the listing gave and changes with the content.

    `action` is KEEP, MARK or QUARANTINE. `since` is when it was first seen unreferenced, None before its mark. With
    `is_held_back` its wait is over, and `reason` says what keeps it from going.
    """

    digest: Digest
    size: int
    modified: float
    etag: str
    action: CleanupAction
    reason: str
    is_manifest: bool = False
    since: float | None = None
    is_held_back: bool = False


@dataclass(frozen=True, slots=True)
class QuarantineDecision:
    """One blob in the quarantine of `run` since `since`; `action` is KEEP, RESTORE or PURGE.

    `is_held_back` is as of a `BlobDecision`.
    """

    run: str
    digest: Digest
    size: int
    since: float
    action: CleanupAction
    reason: str
    is_held_back: bool = False


@dataclass(frozen=True, slots=True)
class FileDecision:
    """A leftover of a writer; `name` is below the layout, `mark` its ETag or the id of the upload.

    `action` is KEEP or DELETE.
    """

    kind: FileKind
    name: str
    size: int
    modified: float
    mark: str
    action: CleanupAction
    reason: str


@dataclass(frozen=True, slots=True)
class RepositoryPlan:
    """Everything about one layout. With `refused` set, nothing is done to it and the rest is empty.

    `etag` is the mark of the `index.json` that was decided on. `removals` are taken out of it and `additions`
    put in, exactly these pairs of tag and digest. `drop_layout` says that `oci-layout` and `index.json` go as
    well once the layout is empty: no entry, no blob, nothing in the quarantine. `is_gone` says that there is no
    layout any more, and that only its part of the quarantine is decided on.
    """

    path: str
    etag: str
    tags: tuple[TagDecision, ...] = ()
    removals: tuple[IndexEntry, ...] = ()
    additions: tuple[IndexEntry, ...] = ()
    blobs: tuple[BlobDecision, ...] = ()
    quarantined: tuple[QuarantineDecision, ...] = ()
    files: tuple[FileDecision, ...] = ()
    drop_layout: bool = False
    is_gone: bool = False
    findings: tuple[Finding, ...] = ()
    refused: Refusal | None = None

    @property
    def changes_index(self) -> bool:
        """Whether `index.json` is to be written anew."""
        return bool(self.removals or self.additions)

    def does(self, action: CleanupAction) -> bool:
        """Whether this becomes of any blob, in its place or in the quarantine, or of any leftover."""
        decided: Iterable[BlobDecision | QuarantineDecision | FileDecision]
        decided = chain(self.blobs, self.quarantined, self.files)
        return any(each.action is action for each in decided)

    @property
    def held_back(self) -> tuple[BlobDecision | QuarantineDecision, ...]:
        """What has waited long enough and does not go all the same."""
        blobs = (blob for blob in self.blobs if blob.is_held_back)
        return (*blobs, *(blob for blob in self.quarantined if blob.is_held_back))

    @property
    def takes_something(self) -> bool:
        """Whether applying it takes anything away; marks and what comes back from the quarantine take nothing."""
        takes = CleanupAction.QUARANTINE, CleanupAction.PURGE, CleanupAction.DELETE
        return bool(self.removals) or self.drop_layout or any(map(self.does, takes))


@dataclass(slots=True)
class PlanTotals:
    """Counts over the repositories of a plan.

    `bytes_now` come back when the plan is applied, `bytes_later` by later runs, after grace and quarantine.
    `bytes_held` have waited long enough and are held back (see `RepositoryPlan.held_back`); they are in none of the
    others.
    """

    repositories: int = 0
    refused: int = 0
    tags_kept: int = 0
    tags_deleted: int = 0
    tags_added: int = 0
    entries_removed: int = 0
    blobs_kept: int = 0
    blobs_marked: int = 0
    blobs_quarantined: int = 0
    blobs_restored: int = 0
    blobs_purged: int = 0
    files_deleted: int = 0
    layouts_dropped: int = 0
    bytes_kept: int = 0
    bytes_now: int = 0
    bytes_later: int = 0
    bytes_held: int = 0

    def add(self, other: PlanTotals) -> None:
        """Add the counts of `other` to these."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


@dataclass(frozen=True, slots=True)
class PlanFooter:
    """The last line of a plan: its counts, and which limits it goes beyond, a line each."""

    totals: PlanTotals = field(default_factory=PlanTotals)
    beyond_limits: tuple[str, ...] = ()
