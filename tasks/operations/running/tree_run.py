"""A run over a whole tree of layouts: survey it, then do some work on every tag, batch by batch.

Migrations, plans, verifications and checks are runs with different work. The same object serves a flow, whose
tasks call `execute` from several threads, and a standalone command. It knows no Prefect and no stores.

A batch has slices of repositories (`batches.py`), a slice has units. Here is what becomes of a batch; what becomes of
a repository, whose slices may be in several batches, is in `repository_run.py`.
"""

from __future__ import annotations

from concurrent.futures import wait
from dataclasses import replace
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, TypeVar

from tasks.oci.errors import TRANSIENT_CODES, BatchUnfinishedError, StateError
from tasks.operations.reports.counts import counted
from tasks.operations.running.repository_opening import RepositoryOpener
from tasks.operations.running.repository_run import RepositoryRun, Todo, leave
from tasks.operations.running.source_survey import RunJob, Survey, Surveyor
from tasks.operations.source.looking_again import RETRY_DELAYS
from tasks.operations.work.concurrency import CallersPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Executor

    from tasks.operations.reports.run_log import RunLog
    from tasks.operations.running.batches import Batch, Slice
    from tasks.operations.running.hold import Hold
    from tasks.operations.work.repository_work import BeginWork
    from tasks.operations.work.spare_hands import SpareHands
    from tasks.ports import Source
    from tasks.stop import Stop

    Item = TypeVar("Item")
    Done = TypeVar("Done")

BATCHES_AT_ONCE = 4
OPENED_AT_ONCE = 8
"""Repositories of a batch that are opened beside each other: each waits for the target's list of its tags."""


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
        stop: Stop,
        workers: int,
        hold: Hold,
    ) -> None:
        self._hands = hands
        self._log = log
        self.stop = stop
        self._hold = hold
        self._pool = CallersPool(max_workers=workers, thread_name_prefix="copy")
        self._openers = CallersPool(max_workers=min(workers, OPENED_AT_ONCE), thread_name_prefix="open")
        self._surveyor = Surveyor(source, job, log, stop, self._pool, pauses=RETRY_DELAYS)
        self.fitting = fitting = self._surveyor.fitting
        self._opener = RepositoryOpener(
            source, job, begin_work, hands=hands, log=log, fitting=fitting, pool=self._pool
        )
        self._repositories: dict[str, RepositoryRun] = {}
        self._put_off: dict[Batch, list[Todo]] = {}
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
        for path in paths:
            self._repositories[path].account_for()

    def expected_of(self, paths: Iterable[str]) -> int:
        """How many outcomes the survey expected of these repositories; there may be fewer in the end."""
        return sum(self._repositories[path].expected for path in paths)

    @property
    def complete(self) -> bool:
        """Whether everything selected is at the target and verified."""
        return self._log.progress.totals.complete and not self.stop.requested

    def survey(self) -> Survey:
        """Find all layouts and decide on their names and batches.

        Raises:
            SourceUnavailableError: the source is not there.
        """
        survey = self._surveyor.survey()
        for path, slices in groupby((part for batch in survey.batches for part in batch), attrgetter("path")):
            place, expected = survey.names.repositories[path], survey.expected[path]
            self._repositories[path] = RepositoryRun(path, place, expected, tuple(slices), self._log)
        return survey

    def execute(self, batch: Batch, *, last_attempt: bool = True) -> None:
        """Do a batch; every outcome is recorded, nothing is raised for a tag that fails.

        Raises:
            BatchUnfinishedError: before the last attempt, when tags failed for the moment; they have no outcome
                yet, and the next call with the same batch takes up only these.
        """
        if (todos := self._put_off.pop(batch, None)) is None:
            todos = self._begin(batch, last_attempt=last_attempt)
        rests = _all_done(self._pool, partial(self._do, last_attempt=last_attempt), todos)
        again = [rest for rest in rests if rest is not None]
        if again:
            self._put_off[batch] = again
            raise BatchUnfinishedError(f"{counted(len(again), 'part')} of this batch failed for the moment")
        for part in batch:
            self._repositories[part.path].finish_slice()

    def execute_all(self, batches: Sequence[Batch]) -> None:
        """Do all batches, a few at a time, so that the workers always have some, and again what failed for now."""
        with CallersPool(max_workers=BATCHES_AT_ONCE, thread_name_prefix="batch") as pool:
            for future in [pool.submit(self._execute_with_retries, batch) for batch in batches]:
                future.result()

    def abandon(self) -> None:
        """Where the run ends early, report each tag not done, and the findings on unfinished repositories.

        Raises:
            StateError: results can't be kept; the findings are reported all the same.
        """
        reason = self._log.reason_to_skip()
        if reason is None:
            return
        left = [todo for batch in list(self._put_off) for todo in self._put_off.pop(batch, ())]
        tell = [partial(leave, todo.work, [todo.unit], reason, self._log) for todo in left]
        tell += [partial(repository.abandon, reason) for repository in self._repositories.values()]
        failures = []
        for each in tell:
            try:
                each()
            except StateError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def _execute_with_retries(self, batch: Batch) -> None:
        for seconds in RETRY_DELAYS:
            try:
                self.execute(batch, last_attempt=False)
            except BatchUnfinishedError:
                self.stop.pause(seconds)
            else:
                return
        self.execute(batch)

    def _begin(self, batch: Batch, *, last_attempt: bool) -> list[Todo]:
        """All units of a batch, which is begun then; a repository that can't be opened is a finding.

        Raises:
            BatchUnfinishedError: a repository can't be opened for the moment; nothing of the batch was begun.
        """
        opened = _all_done(self._openers, partial(self._open, last_attempt=last_attempt), batch)
        begun = [
            todos
            for part, todos in zip(batch, opened, strict=True)
            if todos is not None and self._repositories[part.path].begin_slice(part)
        ]
        return [todo for todos in begun for todo in todos]

    def _open(self, part: Slice, *, last_attempt: bool) -> list[Todo] | None:
        """The units of a slice; None where the run ends before the slice is begun, which `abandon` reports."""
        self._hold.wait(self.stop)
        repository = self._repositories[part.path]
        if self._log.reason_to_skip() is not None and not repository.is_open:
            return None
        open_it = partial(self._opener.open, repository, patient=not last_attempt)
        return repository.todos(part, open_it, last_attempt=last_attempt)

    def _do(self, todo: Todo, *, last_attempt: bool) -> Todo | None:
        """Do one unit; what is left of it when some of its tags failed for the moment."""
        self._hold.wait(self.stop)
        with self._log.progress.at_work_on(max(1, len(todo.unit.tags))):
            return self._done(todo, last_attempt=last_attempt)

    def _done(self, todo: Todo, *, last_attempt: bool) -> Todo | None:
        work, unit = todo
        if (reason := self._log.reason_to_skip()) is not None:
            results = work.skip(unit, reason)
        else:
            with self._hands.one():
                results = work.execute(replace(unit, patient=not last_attempt))
        is_final = last_attempt or self._log.reason_to_skip() is not None
        later = [] if is_final else [result for result in results if result.code in TRANSIENT_CODES]
        for result in results:
            if result not in later:
                self._log.keep(result)
        tags = tuple(result.tag for result in later if result.tag is not None)
        return Todo(work, replace(unit, tags=tags)) if later else None


def _all_done(pool: Executor, do: Callable[[Item], Done], items: Iterable[Item]) -> list[Done]:
    """What comes of each, once all are done."""
    futures = [pool.submit(do, item) for item in items]
    wait(futures)
    return [future.result() for future in futures]
