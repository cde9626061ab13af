"""The command `layoutlift cutover`."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from flows.commands.headings import HeadedCommand
from flows.commands.options import with_parameters
from flows.commands.running import checked, exit_code, logs_in, prepare
from flows.course.cutover import CutoverParameters, cut_over
from flows.course.stopping import stopped_by_signals
from flows.exit_codes import INTERRUPTED
from flows.terminal.printed_report import print_report
from flows.terminal.told_errors import tell
from tasks.oci.errors import LayoutliftError


@click.command(cls=HeadedCommand, short_help="Prove that both sides are equal, list what replaces what")
@with_parameters(CutoverParameters)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the report as JSON, and what is said on the way to stderr"
)
@logs_in
def cutover(**given: Any) -> None:
    """Prove that TARGET equals SOURCE and nobody writes to SOURCE, and list which reference replaces which."""
    from flows.terminal.console import Console, print_outcome  # noqa: PLC0415 - not for --help

    as_json = prepare(given)
    parameters = checked(CutoverParameters, given)
    console = Console()
    code = 0
    with stopped_by_signals(console):
        try:
            cut_over(parameters, console, partial(click.echo, err=as_json))
        except LayoutliftError as error:
            if console.run is None:
                raise
            tell(error)
            code = exit_code(error)
    if console.run is not None and (report := console.run.report_path) is not None:
        if as_json:
            print_report(report)
        else:
            print_outcome(console.run, "cutover")
    raise SystemExit(INTERRUPTED if console.interrupted else code)
