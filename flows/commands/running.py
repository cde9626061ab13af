"""What every command needs: checked parameters, credentials, exit codes, and a run carried to its end."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import click
from pydantic import BaseModel, ValidationError

from flows.options import ARGUMENTS
from flows.parameters import CheckParameters, MigrateParameters, VerifyParameters
from flows.stopping import INTERRUPTED, stopped_by_signals
from tasks.oci.errors import (
    ConfigurationError,
    InterruptedRunError,
    LayoutliftError,
    RefusedError,
    RegistryError,
    TransportError,
)

if TYPE_CHECKING:
    from flows.console import Console
    from tasks.runs import RunKind

COMPLETE, INCOMPLETE, WRONG_USAGE, REFUSED = 0, 1, 2, 3

RunParameters = MigrateParameters | VerifyParameters | CheckParameters
_Model = TypeVar("_Model", bound=BaseModel)


def exit_code(error: LayoutliftError) -> int:
    """The exit code that tells a script what an error was about."""
    if isinstance(error, RefusedError):
        return REFUSED
    if isinstance(error, InterruptedRunError):
        return INTERRUPTED
    if isinstance(error, ConfigurationError | RegistryError | TransportError):  # of one tag, it is in the report
        return WRONG_USAGE
    return INCOMPLETE


def run_to_end(kind: RunKind, model: type[RunParameters], given: dict[str, Any], *, standalone: bool) -> None:
    """Run to the end, print the outcome, and exit with the code that says how it was."""
    from flows.console import Console, print_outcome  # noqa: PLC0415 - not for --help
    from flows.log_lines import log_to_stderr  # noqa: PLC0415

    log_to_stderr()
    as_json = given.pop("as_json")
    take_credentials(given.pop("username", None), from_stdin=given.pop("password_stdin", False))
    parameters = checked(model, given)
    console = Console()
    with stopped_by_signals(console):
        code = _complete(kind, parameters, console, standalone=standalone)
    if console.run is not None and console.run.report_path is not None:
        if as_json:
            click.echo(console.run.report_path.read_text())
        else:
            print_outcome(console.run)
    raise SystemExit(INTERRUPTED if console.interrupted else code)


def _complete(kind: RunKind, parameters: RunParameters, console: Console, *, standalone: bool) -> int:
    try:
        if standalone:
            from flows.driving import drive, work_here  # noqa: PLC0415

            drive(kind, parameters.to_options(), console, work_here)
        else:
            from flows.embedded import run_flow  # noqa: PLC0415

            run_flow(kind, parameters, console)
    except LayoutliftError as error:
        if console.run is None:
            raise
        click.echo(f"layoutlift: {error}", err=True)
        return exit_code(error)
    return COMPLETE


def checked(model: type[_Model], given: dict[str, Any]) -> _Model:
    """The parameters as a model.

    Raises:
        ConfigurationError: one of them is wrong; the message names each option and what is wrong with it.
    """
    try:
        return model(**{k: list(v) if isinstance(v, tuple) else v for k, v in given.items()})
    except ValidationError as error:
        wrong = "; ".join(
            f"{_shown_name(str(each['loc'][0]))}: {each['msg'].removeprefix('Value error, ')}"
            for each in error.errors(include_url=False, include_context=False, include_input=False)
        )
        raise ConfigurationError(wrong) from None


def _shown_name(field: str) -> str:
    return field.upper() if field in ARGUMENTS else f"--{field.replace('_', '-')}"


def take_credentials(username: str | None, *, from_stdin: bool) -> None:
    """Put what the user gave where the engine looks for it: this process's environment, never a parameter."""
    if username:
        os.environ["LAYOUTLIFT_TARGET_USERNAME"] = username
    if from_stdin:
        os.environ["LAYOUTLIFT_TARGET_PASSWORD"] = sys.stdin.readline().rstrip("\r\n")
