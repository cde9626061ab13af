"""What was begun ahead is done once: whoever comes for the batches gets its outcomes, and does the rest."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.oci.errors import BatchUnfinishedError, SourceReadError
from tasks.operations.running.batches import Batch
from tasks.operations.running.head_start import HeadStart
from tasks.operations.running.tree_run import BATCHES_AT_ONCE, TreeRun
from tasks.stores.directory.layout_directory import LayoutDirectory
from tests.support.engine import Engine
from tests.support.layouts import LayoutBuilder
from tests.support.memory_stores import MemoryTarget

TAGS = 24


class Gated:
    """A tree whose batches wait until they are let go, and are counted."""

    def __init__(self, tree: TreeRun) -> None:
        self._tree = tree
        self.survey = tree.survey
        self.gate = threading.Event()
        self.begun = threading.Semaphore(0)
        self.done: list[tuple[Batch, bool]] = []
        self.unfinished: set[Batch] = set()

    def execute(self, batch: Batch, *, last_attempt: bool) -> None:
        self.begun.release()
        assert self.gate.wait(30)
        self.done.append((batch, last_attempt))
        if batch in self.unfinished:
            self.unfinished.remove(batch)
            raise BatchUnfinishedError("some failed for the moment")
        self._tree.execute(batch, last_attempt=last_attempt)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tasks.operations.running.batches.MIN_BATCH", 1)
    for number in range(TAGS):
        layout = LayoutBuilder(tmp_path / f"app{number:02}")
        layout.image("v1", layers=[str(number).encode()])
        layout.write()
    return tmp_path


def test_every_tag_is_copied_once_whoever_began_with_it(root: Path) -> None:
    engine = Engine(root, MemoryTarget())
    with engine.run() as tree:
        gated = Gated(tree)
        ahead = HeadStart(gated)  # type: ignore[arg-type] - has what is used of one
        batches = ahead.survey().batches
        assert gated.begun.acquire(timeout=30)
        gated.gate.set()
        for batch in batches:
            ahead.execute(batch, last_attempt=True)
        ahead.close()
    assert len(gated.done) == len(batches)
    assert {batch for batch, _ in gated.done} == set(batches)
    assert set(engine.outcomes.values()) == {"copied"}
    assert len(engine.outcomes) == TAGS


def test_nothing_more_is_begun_ahead_once_somebody_has_come_for_the_batches(root: Path) -> None:
    engine = Engine(root, MemoryTarget())
    with engine.run() as tree:
        gated = Gated(tree)
        ahead = HeadStart(gated)  # type: ignore[arg-type] - as above
        batches = ahead.survey().batches
        assert all(gated.begun.acquire(timeout=30) for _ in range(BATCHES_AT_ONCE))
        with ThreadPoolExecutor(1) as somebody:
            last = somebody.submit(ahead.execute, batches[-1], last_attempt=True)
            assert gated.begun.acquire(timeout=30)
            gated.gate.set()
            last.result()
        ahead.close()
        assert len(gated.done) == BATCHES_AT_ONCE + 1
        for batch in batches[:-1]:
            ahead.execute(batch, last_attempt=True)
    assert len(gated.done) == len(batches) == TAGS


def test_a_batch_that_failed_for_the_moment_is_taken_up_again_by_whoever_asked(root: Path) -> None:
    engine = Engine(root, MemoryTarget())
    with engine.run() as tree:
        gated = Gated(tree)
        gated.unfinished = {tree.survey().batches[0]}
        ahead = HeadStart(gated)  # type: ignore[arg-type] - as above
        first = ahead.survey().batches[0]
        assert gated.begun.acquire(timeout=30)
        gated.gate.set()
        with pytest.raises(BatchUnfinishedError):
            ahead.execute(first, last_attempt=False)
        ahead.execute(first, last_attempt=True)
        ahead.close()
    assert [last for batch, last in gated.done if batch == first] == [False, True]


def test_a_source_that_is_not_there_is_told_to_whoever_asks_for_the_batches(root: Path) -> None:
    class Gone(LayoutDirectory):
        def list_layouts(self, *_: object, **__: object) -> None:  # type: ignore[override]
            raise SourceReadError("the mount is gone")

    with Engine(root, MemoryTarget(), wrap=lambda _: Gone(str(root))).run() as tree:
        ahead = HeadStart(tree)
        with pytest.raises(SourceReadError, match="gone"):
            ahead.survey()
        ahead.close()
