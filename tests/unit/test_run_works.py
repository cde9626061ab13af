"""Which layouts a run with --since-last takes for done: only what the same options brought to the same place."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.oci.registry_profiles import GENERIC
from tasks.operations.choosing.newest import Newest, NewestBy
from tasks.operations.copying.repository_preparation import Preparation
from tasks.operations.reports.progress import Progress
from tasks.operations.reports.results import Depth, Outcome, RepositoryInventory
from tasks.operations.source.enumeration import enumerate_repository
from tasks.operations.source.source_graph import Census
from tasks.operations.work.planning import CopyPolicy, Untagged
from tasks.operations.work.repository_work import units_of
from tasks.operations.work.spare_hands import SpareHands
from tasks.run_options import RunOptions
from tasks.run_works import Works
from tasks.stores.directory.layout_directory import LayoutDirectory
from tasks.stores.pacing import Pace, Stop
from tasks.stores.state.ledger import Ledger
from tests.support.engine import MemoryLines
from tests.support.layouts import LayoutBuilder
from tests.support.memory_stores import MemoryTarget

OPTIONS = RunOptions("/source", None, since_last=True)


class Target(MemoryTarget):
    profile = GENERIC


class Runs:
    """Runs of one source and target, each with the ledger of those before."""

    def __init__(self, root: Path) -> None:
        self.source, self.target, self.ledger = LayoutDirectory(root), Target(), Ledger(MemoryLines())
        self.hands = SpareHands(1)

    def works(self, options: RunOptions) -> Works:
        shared = Census(), Progress(), Pace(None, Stop()), Preparation()
        return Works(self.source, options, options.selection, self.hands, self.ledger, *shared)

    def do(self, options: RunOptions, inventory: RepositoryInventory, repository: str) -> list[Outcome | None]:
        work = self.works(options).migrate(self.target)(inventory, repository)
        units = units_of(inventory, inventory.tags, options.policy)
        outcomes = [result.outcome for unit in units for result in work.execute(unit)]
        assert work.finish() == []
        return outcomes

    def asks_target(self, options: RunOptions, inventory: RepositoryInventory, repository: str) -> bool:
        return self.works(options).migrate(self.target)(inventory, repository).asks_target


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
        {"exclude": (":v0",)},
        {"include": ("app",)},
        {"newest": Newest(1, NewestBy.NAME)},
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


def test_what_was_brought_to_another_repository_is_no_reason_to_leave_a_layout_out(runs: Runs) -> None:
    inventory = enumerate_repository(runs.source, "app")
    runs.do(OPTIONS, inventory, "app")
    assert runs.asks_target(OPTIONS, inventory, "renamed")
