"""The commands `layoutlift benchmark …`."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.commands.headings import HeadedGroup
from flows.commands.options import standalone_option, with_parameters
from flows.commands.running import checked, exit_code
from flows.course.stopping import stopped_by_signals
from flows.exit_codes import COMPLETE, INTERRUPTED
from flows.forms.benchmark_parameters import BenchmarkParameters
from flows.terminal.last_line import tell
from tasks.oci.errors import ConfigurationError, LayoutliftError

if TYPE_CHECKING:
    from tasks.benchmark_runs import BenchmarkRun

CLEANUP_SECONDS = 120.0
"""How long a run that was told to stop may take to unmount and to delete what it wrote."""
MOST_FILES = 2


@click.group(cls=HeadedGroup, short_help="Measure what pulls through mounts and from registries cost")
def benchmark() -> None:
    """What pulling artifacts costs through each mount, the native API and a registry."""


@benchmark.command(short_help="Measure on a bucket, or on SeaweedFS here")
@with_parameters(BenchmarkParameters, arguments_required=False)
@click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON lines")
@standalone_option
def run(*, as_json: bool, standalone: bool, **given: Any) -> None:
    """Measure on a bucket, or on SeaweedFS here where none is named: push, pull cold and warm, by all paths."""
    from flows.forms.benchmark_variables import with_article_variables  # noqa: PLC0415 - not for --help
    from flows.terminal.console import Console  # noqa: PLC0415

    _log_progress()
    given, counted = with_article_variables(given, os.environ)
    if counted:
        click.echo(f"from the environment: {', '.join(counted)}", err=True)
    parameters = checked(BenchmarkParameters, given)
    console = Console()
    with stopped_by_signals(console, patience=CLEANUP_SECONDS):
        code = _complete(parameters, console, standalone=standalone, as_json=as_json)
    raise SystemExit(INTERRUPTED if console.interrupted else code)


def _complete(parameters: BenchmarkParameters, console: Any, *, standalone: bool, as_json: bool) -> int:
    from flows.course.benchmark_course import drive_benchmark, measure_here, shown_by  # noqa: PLC0415 - not for --help
    from tasks.benchmark_parts import refuse_without_parts  # noqa: PLC0415

    def show(ended: BenchmarkRun) -> None:
        _print_outcome(ended, as_json=as_json)
        console.has_shown = True

    options = parameters.to_options()
    try:
        with shown_by(show):
            if standalone:
                drive_benchmark(options, console.stop, measure_here)
            else:
                refuse_without_parts(options)  # before a server is started for nothing
                from flows.server.embedded import run_flow  # noqa: PLC0415

                run_flow("benchmark", parameters, console)
    except LayoutliftError as error:
        tell(error)
        return exit_code(error)
    return COMPLETE


def _print_outcome(ended: BenchmarkRun, *, as_json: bool) -> None:
    from tasks.operations.benchmark.data_files import json_lines  # noqa: PLC0415 - not for --help
    from tasks.operations.benchmark.report_text import problem_lines, terminal_table  # noqa: PLC0415
    from tasks.operations.reports.shown_text import printable  # noqa: PLC0415

    if as_json:
        click.echo(json_lines(ended.results, ended.regressions), nl=False)
        return
    for line in terminal_table(ended.results):
        click.echo(line)
    for line in problem_lines(ended.results, ended.regressions):
        click.echo(f"  ! {printable(line)}")
    click.echo(f"results: {ended.folder.path}")


def _log_progress() -> None:
    """Show a line a measurement on standard error, beside the warnings that every command shows."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(lambda record: record.levelno == logging.INFO)
    logging.getLogger("tasks.benchmark_runs").addHandler(handler)


@benchmark.command(short_help="Draw plots of one benchmark, or compare two")
@click.argument("files", nargs=-1, required=True, metavar="FILE…", type=click.Path(path_type=Path))
@click.option(
    "--out", metavar="FOLDER", default="build/benchmark/plots", show_default=True, help="Folder for the plots"
)
def plot(*, files: tuple[Path, ...], out: str) -> None:
    """Draw plots of a benchmark's .jsonl or .dat file, also of the article's own; of two, their comparison."""
    from tasks.benchmark_results import draw_files  # noqa: PLC0415 - half a second

    if len(files) > MOST_FILES:
        raise ConfigurationError("FILE: at most two can be compared")
    for drawn in draw_files(files, Path(out)):
        click.echo(drawn)
