"""Tells monitoring systems of a run, where the user asked for that."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from flows.course.repeating import every
from tasks.oci.errors import ConfigurationError, StateError
from tasks.operations.reports.run_metrics import LAST_SUCCESS, RunMoment, run_metrics

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from tasks.runs import Run
    from tasks.stores.metrics_file import MetricsFile

METRICS_EVERY = 10.0
"""Seconds between writes of the metrics file; Prometheus mostly asks less often."""

logger = logging.getLogger(__name__)


def told_by_metrics(run: Run, told_as: str | None = None) -> AbstractContextManager[None]:
    """Keep the run's metrics file fresh until the end of the block; without one, do nothing at all.

    The flow is called `told_as` there, or as its kind is.
    """
    if run.options.metrics is None:
        return nullcontext()
    return _metrics_file(run, Path(run.options.metrics), told_as or str(run.kind))


@contextmanager
def _metrics_file(run: Run, path: Path, flow: str) -> Iterator[None]:
    """See `told_by_metrics`.

    Raises:
        ConfigurationError: the file can't be written, which is found before the run begins its work.
    """
    from tasks.stores.metrics_file import MetricsFile  # noqa: PLC0415 - costs nothing where it is not asked for

    file = MetricsFile(path, _labels(run, flow))
    writer = _Writer(run, file, time.time(), file.value(LAST_SUCCESS))
    try:
        writer.write(complete=None)
    except StateError as error:
        raise ConfigurationError(f"--metrics: {error}") from error
    complete = False
    try:
        with every(METRICS_EVERY, writer.refresh, name="metrics"):
            yield
        complete = True  # what is not as it should be is raised in the block
    finally:
        writer.refresh(complete=complete)


def _labels(run: Run, flow: str) -> dict[str, str]:
    """What tells the series of one command from those of another; `--since-last` is a command beside the full run."""
    options = run.options
    flow = f"{flow} --since-last" if options.since_last else flow
    return {"flow": flow, "source": options.source, "target": options.target.target if options.target else ""}


class _Writer:
    """Writes one run's values, and once the run works, notes what keeps it from that instead of ending the run."""

    def __init__(self, run: Run, file: MetricsFile, started: float, last_success: float | None) -> None:
        self._run = run
        self._file = file
        self._started = started
        self._last_success = last_success
        self._wrong: str | None = None

    def write(self, *, complete: bool | None) -> None:
        moment = RunMoment(self._started, time.time(), complete, self._last_success)
        self._file.write(run_metrics(self._run.totals_json(), self._run.progress, moment))

    def refresh(self, *, complete: bool | None = None) -> None:
        try:
            self.write(complete=complete)
        except StateError as error:
            if str(error) != self._wrong:  # once, and not each ten seconds of a run of weeks
                logger.warning("%s", error)
            self._wrong = str(error)
        else:
            self._wrong = None
