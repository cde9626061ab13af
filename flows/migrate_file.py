"""The flow that carries out a migration file: the flow `migrate` for each of its mappings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from prefect import flow
from pydantic import Field

from flows.migrate import migrate
from flows.migration_file import load_migrations
from tasks.oci.errors import IncompleteError


@flow(name="migrate-file", flow_run_name="{file}", persist_result=False)
def migrate_file(*, file: Annotated[str, Field(description="Migration file, on the machine of the worker")]) -> None:
    """Migrate what a file lists, one mapping after the other, whatever became of the ones before.

    Args:
        file: Migration file, on the machine of the worker

    Raises:
        ConfigurationError: the file can't be used; nothing was done.
        IncompleteError: some of the migrations did not end well; each is a run of its own that says why.
    """
    migrations = list(load_migrations(Path(file)).migrations())
    states = [migrate(**each.model_dump(), return_state=True) for each in migrations]
    failed = [each for each, state in zip(migrations, states, strict=True) if not state.is_completed()]
    if failed:
        named = ", ".join(f"{each.source} → {each.target}" for each in failed)
        raise IncompleteError(f"{len(failed)} of {len(migrations)} migrations did not end well: {named}")
