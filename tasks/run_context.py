"""What the Prefect tasks of a run share in their process, and how they speak to Prefect.

Task arguments are small and stored by Prefect, so tasks name a run instead of holding it.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tasks.oci.errors import is_transient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prefect import Task
    from prefect.client.schemas.objects import State, TaskRun

    from tasks.runs import Run

_runs: dict[str, Run] = {}
_lock = threading.Lock()


@contextmanager
def shared(run: Run) -> Iterator[None]:
    """Let tasks find the run by its id until the end of the block."""
    with _lock:
        _runs[run.run_id] = run
    try:
        yield
    finally:
        with _lock:
            del _runs[run.run_id]


def shared_run(run_id: str) -> Run:
    """The run that `shared` was called with in this process."""
    return _runs[run_id]


def retry_if_transient(task: Task[Any, Any], task_run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001 - Prefect's form
    """Whether Prefect should try a batch again; must be a plain function, Prefect ignores anything else."""
    return isinstance(state.data, BaseException) and is_transient(state.data)
