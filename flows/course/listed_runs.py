"""The runs of what a migration file lists, each a flow run of its own, and how the file's own run ends with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from prefect import State
from prefect.client.schemas.objects import StateType
from pydantic import Field

from flows.course.flow_body import SKIPPED
from tasks.oci.errors import IncompleteError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from prefect import Flow

    from flows.forms.parameters import PairParameters

FileOfWorker = Annotated[str, Field(description="Migration file, on the machine of the worker")]


def run_each(flow: Flow[..., Any], pairs: Iterable[PairParameters]) -> State[None] | None:
    """Run a flow for one pair after the other, whatever became of the ones before.

    Raises:
        IncompleteError: some of the runs did not end well; each of them says why.
    """
    listed = list(pairs)
    states: list[Any] = [flow(**each.model_dump(), return_state=True) for each in listed]
    return ending_of(flow.name, listed, states)


def ending_of(name: str, pairs: Sequence[PairParameters], states: Sequence[State[Any]]) -> State[None] | None:
    """The state for all runs of a flow, where it is a special one: skipped where each of them was.

    Raises:
        IncompleteError: some of them did not end well; one that was skipped has not failed.
    """
    skipped = [state.name == SKIPPED for state in states]
    failed = [
        each
        for each, state, was_skipped in zip(pairs, states, skipped, strict=True)
        if not (state.is_completed() or was_skipped)
    ]
    if failed:
        named = ", ".join(f"{each.source} → {each.target}" for each in failed)
        raise IncompleteError(f"{len(failed)} of {len(pairs)} runs of {name} did not end well: {named}")
    if not all(skipped):
        return None
    return State(type=StateType.CANCELLED, name=SKIPPED, message="others are at work on all that the file lists")
