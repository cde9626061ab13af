"""What becomes of the files of a layout, once it is known what stays. Pure.

A blob goes in three steps, each in a run of its own: it is marked when nothing names it any more, leaves the
layout when its mark is older than the grace time, and leaves the quarantine when it was there long enough. A mark
is void once the blob was named again or written anew.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tasks.operations.choosing.ages import credible_time
from tasks.operations.cleanup.deciding.retention import human_duration
from tasks.operations.cleanup.values import (
    BlobDecision,
    CleanupAction,
    FileDecision,
    FileKind,
    QuarantineDecision,
    Timing,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence

    from tasks.file_ports import StoredFile
    from tasks.oci.digest import Digest
    from tasks.operations.cleanup.deciding.entry_decisions import EntryDecisions
    from tasks.operations.cleanup.layout.layout_view import LayoutView
    from tasks.operations.cleanup.records.holdings import HeldBlob
    from tasks.operations.cleanup.records.marks import Mark

_NO_AGE = "its age is not known"
_NO_POLICY = "for how long is a policy's to say"


@dataclass(frozen=True, slots=True)
class BlobRules:
    """How long things wait, in seconds, and what time it is.

    Without a policy nobody has said how long. Then nothing `sweeps`: blobs stay where they are, in the layout or
    in the quarantine, and so do leftovers of writers.
    """

    now: float
    timing: Timing
    ingest_after: float
    multipart_after: float
    sweeps: bool = True


def decide_blobs(
    view: LayoutView,
    entries: EntryDecisions,
    marks: Mapping[Digest, Mark],
    manifests: Container[Digest],
    rules: BlobRules,
) -> Iterator[BlobDecision]:
    """The decision on every blob of the layout, in the order of their digests."""
    for digest, file in sorted(view.blobs.items()):
        action, reason, since = _fate(digest, file, entries, marks.get(digest), rules)
        yield BlobDecision(
            digest, file.size, file.modified, file.etag, action, reason, digest in manifests, since=since
        )


def _fate(
    digest: Digest, file: StoredFile, entries: EntryDecisions, known: Mark | None, rules: BlobRules
) -> tuple[CleanupAction, str, float | None]:
    if digest in entries.needed:
        return CleanupAction.KEEP, f"needed by {entries.needed[digest]}", None
    if credible_time(file.modified, rules.now) is None:
        return CleanupAction.KEEP, _NO_AGE, None
    if digest in entries.before:
        return CleanupAction.MARK, f"needed by {entries.before[digest]} alone, which goes", None
    if known is None or not _holds(known, file, rules.now):
        return CleanupAction.MARK, "nothing names it", None
    waited, grace = rules.now - known.since, human_duration(rules.timing.grace)
    if not rules.sweeps or waited < rules.timing.grace:
        so_far = f"not yet for {grace}" if rules.sweeps else _NO_POLICY
        return CleanupAction.MARK, f"nothing names it, but {so_far}", known.since
    return CleanupAction.QUARANTINE, f"nothing has named it for {grace}", known.since


def leave_unmarked(
    decisions: Iterable[BlobDecision], entries: EntryDecisions, marks: Container[Digest]
) -> Iterator[BlobDecision]:
    """The decisions where only something named is to go: all else that nothing names is not marked on that word."""
    for each in decisions:
        if each.action is CleanupAction.MARK and each.digest not in entries.before and each.digest not in marks:
            yield replace(each, action=CleanupAction.KEEP, reason="nothing names it; a policy's run marks it")
        else:
            yield each


def _holds(known: Mark, file: StoredFile, now: float) -> bool:
    """A mark holds for the file that was marked; one that is newer than its mark is another."""
    return known.is_of(file) and file.modified <= known.since <= now


def decide_quarantined(
    held: Iterable[HeldBlob], view: LayoutView, entries: EntryDecisions, rules: BlobRules
) -> Iterator[QuarantineDecision]:
    """The decision on every blob of the layout that is in the quarantine."""
    for blob in held:
        named = blob.digest in entries.needed or blob.digest in entries.before
        if named and blob.digest not in view.blobs:
            reason = "the index names it, and the layout lacks it"
            yield QuarantineDecision(blob.run, blob.digest, blob.size, blob.since, CleanupAction.RESTORE, reason)
        else:
            yield decide_unneeded(blob, rules)


def decide_unneeded(blob: HeldBlob, rules: BlobRules) -> QuarantineDecision:
    """The decision on a blob in the quarantine that nobody needs from there."""
    hold = human_duration(rules.timing.hold)
    if not rules.sweeps:
        action, reason = CleanupAction.KEEP, f"in the quarantine, {_NO_POLICY}"
    elif rules.now - blob.since >= rules.timing.hold:
        action, reason = CleanupAction.PURGE, f"in the quarantine for {hold}"
    else:
        action, reason = CleanupAction.KEEP, f"in the quarantine, but not yet for {hold}"
    return QuarantineDecision(blob.run, blob.digest, blob.size, blob.since, action, reason)


def hidden_of(wanted: Collection[Digest], held: Iterable[HeldBlob], blobs: Container[Digest]) -> Mapping[Digest, str]:
    """What of the `wanted` is nowhere but in the quarantine, each with the run that hid it last."""
    return {blob.digest: blob.run for blob in held if blob.digest in wanted and blob.digest not in blobs}


def spare(decisions: Sequence[QuarantineDecision], protected: Collection[Digest]) -> tuple[QuarantineDecision, ...]:
    """The decisions, but nothing is purged while something `protected` is hidden: nobody reads what it needs."""
    if not protected:
        return tuple(decisions)
    reason = f"{min(protected)} is in the quarantine and protected, and may need it"
    return tuple(
        replace(each, action=CleanupAction.KEEP, reason=reason, is_held_back=True)
        if each.action is CleanupAction.PURGE
        else each
        for each in decisions
    )


def decide_files(view: LayoutView, rules: BlobRules) -> Iterator[FileDecision]:
    """The decision on everything that writers began and may never end."""
    for file in view.begun:
        action, reason = _leftover(file.modified, rules.ingest_after, rules)
        name = _inside(view.path, file.path)
        yield FileDecision(FileKind.INGEST, name, file.size, file.modified, file.etag, action, reason)
    for upload in view.uploads:
        action, reason = _leftover(upload.begun, rules.multipart_after, rules)
        name = _inside(view.path, upload.path)
        yield FileDecision(FileKind.UPLOAD, name, 0, upload.begun, upload.upload, action, reason)


def _leftover(begun: float, after: float, rules: BlobRules) -> tuple[CleanupAction, str]:
    if not rules.sweeps:
        return CleanupAction.KEEP, f"a writer may still be at it, {_NO_POLICY}"
    if credible_time(begun, rules.now) is None:
        return CleanupAction.KEEP, _NO_AGE
    if rules.now - begun < after:
        return CleanupAction.KEEP, f"a writer may still be at it, for it is not {human_duration(after)} old"
    return CleanupAction.DELETE, f"begun more than {human_duration(after)} ago and never ended"


def _inside(path: str, file: str) -> str:
    return file if path == "." else file.removeprefix(f"{path}/")
