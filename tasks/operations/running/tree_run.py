"""A run over a whole tree of layouts: survey it, then do some work on every tag, batch by batch.

Migrations, plans, verifications and checks are runs with different work. The same object serves a flow, whose
tasks call `execute` from several threads, and a standalone command. It knows no Prefect and no stores.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from tasks.oci.codes import Problem
from tasks.oci.errors import TRANSIENT_CODES, BatchUnfinishedError, LayoutliftError
from tasks.operations.choosing.chosen_tags import absent_of, fitting_patterns, plan_selection
from tasks.operations.choosing.newest import not_ordered
from tasks.operations.reports.counts import counted
from tasks.operations.reports.findings import FATAL
from tasks.operations.reports.shown_text import printable
from tasks.operations.running.hold import Hold
from tasks.operations.running.open_repositories import OpenRepositories, OpenRepository
from tasks.operations.running.source_survey import RunJob, Survey, Surveyor
from tasks.operations.source.enumeration import children_of, enumerate_repository
from tasks.operations.source.looking_again import RETRY_DELAYS
from tasks.operations.work.planning import NamePlan
from tasks.operations.work.repository_work import RepositoryWork, refused_of, units_of
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tasks.operations.reports.results import RepositoryInventory, TagEntry
    from tasks.operations.reports.run_log import RunLog
    from tasks.operations.running.batches import Batch, Slice
    from tasks.operations.work.repository_work import BeginWork, Unit
    from tasks.operations.work.spare_hands import SpareHands
    from tasks.ports import Source, StopSign

BATCHES_AT_ONCE = 4
OPENED_AT_ONCE = 8
"""Repositories of a batch that are opened beside each other: each waits for the target's list of its tags."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Todo:
    """A unit to do, with the work that it belongs to."""

    work: RepositoryWork
    unit: Unit


class TreeRun:
    """See the module; `workers` is how many units are in work at once, `stop` ends the run before its time."""

    def __init__(
        self,
        source: Source,
        job: RunJob,
        begin_work: BeginWork,
        hands: SpareHands,
        *,
        log: RunLog,
        stop: StopSign,
        workers: int,
        hold: Hold | None = None,
    ) -> None:
        self._source = source
        self._hands = hands
        self._begin_work = begin_work
        self._job = job
        self._log = log
        self.stop = stop
        self._hold = hold or Hold()
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="copy")
        self._openers = ThreadPoolExecutor(max_workers=min(workers, OPENED_AT_ONCE), thread_name_prefix="open")
        self._lock = threading.Lock()
        self._repositories = OpenRepositories()
        self._names = NamePlan({}, {})
        self._expected: Mapping[str, int] = {}
        self._deferred: dict[Batch, list[_Todo]] = {}
        self._unbegun: dict[Slice, None] = {}
        self._abandoned: set[Slice] = set()  # reported as not begun by `abandon`, so not to be begun any more
        self._accounted: set[str] = set()  # repositories with a finding of their own, or done by another process
        self._unopened: dict[str, dict[Slice, LayoutliftError]] = {}  # by repository: a later slice may yet open it
        self.ended_early = False

    def close(self) -> None:
        """Let the workers go; what they are doing is finished first."""
        self._openers.shutdown(wait=True, cancel_futures=True)
        self._pool.shutdown(wait=True, cancel_futures=True)

    def end_early(self) -> None:
        """Have the run end in order, with what is not begun left for another one."""
        self.ended_early = True
        self.stop.set()

    def note_done_elsewhere(self, paths: Iterable[str]) -> None:
        """Take note that another process did these repositories, or that a finding says why none did."""
        self._accounted.update(paths)

    def expected_of(self, paths: Iterable[str]) -> int:
        """How many outcomes the survey expected of these repositories; there may be fewer in the end."""
        return sum(self._expected.get(path, 0) for path in paths)

    @property
    def complete(self) -> bool:
        """Whether everything selected is at the target and verified."""
        return self._log.progress.totals.complete and not self.stop.requested

    def survey(self) -> Survey:
        """Find all layouts and decide on their names and batches.

        Raises:
            SourceUnavailableError: the source is not there.
        """
        survey = Surveyor(self._source, self._job, self._log, self.stop, self._pool, pauses=RETRY_DELAYS).survey()
        self._names, self._expected = survey.names, survey.expected
        self._unbegun = dict.fromkeys(part for batch in survey.batches for part in batch)
        self._repositories.expect(self._unbegun)
        return survey

    def execute(self, batch: Batch, *, last_attempt: bool = True) -> None:
        """Do a batch; every outcome is recorded, nothing is raised for a tag that fails.

        Raises:
            BatchUnfinishedError: before the last attempt, when tags failed for the moment; they have no outcome
                yet, and the next call with the same batch takes up only these.
        """
        if (todos := self._deferred.pop(batch, None)) is None:
            todos = self._todos(batch, last_attempt=last_attempt)
        act = partial(self._execute, last_attempt=last_attempt)
        # in the caller's context: what is logged belongs to its flow
        futures = [self._pool.submit(copy_context().run, act, todo) for todo in todos]
        wait(futures)
        again = [todo for future in futures if (todo := future.result()) is not None]
        if again:
            self._deferred[batch] = again
            raise BatchUnfinishedError(f"{counted(len(again), 'part')} of this batch failed for the moment")
        for part in batch:
            self._release(part.path)

    def execute_all(self, batches: Sequence[Batch]) -> None:
        """Do all batches, a few at a time, so that the workers always have some, and again what failed for now."""
        with ThreadPoolExecutor(max_workers=BATCHES_AT_ONCE, thread_name_prefix="batch") as pool:
            for future in [pool.submit(self._execute_with_retries, batch) for batch in batches]:
                future.result()

    def abandon(self) -> None:
        """Where the run ends early, report each tag not done, and the findings on unfinished repositories."""
        reason = self._log.reason_to_skip()
        if reason is None:
            return
        for batch in list(self._deferred):
            for todo in self._deferred.pop(batch, ()):
                for result in todo.work.skip(todo.unit, reason):
                    self._log.keep(result)
        with self._lock:  # others may still be at work, where the run is ended without waiting for them
            left, self._unbegun = self._unbegun, {}
            self._abandoned.update(left)
        for part in left:
            if part.path not in self._accounted:
                self._leave(part, reason)
        for repository in self._repositories.take_all():
            self._log.note_all(repository.work.found())

    def _leave(self, part: Slice, reason: LayoutliftError) -> None:
        """Report each tag of a slice as not begun; if its repository was never opened, the repository as a whole."""
        repository = self._repositories.find(part.path)
        if repository is None:
            self._note_once(part.path, reason.code, str(reason))
            return
        for unit in repository.units[part.start : part.stop]:
            for result in repository.work.skip(unit, reason):
                self._log.keep(result)

    def _execute_with_retries(self, batch: Batch) -> None:
        for seconds in RETRY_DELAYS:
            try:
                self.execute(batch, last_attempt=False)
            except BatchUnfinishedError:
                self.stop.pause(seconds)
            else:
                return
        self.execute(batch)

    def _todos(self, batch: Batch, *, last_attempt: bool) -> list[_Todo]:
        """All units of a batch; a repository that can't be opened is a finding.

        Raises:
            BatchUnfinishedError: a repository can't be opened for the moment; nothing of the batch was begun.
        """
        act = partial(self._todos_of, last_attempt=last_attempt)
        opened = {part: self._openers.submit(copy_context().run, act, part) for part in batch}
        wait(opened.values())
        found = {part: todos for part, each in opened.items() if (todos := each.result()) is not None}
        with self._lock:
            ours = [part for part in found if part not in self._abandoned]
            for part in ours:
                self._unbegun.pop(part, None)
        return [todo for part in ours for todo in found[part]]

    def _todos_of(self, part: Slice, *, last_attempt: bool) -> list[_Todo] | None:
        """The units of a slice; None where the run ends before the slice is begun, which `abandon` reports."""
        self._hold.wait(self.stop)
        if self._log.reason_to_skip() is not None and self._repositories.find(part.path) is None:
            return None
        try:
            open_it = partial(self._open, part.path, patient=not last_attempt)
            repository = self._repositories.open(part.path, open_it)
        except LayoutliftError as error:
            if error.transient and not last_attempt:
                raise BatchUnfinishedError(f"{part.path} can't be opened for the moment: {error}") from error
            self._note_unopened(part, error.code, error)
            if isinstance(error, FATAL):
                self._log.give_up(error)
            return []
        except Exception as error:
            logger.exception("unexpected error when %s was opened", printable(part.path))
            self._note_unopened(part, Problem.INTERNAL_ERROR, LayoutliftError(f"{type(error).__name__}: {error}"))
            return []
        self._unopened.get(part.path, {}).pop(part, None)
        return [_Todo(repository.work, unit) for unit in repository.units[part.start : part.stop]]

    def _note_unopened(self, part: Slice, code: str, reason: LayoutliftError) -> None:
        count = counted(self._expected.get(part.path, 0), "tag")
        self._note_once(part.path, code, f"{reason} (the source has {count} of it)")
        self._unopened.setdefault(part.path, {})[part] = reason

    def _note_once(self, path: str, code: str, message: str) -> None:
        """Note one finding on a repository, however many slices of it there are."""
        with self._lock:
            is_known = path in self._accounted
            self._accounted.add(path)
        if not is_known:
            self._log.note(Finding(path, code, message))

    def _execute(self, todo: _Todo, *, last_attempt: bool) -> _Todo | None:
        """Do one unit; what is left of it when some of its tags failed for the moment."""
        self._hold.wait(self.stop)
        if (reason := self._log.reason_to_skip()) is not None:
            results = todo.work.skip(todo.unit, reason)
        else:
            with self._hands.one():
                results = todo.work.execute(replace(todo.unit, patient=not last_attempt))
        self._log.progress.note_traffic(todo.work.take_traffic())
        is_final = last_attempt or self._log.reason_to_skip() is not None
        later = [] if is_final else [result for result in results if result.code in TRANSIENT_CODES]
        for result in results:
            if result not in later:
                self._log.keep(result)
        tags = tuple(result.tag for result in later if result.tag is not None)
        return _Todo(todo.work, replace(todo.unit, tags=tags)) if later else None

    def _open(self, path: str, *, patient: bool) -> OpenRepository:
        selection = self._job.selection
        dated = selection.asks_for_times
        inventory = enumerate_repository(self._source, path, self._pool.map, dated=dated, patient=patient)
        self._log.note_index(path, inventory.etag)
        self._log.note_fitting(fitting_patterns(inventory, selection, self._log.fitting))
        selected, unread = self._selected(inventory, patient=patient)
        inventory = replace(inventory, findings=(*inventory.findings, *unread))
        with self._hands.one():
            work = self._begin_work(inventory, self._names.repositories[path])
        # not before: what fails for the moment is opened again
        absent = absent_of(inventory, selection)
        self._log.note_all((*inventory.findings, *absent, *not_ordered(path, selected, selection.newest)))
        if not work.asks_target:
            self._log.note_unasked()
        units = units_of(inventory, selected, self._job.policy)
        refused = refused_of(inventory, selection, units)
        known = len(refused) + sum(len(unit.tags) or 1 for unit in units)
        self._log.progress.expect(known - self._expected.get(path, known))
        for entry in refused:
            self._log.keep(work.refuse(entry))
        return OpenRepository(work, units)

    def _selected(
        self, inventory: RepositoryInventory, *, patient: bool
    ) -> tuple[tuple[TagEntry, ...], list[Finding]]:
        """What is chosen of a repository, and what could not be read when it was looked for."""
        told: list[Finding] = []
        below = partial(children_of, self._source, inventory.path, self._pool.map, tell=told.append, patient=patient)
        return plan_selection(inventory, self._job.selection, below), told

    def _release(self, path: str) -> None:
        """After the last slice of a repository, report the slices that could not be opened, and free it."""
        if not self._repositories.is_done(path):
            return
        for part, reason in self._unopened.pop(path, {}).items():
            self._leave(part, reason)
        repository = self._repositories.take(path)
        if repository is not None:
            self._log.note_all(repository.work.finish())
