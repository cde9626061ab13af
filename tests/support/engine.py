"""The engine between a source in a folder and a target in memory: the work on one repository, and whole runs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.ledger.ledger import Ledger
from tasks.ledger.ledger_memory import LedgerMemory, LedgerPart
from tasks.oci.reference import TargetAddress
from tasks.operations.choosing.selection import Renames, Selection
from tasks.operations.copying.copy_tools import CopyTools
from tasks.operations.copying.copy_work import CopyWork
from tasks.operations.copying.repository_preparation import Preparation
from tasks.operations.reports.progress import Progress
from tasks.operations.reports.results import RepositoryInventory, TagResult
from tasks.operations.reports.run_log import RunLog
from tasks.operations.running.hold import Hold
from tasks.operations.running.source_survey import RunJob
from tasks.operations.running.tree_run import TreeRun
from tasks.operations.source.enumeration import enumerate_repository
from tasks.operations.source.source_graph import Census
from tasks.operations.work.planning import CopyPolicy
from tasks.operations.work.repository_work import Unit, units_of
from tasks.operations.work.spare_hands import SpareHands
from tasks.ports import Finding, LayoutReader, Refusal
from tasks.run_options import RunOptions
from tasks.run_works import Works
from tasks.stop import Stop
from tasks.stores.directory.layout_directory import LayoutDirectory
from tasks.stores.pacing import Pace
from tests.support.memory_stores import MemoryTarget

SOURCE_WAIT = 0.0001
"""Seconds of the first wait between attempts to read what is not there."""


class MemoryLines:
    """The lines of a ledger, which each run reads anew: what it did not append, the next one does not know."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def read(self, only: LedgerPart | None = None) -> LedgerMemory:
        memory = LedgerMemory(only)
        for line in self.lines:
            memory.take_line(line)
        return memory

    def append(self, line: Mapping[str, Any], *, before_it_is_so: bool = False) -> None:
        self.lines.append(dict(line))

    def flush(self) -> None:
        """Everything is kept at once."""

    def close(self) -> None:
        pass


@dataclass
class Engine:
    """`copy()` migrates a tree as a run does; each call is a run of its own with the ledger of those before."""

    root: Path
    target: MemoryTarget
    policy: CopyPolicy = field(default_factory=CopyPolicy)
    lines: MemoryLines = field(default_factory=MemoryLines)
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    rename: tuple[str, ...] = ()
    selection: Selection | None = None
    preflight: Callable[[str], Refusal | None] = lambda _: None
    wrap: Callable[[Any], Any] = lambda source: source
    stop: Stop = field(default_factory=Stop)
    results: list[TagResult] = field(default_factory=list)
    ledger: Ledger = field(init=False)

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.lines)

    def forget(self) -> None:
        """Have what earlier runs did known no more."""
        self.lines = MemoryLines()
        self.ledger = Ledger(self.lines)

    def copy(self) -> tuple[dict[str, str], set[tuple[str, str]]]:
        """Outcome or error code of each `repository:tag`, and path and code of each finding."""
        with self.run() as tree:
            tree.execute_all(tree.survey().batches)
            tree.abandon()
        return self.outcomes, {(finding.path, finding.code) for finding in self.findings}

    @property
    def outcomes(self) -> dict[str, str]:
        shown = {f"{r.repository}:{r.tag}": r.code or str(r.outcome) for r in self.results}
        assert len(shown) == len(self.results), "a tag has two results"
        return shown

    @property
    def findings(self) -> list[Finding]:
        return self._log.findings

    @property
    def log(self) -> RunLog:
        """That of the last run."""
        return self._log

    @property
    def fitting(self) -> set[str]:
        return set(self._fitting.names)

    @property
    def progress(self) -> Progress:
        return self._log.progress

    @contextmanager
    def run(self) -> Iterator[TreeRun]:
        source = self.wrap(LayoutDirectory(str(self.root), retry_wait=SOURCE_WAIT))
        hands, self.ledger = SpareHands(2), Ledger(self.lines)
        self._log = RunLog(self, Progress(), self.stop, fail_fast=self.policy.fail_fast)
        tools = CopyTools(source, self.target, hands, lambda content: content, self.progress.note_traffic)
        address = TargetAddress.parse("registry.example")
        selection = self.selection or Selection.parse(self.include, self.exclude)
        renames = Renames.parse(self.rename)
        job = RunJob(address, "root", self.policy, selection, renames, self.target.profile, self.preflight)
        self.results.clear()

        def begin(inventory: RepositoryInventory, name: str, _: Sequence[Unit]) -> CopyWork:
            return self.work(tools, inventory, name)

        tree = TreeRun(source, job, begin, hands, log=self._log, stop=self.stop, hold=Hold(), workers=2)
        self._fitting = tree.fitting
        try:
            yield tree
        finally:
            tree.close()
            hands.close()

    def work(self, tools: CopyTools, inventory: RepositoryInventory, name: str) -> CopyWork:
        """The work on one repository, with what the ledger knows of it."""
        return self.works(tools.source, tools.hands, self.policy).copy_work(tools, inventory, name)

    def works(
        self, source: LayoutReader, hands: SpareHands, policy: CopyPolicy, census: Census | None = None
    ) -> Works:
        """What makes the work of each kind of run."""
        options = RunOptions(str(self.root), None, policy=policy)
        shared = census or Census(), Progress(), Pace(None, self.stop), Preparation()
        return Works(source, options, options.choosing.selection(), hands, self.ledger, *shared)

    def record(self, result: TagResult) -> None:
        self.results.append(result)

    def one(self, path: str = "app") -> Iterator[TagResult]:
        """The results of one repository, whose units are done one after the other."""
        source = self.wrap(LayoutDirectory(str(self.root), retry_wait=SOURCE_WAIT))
        hands, self.ledger = SpareHands(1), Ledger(self.lines)
        inventory = enumerate_repository(source, path)
        tools = CopyTools(source, self.target, hands, lambda content: content, lambda _: None)
        work = self.work(tools, inventory, path)
        for unit in units_of(inventory, inventory.tags, self.policy):
            yield from work.execute(unit)
        hands.close()
