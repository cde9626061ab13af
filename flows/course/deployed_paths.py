"""Where a worker's runs may leave files: not in the folder that it makes for each of them and removes after it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from flows.course.watching import NoWatcher, current_watcher
from tasks.oci.errors import ConfigurationError
from tasks.stores.benchmark.result_folder import ResultFolder
from tasks.stores.given_files import STANDARD_INPUT
from tasks.stores.state.state_directory import default_state_root

if TYPE_CHECKING:
    from tasks.benchmark_values.options import BenchmarkOptions

RUN_OF_WORKER = "PREFECT__FLOW_RUN_ID"
"""What Prefect's workers put into the environment of each run's process."""


def run_of_worker() -> str | None:
    """The id of the flow run that a worker has begun this process for; None where a command runs the flow itself."""
    return os.environ.get(RUN_OF_WORKER) if isinstance(current_watcher(), NoWatcher) else None


def refuse_passing(**places: str | None) -> None:
    """Refuse what a worker's run would write into the folder that is gone when it has ended, without a word.

    Raises:
        ConfigurationError: one of the places is a relative path.
    """
    if run_of_worker() is None:
        return
    for name, place in places.items():
        if place and "://" not in place and not Path(place).is_absolute():
            raise ConfigurationError(
                f"--{name.replace('_', '-')} {place}: a worker removes the folder in which this begins when the run "
                "has ended; give the whole path"
            )


def refuse_standard_input(**places: str | None) -> None:
    """Refuse to have a worker's run read what nobody can give it.

    Raises:
        ConfigurationError: one of the places is standard input.
    """
    for name, place in places.items():
        if place == STANDARD_INPUT and run_of_worker() is not None:
            raise ConfigurationError(f"--{name.replace('_', '-')} -: a worker's run has no input; name a file")


def with_lasting_results(options: BenchmarkOptions) -> BenchmarkOptions:
    """The options of a benchmark, whose results a worker's run leaves below the state folder if nothing else is said.

    A run that was paused begins anew when it is resumed, and goes on with what it left there.

    Raises:
        ConfigurationError: as for `refuse_passing`.
    """
    refuse_passing(out=options.out, dat_file=options.dat_file, state=options.state)
    run = run_of_worker()
    if run is None or options.out is not None or options.resume:
        return options
    state = Path(options.state) if options.state else default_state_root(os.environ)
    out = state / "benchmark" / "results" / run
    return replace(options, out=str(out), resume=ResultFolder(out).is_interrupted)
