"""How plans are applied and runs undone, from what a user gave; shared by the commands and the flow. No Prefect."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flows.course.cleanup_planning import NO_LOGINS
from tasks.cleanup_applies import CleanerOptions, open_cleaner, refuse_other_store
from tasks.cleanup_plans import new_plan_id, open_gate, open_plan, whole_name
from tasks.endpoints import endpoint_of
from tasks.oci.errors import ConfigurationError, IncompleteError, LockHeldError, RefusedError
from tasks.operations.cleanup.deciding.policy import DEFAULT_TIMING
from tasks.operations.cleanup.planning.limits import LimitCheck
from tasks.operations.cleanup.values import PlanKind
from tasks.operations.work.concurrency import CallersPool
from tasks.stores.bucket.s3_address import BucketAccess
from tasks.stores.state.cleanup_notes import RunNote, note_run, read_note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from flows.forms.cleanup_parameters import ApplyParameters, UndoParameters
    from tasks.cleanup_plans import Logins
    from tasks.operations.cleanup.applying.apply_tools import RepositoryOutcome
    from tasks.operations.cleanup.values import PlanHeader, PlanLimits, RepositoryPlan
    from tasks.stop import Stop

    ShowOutcomes = Callable[[str, Iterable[RepositoryOutcome]], bool]
    """Shows the outcomes of a run as they come, by the run's name; whether nothing was wrong with any."""


@dataclass(frozen=True, slots=True)
class CheckedPlan:
    """A plan's file that was read to its end and keeps within the limits of this run."""

    path: Path
    header: PlanHeader

    def repositories(self) -> Iterator[RepositoryPlan]:
        """Its repositories, read from the file again.

        Raises:
            ConfigurationError: the file is another one by now.
        """
        with open_plan(self.path) as plan:
            if plan.header != self.header:
                raise ConfigurationError(f"{self.path} is another plan by now; nothing more was done")
            yield from plan.repositories()


def check_limits(path: Path, raised: Callable[[PlanLimits], PlanLimits]) -> CheckedPlan:
    """See that a plan keeps within its limits, as far as they are not raised for this run.

    Raises:
        ConfigurationError: it is no plan, or was edited or cut short.
        RefusedError: it goes beyond a limit; the message says which.
    """
    with open_plan(path) as plan:
        check = LimitCheck(raised(plan.header.limits), plan.header.timing.mode)
        for repository in plan.repositories():
            check.see(repository)
        if lines := check.beyond():
            raise RefusedError(f"the plan goes beyond its limits, nothing was changed: {'; '.join(lines)}")
        return CheckedPlan(path, plan.header)


def apply_plan(
    given: ApplyParameters, path: Path, stop: Stop, show: ShowOutcomes, logins: Logins = NO_LOGINS
) -> bool:
    """Do what a plan says, as far as everything still is as it says; whether nothing was wrong.

    Raises:
        ConfigurationError: it is no plan, or its source can't be changed, or is another store's here.
        RefusedError: it goes beyond a limit or is of the future, or others may write and the source prevents no harm.
        LockHeldError: another run changes that source.
        IncompleteError: another run took it over on the way; what it had begun by then may be done.
        InterruptedRunError: the run was told to end; what it had begun is done.
    """
    plan = check_limits(path, given.raised)
    header, run = plan.header, new_plan_id()
    access = BucketAccess(header.endpoint_url, header.request_payer, login=logins.bucket)
    refuse_other_store(header.source, access, lambda _: "make a new plan")
    forgets, alone = header.kind is PlanKind.CLEANUP, given.i_am_the_only_writer
    options = CleanerOptions(header.source, access, header.timing, run, alone, given.jobs, forgets)
    with (
        CallersPool(given.jobs, thread_name_prefix="ask") as askers,
        open_gate(given.to_gate(header.gate, logins.target), header.source, stop, askers.map) as gate,
        open_cleaner(options, stop, gate) as cleaner,
    ):
        cleaner.check_clock(header.created)
        cleaner.check_allowed(plan.repositories())
        note_run(RunNote(run, header.source, access.endpoint_url, access.request_payer))
        with _begun(), closing(cleaner.apply(plan.repositories())) as outcomes:  # also where they can't be shown
            return show(run, outcomes)


def undo(given: UndoParameters, run: str, source: str | None, stop: Stop, show: ShowOutcomes) -> bool:
    """Put back what a run took away from `source`, or where it is remembered from; whether all came back.

    Raises:
        ConfigurationError: nothing is known of such a run, or its source is another store's here.
        RefusedError: others may write meanwhile, and the source can't prevent harm.
        LockHeldError: another run changes that source.
        IncompleteError: another run took it over on the way; what it had begun by then may be done.
    """
    note = read_note(run) if source is None else RunNote(run, source)
    access = BucketAccess(given.endpoint_url or note.endpoint_url, given.request_payer or note.request_payer)
    if source is None:
        refuse_other_store(note.source, access, lambda store: f"give --endpoint-url {store}")
    undoing = new_plan_id()
    alone = given.i_am_the_only_writer
    options = CleanerOptions(note.source, access, DEFAULT_TIMING, undoing, alone, given.jobs, undoes=run)
    with open_cleaner(options, stop) as cleaner:
        undone = cleaner.undo(run)
        endpoint = endpoint_of(note.source, access)
        note_run(RunNote(undoing, whole_name(note.source, access), endpoint, access.request_payer))
        with _begun():
            return show(undoing, undone)


@contextmanager
def _begun() -> Iterator[None]:
    """Have a lease that is lost from here on be no refusal: some of it may be done.

    Raises:
        IncompleteError: another run took it over.
    """
    try:
        yield
    except LockHeldError as lost:
        raise IncompleteError(str(lost)) from lost
