"""The flow that carries out a migration file: the flow `migrate` for each of its mappings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from prefect import State  # Prefect evaluates annotations
from prefect.client.schemas.objects import StateType
from pydantic import Field

from flows.course.flow_body import SKIPPED
from flows.files.migration_file import load_migrations
from flows.forms.parameters import MigrateParameters
from flows.migrate import migrate
from flows.server.own_flow import flow
from tasks.oci.errors import IncompleteError

if TYPE_CHECKING:
    from collections.abc import Sequence


@flow(name="migrate-file", flow_run_name="{file}", persist_result=False)
def migrate_file(
    *, file: Annotated[str, Field(description="Migration file, on the machine of the worker")]
) -> State[None] | None:
    """Migrate what a file lists, one mapping after the other, whatever became of the ones before.

    Args:
        file: Migration file, on the machine of the worker

    Raises:
        ConfigurationError: the file can't be used; nothing was done.
        IncompleteError: some of the migrations did not end well; each is a run of its own that says why.
    """
    migrations = list(load_migrations(Path(file)).runs(MigrateParameters))
    states: list[Any] = [migrate(**each.model_dump(), return_state=True) for each in migrations]
    return ending_of(migrations, states)


def ending_of(migrations: Sequence[MigrateParameters], states: Sequence[State[Any]]) -> State[None] | None:
    """The state for all, where it is a special one: skipped where each of them was.

    Raises:
        IncompleteError: some of the migrations did not end well; one that was skipped has not failed.
    """
    skipped = [state.name == SKIPPED for state in states]
    failed = [
        each
        for each, state, was_skipped in zip(migrations, states, skipped, strict=True)
        if not (state.is_completed() or was_skipped)
    ]
    if failed:
        named = ", ".join(f"{each.source} → {each.target}" for each in failed)
        raise IncompleteError(f"{len(failed)} of {len(migrations)} migrations did not end well: {named}")
    if not all(skipped):
        return None
    return State(type=StateType.CANCELLED, name=SKIPPED, message="others are at work on all of its migrations")
