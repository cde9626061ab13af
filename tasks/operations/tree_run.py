"""A run over a whole tree of layouts: survey it, then do some work on every tag, batch by batch.

Migrations, plans, verifications and checks are runs with different work. The same object serves a flow, whose
tasks call `execute` from several threads, and a standalone command. It knows neither Prefect nor where things
are.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tasks.oci.errors import TRANSIENT_CODES, BatchUnfinishedError, InterruptedRunError, LayoutliftError
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
from tasks.operations.run_log import FATAL
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tasks.oci.reference import TargetAddress
    from tasks.operations.repository_work import Unit
    from tasks.operations.results import RepositoryInventory, TagEntry
    from tasks.operations.run_log import RunLog
    from tasks.operations.selection import Renames, Selection
    from tasks.operations.spare_hands import SpareHands
    from tasks.ports import Source, StopSign

BATCHES_AT_ONCE = 4
RETRY_DELAYS = (5.0, 20.0)
"""Seconds before a batch is taken up again for the tags that failed for the moment."""


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


@dataclass(frozen=True, slots=True)
class _Task:
    """A unit to do, with the work that it belongs to."""

    work: RepositoryWork
    unit: Unit


@dataclass(slots=True)
class _Open:
    """A repository in work, shared by the slices that are under way."""

    work: RepositoryWork
    units: tuple[Unit, ...]
    slices: int


class TreeRun:
    """See the module; `workers` is how many units are in work at once, `open_work` begins one repository's."""

    def __init__(
        self,
        source: Source,
        job: RunJob,
        open_work: Callable[[RepositoryInventory, str], RepositoryWork],
        hands: SpareHands,
        *,
        log: RunLog,
        stop: StopSign,
        workers: int,
    ) -> None:
        self._source = source
        self._hands = hands
        self._open_work = open_work
        self._job = job
        self._log = log
        self._stop = stop
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="copy")
        self._lock = threading.Lock()
        self._open: dict[str, _Open] = {}
        self._opening: dict[str, threading.Lock] = {}
        self._slices_left: dict[str, int] = {}
        self._names = NamePlan({}, {})
        self._deferred: dict[Batch, list[_Task]] = {}

    def close(self) -> None:
        """Let the workers go; what they are doing is finished first."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    @property
    def complete(self) -> bool:
        """Whether everything selected is at the target and verified."""
        return self._log.progress.totals.complete and not self._stop.requested

    def survey(self) -> Survey:
        """Find all layouts and decide on their names and batches.

        Raises:
            SourceUnavailableError: the source is not there.
        """
        paths = list(self._layouts())
        if not paths:
            self._log.note(
                Finding(".", "no_layouts", "there is no image layout below the source; is the bucket mounted?")
            )
        self._names = self._plan_names([path for path in paths if self._job.selection.may_match(path)])
        self._refuse_names()
        sizes = {path: size for path, size in self._sizes(self._names.repositories) if size is not None}
        batches = plan_batches(sizes)
        for each in (part for batch in batches for part in batch):
            self._slices_left[each.path] = self._slices_left.get(each.path, 0) + 1
        self._log.progress.expect(sum(sizes.values()))
        return Survey(self._names, sizes, batches)

    def execute(self, batch: Batch, *, last_attempt: bool = True) -> None:
        """Do a batch; every outcome is recorded, nothing is raised for a tag that fails.

        Raises:
            BatchUnfinishedError: before the last attempt, when tags failed for the moment; they have no outcome
                yet, and the next call with the same batch takes up only these.
        """
        tasks = self._deferred.pop(batch, None)
        if tasks is None:
            tasks = [task for part in batch for task in self._tasks(part)]
        futures = [self._pool.submit(self._execute, task, last_attempt) for task in tasks]
        wait(futures)
        again = [task for future in futures if (task := future.result()) is not None]
        if again:
            self._deferred[batch] = again
            raise BatchUnfinishedError(f"{len(again)} parts of this batch failed for the moment")
        for part in batch:
            self._release(part.path)

    def execute_all(self, batches: Sequence[Batch]) -> None:
        """Do all batches, a few at a time, so that the workers always have some, and again what failed for now."""
        with ThreadPoolExecutor(max_workers=BATCHES_AT_ONCE, thread_name_prefix="batch") as pool:
            for future in [pool.submit(self._execute_with_retries, batch) for batch in batches]:
                future.result()

    def _execute_with_retries(self, batch: Batch) -> None:
        for seconds in RETRY_DELAYS:
            try:
                self.execute(batch, last_attempt=False)
            except BatchUnfinishedError:
                self._stop.pause(seconds)
            else:
                return
        self.execute(batch)

    def _plan_names(self, paths: list[str]) -> NamePlan:
        job = self._job
        if job.address is None:
            return NamePlan({path: path for path in paths}, {})
        strict = job.policy.strict_names
        return plan_names(paths, job.address, job.renames.apply, own_name=job.own_name, strict=strict)

    def _layouts(self) -> Iterator[str]:
        for found in self._source.list_layouts():
            if isinstance(found, Finding):
                self._log.note(found)
            else:
                yield found

    def _sizes(self, paths: Iterable[str]) -> Iterator[tuple[str, int | None]]:
        wanted = list(paths)
        return zip(wanted, self._pool.map(self._size, wanted), strict=True)

    def _size(self, path: str) -> int | None:
        """The number of entries of a layout, None for one that can't be read."""
        if self._stop.requested:
            raise InterruptedRunError("the run was interrupted while it looked through the source")
        try:
            return sum(1 for _ in iter_index(decode_index(self._source.read_index(path).raw)))
        except LayoutliftError as error:
            self._log.note(Finding(path, error.code, str(error)))
            return None

    def _refuse_names(self) -> None:
        """Every tag of a layout without a name at the target is refused, each by itself."""
        for path, (code, message) in self._names.refused.items():
            self._log.note(Finding(path, code, message))
            try:
                inventory = enumerate_repository(self._source, path, self._pool.map)
            except LayoutliftError as error:
                self._log.note(Finding(path, error.code, str(error)))
                continue
            for entry in plan_selection(inventory, self._job.selection):
                self._log.keep(_refused(path, entry, code, message))

    def _tasks(self, part: Slice) -> list[_Task]:
        if self._stop.requested and part.path not in self._open:
            self._log.note(
                Finding(part.path, InterruptedRunError.code, "the run was interrupted before this was begun")
            )
            return []
        try:
            opened = self._opened(part.path)
        except LayoutliftError as error:
            self._log.note(Finding(part.path, error.code, str(error)))
            if isinstance(error, FATAL):
                self._log.give_up(error)
            return []
        return [_Task(opened.work, unit) for unit in opened.units[part.start : part.stop]]

    def _execute(self, task: _Task, last_attempt: bool) -> _Task | None:  # noqa: FBT001 - submitted by position
        """Do one unit; what is left of it when some of its tags failed for the moment."""
        if (reason := self._log.reason_to_skip()) is not None:
            results = task.work.skip(task.unit, reason)
        else:
            with self._hands.one():
                results = task.work.execute(task.unit)
        self._log.progress.note_traffic(task.work.take_traffic())
        if last_attempt or self._log.reason_to_skip() is not None:
            later: list[TagResult] = []
        else:
            later = [result for result in results if result.code in TRANSIENT_CODES]
        for result in results:
            if result not in later:
                self._log.keep(result)
        if not later:
            return None
        return _Task(task.work, replace(task.unit, tags=tuple(r.tag for r in later if r.tag is not None)))

    def _opened(self, path: str) -> _Open:
        with self._lock:
            opening = self._opening.setdefault(path, threading.Lock())
        with opening:
            if path not in self._open:
                self._open[path] = self._open_repository(path)
            return self._open[path]

    def _open_repository(self, path: str) -> _Open:
        inventory = enumerate_repository(self._source, path, self._pool.map)
        for finding in inventory.findings:
            self._log.note(finding)
        work = self._open_work(inventory, self._names.repositories[path])
        for entry in inventory.refused:
            if self._job.selection.matches(path, entry.tag):
                self._log.keep(work.refuse(entry))
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
            self._log.note(finding)


def _refused(path: str, entry: TagEntry, code: str, message: str) -> TagResult:
    found = entry.descriptor
    return TagResult(
        path, entry.tag, found.digest, found.media_type, None, Outcome.REFUSED, code=code, message=message
    )
