"""What makes a function a flow, as Prefect's `flow` does, without what a command would wait for in vain."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from prefect import Flow, State, get_client
from prefect.client.schemas.objects import StateType
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic_core import to_jsonable_python

from flows.server.short_log import tell_ends_shortly
from tasks.operations.running.tree_run import BATCHES_AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from prefect.client.schemas.objects import FlowRun

P = ParamSpec("P")
R = TypeVar("R")

OF_BATCHES: dict[str, Any] = {
    "task_runner": ThreadPoolTaskRunner(max_workers=BATCHES_AT_ONCE),
    "persist_result": False,
}
"""Options of a flow whose tasks are the batches of a run; each of its runs has a task runner of its own."""


class OwnFlow(Flow[P, R]):
    """A flow whose parameters pydantic turns into JSON, as it does when it checks them."""

    def serialize_parameters(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """The parameters as the server keeps them.

        Prefect has FastAPI do this, whose import takes a tenth of a second of processor and is needed for
        nothing else. What pydantic can't turn into JSON, such as the future of a task that a flow of somebody's own
        hands over, is Prefect's to name.
        """
        try:
            plain: dict[str, Any] = to_jsonable_python(parameters)
        except ValueError:
            return super().serialize_parameters(parameters)
        return plain


def flow(**options: Any) -> Callable[[Callable[P, R]], OwnFlow[P, R]]:
    """Make a function a flow; the options are those of Prefect's `Flow`."""
    tell_ends_shortly()

    def made(function: Callable[P, R]) -> OwnFlow[P, R]:
        return OwnFlow(function, on_crashed=[name_unknown_parameters], **options)

    return made


def name_unknown_parameters(flow: Flow[Any, Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001 - Prefect's own form
    """Have a run that crashed over parameters that its flow does not have say so, as a failure that names them.

    A schedule keeps its parameters, whatever becomes of the flow. Prefect ends the process over them before the run
    has begun, and says of it no more than its exit status.
    """
    unknown = flow_run.parameters.keys() - inspect.signature(flow.fn).parameters.keys()
    if not unknown:
        return
    message = (
        f"the flow {flow.name} has no parameter {', '.join(sorted(unknown))}: take it out of the schedule or run"
    )
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(flow_run.id, State(type=StateType.FAILED, message=message), force=True)
