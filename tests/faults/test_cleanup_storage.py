"""A store that fails at any one call of a cleanup: what stays is whole, what failed is told, and all can be undone.

A process that dies there is tried elsewhere; this one lives on, and goes on with whatever it is about to do next.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from tasks.cleanup_applies import Cleaner
from tasks.oci.errors import LayoutliftError, SourceWriteError
from tasks.operations.cleanup.applying.apply_tools import ApplyTools
from tasks.operations.cleanup.records.holdings import Holdings
from tasks.operations.cleanup.records.journal import RUNS, TRASH, Journal
from tasks.stop import Stop
from tests.support.cleanup_world import GRACE, HOLD, LAYOUT, World, keep_policy, world_of_two
from tests.support.memory_stores import MemorySource

CALLS = frozenset(
    {
        *("list_files", "stat_file", "read_file", "list_uploads", "now", "write_file", "hide_files", "restore_files"),
        *("purge_files", "delete_files", "read_index", "blob", "stat_blob"),
    }
)
ONCE, FOR_GOOD = 1, 10**6


@dataclass
class Store:
    """All calls of a run, of which some fail: from one on, so many, before or after they did what they were asked.

    `within` a call that changes several files is between two of them; then only what changes any is counted.
    """

    world: World
    first: int = FOR_GOOD
    times: int = ONCE
    when: str = "before"
    calls: int = 0

    def __post_init__(self) -> None:
        if self.when == "within":
            self.world.meanwhile = self.count

    @property
    def files(self) -> Any:
        return _Failing(self, self.world.files)

    def open_layouts(self) -> Any:
        return _Failing(self, MemorySource(self.world.files.contents()))

    def call(self, asked: Callable[[], Any]) -> Any:
        if self.when == "before":
            self.count()
        answer = asked()
        if self.when == "after":
            self.count()
        return answer

    def count(self) -> None:
        self.calls += 1
        if self.first <= self.calls < self.first + self.times:
            raise SourceWriteError(f"call {self.calls} fails")

    def heal(self) -> None:
        self.first = FOR_GOOD


@dataclass
class _Failing:
    store: Store
    asked: Any

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.asked, name)
        return (lambda *given, **named: self.store.call(partial(found, *given, **named))) if name in CALLS else found


@dataclass
class Trial:
    """A world just before something is done to it, and what that is."""

    world: World
    act: Callable[[Cleaner], list[Any]]
    entries: list[Any]
    """Those of its index before any run."""

    def run(self, store: Store) -> bool:
        """Do it; whether all went well, which has to be told otherwise."""
        try:
            return not any(outcome.problems for outcome in self.act(cleaner(store)))
        except LayoutliftError:
            return False


def cleaner(store: Store) -> Cleaner:
    world = store.world
    world.runs.append(f"run-{len(world.runs)}")
    files, run = store.files, world.runs[-1]
    tools = ApplyTools(store, Holdings(files), Journal(files, run), world.timing, map, guard=lambda: None)
    return Cleaner(tools, Stop(), only_writer=False, forgets=True)


def apply_next(world: World) -> bool:
    world.now += GRACE + HOLD
    plan = world.plan(keep_policy(1))
    assert plan.refused is None, plan.refused
    return Trial(world, lambda cleaner: list(cleaner.apply([plan])), []).run(Store(world))


def undo(world: World, run: str) -> bool:
    return Trial(world, lambda cleaner: list(cleaner.undo(run)), []).run(Store(world))


def trial(steps: int, undoes: bool) -> Trial:
    """After so many runs the next one is planned, or the last one about to be undone."""
    world = world_of_two()
    before = world.entries
    for _ in range(steps):
        assert apply_next(world)
    if undoes:
        run = world.runs[-1]
        return Trial(world, lambda cleaner: list(cleaner.undo(run)), before)
    world.now += GRACE + HOLD
    plan = world.plan(keep_policy(1))
    return Trial(world, lambda cleaner: list(cleaner.apply([plan])), before)


def seen(world: World) -> tuple[list[Any], set[str]]:
    """What a run is for: the entries, and which blobs are where."""
    return world.entries, {path for path in world.files.contents() if "/blobs/" in path}


def check_end(world: World) -> None:
    """Runs to the end leave what the kept tag needs, and no journal and no quarantine."""
    for _ in range(5):
        assert apply_next(world)
    assert world.absent() == set()
    assert [entry["annotations"] for entry in world.entries] == [{"org.opencontainers.image.ref.name": "v2"}]
    files = world.files.contents()
    assert {path for path in files if path.startswith(f"{LAYOUT}/blobs/")} == {path for path, *_ in world.reachable()}
    assert [path for path in files if path.startswith((f"{RUNS}/", f"{TRASH}/"))] == []


def check_undone(world: World, before: list[Any]) -> None:
    """Undoing every run brings every entry back, and all that they need."""
    journals = {path.split("/")[2] for path in world.files.contents() if path.startswith(f"{RUNS}/")}
    for run in sorted(journals, key=lambda name: int(name[4:]), reverse=True):
        assert undo(world, run)
    assert world.absent() == set()
    assert sorted(map(json.dumps, world.entries)) == sorted(map(json.dumps, before))


def trials(case: str, times: int, when: str) -> Iterator[Trial]:
    """One for each call, which has been tried then, each checked for what may be seen right after it."""
    good = trial(*CASES[case])
    store = Store(good.world, when=when)
    assert good.run(store)
    for first in range(1, store.calls + 1):
        tried = trial(*CASES[case])
        failing = Store(tried.world, first, times, when)
        is_well = tried.run(failing)
        assert failing.calls >= first
        failing.heal()
        assert tried.world.absent() == set()
        if is_well:
            assert seen(tried.world) == seen(good.world), f"call {first} failed, and nobody was told"
        yield tried


CASES = {"edit": (0, False), "hide": (1, False), "purge": (2, False), "undo edit": (1, True), "undo hide": (2, True)}


def faults(in_ci: tuple[str, ...]) -> list[Any]:
    """How often and when a call fails; what is not for each run of CI takes a quarter of a minute."""
    found = []
    for times, name in ((ONCE, "once"), (FOR_GOOD, "for good")):
        for when in ("before", "within", "after"):
            marks = [] if times is ONCE and when in in_ci else [pytest.mark.soak]
            found.append(pytest.param(times, when, id=f"{name}, {when}", marks=marks))
    return found


@pytest.mark.parametrize(("times", "when"), faults(in_ci=("before", "within")))
@pytest.mark.parametrize("case", CASES)
def test_whichever_call_fails_the_next_runs_get_to_the_same_end(case: str, times: int, when: str) -> None:
    for tried in trials(case, times, when):
        check_end(tried.world)


@pytest.mark.parametrize(("times", "when"), faults(in_ci=("within", "after")))
@pytest.mark.parametrize("case", [case for case in CASES if case != "purge"])
def test_whichever_call_fails_all_can_be_undone(case: str, times: int, when: str) -> None:
    for tried in trials(case, times, when):
        check_undone(tried.world, tried.entries)
