"""The Prefect task that measures one case of a benchmark."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.operations.reports.told_errors import told_plainly

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.benchmark_runs import BenchmarkRun

_runs: dict[str, BenchmarkRun] = {}


@contextmanager
def shared_benchmark(run: BenchmarkRun) -> Iterator[None]:
    """Let the tasks of this process find a run by its id until the end of the block."""
    _runs[run.about.run] = run
    try:
        yield
    finally:
        del _runs[run.about.run]


@task(task_run_name="benchmark {label}", cache_policy=NO_CACHE, persist_result=False)
def benchmark_case(run_id: str, label: str) -> None:
    """Measure a case by all paths; figures go to the run's record, not to Prefect. It is never tried again."""
    run = _runs[run_id]
    (case,) = (each for each in run.options.cases if each.label == label)
    with told_plainly():
        run.measure(case)
