"""What runs take for done with --since-last, and what their rate holds back."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.choosing_options import ChoosingOptions
from tasks.ledger.ledger import Ledger
from tasks.oci.digest import Digest
from tasks.oci.errors import PermissionDeniedError
from tasks.oci.registry_profiles import RegistryKind, profile_of
from tasks.operations.choosing.by_age import Ages
from tasks.operations.choosing.chosen_tags import plan_selection
from tasks.operations.choosing.newest import Newest, NewestBy
from tasks.operations.choosing.selection import Selection
from tasks.operations.copying.repository_preparation import Preparation
from tasks.operations.reports.progress import Progress
from tasks.operations.reports.results import Depth, Outcome, RepositoryInventory
from tasks.operations.source.enumeration import enumerate_repository
from tasks.operations.source.source_graph import Census
from tasks.operations.work.planning import CopyPolicy, Untagged
from tasks.operations.work.repository_work import RepositoryWork, Unit, units_of
from tasks.operations.work.spare_hands import SpareHands
from tasks.registry_ports import NewRepositories, RepositoryState
from tasks.run_options import RunOptions
from tasks.run_works import Works
from tasks.stop import Stop
from tasks.stores import pacing
from tasks.stores.directory.layout_directory import LayoutDirectory
from tasks.stores.pacing import Pace
from tests.support.engine import MemoryLines
from tests.support.layouts import FOREIGN_LAYER, LayoutBuilder, dated_image, image_of
from tests.support.memory_stores import MemoryTarget

OPTIONS = RunOptions("/source", None, since_last=True)


class Runs:
    """Runs of one source and target, each with the ledger of those before."""

    def __init__(self, root: Path) -> None:
        self.source, self.target, self.noted = LayoutDirectory(root), MemoryTarget(), MemoryLines()
        self.hands, self.preparation = SpareHands(1), Preparation()

    def works(self, options: RunOptions) -> Works:
        shared = Census(), Progress(), Pace(None, Stop()), self.preparation
        return Works(self.source, options, options.choosing.selection(), self.hands, Ledger(self.noted), *shared)

    def do(self, options: RunOptions, inventory: RepositoryInventory, repository: str) -> list[Outcome | None]:
        units = units_of(inventory, inventory.tags, options.policy)
        work = self.works(options).migrate(self.target)(inventory, repository, units)
        outcomes = [result.outcome for unit in units for result in work.execute(unit)]
        assert work.finish() == []
        return outcomes

    def asks_target(self, options: RunOptions, inventory: RepositoryInventory, repository: str) -> bool:
        return self.works(options).migrate(self.target)(inventory, repository, ()).asks_target


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    layout = LayoutBuilder(tmp_path / "app")
    layout.image("v1", layers=[b"layer"])
    layout.write()
    made = Runs(tmp_path)
    yield made
    made.hands.close()


def test_a_layout_that_the_same_options_brought_counts_as_done(runs: Runs) -> None:
    inventory = enumerate_repository(runs.source, "app")
    assert runs.asks_target(OPTIONS, inventory, "app")
    assert runs.do(OPTIONS, inventory, "app") == [Outcome.COPIED]
    assert not runs.asks_target(OPTIONS, inventory, "app")
    assert runs.do(OPTIONS, inventory, "app") == [Outcome.UP_TO_DATE]
    assert runs.asks_target(replace(OPTIONS, since_last=False), inventory, "app")


@pytest.mark.parametrize(
    "other",
    [
        {"policy": CopyPolicy(untagged=Untagged.ALL)},
        {"policy": CopyPolicy(referrers=False)},
        {"policy": CopyPolicy(depth=Depth.BLOBS)},
        {"choosing": ChoosingOptions(exclude=(":v0",))},
        {"choosing": ChoosingOptions(include=("app",))},
        {"choosing": ChoosingOptions(newest=Newest(1, NewestBy.NAME))},
    ],
    ids=["untagged", "referrers", "depth", "exclude", "include", "newest"],
)
def test_what_other_options_brought_is_no_reason_to_leave_a_layout_out(runs: Runs, other: dict[str, Any]) -> None:
    """They may have brought less of it, or proved less."""
    inventory, options = enumerate_repository(runs.source, "app"), replace(OPTIONS, **other)
    runs.do(OPTIONS, inventory, "app")
    assert runs.asks_target(options, inventory, "app")
    runs.do(options, inventory, "app")
    assert not runs.asks_target(options, inventory, "app")


HOUR = 3_600.0


def test_a_layout_is_spared_only_as_long_as_time_makes_no_other_choice_of_it(tmp_path: Path, runs: Runs) -> None:
    """Its index is the same, and what was too new has come of age since, or what was new enough is too old by now."""
    layout, start = LayoutBuilder(tmp_path / "app"), datetime(2026, 1, 1, tzinfo=UTC)
    for tag, hour in {"one": 10, "two": 20, "three": 30}.items():
        dated_image(layout, tag, start + timedelta(hours=hour))
    layout.write()
    inventory = enumerate_repository(runs.source, "app", dated=True)

    def at(hour: float, newer: float | None, older: float | None) -> RunOptions:
        limits = [None if each is None else each * HOUR for each in (newer, older)]
        ages = Ages(limits[0], limits[1], start.timestamp() + hour * HOUR)
        return replace(OPTIONS, choosing=ChoosingOptions(ages=ages))

    def spared(options: RunOptions) -> bool:
        chosen = plan_selection(inventory, options.choosing.selection())
        units = units_of(inventory, chosen, options.policy)
        work = runs.works(options).migrate(runs.target)(inventory, "app", units)
        for unit in units:
            assert {result.code for result in work.execute(unit)} == {None}
        assert work.finish() == []
        assert runs.target.list_tags("app") >= {entry.tag for entry in chosen}
        return not work.asks_target

    quarantine = [(hour, spared(at(hour, None, 6))) for hour in (17, 25.9, 26, 27, 35, 36, 99)]
    assert [is_spared for _, is_spared in quarantine] == [False, True, False, True, True, False, True]
    recent = [(hour, spared(at(hour, 6, None))) for hour in (15, 16, 17, 18)]
    assert [is_spared for _, is_spared in recent] == [False, True, False, True]
    order = [spared(at(hour, 12, None)) for hour in (21, 22, 23)]
    assert order == [False, True, False], "other ages are other settings, whatever they choose"


def test_what_was_brought_to_another_repository_is_no_reason_to_leave_a_layout_out(runs: Runs) -> None:
    inventory = enumerate_repository(runs.source, "app")
    runs.do(OPTIONS, inventory, "app")
    assert runs.asks_target(OPTIONS, inventory, "renamed")


class Keeper:
    """Of a registry where no push makes a repository."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def state(self, repository: str) -> RepositoryState:
        return RepositoryState(exists=repository in self.made, immutable_tags=False)

    def create(self, repository: str, _: NewRepositories) -> None:
        self.made.append(repository)


def test_a_repository_is_made_only_for_what_is_brought(runs: Runs) -> None:
    """Of 400, of which 50 were pushed to this year, a year brings 50, and the others are no use empty."""
    keeper, options = Keeper(), replace(OPTIONS, since_last=False)
    runs.preparation = Preparation(keeper, NewRepositories())
    inventory = enumerate_repository(runs.source, "app")
    units = units_of(inventory, inventory.tags, OPTIONS.policy)

    def begun(kind: str, chosen: Sequence[Unit]) -> tuple[list[str], list[str]]:
        work = getattr(runs.works(options), kind)(runs.target)(inventory, "app", chosen)
        return [finding.code for finding in work.finish()], list(keeper.made)

    assert begun("plan", ()) == ([], [])
    assert begun("migrate", ()) == ([], [])
    assert begun("plan", units) == (["to_create"], [])
    assert begun("migrate", units) == ([], ["app"])
    assert begun("plan", units) == ([], ["app"])


class Refusing(MemoryTarget):
    """Lets nobody list a repository; and so much as a right to push to it, as Quay grants it, would make it."""

    def list_tags(self, repository: str) -> frozenset[str]:
        raise PermissionDeniedError(f"{repository} is asked for", status=403)


class SilentKeeper(Keeper):
    """Of a registry that says nothing of its repositories."""

    def state(self, repository: str) -> RepositoryState:
        raise PermissionDeniedError(f"{repository} is asked for", status=403)


@pytest.mark.parametrize("kind", ["plan", "migrate"])
def test_a_target_is_not_asked_for_a_repository_to_which_nothing_is_brought(runs: Runs, kind: str) -> None:
    inventory, runs.target = enumerate_repository(runs.source, "app"), Refusing()
    runs.preparation = Preparation(SilentKeeper(), NewRepositories())
    begin = getattr(runs.works(replace(OPTIONS, since_last=False)), kind)(runs.target)
    assert begin(inventory, "app", ()).finish() == []
    assert runs.target.requests_made == 0
    with pytest.raises(PermissionDeniedError, match="app is asked for"):
        begin(inventory, "app", units_of(inventory, inventory.tags, OPTIONS.policy))


def test_a_repository_that_a_push_makes_for_everybody_to_read_is_named_before_and_then_no_more(runs: Runs) -> None:
    inventory, options = enumerate_repository(runs.source, "app"), replace(OPTIONS, since_last=False)
    units = units_of(inventory, inventory.tags, OPTIONS.policy)

    def said(kind: str, chosen: Sequence[Unit] = units) -> list[str]:
        work = getattr(runs.works(options), kind)(runs.target)(inventory, "app", chosen)
        for unit in chosen:
            work.execute(unit)
        return [finding.code for finding in work.finish()]

    assert said("plan") == []
    runs.target.profile = profile_of(RegistryKind.DOCKER_HUB, "")
    assert said("plan", ()) == said("migrate", ()) == []
    assert said("plan") == said("migrate") == ["new_may_be_public"]
    assert not runs.asks_target(OPTIONS, inventory, "app"), "the layout is done all the same"
    assert said("plan") == said("migrate") == []


def test_before_the_first_push_that_may_be_for_everybody_to_read_a_warning_tells_so_once_a_run(
    tmp_path: Path, runs: Runs, caplog: pytest.LogCaptureFixture
) -> None:
    """In the report it stands once all is public."""
    second = LayoutBuilder(tmp_path / "lib")
    second.image("v1", layers=[b"layer"])
    second.write()
    runs.target.profile = profile_of(RegistryKind.DOCKER_HUB, "")
    begin = runs.works(replace(OPTIONS, since_last=False)).migrate(runs.target)
    for name in ("app", "lib"):
        inventory = enumerate_repository(runs.source, name)
        begin(inventory, f"team/{name}", units_of(inventory, inventory.tags, OPTIONS.policy))
    (message,) = caplog.messages
    assert message.startswith("team/app has no tags there yet: if Docker Hub does not have it, the push makes it, ")
    assert message.endswith("; this may be so of others, too: the report names each (new_may_be_public)")


RATE = 10_000.0
LAYER = b"x" * 100_000


class Clock(Stop):
    """Its waits take no time, and something may happen meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.moments: list[Any] = []

    def after(self, seconds: float, act: Callable[[], object]) -> None:
        self.moments.append((self.now + seconds, act))

    def wait(self, seconds: float) -> None:
        self.now += seconds
        while self.moments and self.moments[0][0] <= self.now:
            self.moments.pop(0)[1]()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(pacing, "time", SimpleNamespace(monotonic=lambda: made.now))
    return made


@pytest.fixture
def root(tmp_path: Path) -> Path:
    layout = LayoutBuilder(tmp_path / "app")
    layout.image("v1", layers=[LAYER])
    return layout.write().parent


def seconds(root: Path, clock: Clock, target: MemoryTarget, kind: str, pace: Pace, depth: Depth) -> float:
    """How long a run takes."""
    source, hands, selection = LayoutDirectory(str(root)), SpareHands(1), Selection.parse()
    options = RunOptions(str(root), None, policy=CopyPolicy(depth=depth))
    progress, ledger = Progress(), Ledger(MemoryLines())
    works = Works(source, options, selection, hands, ledger, Census(), progress, pace, Preparation())
    begin: Any = works.check() if kind == "check" else getattr(works, kind)(target)
    inventory = enumerate_repository(source, "app")
    started = clock.now
    units = units_of(inventory, inventory.tags, options.policy)
    work: RepositoryWork = begin(inventory, "app", units)
    results = [r for unit in units for r in work.execute(unit)]
    hands.close()
    assert [result.code for result in results] == [None]
    return clock.now - started


@pytest.fixture
def filled(root: Path, clock: Clock) -> MemoryTarget:
    target = MemoryTarget()
    seconds(root, clock, target, "migrate", Pace(None, clock), Depth.MANIFEST)
    return target


@pytest.mark.parametrize("kind", ["verify", "check"])
def test_what_is_read_to_prove_it_passes_no_faster_than_the_rate(
    root: Path, clock: Clock, filled: MemoryTarget, kind: str
) -> None:
    at_rate = seconds(root, clock, filled, kind, Pace(RATE, clock), Depth.CONTENT)
    assert at_rate == pytest.approx(len(LAYER) / RATE, rel=0.1)
    assert seconds(root, clock, filled, kind, Pace(None, clock), Depth.CONTENT) == 0


def test_a_migration_that_reads_back_what_it_sent_does_both_within_the_rate(root: Path, clock: Clock) -> None:
    target: Any = MemoryTarget()
    took = seconds(root, clock, target, "migrate", Pace(RATE, clock), Depth.CONTENT)
    assert took == pytest.approx(2 * len(LAYER) / RATE, rel=0.1)


def test_a_rate_that_changes_meanwhile_counts_from_then_on(root: Path, clock: Clock, filled: MemoryTarget) -> None:
    pace = Pace(RATE, clock)
    clock.after(4, lambda: pace.change(2 * RATE))
    assert seconds(root, clock, filled, "verify", pace, Depth.CONTENT) == pytest.approx(4 + 3, rel=0.1)


def test_a_verification_knows_what_the_target_does_not_list_and_what_the_layout_has(
    tmp_path: Path, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A layer that need not be distributed is missed only where the layout has it."""
    layout = LayoutBuilder(tmp_path / "app")
    foreign = layout.blob(b"windows", FOREIGN_LAYER)
    image_of(layout, "v1", [foreign])
    layout.write()
    options = RunOptions("/source", None, policy=CopyPolicy(depth=Depth.BLOBS))
    inventory = enumerate_repository(runs.source, "app")
    assert runs.do(options, inventory, "app") == [Outcome.COPIED]
    del runs.target._asked("app").blobs[Digest.of(b"windows")]
    monkeypatch.setattr(runs.target, "list_tags", lambda _: None)
    units = units_of(inventory, inventory.tags, options.policy)
    work = runs.works(options).verify(runs.target)(inventory, "app", units)
    assert [result.code for unit in units for result in work.execute(unit)] == ["missing_at_target"]
    assert [finding.code for finding in work.finish()] == ["tags_not_listed"]
    layout.blob_path(foreign).unlink()
    work = runs.works(options).verify(runs.target)(inventory, "app", units)
    assert [result.code for unit in units for result in work.execute(unit)] == [None]
