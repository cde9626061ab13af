"""What the flow of a shard does with its parameters, whichever kind of run it is a part of."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flows.course.flow_body import run_as_flow
from flows.course.watching import watched_by
from flows.scale.shard_life import ShardWatcher, hand_in

if TYPE_CHECKING:
    from prefect import State

    from flows.forms.shard_parameters import ShardParameters
    from tasks.run_options import RunKind


def run_shard(kind: RunKind, given: ShardParameters) -> State[None] | None:
    """Do a part of a run in the flow that this is called from; the state that it should end in, as `run_as_flow`.

    Raises:
        LayoutliftError: as `drive` does.
    """
    options, watcher = replace(given.settings.to_options(), shard=given.to_shard()), ShardWatcher()
    with watched_by(watcher), watcher.shows_life():
        return run_as_flow(kind, options, publish=hand_in)
