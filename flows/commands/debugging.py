"""The option `--debug`, which every command has."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from flows.commands.options import NamedOption
from flows.terminal.log_lines import DEBUG, log_to_stderr

if TYPE_CHECKING:
    from click import Command, Context, Parameter


def with_debug(command: Command) -> Command:
    """Give a command, or every one of a group, the option `--debug`, once."""
    if isinstance(command, click.Group):
        for each in command.commands.values():
            with_debug(each)
    elif not any(option.name == "debug" for option in command.params):
        command.params.append(_option())
    return command


def _option() -> click.Option:
    return NamedOption(
        ["--debug"],
        is_flag=True,
        envvar=DEBUG,
        expose_value=False,
        callback=_begin,
        help="Write the whole log to standard error: each request, and the traceback of each warning",
    )


def _begin(_context: Context, _option: Parameter, wanted: bool) -> None:  # noqa: FBT001 - click's form
    """Begin to log before the command does anything; the environment tells processes that it starts."""
    os.environ.pop(DEBUG, None)
    if wanted:
        os.environ[DEBUG] = "1"
    log_to_stderr()
