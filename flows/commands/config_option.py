"""The option `--config`: a file that lists sources and targets in place of one that is typed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from flows.commands.known_variables import warn_of_unheeded
from flows.commands.options import said_on_command_line

_ALWAYS_HEEDED = frozenset({"as_json", "username", "password_stdin", "standalone", "dry_run", "config", "debug"})
"""Options that no file has a field for, and that count beside one wherever they come from."""

config_option = click.option(
    "--config",
    "-c",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Take sources and targets from this file, one after the other; see validate",
)


def typed_beside_file(context: click.Context, given: dict[str, Any]) -> dict[str, Any]:
    """What of the given options counts beside a file; variables of the others, which do not, are named."""
    heeded = said_on_command_line(context) | _ALWAYS_HEEDED
    warn_of_unheeded(context, heeded)
    return {name: value for name, value in given.items() if name in heeded}


def require_pair(context: click.Context) -> None:
    """See that source and target are named, where no file lists them.

    Raises:
        click.MissingParameter: one is not.
    """
    for parameter in context.command.get_params(context):
        if parameter.name in {"source", "target"} and context.params[parameter.name] is None:
            raise click.MissingParameter(
                ctx=context, param=parameter, param_hint=f"'{parameter.human_readable_name}'"
            )
