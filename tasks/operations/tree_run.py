"""A run over a whole tree of layouts: survey it, then do some work on every tag, batch by batch.

Migrations, plans, verifications and checks are runs with different work. The same object serves a flow, whose
tasks call `execute` from several threads, and a standalone command. It knows neither Prefect nor where things
are.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tasks.oci.errors import (
    AuthenticationError,
    InterruptedRunError,
    LayoutliftError,
    SourceUnavailableError,
    StateError,
)
from tasks.oci.image_layout import decode_index, iter_index
from tasks.operations.enumeration import enumerate_repository
from tasks.operations.planning import (
    Batch,
    CopyPolicy,
    NamePlan,
    Slice,
    plan_batches,
    plan_names,
    plan_selection,
)
from tasks.operations.repository_work import RepositoryWork, units_of
from tasks.operations.results import Outcome, TagResult
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tasks.oci.reference import TargetAddress
    from tasks.operations.progress import Progress
    from tasks.operations.repository_work import Unit
    from tasks.operations.results import RepositoryInventory, TagEntry
    from tasks.operations.selection import Renames, Selection
    from tasks.operations.spare_hands import SpareHands
    from tasks.ports import Source, StopSign

logger = logging.getLogger(__name__)

HARMLESS_FINDINGS = frozenset({"not_a_layout", "link_not_followed", "extra_at_target"})
"""Findings that are worth a line in the report and no more."""
FATAL = (SourceUnavailableError, StateError, AuthenticationError)
"""Errors that every other tag would meet too: the rest is not tried."""
BATCHES_AT_ONCE = 4


class Recorder(Protocol):
    """Keeps results as they come."""

    def record(self, result: TagResult) -> None:
        """Keep a result; called by many threads."""
        ...


@dataclass(frozen=True, slots=True)
class RunJob:
    """Which tags to work on and by which rules; without an address there is no target."""

    address: TargetAddress | None
    own_name: str
    policy: CopyPolicy
    selection: Selection
    renames: Renames


@dataclass(frozen=True, slots=True)
class Survey:
    """All layouts of the source with their target names and numbers of entries."""

    names: NamePlan
    sizes: dict[str, int]
    batches: tuple[Batch, ...]


@dataclass(slots=True)
class _Open:
    """A repository in work, shared by the slices that are under way."""

    work: RepositoryWork
    units: tuple[Unit, ...]
    slices: int
    lock: threading.Lock = field(default_factory=threading.Lock)


class TreeRun:
    """See the module; `workers` is how many units are in work at once, `open_work` begins one repository's."""

    def __init__(
        self,
        source: Source,
        job: RunJob,
        open_work: Callable[[RepositoryInventory, str], RepositoryWork],
        hands: SpareHands,
        *,
        recorder: Recorder,
        progress: Progress,
        stop: StopSign,
        workers: int,
    ) -> None:
        self._source = source
        self._hands = hands
        self._open_work = open_work
        self._job = job
        self._recorder = recorder
        self.progress = progress
        self._stop = stop
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="copy")
        self._lock = threading.Lock()
        self._open: dict[str, _Open] = {}
        self._opening: dict[str, threading.Lock] = {}
        self._slices_left: dict[str, int] = {}
        self._names = NamePlan({}, {})
        self._fatal: LayoutliftError | None = None
        self.findings: list[Finding] = []

    def close(self) -> None:
        """Let the workers go; what they are doing is finished first."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    @property
    def complete(self) -> bool:
        """Whether everything selected is at the target and verified."""
        return self.progress.totals.complete and not self._stop.requested

    def survey(self) -> Survey:
        """Find all layouts and decide on their names and batches.

        Raises:
            SourceUnavailableError: the source is not there.
        """
        paths = list(self._layouts())
        self._names = self._plan_names(paths)
        self._refuse_names()
        sizes = {path: size for path, size in self._sizes(self._names.repositories) if size is not None}
        batches = plan_batches(sizes)
        for each in (part for batch in batches for part in batch):
            self._slices_left[each.path] = self._slices_left.get(each.path, 0) + 1
        self.progress.expect(sum(sizes.values()))
        return Survey(self._names, sizes, batches)

    def execute(self, batch: Batch) -> None:
        """Do a batch; every outcome is recorded, nothing is raised for a tag that fails."""
        pending: set[Future[None]] = set()
        for part in batch:
            pending |= self._submit(part)
        wait(pending)
        for each in pending:
            each.result()
        for part in batch:
            self._release(part.path)

    def execute_all(self, batches: Sequence[Batch]) -> None:
        """Do all batches, a few at a time, so that the workers always have some."""
        with ThreadPoolExecutor(max_workers=BATCHES_AT_ONCE, thread_name_prefix="batch") as pool:
            for future in [pool.submit(self.execute, batch) for batch in batches]:
                future.result()

    def note(self, finding: Finding) -> None:
        """Keep a finding, and count it where it is more than a remark."""
        with self._lock:
            self.findings.append(finding)
        if finding.code not in HARMLESS_FINDINGS:
            self.progress.note_problem()

    def _plan_names(self, paths: list[str]) -> NamePlan:
        job = self._job
        if job.address is None:
            return NamePlan({path: path for path in paths}, {})
        strict = job.policy.strict_names
        return plan_names(paths, job.address, job.renames.apply, own_name=job.own_name, strict=strict)

    def _layouts(self) -> Iterator[str]:
        for found in self._source.list_layouts():
            if isinstance(found, Finding):
                self.note(found)
            else:
                yield found

    def _sizes(self, paths: Iterable[str]) -> Iterator[tuple[str, int | None]]:
        wanted = list(paths)
        return zip(wanted, self._pool.map(self._size, wanted), strict=True)

    def _size(self, path: str) -> int | None:
        """The number of entries of a layout, None for one that can't be read."""
        try:
            return sum(1 for _ in iter_index(decode_index(self._source.read_index(path).raw)))
        except LayoutliftError as error:
            self.note(Finding(path, error.code, str(error)))
            return None

    def _refuse_names(self) -> None:
        """Every tag of a layout without a name at the target is refused, each by itself."""
        for path, (code, message) in self._names.refused.items():
            self.note(Finding(path, code, message))
            try:
                inventory = enumerate_repository(self._source, path, self._pool.map)
            except LayoutliftError as error:
                self.note(Finding(path, error.code, str(error)))
                continue
            for entry in inventory.tags:
                self._keep(_refused(path, entry, code, message))

    def _submit(self, part: Slice) -> set[Future[None]]:
        try:
            opened = self._opened(part.path)
        except LayoutliftError as error:
            self.note(Finding(part.path, error.code, str(error)))
            if isinstance(error, FATAL):
                self._fatal = error
            return set()
        units = opened.units[part.start : part.stop]
        return {self._pool.submit(self._execute, opened.work, unit) for unit in units}

    def _execute(self, work: RepositoryWork, unit: Unit) -> None:
        if (reason := self._reason_to_skip()) is not None:
            results = work.skip(unit, reason)
        else:
            with self._hands.one():
                results = work.execute(unit)
        self.progress.note_traffic(work.take_traffic())
        for result in results:
            self._keep(result)

    def _reason_to_skip(self) -> LayoutliftError | None:
        if self._stop.requested:
            return InterruptedRunError("the run was interrupted before this was begun")
        return self._fatal

    def _keep(self, result: TagResult) -> None:
        self._recorder.record(result)
        self.progress.note(result)
        if result.is_problem:
            self._react(result)

    def _react(self, result: TagResult) -> None:
        logger.warning("%s %s: %s", result.outcome, result.target or result.repository, result.message)
        for kind in FATAL:
            if result.code == kind.code and self._fatal is None:
                self._fatal = kind(f"not tried, since before it: {result.message}")
        if self._job.policy.fail_fast:
            self._stop.set()

    def _opened(self, path: str) -> _Open:
        with self._lock:
            opening = self._opening.setdefault(path, threading.Lock())
        with opening:
            if path not in self._open:
                self._open[path] = self._open_repository(path)
            return self._open[path]

    def _open_repository(self, path: str) -> _Open:
        inventory = enumerate_repository(self._source, path)
        for finding in inventory.findings:
            self.note(finding)
        work = self._open_work(inventory, self._names.repositories[path])
        for entry in inventory.refused:
            if self._job.selection.matches(path, entry.tag):
                self._keep(work.refuse(entry))
        selected = plan_selection(inventory, self._job.selection)
        return _Open(work, units_of(inventory, selected, self._job.policy), self._slices_left.get(path, 1))

    def _release(self, path: str) -> None:
        """Free a repository when its last slice is done."""
        with self._lock:
            opened = self._open.get(path)
            if opened is None:
                return
            opened.slices -= 1
            if opened.slices > 0:
                return
            del self._open[path]
        for finding in opened.work.finish():
            self.note(finding)


def _refused(path: str, entry: TagEntry, code: str, message: str) -> TagResult:
    found = entry.descriptor
    return TagResult(
        path, entry.tag, found.digest, found.media_type, None, Outcome.REFUSED, code=code, message=message
    )
