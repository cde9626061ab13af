"""The flow that carries out a migration file: the flow `migrate` for each of its mappings."""

from __future__ import annotations

from pathlib import Path

from prefect import State  # Prefect evaluates annotations

from flows.course.listed_runs import FileOfWorker, run_each
from flows.files.migration_file import load_migrations
from flows.forms.parameters import MigrateParameters
from flows.migrate import migrate
from flows.server.own_flow import flow


@flow(name="migrate-file", flow_run_name="{file}", persist_result=False)
def migrate_file(*, file: FileOfWorker) -> State[None] | None:
    """Migrate what a file lists, one mapping after the other, whatever became of the ones before.

    Args:
        file: Migration file, on the machine of the worker

    Raises:
        ConfigurationError: the file can't be used; nothing was done.
        IncompleteError: some of the migrations did not end well; each is a run of its own that says why.
    """
    return run_each(migrate, load_migrations(Path(file)).runs(MigrateParameters))
