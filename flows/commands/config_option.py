"""The option `--config`: a file that lists sources and targets in place of those that are typed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Collection

    from flows.forms.parameters import RunParameters

_TYPED = click.core.ParameterSource.COMMANDLINE
_ENVIRONMENT = click.core.ParameterSource.ENVIRONMENT

config_option = click.option(
    "--config",
    "-c",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Do this for each mapping of a migration file, one after the other; see validate",
)


def heeded(
    context: click.Context,
    given: dict[str, Any],
    config: Path | None,
    model: type[RunParameters],
    *,
    writes: bool = False,
) -> dict[str, Any]:
    """The options that count: all where the arguments are given, beside a file those that it does not speak of.

    What is typed counts in any case. Variables that do nothing beside the file are named, with what the run of a
    mapping takes of it instead: see `MigrationFile.runs` for `model` and `writes`.

    Raises:
        click.MissingParameter: neither the file nor the command line names the source, or a target where one is used.
    """
    if config is None:
        _require_arguments(context)
        return given
    from flows.files.migration_file import MigrationSettings, fields_taken  # noqa: PLC0415 - only here
    from flows.forms.scale_parameters import ScaleParameters  # noqa: PLC0415

    fields = MigrationSettings.model_fields
    replaced = {
        name
        for name in fields.keys() | ScaleParameters.model_fields.keys()
        if context.get_parameter_source(name) is not _TYPED
    }
    _warn_of_unheeded(context, replaced, fields.keys(), fields_taken(model, writes=writes))
    return {name: value for name, value in given.items() if name not in replaced}


def _require_arguments(context: click.Context) -> None:
    for parameter in context.command.get_params(context):
        if parameter.name in {"source", "target"} and context.params[parameter.name] is None:
            raise click.MissingParameter(
                ctx=context, param=parameter, param_hint=f"'{parameter.human_readable_name}'"
            )


def _warn_of_unheeded(
    context: click.Context, replaced: Collection[str], fields: Collection[str], taken: Collection[str]
) -> None:
    """Name each variable that an option was read from in whose place the file speaks, by one of its fields."""
    for parameter in context.command.get_params(context):
        name, variable = parameter.name, parameter.envvar
        if name in replaced and isinstance(variable, str) and context.get_parameter_source(name) is _ENVIRONMENT:
            passed_over = f", from which this run takes no {name}" if name in fields else ", which has no such field"
            instead = _instead(parameter, name, variable) if name in taken else passed_over
            click.echo(f"layoutlift: the variable {variable} does nothing beside --config{instead}", err=True)


def _instead(parameter: click.Parameter, name: str, variable: str) -> str:
    """What to write into the file in place of a variable; where there may be several values, each line is one."""
    if not parameter.multiple:
        return f": write {name}: ${{{variable}}} into the file"
    if "\n" in os.environ[variable].strip("\n"):
        return f": write its lines into the file, as entries of {name}"
    return f': write {name}: ["${{{variable}}}"] into the file'
