"""What a run finds at its end: whether the patterns chose anything at all, and which of them fit nothing."""

from dataclasses import replace
from typing import Any

import pytest

from tasks.choosing_options import ChoosingOptions
from tasks.ledger.ledger import Ledger
from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.media_types import IMAGE_MANIFEST
from tasks.oci.reference import TargetAddress
from tasks.operations.choosing.by_age import Ages
from tasks.operations.choosing.fitting_patterns import FittingPatterns
from tasks.operations.choosing.selection import Renames, Selection
from tasks.operations.in_step.vanished import DeletionLimits
from tasks.operations.reports.findings import NOTHING_CHOSEN
from tasks.operations.reports.progress import Progress
from tasks.operations.reports.results import Outcome, RepositoryInventory, TagEntry, TagResult
from tasks.operations.reports.run_log import RunLog
from tasks.operations.running.source_survey import RunJob
from tasks.operations.work.planning import CopyPolicy
from tasks.ports import Finding, Shard
from tasks.run_ends import RunEnds
from tasks.run_options import RunKind, RunOptions
from tasks.stop import Stop
from tests.support.engine import MemoryLines
from tests.support.memory_stores import MemorySource, MemoryTarget

COPIED = TagResult("app", "v1", "sha256:0", None, None, Outcome.COPIED)
GONE = Finding("app", "layout_vanished", "the source has it no more")
STRAY = Finding("notes", "not_a_layout", "files")
DIGEST = f"sha256:{'0' * 64}"
PART = Shard("run", 1, ("app",))
BY_AGE = Selection.parse(ages=Ages(60.0, None, 1_000.0))
INVENTORY = RepositoryInventory("app", "etag", (TagEntry("v1", Descriptor(IMAGE_MANIFEST, Digest.of(b"one"), 1)),))


class Nowhere:
    """Results are counted and not kept."""

    def record(self, result: TagResult) -> None:
        """See `Recorder.record`."""


def judged(
    *patterns: str,
    layouts: tuple[str, ...] = ("app",),
    exclude: tuple[str, ...] = (),
    untagged: tuple[str, ...] = (),
    found: tuple[TagResult | Finding, ...] = (),
    kind: RunKind = RunKind.MIGRATE,
    shard: Shard | None = None,
    complete: bool = True,
) -> tuple[bool, str | None]:
    """Whether nothing was chosen, and why no moment is named, at the end of a run over `layouts`."""
    log, ends = ended(
        *patterns,
        layouts=layouts,
        exclude=exclude,
        untagged=untagged,
        found=found,
        kind=kind,
        shard=shard,
        complete=complete,
    )
    return NOTHING_CHOSEN in log.findings, ends.equality.reason


def ended(
    *patterns: str,
    layouts: tuple[str, ...] = ("app",),
    exclude: tuple[str, ...] = (),
    untagged: tuple[str, ...] = (),
    found: tuple[TagResult | Finding, ...] = (),
    fitting: tuple[str, ...] = (),
    stopped: bool = False,
    kind: RunKind = RunKind.MIGRATE,
    shard: Shard | None = None,
    complete: bool = True,
) -> tuple[RunLog, RunEnds]:
    """The log of a run over `layouts`, at its end."""
    stop = Stop()
    log = RunLog(Nowhere(), Progress(), stop, fail_fast=False)
    selection = Selection.parse(patterns, exclude)
    fits, source = FittingPatterns(selection), MemorySource({})
    fits.absorb(fitting)
    job = RunJob(TargetAddress.parse("registry.example"), "root", CopyPolicy(), selection, Renames.parse())
    options = RunOptions("/source", None, choosing=ChoosingOptions(patterns), shard=shard)
    ledger = Ledger(MemoryLines())
    ends = RunEnds(kind, source, None, ledger, job=job, log=log, fitting=fits, options=options, stop=stop)
    ends.begin({path: path for path in layouts}, untagged)
    for each in found:
        log.keep(each) if isinstance(each, TagResult) else log.note(each)
    if stopped:
        stop.set()
    ends.settle(complete=complete)
    return log, ends


def unused(*patterns: str, **course: Any) -> list[str]:
    """The patterns that are said to fit nothing."""
    log, _ = ended(*patterns, **course)
    return [finding.path for finding in log.findings if finding.code == "include_unused"]


@pytest.mark.parametrize("kind", RunKind)
def test_a_pattern_that_fits_nothing_beside_one_that_does_is_said_and_no_problem(kind: RunKind) -> None:
    log, _ = ended("app", "taem/**", fitting=("app",), found=(COPIED,), kind=kind)
    (found,) = log.findings
    assert (found.path, found.code) == ("taem/**", "include_unused")
    assert log.progress.totals.complete


def test_what_a_pattern_fits_is_left_open_where_it_may_be_what_was_not_read() -> None:
    both = {"fitting": ("app",), "found": (COPIED,)}
    assert unused("app", "app:v7", "**:v8", **both) == ["app:v7", "**:v8"]
    broken = Finding("other", "invalid_layout", "its index is cut off")
    assert unused("app", "app:v7", "**:v8", fitting=("app",), found=(COPIED, broken), complete=False) == ["app:v7"]
    assert unused("app", "app:v7", fitting=("app",), found=(COPIED, GONE)) == []
    assert unused("app", "taem", stopped=True, complete=False, **both) == []
    assert unused("app", "taem", shard=PART, **both) == []
    assert unused("taem", "other", layouts=()) == [], "that nothing was chosen is said once, for all of them"


@pytest.mark.parametrize("kind", RunKind)
def test_patterns_that_fit_nothing_are_a_problem_of_every_run(kind: RunKind) -> None:
    assert judged("taem/**", layouts=(), kind=kind)[0]
    assert judged("app:v7", found=(STRAY,), kind=kind)[0]
    assert judged(exclude=(":*",), kind=kind)[0]


@pytest.mark.parametrize("kind", RunKind)
def test_that_nothing_has_the_age_that_is_asked_for_is_said_and_no_problem(kind: RunKind) -> None:
    """A week without a push is no mistyped pattern; and what fits nothing beside it is named."""
    fits = FittingPatterns(BY_AGE)
    fits.see_chosen(INVENTORY, [])
    left = (*fits.names, "app:v*")
    for patterns in (("app:v*",), ("app:v*", "taem/**")):
        log, ends = ended(*patterns, fitting=left, kind=kind)
        assert {finding.code for finding in log.findings} - {"include_unused"} == {"none_of_age"}
        assert log.progress.totals.complete
        assert unused(*patterns, fitting=left) == list(patterns[1:])
        assert ends.equality.at is None, "two sides of nothing are equal whatever the age was to be"
    log, _ = ended("app:v*", fitting=left, found=(COPIED,), kind=kind)
    assert log.findings == [], "where others have it, there is something to see"
    log, _ = ended("app:v*", fitting=left, shard=PART, kind=kind)
    assert log.findings == [], "the whole run says so"


def test_what_is_left_for_its_age_is_what_the_patterns_choose() -> None:
    others = replace(BY_AGE, include=Selection.parse(["app:w*"]).include)
    for selection, chosen in ((BY_AGE, INVENTORY.tags), (Selection.parse(), ()), (others, ())):
        fits = FittingPatterns(selection)
        fits.see_chosen(INVENTORY, chosen)
        assert not fits.left_by_age


def test_nothing_equals_nothing_at_no_moment() -> None:
    assert judged("taem/**", layouts=())[1] == "the patterns choose nothing"


@pytest.mark.parametrize(
    "found",
    [
        judged(),
        judged("app"),
        judged(exclude=(":*",), untagged=("app",)),
        judged(exclude=("other:*",)),
        judged("app:v1", found=(COPIED,)),
        judged("app:v1", found=(GONE,)),
        judged("app:v1", shard=PART),
        judged("app:v1", complete=False),
    ],
    ids=[
        "no pattern",
        "a layout",
        "a layout without tags",
        "others left out",
        "a tag",
        "gone since",
        "a part of a run",
        "not to the end",
    ],
)
def test_what_chose_something_or_did_not_end_is_no_such_problem(found: tuple[bool, str | None]) -> None:
    assert not found[0]


@pytest.mark.parametrize(
    ("kind", "limits", "brought", "shard", "deletes"),
    [
        (RunKind.MIGRATE, DeletionLimits(100, 100.0), "gone", None, True),
        (RunKind.MIGRATE, DeletionLimits(100, 100.0), "app", None, False),
        (RunKind.MIGRATE, None, "gone", None, False),
        (RunKind.PLAN, DeletionLimits(100, 100.0), "gone", None, False),
        (RunKind.MIGRATE, DeletionLimits(100, 100.0), "gone", PART, False),
    ],
    ids=["vanished", "still there", "may delete nothing", "only a plan", "a part of a run"],
)
def test_only_a_migration_that_is_to_delete_something_has_to_wait_for_that(
    kind: RunKind, limits: DeletionLimits | None, brought: str, shard: Shard | None, deletes: bool
) -> None:
    index = b'{"schemaVersion":2,"manifests":[{"mediaType":"m","size":2,"digest":"%s",'
    index += b'"annotations":{"org.opencontainers.image.ref.name":"v1"}}]}'
    files = {"app/oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "app/index.json": index % DIGEST.encode()}
    ledger = Ledger(MemoryLines())
    for known in ("app", brought):
        ledger.note_layout(known, known, "", "settings")
    ledger.note_tag(brought, "v1", DIGEST, "manifest", 0, layout=brought)
    stop = Stop()
    log = RunLog(Nowhere(), Progress(), stop, fail_fast=False)
    job = RunJob(TargetAddress.parse("registry.example"), "root", CopyPolicy(), Selection.parse(), Renames.parse())
    options = RunOptions("/source", None, deletion=limits, shard=shard)
    fits, source = FittingPatterns(job.selection), MemorySource(files)
    ends = RunEnds(kind, source, MemoryTarget(), ledger, job=job, log=log, fitting=fits, options=options, stop=stop)
    ends.begin({"app": "app"}, {"app": 1})
    assert ends.deletes is deletes


def test_a_layout_that_is_not_chosen_or_came_during_the_run_keeps_the_tags_of_the_repository_that_it_goes_to() -> (
    None
):
    index = b'{"schemaVersion":2,"manifests":[{"mediaType":"m","size":2,"digest":"%s",'
    index += b'"annotations":{"org.opencontainers.image.ref.name":"v1"}}]}'
    files = {"moved/oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "moved/index.json": index % DIGEST.encode()}
    ledger = Ledger(MemoryLines())
    ledger.note_layout("app", "app", "", "settings")
    ledger.note_tag("app", "v1", DIGEST, "manifest", 0, layout="app")
    stop = Stop()
    log = RunLog(Nowhere(), Progress(), stop, fail_fast=False)
    selection, renames = Selection.parse(("app",)), Renames.parse(("moved=app",))
    job = RunJob(TargetAddress.parse("registry.example"), "root", CopyPolicy(), selection, renames)
    options = RunOptions("/source", None, deletion=DeletionLimits(None, None))
    kind, fits, source = RunKind.MIGRATE, FittingPatterns(selection), MemorySource(files)
    ends = RunEnds(kind, source, MemoryTarget(), ledger, job=job, log=log, fitting=fits, options=options, stop=stop)
    ends.begin({}, {})
    assert not ends.deletes
