"""A blob goes only when everything says so, and what lacks a time, a policy or a wait that is over stays."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tasks.file_ports import StoredFile, UnfinishedUpload
from tasks.oci.digest import Digest
from tasks.operations.cleanup.deciding.blob_decisions import (
    BlobRules,
    decide_blobs,
    decide_files,
    decide_quarantined,
    decide_unneeded,
    hidden_of,
    spare,
)
from tasks.operations.cleanup.deciding.entry_decisions import EntryDecisions
from tasks.operations.cleanup.layout.layout_view import LayoutView
from tasks.operations.cleanup.records.holdings import HeldBlob
from tasks.operations.cleanup.records.marks import Mark
from tasks.operations.cleanup.values import CleanupAction, FileKind, Timing
from tests.support.planned_layout import APP, DAY, NOW

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tasks.operations.cleanup.values import BlobDecision

BLOB, OTHER = Digest.of(b"blob"), Digest.of(b"other")
RULES = BlobRules(NOW, Timing(DAY, DAY), DAY, DAY)
FILE = StoredFile("blob", 4, NOW - 50 * DAY, "e")


def view(path: str = APP, *begun: StoredFile, uploads: Iterable[UnfinishedUpload] = ()) -> LayoutView:
    return LayoutView(path, "e", (), {BLOB: FILE}, begun, tuple(uploads))


def entries(needed: Iterable[Digest] = (), before: Iterable[Digest] = ()) -> EntryDecisions:
    return EntryDecisions((), dict.fromkeys(needed, "v1"), dict.fromkeys(before, "v1"))


def decided(mark: Mark | None, found: EntryDecisions, rules: BlobRules = RULES) -> BlobDecision:
    [decision] = decide_blobs(view(), found, {BLOB: mark} if mark else {}, {BLOB}, rules)
    return decision


def test_a_blob_whose_entry_goes_just_now_is_marked_anew_whatever_mark_it_has() -> None:
    """Somebody may still count on it: its wait begins when nothing names it any more."""
    decision = decided(Mark.of(FILE, NOW - 40 * DAY), entries(before=[BLOB]))
    assert (decision.action, decision.since) == (CleanupAction.MARK, None)
    assert decided(Mark.of(FILE, NOW - 40 * DAY), entries()).action is CleanupAction.QUARANTINE


@pytest.mark.parametrize("since", [NOW + 1, FILE.modified - 1])
def test_a_mark_of_the_future_or_from_before_its_file_is_void(since: float) -> None:
    decision = decided(Mark.of(FILE, since), entries(), replace(RULES, timing=Timing(0.0, 0.0)))
    assert (decision.action, decision.since) == (CleanupAction.MARK, None)


def test_a_blob_says_why_it_still_waits() -> None:
    mark = Mark.of(FILE, NOW - DAY + 1)
    assert "not yet for 1d" in decided(mark, entries()).reason
    assert "policy" in decided(mark, entries(), replace(RULES, sweeps=False)).reason
    assert decided(mark, entries()).is_manifest


def held(digest: Digest = BLOB, since: float = NOW - DAY, run: str = "run-0") -> HeldBlob:
    return HeldBlob(run, APP, digest, FILE, since, "trash")


@pytest.mark.parametrize("found", [entries(needed=[OTHER]), entries(before=[OTHER])])
def test_what_the_index_names_and_the_layout_lacks_comes_back(found: EntryDecisions) -> None:
    decisions = list(decide_quarantined([held(OTHER), held(BLOB)], view(), found, RULES))
    assert [each.action for each in decisions] == [CleanupAction.RESTORE, CleanupAction.PURGE]


def test_what_the_layout_has_is_not_needed_from_the_quarantine() -> None:
    [decision] = decide_quarantined([held()], view(), entries(needed=[BLOB]), RULES)
    assert decision.action is CleanupAction.PURGE


def test_the_quarantine_is_left_when_the_hold_is_over_and_not_before() -> None:
    actions = [decide_unneeded(held(since=since), RULES).action for since in (NOW - DAY + 1, NOW - DAY)]
    assert actions == [CleanupAction.KEEP, CleanupAction.PURGE]
    assert decide_unneeded(held(), replace(RULES, sweeps=False)).action is CleanupAction.KEEP


def test_what_is_protected_and_in_the_layout_is_not_hidden() -> None:
    twice = [held(OTHER, run="run-0"), held(OTHER, run="run-1"), held(BLOB)]
    assert hidden_of({BLOB, OTHER}, twice, {BLOB}) == {OTHER: "run-1"}
    assert hidden_of({BLOB}, twice, {BLOB}) == {}


def test_only_purges_are_spared_and_they_say_why() -> None:
    restored = list(decide_quarantined([held(OTHER), held(BLOB)], view(), entries(needed=[OTHER]), RULES))
    kept = spare(restored, {OTHER})
    assert [each.action for each in kept] == [CleanupAction.RESTORE, CleanupAction.KEEP]
    assert kept[0] == restored[0]
    assert OTHER in kept[1].reason


TIMES = [NOW - DAY + 1, NOW - DAY, 0.0, NOW + DAY]
FATES = [CleanupAction.KEEP, CleanupAction.DELETE, CleanupAction.KEEP, CleanupAction.KEEP]


@pytest.mark.parametrize("path", [APP, "."])
def test_leftovers_go_when_they_are_old_enough_by_the_time_of_their_kind(path: str) -> None:
    below = "" if path == "." else f"{path}/"
    files = [StoredFile(f"{below}ingest/{time}", 7, time, "e") for time in TIMES]
    uploads = [UnfinishedUpload(f"{below}blobs/{time}", "id", time) for time in TIMES]
    decisions = list(decide_files(view(path, *files, uploads=uploads), RULES))
    assert [each.action for each in decisions] == [*FATES, *FATES]
    assert [(each.kind, each.name, each.size) for each in (decisions[0], decisions[-1])] == [
        (FileKind.INGEST, f"ingest/{TIMES[0]}", 7),
        (FileKind.UPLOAD, f"blobs/{TIMES[-1]}", 0),
    ]
    patient = replace(RULES, multipart_after=100 * DAY)
    assert [each.action for each in decide_files(view(path, uploads=uploads), patient)] == [CleanupAction.KEEP] * 4


def test_leftovers_stay_where_no_policy_says_for_how_long() -> None:
    upload = UnfinishedUpload(f"{APP}/blobs/x", "id", NOW - 50 * DAY)
    [decision] = decide_files(view(uploads=[upload]), replace(RULES, sweeps=False))
    assert decision.action is CleanupAction.KEEP
    assert "policy" in decision.reason
