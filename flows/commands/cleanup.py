"""The commands `layoutlift cleanup …`."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.commands.headings import HeadedGroup
from flows.commands.options import with_parameters
from flows.commands.running import checked, logs_in, prepare
from flows.exit_codes import INCOMPLETE, INTERRUPTED
from flows.forms.cleanup_parameters import ApplyParameters, CleanupPlanParameters, UndoParameters
from tasks.oci.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from flows.course.cleanup_applying import ShowOutcomes
    from flows.terminal.console import Console
    from tasks.stop import Stop


@click.group(cls=HeadedGroup, short_help="Clean SOURCE up by a policy: plan, apply, undo")
def cleanup() -> None:
    """Retention and garbage collection of a tree of layouts: plan, apply that plan, undo it."""


def plans(command: Any) -> Any:
    """Give a command what all that make a plan have."""
    return click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON")(logs_in(command))


@cleanup.command(short_help="Say what a policy keeps and deletes; changes nothing")
@with_parameters(CleanupPlanParameters)
@plans
def plan(**given: Any) -> None:
    """Say what a policy keeps and deletes at SOURCE, and why; changes nothing."""
    from flows.course.cleanup_planning import plan_cleanup  # noqa: PLC0415 - not for --help
    from flows.course.stopping import stopped_by_signals  # noqa: PLC0415
    from flows.terminal.cleanup_plan_output import print_plan  # noqa: PLC0415
    from flows.terminal.console import Console  # noqa: PLC0415

    as_json = prepare(given)
    parameters = checked(CleanupPlanParameters, given)
    console = Console()
    keeping, file = ("", shlex.quote(parameters.output)) if parameters.output else ("with --output FILE, ", "FILE")
    show = partial(print_plan, as_json=as_json, doer=f"{keeping}layoutlift cleanup apply {file}")
    with stopped_by_signals(console):
        whole = plan_cleanup(parameters, console.stop, show)
    exit_unless(whole, console)


@cleanup.command(short_help="Do what PLAN says, and nothing else")
@click.argument("plan_file", metavar="PLAN", type=click.Path(dir_okay=False, path_type=Path))
@with_parameters(ApplyParameters)
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON")
@logs_in
def apply(*, plan_file: Path, **given: Any) -> None:
    """Do what PLAN says, and nothing else, as far as everything is still as it was then.

    PLAN is the file that layoutlift cleanup plan wrote with --output.
    """
    from flows.course.cleanup_applying import apply_plan  # noqa: PLC0415 - not for --help

    as_json = prepare(given)
    parameters = checked(ApplyParameters, given)
    change(partial(apply_plan, parameters, plan_file), as_json=as_json)


@cleanup.command(short_help="Put back what RUN took away")
@click.argument("run")
@click.option("--source", metavar="SOURCE", help="The source that RUN changed, where another machine did that")
@with_parameters(UndoParameters)
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON")
def undo(*, run: str, source: str | None, as_json: bool, **given: Any) -> None:
    """Put back what RUN took away, as long as the quarantine has it; what came later stays.

    RUN is the name that layoutlift cleanup apply printed.
    """
    from flows.course.cleanup_applying import undo as undo_run  # noqa: PLC0415 - not for --help
    from flows.terminal.cleanup_outcome_output import print_outcomes  # noqa: PLC0415

    parameters = checked(UndoParameters, given)
    shown = partial(print_outcomes, as_json=as_json, undone=run)
    change(partial(undo_run, parameters, run, source), as_json=as_json, show=shown)


def change(act: Callable[[Stop, ShowOutcomes], bool], *, as_json: bool, show: ShowOutcomes | None = None) -> None:
    """Change a source, print what was done, and exit with 1 where something is not as it should be.

    `show` prints in place of the usual.
    """
    from flows.course.stopping import stopped_by_signals  # noqa: PLC0415
    from flows.terminal.cleanup_outcome_output import print_outcomes  # noqa: PLC0415
    from flows.terminal.console import Console  # noqa: PLC0415 - not for --help

    console = Console()
    with stopped_by_signals(console):
        whole = act(console.stop, show or partial(print_outcomes, as_json=as_json))
    exit_unless(whole, console)


def exit_unless(whole: bool, console: Console) -> None:  # noqa: FBT001 - as it reads
    """Exit with 130 where somebody stopped the command, though its end was near, else with 1 unless all is well.

    A script goes on to apply a plan where the one that made it ended with 0.
    """
    if console.interrupted:
        raise SystemExit(INTERRUPTED)
    if not whole:
        raise SystemExit(INCOMPLETE)


@cleanup.command(short_help="Write an example policy to FILE")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), default=Path("cleanup.yaml"))
def init(file: Path) -> None:
    """Write a policy with comments to FILE (cleanup.yaml), as a start; it keeps everything."""
    from flows.files.policy_example import EXAMPLE  # noqa: PLC0415

    is_ours = False
    try:
        with file.open("x", encoding="utf-8") as opened:
            is_ours = True
            opened.write(EXAMPLE)
    except FileExistsError:
        raise ConfigurationError(f"{file} is there already; it was left as it is") from None
    except OSError as error:
        if is_ours:
            file.unlink(missing_ok=True)
        raise ConfigurationError(f"{file} can't be written: {error.strerror}") from error
    click.echo(f"{file} written; it keeps everything until its rules are changed")
