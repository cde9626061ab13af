"""The commands `layoutlift delete` and `layoutlift recover`."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.commands.cleanup import change, exit_unless, plans
from flows.commands.headings import HeadedCommand
from flows.commands.options import with_parameters
from flows.commands.running import checked, prepare
from flows.forms.cleanup_parameters import ApplyParameters, DeleteParameters, RecoverParameters
from tasks.oci.errors import InterruptedRunError
from tasks.stores.source_checks import refuse_within

if TYPE_CHECKING:
    from collections.abc import Callable

    from flows.course.cleanup_planning import ShowPlan
    from tasks.stop import Stop

_apply = click.option("--apply", "applies", is_flag=True, help="Do it, too; without, only the plan is printed")


@click.command(cls=HeadedCommand, short_help="Delete one thing of SOURCE, with what refers to it")
@with_parameters(DeleteParameters)
@click.argument("named", metavar="REPOSITORY[:TAG|@DIGEST]")
@_apply
@plans
def delete(*, named: str, applies: bool, **given: Any) -> None:
    """Delete one tag, artifact or repository of SOURCE, with what refers to it; shared blobs stay.

    Without --apply, only says what would go.
    """
    from flows.course.deleting import Named, plan_delete  # noqa: PLC0415 - not for --help

    as_json = prepare(given)
    parameters = checked(DeleteParameters, given)
    plan = partial(plan_delete, parameters, Named.parse(named))
    _plan_and_apply(plan, parameters, applies=applies, as_json=as_json)


@click.command(cls=HeadedCommand, short_help="Find manifests of SOURCE that no index names any more")
@with_parameters(RecoverParameters)
@_apply
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON")
def recover(*, applies: bool, as_json: bool, **given: Any) -> None:
    """Find manifests of SOURCE that no index names any more, and with --apply name them again.

    In a bucket that keeps versions, they get the tags back that an earlier index.json has for them.
    """
    from flows.course.deleting import plan_recover  # noqa: PLC0415 - not for --help

    parameters = checked(RecoverParameters, given)
    _plan_and_apply(partial(plan_recover, parameters), parameters, applies=applies, as_json=as_json)


def _plan_and_apply(
    plan: Callable[[Path | None, Stop, ShowPlan], bool],
    parameters: DeleteParameters | RecoverParameters,
    *,
    applies: bool,
    as_json: bool,
) -> None:
    """Print a plan, and apply that very plan where the user wants that; one JSON document in either case."""
    from flows.course.deleting import plan_place  # noqa: PLC0415
    from flows.course.stopping import stopped_by_signals  # noqa: PLC0415
    from flows.terminal.cleanup_plan_output import print_plan  # noqa: PLC0415
    from flows.terminal.console import Console  # noqa: PLC0415 - not for --help

    output = parameters.output
    refuse_within(parameters.source, "--output", output)
    console, shown = Console(), partial(print_plan, as_json=as_json, is_whole=not applies)
    if not applies:
        with stopped_by_signals(console):
            whole = plan(None if output is None else Path(output), console.stop, shown)
    else:
        from flows.course.cleanup_applying import apply_plan  # noqa: PLC0415
        from flows.terminal.cleanup_outcome_output import AppliedPart  # noqa: PLC0415

        applied = ApplyParameters(**parameters.model_dump(include=set(ApplyParameters.model_fields)))
        with plan_place(output) as place:
            with stopped_by_signals(console):
                whole = plan(place, console.stop, shown)
            with AppliedPart() if as_json else nullcontext() as part:
                if console.interrupted:
                    raise InterruptedRunError("the run was interrupted while it planned; nothing was changed")
                show = None if part is None else part.show
                change(partial(apply_plan, applied, place), as_json=as_json, show=show)
    exit_unless(whole, console)
