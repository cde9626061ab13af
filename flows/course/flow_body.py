"""What a flow does with its parameters, whether in the command's own process or for a worker."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from prefect.client.schemas.objects import State, StateType
from prefect.context import FlowRunContext

from flows.course.deployed_paths import refuse_passing, refuse_standard_input
from flows.course.driving import drive
from flows.course.stopping import stopped_as_before
from flows.course.watching import NoWatcher, current_watcher
from flows.dashboard.announcing import announce_conflicts
from flows.dashboard.dashboard_limits import ended_by_a_pause, limits_reader
from flows.dashboard.publishing import publish, work_as_tasks
from flows.forms.block_names import names_block
from flows.server.heartbeats import heartbeats
from flows.server.settings_of_run import logged_to_run
from tasks.oci.errors import ConflictsError, LockHeldError
from tasks.operations.reports.told_errors import told, told_plainly

if TYPE_CHECKING:
    from flows.course.driving import Publish, Work
    from flows.course.watching import Watcher
    from tasks.run_options import RunKind, RunOptions

SKIPPED = "Skipped"
"""The state of a run that another one for the same pair left nothing to do; of the type cancelled."""
AGAIN_SECONDS = 90.0
"""A run that is resumed waits so long for the lock of its own process before: that one ends within half a minute or,
where it died, has no lock any more after a minute. For the 20 s in which another machine then watches it in a folder,
and as many again for those of its shards, it waits in any case: a look that began is ended."""


@told_plainly()
def run_as_flow(
    kind: RunKind, options: RunOptions, work: Work = work_as_tasks, publish: Publish = publish
) -> State[None] | None:
    """Run in the flow that this is called from; the state that it should end in, where that is a special one.

    Raises:
        ConfigurationError: something would be written where it does not last.
        LayoutliftError: as `drive` does.
    """
    refuse_passing(report=options.report, metrics=options.metrics, state=options.state)
    refuse_standard_input(tags_from=options.choosing.tags_from)
    watcher = current_watcher()
    try:
        with logged_to_run(), stopped_as_before(), heartbeats(), ended_by_a_pause(watcher.stop.set):
            _drive(kind, _with_places(_with_patience(options)), watcher, work, publish)
    except LockHeldError as held:
        return skipped(held, watcher)
    return None


def _drive(kind: RunKind, options: RunOptions, watcher: Watcher, work: Work, publish: Publish) -> None:
    try:
        drive(kind, options, watcher, work, publish, limits=limits_reader)
    except ConflictsError as found:  # before there was a run to publish
        if found.tags:
            announce_conflicts(kind, options, found.tags)
        raise


def skipped(held: LockHeldError, watcher: Watcher) -> State[None]:
    """The state of a run that could not begin beside another.

    A scheduled run that finds the one before still at work has not failed: it is cancelled, as Prefect itself
    does with a run that it has no room for.

    Raises:
        LockHeldError: somebody watches the run, as the command does, and says it themselves.
    """
    if not isinstance(watcher, NoWatcher):
        raise held
    return State(type=StateType.CANCELLED, name=SKIPPED, message=told(held))


def _with_patience(options: RunOptions) -> RunOptions:
    """The options, with which a run that is resumed is not used up by what is left of itself."""
    return replace(options, lock_timeout=max(options.lock_timeout, AGAIN_SECONDS)) if _begins_again() else options


def _begins_again() -> bool:
    """Whether the flow run was at work before, in another process; Prefect counts no run that is resumed."""
    context = FlowRunContext.get()
    run = context.flow_run if context is not None else None
    if run is None or run.state is None or run.start_time is None:
        return False
    return run.state.timestamp - run.start_time > timedelta(seconds=1)


def _with_places(options: RunOptions) -> RunOptions:
    """The options, with places in place of blocks."""
    if not names_block(options):
        return options
    from flows.dashboard.blocks import resolved  # noqa: PLC0415 - a twentieth of a second that few runs need

    return resolved(options)
