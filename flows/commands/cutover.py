"""The command `layoutlift cutover`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from flows.commands.config_option import config_option, heeded
from flows.commands.headings import HeadedCommand
from flows.commands.options import with_parameters
from flows.commands.running import checked, exit_code, logs_in, prepare
from flows.course.stopping import stopped_by_signals
from flows.exit_codes import COMPLETE, INTERRUPTED
from flows.forms.block_names import refuse_blocks
from flows.forms.cutover_parameters import CutoverParameters
from flows.terminal.last_line import tell
from flows.terminal.printed_report import print_report
from tasks.oci.errors import LayoutliftError
from tasks.operations.reports.shown_text import printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tasks.runs import Run


@click.command(cls=HeadedCommand, short_help="Prove that both sides are equal, list what replaces what")
@with_parameters(CutoverParameters, arguments_required=False)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the report as JSON, and what is said on the way to stderr"
)
@logs_in
@config_option
@click.pass_context
def cutover(context: click.Context, /, *, config: Path | None, **given: Any) -> None:
    """Prove that TARGET equals SOURCE and nobody writes to SOURCE, and list which reference replaces which."""
    given = heeded(context, given, config, CutoverParameters)
    as_json = prepare(given)
    if config is None:
        raise SystemExit(_cut_over([checked(CutoverParameters, given)], _Teller(print_report if as_json else None)))
    from flows.commands.mappings import Reports, mappings_of  # noqa: PLC0415 - only here

    pairs = mappings_of(config, CutoverParameters, given, writes=False)
    for pair in pairs:
        refuse_blocks(pair)
    reports = Reports() if as_json else None
    code = _cut_over(pairs, _Teller(reports.add if reports is not None else None, several=True))
    if reports is not None:
        reports.end(pairs, [code] * len(pairs))
    raise SystemExit(code)


def _cut_over(pairs: list[CutoverParameters], teller: _Teller) -> int:
    from flows.course.cutover import cut_over  # noqa: PLC0415 - not for --help
    from flows.terminal.console import Console  # noqa: PLC0415

    console, code = Console(), COMPLETE
    with stopped_by_signals(console):
        try:
            cut_over(pairs, console, teller)
        except LayoutliftError as error:
            tell(error)
            code = exit_code(error)
    return INTERRUPTED if console.interrupted else code


class _Teller:
    """Shows of each verification its outcome, or where JSON is wanted its report; of several also which comes now."""

    def __init__(self, print_json: Callable[[Path], None] | None, *, several: bool = False) -> None:
        self._print_json = print_json
        self._several = several

    def begin(self, pair: CutoverParameters) -> None:
        """See `Teller.begin`."""
        if self._several:
            click.echo(printable(f"{pair.source} → {pair.target}"), err=True)

    def show(self, run: Run) -> None:
        """See `Teller.show`."""
        from flows.terminal.console import print_outcome  # noqa: PLC0415 - not for --help

        if self._print_json is None:
            print_outcome(run, "cutover")
        elif run.report_path is not None:
            self._print_json(run.report_path)

    def say(self, line: str) -> None:
        """See `Teller.say`."""
        click.echo(line, err=self._print_json is not None)
