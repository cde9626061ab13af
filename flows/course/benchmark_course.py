"""What the flow and the command have in common: the course of a benchmark, from claim to report."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from tasks.benchmark_runs import open_benchmark
from tasks.oci.errors import LayoutliftError
from tasks.operations.reports.counts import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tasks.benchmark_runs import BenchmarkRun
    from tasks.benchmark_values.options import BenchmarkOptions
    from tasks.stop import Stop

logger = logging.getLogger(__name__)
_show: ContextVar[Callable[[BenchmarkRun], None] | None] = ContextVar("layoutlift_show_benchmark", default=None)


@contextmanager
def shown_by(show: Callable[[BenchmarkRun], None]) -> Iterator[None]:
    """Have what is measured in this block shown by `show` at its end, good or bad, also where a flow measures it."""
    token = _show.set(show)
    try:
        yield
    finally:
        _show.reset(token)


def drive_benchmark(
    options: BenchmarkOptions,
    stop: Stop,
    work: Callable[[BenchmarkRun], None],
    publish: Callable[[BenchmarkRun], None] = lambda _: None,
) -> None:
    """Have `work` measure all cases, write and compare the results, show them and `publish` them, good or bad.

    Raises:
        IncompleteError: a pull or push failed, or brought something else than was pushed.
        RegressionError: something is slower than earlier runs by more than is allowed.
    """
    with open_benchmark(options, stop) as run:
        with told_how_to_go_on(run):
            work(run)
        try:
            run.finish()
        finally:
            if (show := _show.get()) is not None:
                show(run)
            publish(run)


@contextmanager
def told_how_to_go_on(run: BenchmarkRun) -> Iterator[None]:
    """Where measuring ends early, say where the figures are, and what goes on behind the last size that ended."""
    try:
        yield
    except LayoutliftError:
        if run.ended:
            measured = counted(len(run.ended), "size", "are")
            logger.warning("%s measured: go on by --resume --out %s", measured, run.folder.path)
        elif run.measurements:
            logger.warning("figures so far: %s", run.folder.path)
        raise


def measure_here(run: BenchmarkRun) -> None:
    """Measure all cases in this process."""
    for case in run.cases_left:
        run.measure(case)
