"""Signs of life of a flow run in the command's own process, by which the server knows that it has not died.

Prefect's own thread for them looks once a second whether the run is over, and the run waits for it: a command would
end up to a second late, each time. These are the same events, and end with the run.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING

from prefect.context import FlowRunContext
from prefect.events import emit_event
from prefect.settings import get_current_settings

from flows.course.repeating import every
from flows.server.settings_of_run import changed_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prefect import Flow
    from prefect.client.schemas.objects import FlowRun

EVENT = "prefect.flow-run.heartbeat"

_seconds: ContextVar[float | None] = ContextVar("layoutlift_heartbeat_seconds", default=None)


@contextmanager
def own_heartbeats() -> Iterator[None]:
    """Have the flow runs of this block send theirs by `heartbeats`, and not by Prefect, as often as Prefect would."""
    token = _seconds.set(get_current_settings().flows.heartbeat_frequency)
    try:
        with changed_settings("flows", "heartbeat_frequency", None):
            yield
    finally:
        _seconds.reset(token)


@contextmanager
def heartbeats() -> Iterator[None]:
    """Send the signs of life of the flow run that this is called from, where Prefect does not."""
    context, seconds = FlowRunContext.get(), _seconds.get()
    if context is None or context.flow_run is None or seconds is None:
        yield
        return
    beat = partial(_beat, *_of(context.flow_run, context.flow))
    beat()
    with every(seconds, beat, name="heartbeats"):
        yield


def _beat(run: dict[str, str], flow: dict[str, str]) -> None:
    emit_event(EVENT, run, related=[flow])


def _of(run: FlowRun, flow: Flow[..., object] | None) -> tuple[dict[str, str], dict[str, str]]:
    """The run and its flow, as events name them."""
    about = {"prefect.resource.id": f"prefect.flow-run.{run.id}", "prefect.resource.name": run.name or ""}
    related = {"prefect.resource.id": f"prefect.flow.{run.flow_id}", "prefect.resource.role": "flow"}
    return about, related | {"prefect.resource.name": flow.name if flow is not None else ""}
