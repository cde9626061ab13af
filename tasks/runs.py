"""Runs: stores, operations, state and workers joined for one migration, plan, verification or check. No Prefect.

Everything a run holds open is opened and closed here.
"""

from __future__ import annotations

import logging
import uuid
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.endpoints import close_source
from tasks.oci.errors import IncompleteError, StateError
from tasks.operations.reports.closing import closing_line
from tasks.operations.reports.progress import Progress
from tasks.operations.reports.report_rows import totals_json
from tasks.operations.reports.results import Outcome
from tasks.operations.reports.run_log import RunLog
from tasks.operations.running.head_start import HeadStart
from tasks.operations.running.traced_work import traced
from tasks.operations.running.tree_run import TreeRun
from tasks.operations.source.source_graph import Census
from tasks.operations.work.spare_hands import SpareHands
from tasks.ports import Finding
from tasks.run_controls import RunControls
from tasks.run_ends import RunEnds
from tasks.run_options import RunKind, RunOptions, shown_options
from tasks.run_parts import (
    about_run,
    check_own_files,
    hold_lock,
    job_at_target,
    job_of,
    known_part,
    open_records,
    preparation_of,
    source_of,
    state_of,
    target_of,
    tracer_of,
)
from tasks.run_works import Works

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tasks.ledger.ledger import Ledger
    from tasks.operations.reports.results import TagResult, Totals
    from tasks.operations.reports.shard_report import ShardSummary
    from tasks.operations.running.batches import Batch
    from tasks.operations.running.source_survey import Survey
    from tasks.stop import Stop
    from tasks.stores.registry.registry_store import RegistryStore
    from tasks.stores.state.run_spool import RunSpool
    from tasks.stores.state.run_state import RunState

logger = logging.getLogger(__name__)


class Run:
    """An open run: `tree` does the work, `log` keeps what comes of it, and the report is made of that."""

    def __init__(
        self,
        kind: RunKind,
        options: RunOptions,
        tree: TreeRun,
        *,
        log: RunLog,
        ledger: Ledger,
        spool: RunSpool[TagResult],
        state: RunState,
        census: Census,
        target: RegistryStore | None,
        controls: RunControls,
        ends: RunEnds,
        run_id: str,
    ) -> None:
        self.kind = kind
        self.run_id = run_id
        self.options = options
        self.tree = tree
        self.controls = controls
        self.census = census
        self.ends = ends
        self.log = log
        self.ledger = ledger
        self._spool = spool
        self._state = state
        self._target = target
        self._about = about_run(kind, options, run_id)
        self._head_start: HeadStart | None = None
        self.is_ending = False
        """Whether its report is being written, or is there: the work has let go."""
        self.report_path: Path | None = None
        self.report_places: list[str] = []
        self._is_delivered = True
        self._requests_elsewhere = 0

    @property
    def progress(self) -> Progress:
        """Counters of the run while it goes on."""
        return self.log.progress

    @property
    def totals(self) -> Totals:
        """Counts of outcomes so far."""
        return self.log.progress.totals

    @contextmanager
    def head_start(self) -> Iterator[None]:
        """Begin with the work now, for a caller who will ask for it later; see `HeadStart`."""
        self._head_start = HeadStart(self.tree)
        try:
            yield
        finally:
            self.wait_for_head_start()

    def survey(self) -> Survey:
        """What there is to do at the source; asked for once a run.

        Raises:
            SourceUnavailableError: the source is not there.
        """
        survey = (self._head_start or self.tree).survey()
        self.census.note_refused(survey.refused)
        return survey

    def execute(self, batch: Batch, *, last_attempt: bool) -> None:
        """Do a batch; see `TreeRun.execute`."""
        (self._head_start or self.tree).execute(batch, last_attempt=last_attempt)

    def wait_for_head_start(self) -> None:
        """Wait for what `head_start` has begun; before that, a report could not say what became of it."""
        if self._head_start is not None:
            self._head_start.close()

    @property
    def requests(self) -> int:
        """How many requests went to the target."""
        return self._requests_elsewhere + (self._target.requests_made if self._target is not None else 0)

    def absorb(self, summary: ShardSummary, results: Iterable[TagResult]) -> None:
        """Take over what another process did as a part of this run."""
        self._requests_elsewhere += summary.requests
        self.tree.fitting.absorb(summary.fitting)
        self.log.absorb(summary, results)

    def results(self) -> Iterator[TagResult]:
        """All results so far, in the order in which they came."""
        return self._spool.iter_results()

    def discard(self) -> None:
        """Keep no results, where nobody wants a report; they can't be asked for afterwards."""
        self._spool.discard()

    def header(self) -> dict[str, Any]:
        """The report's part on the run itself."""
        return {
            **self._about,
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "chosen": "part" if self.options.leaves_out else "all",
            "options": shown_options(self.options),
            **self.ends.to_json(),
            **({"rate_limit": limit} if self._target and (limit := self._target.rate_limit) else {}),
        }

    def totals_json(self) -> Mapping[str, int]:
        """The report's totals; a plan or check adds the census of the source."""
        totals = totals_json(self.totals, self.requests)
        if self.kind is RunKind.PLAN:
            to_copy = self.totals.outcomes[Outcome.TO_COPY]
            totals |= {"to_copy": to_copy, "bytes_to_copy": self.census.bytes_to_copy}
        return totals | self.census.to_json() if self.kind.has_census else totals

    def write_report(self) -> Path:
        """Write the report for the run's state, and to where the user wants it; its path on this machine.

        That it is not in one of these places is told by `raise_if_incomplete`: what else is to be said comes first.

        Raises:
            StateError: it can't be written on this machine, or lacks results that could not be kept.
        """
        self.is_ending = True
        lost = self._end_records()
        self.report_places.clear()
        wanted = self.options.report
        try:
            self.report_path = report = self._write_report(None)
        finally:  # the user's may be on a disk that has room
            if wanted:
                self._deliver(lambda: str(self._write_report(Path(wanted))))
        self._deliver(lambda: self._state.keep_report(self.run_id, report))
        if lost is not None:
            raise lost
        return report

    def _end_records(self) -> StateError | None:
        """Record what was not done; why that, or results of before, can't be kept, which the report says then."""
        lost = None
        for act in (self.tree.abandon, self._spool.flush):
            try:
                act()
            except StateError as error:
                lost = lost or error
        if lost is not None:
            finding = Finding(".", lost.code, str(lost))
            self.log.note_all([] if finding in self.log.findings else [finding])
            self.ends.equality.withdraw("not all results could be kept")
        return lost

    def _deliver(self, write: Callable[[], str]) -> None:
        try:
            self.report_places.append(write())
        except StateError as error:
            logger.warning("%s", error)
            self._is_delivered = False

    def raise_if_incomplete(self) -> None:
        """Say that the run did not find or bring everything to where it should be.

        Raises:
            IncompleteError: some tags are not at the target, or something at the source could not be read.
            StateError: all is well but for the report, which is not where the user or the next run looks for it.
        """
        if (line := self.closing()) is not None:
            raise IncompleteError(line)
        if not self._is_delivered:
            raise StateError("the run is complete, but its report is not everywhere where it should be")

    def closing(self) -> str | None:
        """The line that ends the run; None where it is complete."""
        if self.tree.complete:
            return None
        return closing_line(self.log, self.results(), takes_all=self.options.takes_all_tags)

    def _write_report(self, path: Path | None) -> Path:
        return self._spool.write_report(path, self.header(), self.totals_json(), self.log.findings, self.log.indexes)


@contextmanager
def open_run(kind: RunKind, options: RunOptions, stop: Stop) -> Iterator[Run]:
    """Open everything that a run needs; a migration holds its lock until the end.

    Raises:
        ConfigurationError: an option makes no sense, the source is not there, or state or report can't be written
            or would be in it or be one file.
        LockHeldError: another migration works on the same source and target, and goes on for longer than is waited,
            or has taken the lock over meanwhile.
        InterruptedRunError: the run is to end while it waits for that.
        AuthenticationError, TransportError: the target does not let us in.
    """
    job = job_of(options)
    source = source_of(options, stop)
    run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:6]}"  # sorts by time
    with ExitStack() as stack:
        stack.callback(close_source, source)
        check_own_files(options)
        state = state_of(kind, options, stop)
        lost = hold_lock(stack, kind, state, options, run_id=run_id, stop=stop)
        controls = RunControls(options.limits, stop)
        progress = Progress(held=controls.hold.time)
        target = stack.enter_context(target_of(kind, options, controls, stop))
        ledger, spool = open_records(stack, state, options, run_id, known_part(kind, job, target))
        preparation = preparation_of(target, options)
        job = job_at_target(job, kind, target, ledger, preparation)
        census, hands = Census(), SpareHands(options.jobs)
        stack.callback(hands.close)
        works = Works(source, options, job.selection, hands, ledger, census, progress, controls.pace, preparation)
        begin = works.of(kind, target)
        if options.traces:
            begin = traced(begin, stack.enter_context(tracer_of(kind, options, run_id)))
        log = RunLog(spool, progress, stop, fail_fast=options.policy.fail_fast)
        lost.tell(log)
        tree = TreeRun(source, job, begin, hands, log=log, stop=stop, hold=controls.hold, workers=options.jobs)
        stack.callback(tree.close)
        ends = partial(RunEnds, kind, source, target, ledger, job=job, log=log, fitting=tree.fitting, options=options)
        yield Run(
            kind,
            options,
            tree,
            controls=controls,
            ends=ends(stop=stop, wait=partial(controls.hold.wait, stop), is_held=controls.hold.is_on),
            log=log,
            ledger=ledger,
            spool=spool,
            census=census,
            target=target,
            run_id=run_id,
            state=state,
        )
