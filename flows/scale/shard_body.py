"""What the flow of a shard does with its parameters, whichever kind of run it is a part of."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from flows.course.flow_body import run_as_flow
from flows.course.watching import watched_by
from flows.scale.shard_life import ShardWatcher, hand_in
from tasks.operations.running.shards import unquoted
from tasks.ports import Shard

if TYPE_CHECKING:
    from prefect import State

    from tasks.run_options import RunKind, RunOptions

WholeRun = Annotated[str, Field(description="The run that this is a part of")]
Number = Annotated[int, Field(description="Which part it is", ge=1)]
Of = Annotated[int, Field(description="Among how many parts rates are shared out", ge=1)]
Repositories = Annotated[list[str], Field(description="Paths at the source, percent-encoded", min_length=1)]
Layouts = Annotated[
    list[str] | None, Field(description="Where these are, if the source is split by name; percent-encoded")
]

Listed = Annotated[
    str | None, Field(description="Mark of what the run's list says of these, which has to be the same here")
]

Moment = Annotated[
    float | None, Field(description="The moment from which the run counts ages, in seconds since 1970")
]


def shard_of(
    run: str,
    number: int,
    of: int,
    repositories: list[str],
    *,
    layouts: list[str] | None,
    listed: str | None,
    moment: float | None,
) -> Shard:
    """The shard that a flow's parameters tell of."""
    return Shard(run, number, unquoted(repositories), of, unquoted(layouts or ()), listed, moment)


def run_shard(kind: RunKind, options: RunOptions, shard: Shard) -> State[None] | None:
    """Do a part of a run in the flow that this is called from; the state that it should end in, as `run_as_flow`.

    Raises:
        LayoutliftError: as `drive` does.
    """
    watcher = ShardWatcher()
    with watched_by(watcher), watcher.shows_life():
        return run_as_flow(kind, replace(options, shard=shard), publish=hand_in)
