"""What flows and the standalone command have in common: the course of a run, from survey to report."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from flows.course.live_limits import file_reader, kept_within_limits
from flows.course.one_heap import use_one_heap
from flows.course.telemetry import told_by_metrics
from tasks.oci.codes import Refused
from tasks.oci.errors import (
    TRANSIENT_CODES,
    ConflictsError,
    IncompleteError,
    InterruptedRunError,
    LayoutliftError,
    ReferrerConflictError,
    StateError,
)
from tasks.operations.reports.counts import counted
from tasks.operations.reports.findings import FATAL
from tasks.operations.work.planning import OnConflict
from tasks.ports import Finding
from tasks.run_options import RunKind
from tasks.runs import open_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from typing import TypeAlias

    from flows.course.live_limits import LimitsReader
    from flows.course.watching import Watcher
    from tasks.operations.reports.results import TagResult
    from tasks.operations.running.source_survey import Survey
    from tasks.run_options import RunOptions
    from tasks.runs import Run
    from tasks.stop import Stop

    Work: TypeAlias = Callable[[Run, Survey], None]
    Publish: TypeAlias = Callable[[Run], None]

logger = logging.getLogger(__name__)

_CONFLICTS = frozenset({Refused.CONFLICT, ReferrerConflictError.code})
_UNSEEN = TRANSIENT_CODES | {kind.code for kind in FATAL}
"""Codes after which nobody knows what the target has: the error may pass, or it kept the rest from being asked."""


def drive(
    kind: RunKind,
    options: RunOptions,
    watcher: Watcher,
    work: Work,
    publish: Publish | None = None,
    *,
    limits: Callable[[str | None], AbstractContextManager[LimitsReader | None]] = file_reader,
    told_as: str | None = None,
) -> None:
    """Open a run, survey the source, have `work` do the batches, write the report, and raise what is not complete.

    `limits` gives, for the value of --limits-from, the reader that is asked for limits while the run goes on.
    Metrics call the flow `told_as`, or as its kind is called.

    Raises:
        IncompleteError: something is not as it should be; the report is written and published before.
        ConflictsError: there are conflicts, and the policy is to stop then; nothing was changed.
    """
    use_one_heap()
    with limits(options.limits_from) as read, watcher.open(kind, options) as run:
        if kind is RunKind.MIGRATE and options.policy.on_conflict is OnConflict.FAIL:
            _look_first(run, options, read, watcher.stop)  # now that no other run of the pair is at work
        with watcher.watch(run), told_by_metrics(run, told_as):
            with _told_by_its_end(run):
                _carry_out(run, read, work, watcher.stop)
            if publish is not None:
                publish(run)
            run.raise_if_incomplete()


def _carry_out(run: Run, read: LimitsReader | None, work: Work, stop: Stop) -> None:
    """Do a run's work within its limits, and write its report, whatever becomes of the work."""
    try:
        with kept_within_limits(run, read):
            survey = run.survey()
            run.ends.begin(survey.names.repositories, survey.untagged)
            work(run, survey)
            if run.ends.deletes:
                run.controls.hold.wait(stop)
            run.ends.settle(complete=run.tree.complete)
    except LayoutliftError as error:
        if not _is_told(run, error):
            run.log.note(Finding(".", error.code, str(error)))
        stop.set()
        raise
    except BaseException:
        stop.set()
        raise
    finally:
        run.wait_for_head_start()
        run.write_report()


def _is_told(run: Run, error: LayoutliftError) -> bool:
    """Whether all that the error says is that the run is over, and its log has what ended it."""
    return isinstance(error, InterruptedRunError) and run.log.ended_by is not None


@contextmanager
def _told_by_its_end(run: Run) -> Iterator[None]:
    """Have a run that nobody interrupted say what ended it.

    Raises:
        IncompleteError: that did; no report of it is published, so that a part of a run is done again.
    """
    try:
        yield
    except InterruptedRunError as error:
        if _is_told(run, error) and (line := run.closing()) is not None:
            raise IncompleteError(line) from error
        raise


def work_here(run: Run, survey: Survey) -> None:
    """Do the batches in this process."""
    run.tree.execute_all(survey.batches)


def _look_first(run: Run, options: RunOptions, read: LimitsReader | None, stop: Stop) -> None:
    """See that there are no conflicts; a run that lost its lock meanwhile is to say so itself."""
    try:
        refuse_conflicts(options, stop, read)
    except InterruptedRunError as error:
        if not _is_told(run, error):
            raise


def refuse_conflicts(options: RunOptions, stop: Stop, read: LimitsReader | None) -> None:
    """Make a plan first, within the same limits, and see that no tag of it is in conflict.

    Raises:
        ConflictsError: the target has other content under some of the tags, or did not say what it has.
        ConfigurationError: the limits that `read` gives can't be used.
        InterruptedRunError: the run is to end.
    """
    policy = replace(options.policy, fail_fast=False, prove_again=False)  # the plan's stop is the run's, too
    whole = replace(options, policy=policy)
    with open_run(RunKind.PLAN, whole, stop) as plan:
        try:
            conflicts, unseen = _found_by(plan, read)
        finally:
            _discard(plan)
    if conflicts:
        shown = ", ".join(str(result.target) for result in conflicts[:5])
        raise ConflictsError(
            f"the target has other content under {counted(len(conflicts), 'tag')} ({shown}); nothing was changed",
            len(conflicts),
        )
    if unseen and not stop.requested:
        shown = ", ".join(unseen[:5])
        raise ConflictsError(f"whether there are conflicts in {shown} can't be said now; nothing was changed")


def _discard(plan: Run) -> None:
    """Keep no results of a plan that nobody asks for; where they stay, what it came to counts all the same."""
    try:
        plan.discard()
    except StateError as error:
        logger.warning("the plan's results stay: %s", error)


def _found_by(plan: Run, read: LimitsReader | None) -> tuple[list[TagResult], list[str]]:
    """The tags in conflict, and the names of what could not be looked at."""
    with kept_within_limits(plan, read):
        plan.tree.execute_all(plan.tree.survey().batches)
    told = [result for result in plan.results() if result.code in _CONFLICTS or result.code in _UNSEEN]
    unseen = [f"{each.repository}:{each.tag}" for each in told if each.code in _UNSEEN]
    unseen += [finding.path for finding in plan.log.findings if finding.code in _UNSEEN]
    return [result for result in told if result.code in _CONFLICTS], unseen
