"""What somebody at the dashboard can do to a run: change the limits kept in a variable, and pause it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
from prefect import get_client
from prefect.client.schemas.objects import State, StateType
from prefect.context import FlowRunContext
from prefect.exceptions import Pause
from pydantic import ValidationError

from flows.course.live_limits import DEFAULT_VARIABLE, VARIABLE, file_reader
from flows.course.repeating import every
from flows.dashboard.shown_progress import only_noted
from flows.files.mistakes import in_one_line
from flows.forms.limits_model import LiveLimits
from tasks.oci.errors import ConfigurationError, LayoutliftError, StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flows.course.live_limits import LimitsReader

LOOK_EVERY = 1.0


@contextmanager
def limits_reader(place: str | None) -> Iterator[LimitsReader | None]:
    """Reads limits from a file, or from a variable of the Prefect server; see `live_limits.file_reader`."""
    if place is not None and not place.startswith(VARIABLE):
        with file_reader(place) as reader:
            yield reader
        return
    name = DEFAULT_VARIABLE if place is None else place.removeprefix(VARIABLE)
    with get_client(sync_client=True) as client:

        def read() -> LiveLimits | None:
            try:
                variable = client.read_variable_by_name(name)
            except httpx.HTTPError as error:
                raise StateError(f"Prefect's variable {name} can't be read: {type(error).__name__}") from error
            return None if variable is None else _limits(name, variable.value)

        yield read


def _limits(name: str, value: object) -> LiveLimits:
    if not isinstance(value, dict):
        raise ConfigurationError(
            f"""Prefect's variable {name}: it is to be an object, such as {{"max_requests": 5}}"""
        )
    try:
        return LiveLimits.model_validate(value)
    except ValidationError as error:
        raise ConfigurationError(f"Prefect's variable {name}: {in_one_line(error, 'the value')}") from None


class _ToldPause(Pause):
    """A pause of which the server knows all that it has to; a block around another one tells it nothing more."""


@contextmanager
def ended_by_a_pause(end: Callable[[], None]) -> Iterator[None]:
    """Call `end` when somebody pauses the run; resuming runs the flow again, which finds what was done.

    Prefect tells a suspended flow run so only where it starts or awaits a task, which may be hours away.
    """
    context = FlowRunContext.get()
    if context is None:
        yield
        return
    request = context.flow_run_suspension_request

    def look() -> None:
        if request.is_requested():
            end()

    try:
        with every(LOOK_EVERY, look, name="pause"):
            yield
    except _ToldPause:
        raise
    except (LayoutliftError, Pause):  # what came of being told to end, and the latter where Prefect noticed it first
        _raise_if_paused(context)
        raise
    _raise_if_paused(context)  # as Prefect would, which lets no paused run be Completed


def _raise_if_paused(context: FlowRunContext) -> None:
    """Raise what ends a paused run's process.

    The run of a migration file is paused as a whole. Prefect leaves the run of its mapping as it is, "Running" for
    good and lost after ten minutes; resuming the file's run takes it up again.

    Raises:
        Pause: somebody paused the run.
    """
    state, run = context.flow_run_suspension_request.get_state(), context.flow_run
    if state is None:
        return
    if run is not None and run.parent_task_run_id and not run.deployment_id:
        ended = State(type=StateType.CANCELLED, message="the run that it is a part of was paused")
        with only_noted():
            get_client(sync_client=True).set_flow_run_state(run.id, ended, force=True)
    raise _ToldPause(state=state)
