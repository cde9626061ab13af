"""The flow that verifies what a migration file lists: the flow `verify` for each of its mappings."""

from __future__ import annotations

from pathlib import Path

from prefect import State  # Prefect evaluates annotations

from flows.course.listed_runs import FileOfWorker, run_each
from flows.files.migration_file import load_migrations
from flows.forms.parameters import VerifyParameters
from flows.server.own_flow import flow
from flows.verify import verify


@flow(name="verify-file", flow_run_name="{file}", persist_result=False)
def verify_file(*, file: FileOfWorker) -> State[None] | None:
    """Verify what a file lists, one mapping after the other, whatever became of the ones before.

    Args:
        file: Migration file, on the machine of the worker

    Raises:
        ConfigurationError: the file can't be used; nothing was done.
        IncompleteError: some of the verifications did not end well; each is a run of its own that says why.
    """
    return run_each(verify, load_migrations(Path(file)).runs(VerifyParameters, writes=False))
