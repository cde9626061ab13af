"""The command `layoutlift cutover`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from flows.commands.config_option import config_option, require_pair, typed_beside_file
from flows.commands.headings import HeadedCommand
from flows.commands.options import with_parameters
from flows.commands.running import checked, exit_code, logs_in, prepare
from flows.course.cutover import CutoverParameters, cut_over
from flows.course.stopping import stopped_by_signals
from flows.exit_codes import COMPLETE, INTERRUPTED
from flows.forms.block_names import refuse_blocks
from flows.terminal.console import Console, print_outcome
from flows.terminal.printed_report import print_report
from flows.terminal.told_errors import tell
from tasks.oci.errors import LayoutliftError

if TYPE_CHECKING:
    from collections.abc import Sequence
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
    if config is None:
        require_pair(context)
    else:
        given = typed_beside_file(context, given)
    as_json = prepare(given)
    pairs = _pairs(config, given)
    shown = _Shown(as_json=as_json, has_file=config is not None)
    console, code = Console(), COMPLETE
    with stopped_by_signals(console):
        try:
            cut_over(pairs, console, partial(click.echo, err=as_json), shown.show)
        except LayoutliftError as error:
            tell(error)
            code = exit_code(error)
    code = INTERRUPTED if console.interrupted else code
    shown.end(pairs, code)
    raise SystemExit(code)


def _pairs(config: Path | None, given: dict[str, Any]) -> list[CutoverParameters]:
    if config is None:
        return [checked(CutoverParameters, given)]
    from flows.commands.mappings import mappings_of  # noqa: PLC0415 - only here

    pairs = mappings_of(config, CutoverParameters, given, writes=False)
    for pair in pairs:
        refuse_blocks(pair)
    return pairs


class _Shown:
    """Shows each verification that has ended: its outcome, or where JSON is wanted its report."""

    def __init__(self, *, as_json: bool, has_file: bool) -> None:
        from flows.commands.mappings import Reports  # noqa: PLC0415 - not for --help

        self._as_json = as_json
        self._reports = Reports() if as_json and has_file else None
        self._runs: list[Run] = []

    def show(self, run: Run) -> None:
        """Show the run of one verification, which has a report."""
        self._runs.append(run)
        if not self._as_json:
            print_outcome(run, "cutover")
        elif run.report_path is not None:
            (print_report if self._reports is None else self._reports.add)(run.report_path)

    def end(self, pairs: Sequence[CutoverParameters], code: int) -> None:
        """Say which pairs were equal, where all are in one document; the others have the command's code."""
        if self._reports is not None:
            self._reports.end(pairs, (COMPLETE if run.ends.equality.at else code for run in self._runs))
