"""A run over a whole tree of layouts: survey it, then do some work on every tag, batch by batch.

Migrations, plans, verifications and checks are runs with different work. The same object serves a flow, whose
tasks call `execute` from several threads, and a standalone command. It knows neither Prefect nor where things
are.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from tasks.oci.errors import TRANSIENT_CODES, BatchUnfinishedError, LayoutliftError
from tasks.operations.enumeration import children_of, enumerate_repository
from tasks.operations.hold import Hold
from tasks.operations.planning import Batch, NamePlan, Slice, plan_selection
from tasks.operations.repository_work import RepositoryWork, units_of
from tasks.operations.run_log import FATAL
from tasks.operations.source_survey import RunJob, Survey, Surveyor
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tasks.operations.repository_work import Unit
    from tasks.operations.results import RepositoryInventory, TagResult
    from tasks.operations.run_log import RunLog
    from tasks.operations.spare_hands import SpareHands
    from tasks.ports import Source, StopSign

BATCHES_AT_ONCE = 4
OPENED_AT_ONCE = 8
"""Repositories of a batch that are opened beside each other: each waits for the target's list of its tags."""
RETRY_DELAYS = (5.0, 20.0)
"""Seconds before a batch is taken up again for the tags that failed for the moment."""

logger = logging.getLogger(__name__)


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
        hold: Hold | None = None,
    ) -> None:
        self._source = source
        self._hands = hands
        self._open_work = open_work
        self._job = job
        self._log = log
        self._stop = stop
        self._hold = hold or Hold()
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="copy")
        self._openers = ThreadPoolExecutor(max_workers=min(workers, OPENED_AT_ONCE), thread_name_prefix="open")
        self._lock = threading.Lock()
        self._open: dict[str, _Open] = {}
        self._opening: dict[str, threading.Lock] = {}
        self._slices_left: dict[str, int] = {}
        self._names = NamePlan({}, {})
        self._sizes: Mapping[str, int] = {}
        self._deferred: dict[Batch, list[_Task]] = {}
        self._left: dict[Slice, bool] = {}
        """What nobody has begun, of repositories that are not settled; False once it was told of instead."""
        self._settled: set[str] = set()
        self.ended_early = False

    def close(self) -> None:
        """Let the workers go; what they are doing is finished first."""
        self._openers.shutdown(wait=True, cancel_futures=True)
        self._pool.shutdown(wait=True, cancel_futures=True)

    def end_early(self) -> None:
        """Have the run end in order, with what is not begun left for another one."""
        self.ended_early = True
        self._stop.set()

    @property
    def stop(self) -> StopSign:
        """What ends the run before its time."""
        return self._stop

    def settle(self, paths: Iterable[str]) -> None:
        """Take note that these repositories were seen to, in another process."""
        self._settled.update(paths)

    def entries_of(self, paths: Iterable[str]) -> int:
        """How many entries the survey counted in these repositories; not each comes to have an outcome."""
        return sum(self._sizes.get(path, 0) for path in paths)

    @property
    def complete(self) -> bool:
        """Whether everything selected is at the target and verified."""
        return self._log.progress.totals.complete and not self._stop.requested

    def survey(self) -> Survey:
        """Find all layouts and decide on their names and batches.

        Raises:
            SourceUnavailableError: the source is not there.
        """
        survey = Surveyor(self._source, self._job, self._log, self._stop, self._pool).survey()
        self._names, self._sizes = survey.names, survey.sizes
        for each in (part for batch in survey.batches for part in batch):
            self._slices_left[each.path] = self._slices_left.get(each.path, 0) + 1
            self._left[each] = True
        return survey

    def execute(self, batch: Batch, *, last_attempt: bool = True) -> None:
        """Do a batch; every outcome is recorded, nothing is raised for a tag that fails.

        Raises:
            BatchUnfinishedError: before the last attempt, when tags failed for the moment; they have no outcome
                yet, and the next call with the same batch takes up only these.
        """
        tasks = self._deferred.pop(batch, None)
        if tasks is None:
            tasks = self._tasks(batch, last_attempt=last_attempt)
        # in the caller's context: what is logged belongs to its flow
        futures = [self._pool.submit(copy_context().run, self._execute, task, last_attempt) for task in tasks]
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

    def abandon(self) -> None:
        """Record what a run that ends early has not come to: tags put off, and what was never begun."""
        reason = self._log.reason_to_skip()
        if reason is None:
            return
        for batch in list(self._deferred):
            for task in self._deferred.pop(batch, ()):
                for result in task.work.skip(task.unit, reason):
                    self._log.keep(result)
        for part in list(self._left):  # others may still be at work, where the run is ended without waiting for them
            with self._lock:
                is_left, self._left[part] = self._left.get(part, False), False
            if is_left and part.path not in self._settled:
                self._leave(part, reason)

    def _leave(self, part: Slice, reason: LayoutliftError) -> None:
        """Tell of each tag that was never begun, or of the repository as a whole where it was not opened either."""
        opened = self._open.get(part.path)
        if opened is None:
            self._note_closed(part.path, reason.code, str(reason))
            return
        for unit in opened.units[part.start : part.stop]:
            for result in opened.work.skip(unit, reason):
                self._log.keep(result)

    def _execute_with_retries(self, batch: Batch) -> None:
        for seconds in RETRY_DELAYS:
            try:
                self.execute(batch, last_attempt=False)
            except BatchUnfinishedError:
                self._stop.pause(seconds)
            else:
                return
        self.execute(batch)

    def _tasks(self, batch: Batch, *, last_attempt: bool) -> list[_Task]:
        """All units of a batch; a repository that can't be opened is a finding, for the moment or for good.

        Raises:
            BatchUnfinishedError: one can't be opened for the moment; nothing of the batch was begun.
        """
        act = partial(self._tasks_of, last_attempt=last_attempt)
        begun = {part: self._openers.submit(copy_context().run, act, part) for part in batch}
        wait(begun.values())
        found = {part: tasks for part, each in begun.items() if (tasks := each.result()) is not None}
        with self._lock:
            ours = [part for part in found if self._left.pop(part, True)]
        return [task for part in ours for task in found[part]]

    def _tasks_of(self, part: Slice, *, last_attempt: bool) -> list[_Task] | None:
        """The units of a slice; None where it is not begun any more, which `abandon` tells."""
        self._hold.wait(self._stop)
        if self._log.reason_to_skip() is not None and part.path not in self._open:
            return None
        try:
            opened = self._opened(part.path)
        except LayoutliftError as error:
            if error.transient and not last_attempt:
                raise BatchUnfinishedError(f"{part.path} can't be opened for the moment: {error}") from error
            self._note_closed(part.path, error.code, str(error))
            if isinstance(error, FATAL):
                self._log.give_up(error)
            return []
        except Exception as error:
            logger.exception("unexpected error when %s was opened", part.path)
            self._note_closed(part.path, "internal_error", f"{type(error).__name__}: {error}")
            return []
        return [_Task(opened.work, unit) for unit in opened.units[part.start : part.stop]]

    def _note_closed(self, path: str, code: str, message: str) -> None:
        """Name a repository once, however many slices of it there are."""
        with self._lock:
            is_named = path in self._settled
            self._settled.add(path)
        if not is_named:
            self._log.note(Finding(path, code, message))

    def _execute(self, task: _Task, last_attempt: bool) -> _Task | None:  # noqa: FBT001 - submitted by position
        """Do one unit; what is left of it when some of its tags failed for the moment."""
        self._hold.wait(self._stop)
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
        self._log.note_index(path, inventory.etag)
        with self._hands.one():
            work = self._open_work(inventory, self._names.repositories[path])
        for finding in inventory.findings:  # not before: what fails for the moment is opened again
            self._log.note(finding)
        if not work.asks_target:
            self._log.note_unasked()
        refused = [entry for entry in inventory.refused if self._job.selection.matches(path, entry.tag)]
        selected = plan_selection(inventory, self._job.selection, partial(children_of, self._source, path))
        units = units_of(inventory, selected, self._job.policy)
        known = len(refused) + sum(len(unit.tags) or 1 for unit in units)
        self._log.progress.expect(known - self._sizes.get(path, known))
        for entry in refused:
            self._log.keep(work.refuse(entry))
        return _Open(work, units)

    def _release(self, path: str) -> None:
        """Free a repository when its last slice is done."""
        with self._lock:
            self._slices_left[path] -= 1
            if self._slices_left[path] > 0:
                return
            opened = self._open.pop(path, None)
        if opened is None:
            return
        for finding in opened.work.finish():
            self._log.note(finding)
