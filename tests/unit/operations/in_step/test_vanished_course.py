"""What a run takes off its target at its end, and what it remembers of the layouts that stay."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from tasks.ledger.ledger import Ledger
from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import (
    LayoutliftError,
    RegistryError,
    SourceReadError,
    TargetUnavailableError,
    TooManyVanishedError,
)
from tasks.oci.media_types import IMAGE_INDEX
from tasks.oci.reference import referrers_tag
from tasks.operations.choosing.selection import Selection
from tasks.operations.in_step import vanished_course
from tasks.operations.in_step.stand_ins import Empty, new_stand_in
from tasks.operations.in_step.vanished import DeletionLimits
from tasks.operations.in_step.vanished_course import VanishedCourse
from tasks.operations.in_step.vanished_search import VanishedSearch
from tasks.operations.reports.progress import Progress
from tasks.operations.reports.run_log import RunLog
from tasks.ports import BlobContent, BlobStat, Finding, RemoteManifest
from tasks.registry_ports import Deletion
from tasks.stop import Stop
from tasks.stores.directory.layout_directory import LayoutDirectory
from tests.support.engine import MemoryLines
from tests.support.forgetting_target import ForgettingTarget
from tests.support.layouts import LayoutBuilder
from tests.support.memory_stores import MemoryTarget

MANIFEST = RemoteManifest(b'{"schemaVersion":2,"manifests":[]}', IMAGE_INDEX)

NO_LIMITS = DeletionLimits(None, None)


class Nowhere:
    """Results are counted and not kept."""

    def record(self, result: object) -> None:
        """See `Recorder.record`."""


class World:
    """A source with one layout, `app`, and what earlier runs brought to the target."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.source = LayoutDirectory(root)
        layout = LayoutBuilder(root / "app")
        layout.image("stays", layers=[b"stays"])
        layout.write()
        self.target, self.lines = MemoryTarget(), MemoryLines()
        self.place_of: Callable[[str], str] = lambda path: path
        self.stop = Stop()
        self.waits: list[Callable[[], bool]] = []
        """What happens before the tags but the first, as long as there is anything."""
        self.is_held = False

    def wait(self) -> bool:
        return self.waits.pop(0)() if self.waits else False

    def brought(
        self,
        layout: str,
        *tags: str,
        found: bool = False,
        is_whole: bool = True,
        manifest: RemoteManifest = MANIFEST,
    ) -> None:
        """Have had a run bring tags, which came to its end if `is_whole`."""
        ledger = Ledger(self.lines)
        for tag in tags:
            self.target.push_manifest(layout, tag, manifest)
            ledger.note_tag(layout, tag, Digest.of(manifest.raw), "manifest", 0, layout=layout, found=found)
        if is_whole:
            ledger.note_layout(layout, layout, "etag", "settings")

    def course(self, limits: DeletionLimits = NO_LIMITS) -> VanishedCourse:
        self.log = RunLog(Nowhere(), Progress(), self.stop, fail_fast=False)
        self.ledger = Ledger(self.lines)
        return VanishedCourse(
            self.search(),
            self.target,
            self.ledger,
            log=self.log,
            limits=limits,
            wait=self.wait,
            is_held=lambda: self.is_held,
        )

    def search(self) -> VanishedSearch:
        ledger = Ledger(self.lines)
        return VanishedSearch(self.source, ledger, Selection.parse(), self.place_of, self.stop, marked=lambda _: ())

    def deleted(
        self, *, complete: bool = True, meanwhile: Callable[[], object] = lambda: None
    ) -> list[tuple[str, str]]:
        """Path and code of each finding of a run that may delete everything; `meanwhile` is what others do."""
        course = self.course()
        course.begin({"app": "app"}, only_plan=False)
        meanwhile()
        course.settle(complete=complete)
        return self.found

    @property
    def found(self) -> list[tuple[str, str]]:
        return [(finding.path, finding.code) for finding in self.log.findings]

    @property
    def layouts(self) -> list[str]:
        return Ledger(self.lines).layouts()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_layout_that_stays_is_remembered_whatever_tags_went(world: World) -> None:
    world.brought("app", "stays", found=True)
    world.brought("app", "goes")
    assert world.deleted() == [("app", "tag_deleted")]
    assert world.layouts == ["app"]


def test_a_layout_that_is_gone_is_forgotten_with_its_last_tag(world: World) -> None:
    world.brought("app", "stays")
    world.brought("gone", "v1", "v2")
    assert world.deleted() == [("gone", "tag_deleted")] * 2
    assert world.layouts == ["app"]


def lose_the_tags_of_one_that_goes_later(world: World) -> None:
    world.brought("app", "stays")
    world.brought("gone", "v1")
    layout = LayoutBuilder(world.root / "gone")
    layout.write()
    course = world.course()
    course.begin({"app": "app", "gone": "gone"}, only_plan=False)
    course.settle(complete=True)
    assert (world.found, world.layouts) == ([("gone", "tag_deleted")], ["app", "gone"])
    shutil.rmtree(layout.path)


def test_a_layout_that_lost_its_tags_before_it_went_is_forgotten_by_the_next_complete_run(world: World) -> None:
    """Else each later run would ask for it."""
    lose_the_tags_of_one_that_goes_later(world)
    world.course().begin({"app": "app"}, only_plan=True)
    assert world.deleted(complete=False) == []
    assert world.layouts == ["app", "gone"]
    world.brought("kept", "v1", found=True)
    assert world.deleted() == []
    assert world.layouts == ["app"]


def test_a_layout_that_lost_its_tags_is_forgotten_beside_others_that_lose_theirs(world: World) -> None:
    lose_the_tags_of_one_that_goes_later(world)
    world.brought("app", "goes")
    assert world.deleted() == [("app", "tag_deleted")]
    assert world.layouts == ["app"]


def test_of_another_source_no_layout_is_forgotten(world: World) -> None:
    world.brought("kept", "v1", found=True)
    assert world.deleted() == []
    assert world.layouts == ["kept"]


def test_lists_of_referrers_are_no_tags_of_which_a_part_may_go(world: World) -> None:
    world.brought("app", "v1", "v2")
    world.brought("app", *(referrers_tag(Digest.of(bytes([number]))) for number in range(9)), found=True)
    assert world.search().brought({"app": "app"}) == 2


def test_what_has_its_own_digest_for_a_tag_is_one_of_which_a_part_may_go(world: World) -> None:
    world.brought("app", referrers_tag(Digest.of(MANIFEST.raw)))
    assert world.search().brought({"app": "app"}) == 1
    assert world.deleted() == [("app", "tag_deleted")]


def test_a_note_in_the_root_of_the_source_keeps_no_tag_from_going(world: World) -> None:
    world.brought("app", "stays")
    world.brought("gone", "v1")
    (world.root / "README").write_bytes(b"what this bucket is for")
    assert world.deleted() == [("gone", "tag_deleted")]


def test_a_layout_of_which_blobs_are_left_keeps_its_tags(world: World) -> None:
    world.brought("gone", "v1")
    blob = world.root / "gone" / "blobs" / "sha256" / Digest.of(b"x").encoded
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"x")
    assert world.deleted() == []
    assert world.target.list_tags("gone") == {"v1"}


class ListsLess(LayoutDirectory):
    """A source whose listings, one after the other, are `whole` or lack the layout at `path`."""

    def __init__(self, root: Path, path: str, *whole: bool) -> None:
        super().__init__(root)
        self._path, self._whole = path, list(whole)

    def list_layouts(self) -> Iterator[str | Finding]:
        whole = self._whole.pop(0)
        return (each for each in super().list_layouts() if whole or each != self._path)


@pytest.mark.parametrize("is_whole", [(False, True), (True, False), (False, False)])
def test_a_listing_that_lacks_a_layout_which_is_there_deletes_nothing(
    world: World, is_whole: tuple[bool, ...]
) -> None:
    world.brought("app", "goes")
    world.brought("there", "v1")
    layout = LayoutBuilder(world.root / "there")
    layout.image("v1", layers=[b"there"])
    layout.write()
    world.source = ListsLess(world.root, "there", *is_whole)
    course = world.course()
    course.begin({"app": "app", "there": "there"}, only_plan=False)
    course.settle(complete=not world.found)
    assert world.found == [("there", "layout_hidden"), (".", "not_deleted")]
    assert world.target.list_tags("app") == {"goes"}
    assert world.target.list_tags("there") == {"v1"}


def test_a_layout_that_no_search_looks_into_keeps_nothing_else_from_going(world: World) -> None:
    """What a zot that was killed had fetched, and an earlier version had migrated; it goes once it is removed."""
    fetched = "app/.sync/0b9c7a52-1111-4222-8333-444455556666/app"
    world.brought("app", "goes")
    world.brought(fetched, "v1")
    layout = LayoutBuilder(world.root / fetched)
    layout.image("v1", layers=[b"fetched"])
    layout.write()
    assert world.deleted() == [("app", "tag_deleted")]
    assert world.target.list_tags(fetched) == {"v1"}
    shutil.rmtree(world.root / "app" / ".sync")
    assert world.deleted() == [(fetched, "tag_deleted")]


def hidden(world: World) -> None:
    """A layout of an earlier run that a listing lacks."""
    world.brought("there", "v1")
    layout = LayoutBuilder(world.root / "there")
    layout.image("v1", layers=[b"there"])
    layout.write()
    world.source = ListsLess(world.root, "there", False)


def test_a_plan_says_of_no_tag_that_it_would_be_deleted_where_the_run_deletes_nothing(world: World) -> None:
    world.brought("app", "goes", "too")
    hidden(world)
    world.course().begin({"app": "app"}, only_plan=True)
    assert world.found == [("there", "layout_hidden"), (".", "not_deleted")]
    assert world.log.findings[-1].message.startswith("2 vanished tags would not be deleted")


def test_of_one_tag_it_is_said_that_it_was_not_deleted(world: World) -> None:
    world.brought("app", "goes")
    hidden(world)
    world.course().begin({"app": "app"}, only_plan=False)
    assert world.log.findings[-1].message.startswith("1 vanished tag was not deleted")


@pytest.mark.parametrize("only_plan", [True, False])
def test_a_source_of_which_a_layout_is_only_hidden_is_not_said_to_be_another(world: World, only_plan: bool) -> None:
    world.brought("gone", "v1")
    hidden(world)
    world.course().begin({}, only_plan=only_plan)
    assert world.found == [("there", "layout_hidden"), (".", "not_deleted")]


@pytest.mark.parametrize("only_plan", [True, False])
def test_a_run_that_deletes_nothing_because_of_a_hidden_layout_is_not_refused_by_the_limits(
    world: World, only_plan: bool
) -> None:
    world.brought("app", "goes", "too")
    hidden(world)
    course = world.course(DeletionLimits(1, 10))
    course.begin({"app": "app"}, only_plan=only_plan)
    assert world.found == [("there", "layout_hidden"), (".", "not_deleted")]
    course.settle(complete=not only_plan)
    assert world.found == [("there", "layout_hidden"), (".", "not_deleted")]
    assert world.target.list_tags("app") == {"goes", "too"}


def test_a_tag_that_comes_back_during_the_run_stays(world: World) -> None:
    world.brought("app", "goes", "comes-back")
    layout = LayoutBuilder(world.root / "app")
    layout.image("comes-back", layers=[b"comes back"])
    assert world.deleted(meanwhile=layout.write) == [("app", "tag_deleted")]
    assert world.target.list_tags("app") == {"comes-back"}


def test_what_vanishes_only_during_the_run_was_not_held_against_the_limits_and_stays(world: World) -> None:
    world.brought("app", "goes", "stays")
    assert world.deleted(meanwhile=LayoutBuilder(world.root / "app").write) == [("app", "tag_deleted")]
    assert world.target.list_tags("app") == {"stays"}


def test_a_run_that_is_not_complete_deletes_nothing_and_says_so(world: World) -> None:
    assert world.deleted(complete=False) == []
    world.brought("app", "goes")
    assert world.deleted(complete=False) == [(".", "not_deleted")]
    assert world.target.list_tags("app") == {"goes"}


def test_a_target_that_is_gone_is_asked_once_and_the_rest_is_one_finding(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.brought("app", *(f"v{number}" for number in range(9)))
    asked = []

    def resolve(_target: MemoryTarget, _repository: str, tag: str) -> None:
        asked.append(tag)
        raise TargetUnavailableError("it does not answer")

    monkeypatch.setattr(MemoryTarget, "resolve_manifest", resolve)
    assert world.deleted() == [("app", "target_unavailable"), (".", "not_deleted")]
    assert asked == ["v0"]
    assert world.log.findings[1].message.startswith("8 vanished tags were not deleted")


def test_a_run_that_is_interrupted_says_once_what_it_left(world: World) -> None:
    world.brought("app", "v1", "v2", "v3")

    def interrupt() -> bool:
        world.stop.set()
        return False

    world.waits = [interrupt]
    assert world.deleted() == [("app", "tag_deleted"), (".", "not_deleted")]
    assert world.target.list_tags("app") == {"v2", "v3"}


def test_a_run_that_is_interrupted_while_it_looks_for_what_is_gone_deletes_nothing(world: World) -> None:
    world.brought("app", "goes")
    world.brought("gone", "v1")
    assert world.deleted(meanwhile=world.stop.set) == [(".", "not_deleted")]
    assert world.target.list_tags("app") == {"goes"}


def test_a_run_that_is_over_before_its_work_says_that_it_looked_for_nothing_that_vanished(world: World) -> None:
    """As one that is to fail fast, and is told so by a name: nobody has interrupted it."""
    world.brought("app", "goes")
    world.brought("gone", "v1")
    world.stop.set()
    assert world.deleted(complete=False) == [(".", "not_deleted")]


def test_a_run_that_was_held_looks_at_the_source_again_before_it_deletes_more(world: World) -> None:
    world.brought("app", "v1", "v2", "v3")
    layout = LayoutBuilder(world.root / "app")
    layout.image("v2", layers=[b"comes back"])

    def hold() -> bool:
        layout.write()
        return True

    world.waits = [hold]
    assert world.deleted() == [("app", "tag_deleted")] * 2
    assert world.target.list_tags("app") == {"v2"}


class SlowTarget(MemoryTarget):
    """What happens `before` the registry lets a deletion through, and `after` each, such as that time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.before: list[Callable[[], object]] = []
        self.after: list[Callable[[], object]] = []

    def delete_tag(self, repository: str, tag: str, may_delete: Callable[[], bool]) -> Deletion:
        if self.before:
            self.before.pop(0)()
        deleted = super().delete_tag(repository, tag, may_delete)
        if self.after:
            self.after.pop(0)()
        return deleted


class Clock:
    """A clock that stands still but for what is said to take time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.time = 1000.0
        monkeypatch.setattr(vanished_course, "uptime", lambda: self.time)

    def passes(self, seconds: float, *meanwhile: Callable[[], object]) -> Callable[[], None]:
        def pass_by() -> None:
            self.time += seconds
            for act in meanwhile:
                act()

        return pass_by


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_comes_back_while_the_target_takes_its_time_stays(world: World, clock: Clock, when: str) -> None:
    """In a pause that it wants before it deletes, or as others take long; the run was not held."""
    world.target = target = SlowTarget()
    world.brought("app", "v1", "v2", "v3")
    layout = LayoutBuilder(world.root / "app")
    layout.image("v2", layers=[b"comes back"])
    hour = clock.passes(3600, layout.write)
    if when == "before":
        target.before = [lambda: None, hour]
    else:
        target.after = [hour]
    assert world.deleted() == [("app", "tag_deleted")] * 2
    assert world.target.list_tags("app") == {"v2"}


def looks_of(world: World, takes: Callable[[], object]) -> list[int]:
    """Count the looks at the source, each of which takes time; the first is the one before the copy."""
    looks: list[int] = []

    class Slow(LayoutDirectory):
        def list_layouts(self) -> Iterator[str | Finding]:
            looks.append(len(looks))
            takes()
            return super().list_layouts()

    world.source = Slow(world.root)
    return looks


def test_a_source_that_takes_long_to_be_looked_at_is_not_looked_at_for_each_tag(world: World, clock: Clock) -> None:
    world.target = target = SlowTarget()
    world.brought("app", *(f"v{number}" for number in range(9)))
    looks = looks_of(world, clock.passes(600))
    target.after = [clock.passes(600) for _ in range(9)]
    assert world.deleted() == [("app", "tag_deleted")] * 9
    assert len(looks) == 2


def test_a_target_that_is_never_ready_in_time_keeps_its_tags_and_that_is_said(world: World, clock: Clock) -> None:
    """Nothing is deleted on an old look at the source, and no run goes on for ever."""
    world.target = target = SlowTarget()
    world.brought("app", "v1", "v2")
    looks = looks_of(world, clock.passes(0))
    target.before = [clock.passes(3600) for _ in range(99)]
    assert world.deleted() == [(".", "not_deleted")]
    assert world.log.findings[0].message.startswith("2 vanished tags were not deleted, because the target")
    assert len(looks) == 4
    assert world.target.list_tags("app") == {"v1", "v2"}


def lost_beside(world: World) -> str:
    """Have runs have brought `v1`, which the source lost, and `goes`."""
    digest = lost(world)
    world.brought("app", "goes")
    return digest


def copied(world: World, layout: LayoutBuilder, image: Mapping[str, Any]) -> RemoteManifest:
    """A manifest of which the target has all blobs."""
    for blob in layout.path.glob("blobs/sha256/*"):
        world.target._asked("app").blobs[Digest.of(blob.read_bytes())] = blob.read_bytes()
    return RemoteManifest(layout.blob_path(image).read_bytes(), image["mediaType"])


def lost(world: World, *tags: str) -> str:
    """Have runs have brought `v1`, or other tags, whose image is still at the source and has no name there."""
    layout = LayoutBuilder(world.root / "app")
    image = layout.image(layers=[b"lost"], listed=False)
    world.brought("app", *tags or ("v1",), manifest=copied(world, layout, image))
    return str(image["digest"])


def test_a_tag_that_the_source_lost_stays_and_keeps_no_other_from_going(world: World) -> None:
    digest = lost_beside(world)
    for _ in range(2):
        found = world.deleted()
        assert found[-1] == ("app", "lost_at_source")
        message = world.log.findings[-1].message
        assert message.startswith("memory/app:v1 stays: ")
        assert digest in message
    assert world.target.list_tags("app") == {"v1"}


def test_a_lost_tag_that_the_target_has_no_more_is_said_once(world: World) -> None:
    """As where the source can't be written, and somebody deleted it at the target for that."""
    digest = lost_beside(world)
    world.target.delete_manifest("app", "v1")
    assert world.deleted() == [("app", "tag_deleted")] * 2
    assert_last_word(world, digest)
    assert world.deleted() == []


def assert_last_word(world: World, digest: str) -> None:
    """No later run tells of it, and what is left of it at the source may be the last copy."""
    message = world.log.findings[-1].message
    assert message.startswith("memory/app:v1 was lost at the source")
    assert f"{digest} is still at the source" in message
    assert "was deleted" not in message


def test_so_is_one_that_others_have_moved(world: World) -> None:
    digest = lost_beside(world)
    world.target.push_manifest("app", "v1", MANIFEST)
    assert world.deleted() == [("app", "tag_deleted"), ("app", "tag_kept")]
    assert_last_word(world, digest)
    assert world.deleted() == []
    assert world.target.list_tags("app") == {"v1"}


def test_one_for_which_an_earlier_run_left_a_stand_in_is_still_ours(world: World) -> None:
    lost_beside(world)
    world.target.push_blob("app", Empty())
    world.target.push_manifest("app", "v1", new_stand_in())
    assert world.deleted()[-1] == ("app", "lost_at_source")


def test_one_that_this_run_brought_again_with_other_content_is_not_lost(world: World) -> None:
    lost(world)

    def bring() -> None:
        world.target.push_manifest("app", "v1", MANIFEST)
        world.ledger.note_tag("app", "v1", Digest.of(MANIFEST.raw), "manifest", 0, layout="app")

    assert world.deleted(meanwhile=bring) == []
    assert world.ledger.tags_of("app") == {"v1": Digest.of(MANIFEST.raw)}


def test_what_the_source_lost_is_not_asked_for_by_a_plan(world: World) -> None:
    lost(world)
    world.target.delete_manifest("app", "v1")
    world.course().begin({"app": "app"}, only_plan=True)
    assert world.found == [("app", "lost_at_source")]
    assert set(world.ledger.tags_of("app")) == {"v1"}


def test_a_run_with_other_problems_does_not_go_on_to_say_that_a_tag_stays_that_is_gone(world: World) -> None:
    """To ask changes nothing at the target, and it may be long until a run has no problem."""
    lost_beside(world)
    world.target.delete_manifest("app", "v1")
    assert world.deleted(complete=False) == [(".", "not_deleted"), ("app", "tag_deleted")]
    assert set(world.ledger.tags_of("app")) == {"goes"}


class Silent(MemoryTarget):
    """Refuses to say what has a tag."""

    def __init__(self, error: LayoutliftError) -> None:
        super().__init__()
        self.error, self.asked = error, list[str]()

    def resolve_manifest(self, repository: str, reference: str) -> Digest | None:
        self.asked.append(reference)
        raise self.error


@pytest.mark.parametrize(
    ("error", "asked"), [(TargetUnavailableError("no answer"), ["v1"]), (RegistryError("403"), ["v1", "v2"])]
)
def test_one_of_which_the_target_does_not_say_whether_it_has_it_is_still_lost_and_is_not_forgotten(
    world: World, error: LayoutliftError, asked: list[str]
) -> None:
    lost(world, "v1", "v2")
    world.target = target = Silent(error)
    assert world.deleted() == [("app", "lost_at_source")] * 2
    told = [finding.message for finding in world.log.findings if finding.message.endswith(str(error))]
    assert len(told) == len(asked)
    assert target.asked == asked
    assert set(world.ledger.tags_of("app")) == {"v1", "v2"}


def test_a_target_that_went_away_while_tags_were_deleted_is_not_asked_for_lost_ones(world: World) -> None:
    lost_beside(world)
    world.target = target = Silent(TargetUnavailableError("no answer"))
    assert world.deleted() == [("app", "target_unavailable"), ("app", "lost_at_source")]
    assert target.asked == ["goes"]


def test_a_run_that_is_held_does_not_wait_to_ask_for_a_lost_tag_which_changes_nothing(world: World) -> None:
    """It may be for hours, with the lock and without a report; the next run asks."""
    lost(world)
    world.target.delete_manifest("app", "v1")
    world.is_held, world.waits = True, [lambda: pytest.fail("the run waited")]
    assert world.deleted() == [("app", "lost_at_source")]
    assert set(world.ledger.tags_of("app")) == {"v1"}


def test_messages_on_lost_tags_say_what_is_so_and_leave_what_to_do_to_the_advice() -> None:
    for message in (vanished_course._LOST, vanished_course._UNREAD):
        assert "{digest} is still there" in message
        assert not {"layoutlift", "recover", "cleanup", "oras"} & set(message.replace(",", " ").split())


@pytest.mark.parametrize("is_damaged", [True, False])
def test_that_nothing_names_a_tag_is_only_said_where_all_indexes_can_be_read(world: World, is_damaged: bool) -> None:
    lost_beside(world)
    layout = LayoutBuilder(world.root / "app")
    index = layout.index([layout.image(layers=[b"part"], listed=False)], "stays")
    layout.write()
    if is_damaged:
        layout.blob_path(index).write_bytes(b"altered")
    assert world.deleted()[-1] == ("app", "lost_at_source")
    message = world.log.findings[-1].message
    assert ("may have it for a part" in message) == is_damaged
    assert ("no index of the source names it any more" in message) != is_damaged


@pytest.mark.parametrize("complete", [True, False])
def test_a_tag_that_was_lost_during_the_run_is_told_of_as_well(world: World, complete: bool) -> None:
    """It may have been the first one; and nothing of it counts against the limits."""
    layout = LayoutBuilder(world.root / "app")
    image = layout.image("v1", layers=[b"lost"])
    layout.write()
    world.brought("app", "goes")
    world.brought("app", "v1", manifest=copied(world, layout, image))

    def lose() -> None:
        layout.entries.clear()
        layout.write()

    found = world.deleted(meanwhile=lose, complete=complete)
    assert found == ([("app", "tag_deleted"), ("app", "lost_at_source")] if complete else [(".", "not_deleted")])


def test_what_a_plan_would_delete_is_not_what_the_source_lost(world: World) -> None:
    lost_beside(world)
    world.course(DeletionLimits(1, None)).begin({"app": "app"}, only_plan=True)
    assert world.found == [("app", "lost_at_source"), ("app", "to_delete")]


def test_where_it_can_not_be_told_what_was_lost_nothing_is_deleted(world: World) -> None:
    class Unread(LayoutDirectory):
        def stat_blob(self, path: str, digest: Digest) -> BlobStat | None:
            raise SourceReadError("for the moment")

    lost_beside(world)
    world.source = Unread(world.root)
    assert world.deleted() == [("app", "source_read"), (".", "not_deleted")]
    assert world.target.list_tags("app") == {"v1", "goes"}


def test_where_the_source_can_not_be_looked_at_again_nothing_is_deleted(world: World) -> None:
    world.brought("app", "goes")
    away = world.root.with_name("away")
    assert world.deleted(meanwhile=lambda: world.root.rename(away)) == [(".", "source_unavailable")]
    assert world.target.list_tags("app") == {"goes"}


def test_more_than_may_go_ends_a_run_before_it_changes_anything(world: World) -> None:
    world.brought("app", "stays", found=True)
    world.brought("app", "goes", "too")
    for limits in (DeletionLimits(1, None), DeletionLimits(None, 66.0)):
        with pytest.raises(TooManyVanishedError):
            world.course(limits).begin({"app": "app"}, only_plan=False)
    assert world.target.list_tags("app") == {"stays", "goes", "too"}


def test_a_plan_names_what_would_go_in_order_and_what_would_refuse_it(world: World) -> None:
    tags = [f"v{number}" for number in range(9)]
    world.brought("app", *tags)
    world.course().begin({"app": "app"}, only_plan=True)
    assert world.found == [("app", "to_delete")] * 9
    assert [finding.message.split()[0] for finding in world.log.findings] == [f"memory/app:{tag}" for tag in tags]
    world.course(DeletionLimits(8, None)).begin({"app": "app"}, only_plan=True)
    assert world.found == [*[("app", "to_delete")] * 9, (".", "too_many_vanished")]


@pytest.mark.parametrize("tag", ["stays", "goes"])
def test_a_run_knows_whether_something_is_to_go(world: World, tag: str) -> None:
    world.brought("app", tag)
    course = world.course()
    course.begin({"app": "app"}, only_plan=False)
    assert course.has_planned is (tag == "goes")


@pytest.mark.parametrize("stays", [(), ("stays",)])
def test_a_source_of_which_the_first_run_was_cut_off_is_no_other_one(world: World, stays: tuple[str, ...]) -> None:
    world.brought("app", *stays, "goes", is_whole=False)
    assert world.deleted() == [("app", "tag_deleted")]


def test_nor_is_one_whose_layout_was_cut_off_while_another_one_is_gone(world: World) -> None:
    world.brought("app", "stays", is_whole=False)
    world.brought("gone", "v1")
    assert world.deleted() == [("gone", "tag_deleted")]


@pytest.mark.parametrize("only_plan", [True, False])
def test_nothing_goes_where_no_layout_of_before_is_there(tmp_path: Path, *, only_plan: bool) -> None:
    world = World(tmp_path)
    world.lines = MemoryLines()
    world.brought("gone", "v1")
    course = world.course()
    with nullcontext() if only_plan else pytest.raises(TooManyVanishedError, match="--source-name"):
        course.begin({"app": "app"}, only_plan=only_plan)
    assert world.found == ([("gone", "to_delete"), (".", "too_many_vanished")] if only_plan else [])


@pytest.mark.parametrize("needing", ["app", "other"])
def test_a_part_of_an_index_stays_when_its_own_tag_goes(world: World, needing: str) -> None:
    """The index may be another layout's that goes to the same repository, and that the patterns leave out."""
    world.target = ForgettingTarget()
    layout = LayoutBuilder(world.root / needing)
    layout.image("stays", layers=[b"stays"])
    part = layout.image(layers=[b"part"], listed=False)
    layout.index([part], "v1")
    layout.write()
    raw = layout.blob_path(part).read_bytes()
    for blob in layout.path.glob("blobs/sha256/*"):
        world.target._asked("app").blobs[Digest.of(blob.read_bytes())] = blob.read_bytes()
    world.brought("app", "v1-amd64", manifest=RemoteManifest(raw, part["mediaType"]))
    world.place_of = lambda _: "app"
    assert world.deleted() == [("app", "tag_deleted")]
    assert world.target.resolve_manifest("app", part["digest"]) == part["digest"]
    assert world.target.list_tags("app") == frozenset()


@pytest.mark.parametrize("has_lost", [False, True])
def test_indexes_that_take_long_to_be_read_are_not_read_again_for_each_look(
    world: World, clock: Clock, *, has_lost: bool
) -> None:
    """Each look is too old once they are read; also where a tag was lost, of which each look has to know."""
    world.target = ForgettingTarget()
    if has_lost:
        lost(world, "lost")
    layout = LayoutBuilder(world.root / "app")
    layout.index([layout.image(layers=[b"part"], listed=False)], "stays")
    layout.write()
    for number in range(3):
        raw = b'{"schemaVersion":2,"manifests":[]}' + b" " * number
        world.brought("app", f"v{number}", manifest=RemoteManifest(raw, IMAGE_INDEX))
    reads, pass_by = list[str](), clock.passes(90)

    class Slow(LayoutDirectory):
        def blob(self, path: str, descriptor: Descriptor) -> BlobContent:
            reads.append(path)
            pass_by()
            return super().blob(path, descriptor)

    world.source = Slow(world.root)
    assert world.deleted() == [("app", "tag_deleted")] * 3 + [("app", "lost_at_source")] * has_lost
    assert reads == ["app"]


def test_no_index_is_read_for_tags_that_go_from_a_target_that_keeps_manifests(world: World) -> None:
    """Of 10,000 in a layout, through a mount, each would be a read."""

    class Unread(LayoutDirectory):
        def blob(self, path: str, descriptor: object) -> BlobContent:
            raise AssertionError(f"{descriptor} was read")

    layout = LayoutBuilder(world.root / "app")
    layout.index([layout.image(layers=[b"part"], listed=False)], "stays")
    layout.write()
    world.source = Unread(world.root)
    world.brought("app", "stays", "goes", "too")
    assert world.deleted() == [("app", "tag_deleted")] * 2
