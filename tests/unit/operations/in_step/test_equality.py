"""A moment at which both sides were equal is named only by a run that can stand for it."""

from collections.abc import Callable

import pytest

from tasks.oci.codes import Problem
from tasks.operations.choosing.selection import Selection
from tasks.operations.in_step.equality import Equality
from tasks.operations.reports.findings import NOTHING_CHOSEN
from tasks.operations.reports.progress import Progress
from tasks.operations.reports.results import Outcome, TagResult
from tasks.operations.reports.run_log import RunLog
from tasks.operations.source.split_source import SplitSource
from tasks.ports import Finding
from tasks.stop import Stop
from tests.support.memory_stores import MemorySource

MARKER, INDEX = b'{"imageLayoutVersion":"1.0.0"}', b'{"schemaVersion":2,"manifests":[]}'


class Nowhere:
    """Results are counted and not kept."""

    def record(self, result: TagResult) -> None:
        """See `Recorder.record`."""


def result(outcome: Outcome, code: str | None = None) -> TagResult:
    return TagResult("app", "v1", "sha256:0", None, None, outcome, code=code, message=code)


class World:
    """A source of two layouts whose indexes were read, and the log of a run over them."""

    def __init__(self) -> None:
        self.files = {f"{path}/{name}": raw for path in ("app", "web") for name, raw in FILES.items()}
        self.log = RunLog(Nowhere(), Progress(), Stop(), fail_fast=False)
        for path in ("app", "web"):
            self.log.note_index(path, MemorySource(self.files).read_index(path).etag)
        self.log.keep(result(Outcome.COPIED))

    def judged(
        self,
        *,
        complete: bool = True,
        unasked: bool = False,
        include: tuple[str, ...] = (),
        known: tuple[str, ...] = (),
    ) -> Equality:
        judged = Equality(MemorySource(self.files), Selection.parse(include, ()), self.log, lambda: known)
        assert judged.at is None, "before the end nothing is said"
        judged.settle(complete=complete, unasked=unasked)
        assert (judged.at is None) == (judged.reason is not None)
        return judged


FILES = {"oci-layout": MARKER, "index.json": INDEX}


def test_a_quiet_source_and_equal_tags_have_a_moment() -> None:
    world = World()
    world.log.keep(result(Outcome.UP_TO_DATE))
    assert world.judged().at is not None


def test_what_can_not_be_listed_is_told_by_the_run_and_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    listed = MemorySource.list_layouts
    closed = Finding("closed", "source_read", "no permission")
    monkeypatch.setattr(MemorySource, "list_layouts", lambda source: iter([*listed(source), closed]))
    assert world.judged().at is not None
    assert world.judged(complete=False).at is None


def changed(world: World) -> None:
    world.files["app/index.json"] = INDEX + b" "


def gone(world: World) -> None:
    del world.files["app/index.json"], world.files["app/oci-layout"]


def come(world: World) -> None:
    world.files |= {"new/oci-layout": MARKER, "new/index.json": INDEX}


def half_written(world: World) -> None:
    world.files.pop("app/index.json")


def back_again(world: World) -> None:
    """Another index in the middle of the run, and the first one in the end."""
    world.log.note_index("app", "another")
    world.log.note_index("app", MemorySource(world.files).read_index("app").etag)


@pytest.mark.parametrize("write", [changed, gone, come, half_written, back_again])
def test_a_writer_in_mid_run_takes_the_moment_away(write: Callable[[World], None]) -> None:
    world = World()
    write(world)
    assert "source" in (world.judged().reason or "")


def test_a_writer_to_what_was_not_chosen_does_not() -> None:
    world = World()
    come(world)
    assert world.judged(include=("app", "web")).at is not None


def test_a_conflict_that_was_skipped_is_no_equality() -> None:
    world = World()
    world.log.keep(result(Outcome.REFUSED, "conflict_skipped"))
    assert world.judged().reason == "1 of 2 tags are not equal"


def test_what_was_not_asked_or_not_whole_is_none_either() -> None:
    assert "not asked" in (World().judged(unasked=True).reason or "")
    assert World().judged(complete=False).at is None


def test_where_the_patterns_choose_nothing_nothing_is_equal() -> None:
    world = World()
    world.log = RunLog(Nowhere(), Progress(), Stop(), fail_fast=False)
    world.log.note(NOTHING_CHOSEN)
    assert world.judged(include=("nowhere",)).reason == "the patterns choose nothing"


def test_where_the_source_has_no_tag_nothing_is_equal() -> None:
    world = World()
    world.log = RunLog(Nowhere(), Progress(), Stop(), fail_fast=False)
    assert world.judged().reason == "no tag was chosen, so there was nothing to compare"
    assert world.judged(complete=False).reason == "the run was interrupted"


def test_what_a_list_names_and_the_source_lacks_is_told_from_what_could_not_be_read() -> None:
    world = World()
    world.log.note(Finding("app", Problem.MISSING_AT_SOURCE, "images.txt:2: the repository has no tag v9"))
    reason = world.judged(complete=False).reason
    assert reason == "the list of --tags-from has lines that find nothing at the source"


def test_what_else_is_wrong_is_named_by_its_codes_and_an_interruption_by_that() -> None:
    world = World()
    assert world.judged(complete=False).reason == "the run was interrupted"
    for code in ("tag_vanished", "manifest_refused", "content_not_found", "manifest_refused"):
        world.log.note(Finding("app", code, "said of a referrer"))
    reason = world.judged(complete=False).reason
    assert reason == "something besides the tags has a problem (content_not_found, manifest_refused)"


def test_findings_of_other_kinds_do_not_matter() -> None:
    world = World()
    world.log.note(Finding("app", "tag_vanished", "v0"))
    assert world.judged().at is not None


@pytest.mark.parametrize("known", ["team", "team/web"])
def test_a_layout_that_lay_in_a_folder_that_is_empty_now_takes_the_moment_away(known: str) -> None:
    world = World()
    world.log.note(Finding("team", "empty_folder", "there is nothing in this folder"))
    assert "'team' is empty" in (world.judged(known=("app", known)).reason or "")
    assert world.judged(known=("app", "teams", "other/team")).at is not None, "it never held anything"
    assert world.judged(known=(known,), include=("app", "web")).at is not None, "it was not chosen"


def test_very_many_layouts_are_looked_up_among_very_many_empty_folders() -> None:
    """Compared each with each, these would take minutes."""
    world = World()
    for i in range(10_000):
        world.log.note(Finding(f"empty/{i}", "empty_folder", "there is nothing in this folder"))
    known = tuple(f"team/platform/service-{i}" for i in range(20_000))
    assert world.judged(known=known).at is not None
    assert "'empty/77' is empty" in (world.judged(known=(*known, "empty/77/app")).reason or "")


@pytest.mark.parametrize("left", ["team/web", "team/web/blobs/sha256"])
def test_a_layout_of_which_only_files_or_blobs_are_left_takes_the_moment_away(left: str) -> None:
    world = World()
    world.log.note(Finding(left, "not_a_layout", "3 files that belong to no layout"))
    assert "'team/web', a layout in an earlier run" in (world.judged(known=("app", "team/web")).reason or "")
    assert world.judged(known=("app", "team", "team/web/blobs")).at is not None, "it never was a layout"
    assert world.judged(known=("team/web",), include=("app", "web")).at is not None, "it was not chosen"


def test_files_below_a_layout_that_is_there_leave_the_moment() -> None:
    world = World()
    world.log.note(Finding("web/blobs/team/notes", "not_a_layout", "a file that belongs to no layout"))
    assert world.judged(known=("app", "web")).at is not None


@pytest.mark.parametrize(("left", "is_named"), [("dump/blobs/sha256", False), ("notes", True)])
def test_blobs_of_any_layout_may_be_those_of_a_repository_that_a_split_source_had(left: str, is_named: bool) -> None:
    world = World()
    world.log.note(Finding(left, "not_a_layout", "3 files that belong to no layout"))

    def judged(*known: str) -> str | None:
        source = SplitSource(MemorySource(world.files), Stop())
        judged = Equality(source, Selection.parse((), ()), world.log, lambda: known)
        judged.settle(complete=True)
        return judged.reason

    assert judged("app", "web") is None, "nothing is missing"
    assert (judged("app", "library/alpine") is None) == is_named


def test_a_folder_that_is_empty_now_may_have_held_the_layout_of_any_repository_of_a_split_source() -> None:
    world = World()
    world.log.note(Finding("mounted", "empty_folder", "there is nothing in this folder"))

    def judged(*known: str, include: tuple[str, ...] = ()) -> str | None:
        source = SplitSource(MemorySource(world.files), Stop())
        judged = Equality(source, Selection.parse(include, ()), world.log, lambda: known)
        judged.settle(complete=True)
        return judged.reason

    assert judged("app", "web") is None, "nothing is missing"
    assert "'mounted' is empty, and an earlier run found layouts that are gone" in (
        judged("app", "web", "library/alpine") or ""
    )
    assert judged("app", "web", "library/alpine", include=("app", "web")) is None, "it was not chosen"
