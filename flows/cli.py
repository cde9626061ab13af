"""The command `layoutlift`. Prefect is imported only where a flow runs."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import click
from pydantic import BaseModel, ValidationError

from flows.options import ARGUMENTS, with_parameters
from flows.parameters import CheckParameters, ListParameters, MigrateParameters, VerifyParameters
from flows.stopping import INTERRUPTED, stopped_by_signals
from tasks.oci.errors import (
    ConfigurationError,
    InterruptedRunError,
    LayoutliftError,
    RefusedError,
    RegistryError,
    TransportError,
)
from tasks.runs import RunKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from flows.console import Console

COMPLETE, INCOMPLETE, WRONG_USAGE, REFUSED = 0, 1, 2, 3

_RunParameters = MigrateParameters | VerifyParameters | CheckParameters
_Model = TypeVar("_Model", bound=BaseModel)


class _Commands(click.Group):
    """Ends every command with a message and an exit code of ours, never with a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except LayoutliftError as error:
            click.echo(f"layoutlift: {error}", err=True)
            raise SystemExit(exit_code(error)) from None


def exit_code(error: LayoutliftError) -> int:
    """The exit code that tells a script what an error was about."""
    if isinstance(error, RefusedError):
        return REFUSED
    if isinstance(error, InterruptedRunError):
        return INTERRUPTED
    if isinstance(error, ConfigurationError | RegistryError | TransportError):  # of one tag, it is in the report
        return WRONG_USAGE
    return INCOMPLETE


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="layoutlift")
def main() -> None:
    """Lift trees of OCI image layouts out of a bucket or directory into a real registry, verified."""


def _runs(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of everything that runs over a tree and a target."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print the report as JSON"),
        click.option("--password-stdin", is_flag=True, help="Read the target's password from standard input"),
        click.option("--username", envvar="LAYOUTLIFT_TARGET_USERNAME", help="User name at the target"),
    ):
        command = option(command)
    return command


_standalone = click.option("--standalone", is_flag=True, help="Run in this process alone, without a Prefect server")


@main.command()
@with_parameters(MigrateParameters)
@_runs
@_standalone
@click.option("--dry-run", is_flag=True, help="Only say what would be done, as the command plan does")
def migrate(*, dry_run: bool, standalone: bool, **given: Any) -> None:
    """Copy every repository and tag of SOURCE into TARGET, and verify them there."""
    kind = RunKind.PLAN if dry_run else RunKind.MIGRATE
    _run(kind, MigrateParameters, given, standalone=standalone or dry_run)


@main.command()
@with_parameters(MigrateParameters)
@_runs
def plan(**given: Any) -> None:
    """Say what a migration of SOURCE into TARGET would do, and what would be refused; changes nothing."""
    _run(RunKind.PLAN, MigrateParameters, given, standalone=True)


@main.command()
@with_parameters(VerifyParameters)
@_runs
@_standalone
def verify(*, standalone: bool, **given: Any) -> None:
    """Prove that TARGET holds what SOURCE says, and list what it has besides."""
    _run(RunKind.VERIFY, VerifyParameters, given, standalone=standalone)


@main.command()
@with_parameters(CheckParameters)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON")
def check(**given: Any) -> None:
    """Check inside SOURCE that everything each tag refers to is there, unaltered."""
    _run(RunKind.CHECK, CheckParameters, given, standalone=True)


@main.command()
@with_parameters(ListParameters)
@click.option("--json", "as_json", is_flag=True, help="Print everything that was found as JSON")
def ls(*, as_json: bool, **given: Any) -> None:
    """List the repositories and tags of SOURCE; needs no server and no registry."""
    from flows.listing import list_source  # noqa: PLC0415

    complete = list_source(checked(ListParameters, given), as_json=as_json)
    if not complete:
        raise SystemExit(INCOMPLETE)


def _run(kind: RunKind, model: type[_RunParameters], given: dict[str, Any], *, standalone: bool) -> None:
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


def _complete(kind: RunKind, parameters: _RunParameters, console: Console, *, standalone: bool) -> int:
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


@main.group()
def server() -> None:
    """The local Prefect server, which keeps the history of runs and shows the dashboard."""


@server.command()
def start() -> None:
    """Start the server, unless it runs already."""
    from flows import prefect_server  # noqa: PLC0415

    click.echo(prefect_server.start())


@server.command()
def stop() -> None:
    """Stop the server; its history stays."""
    from flows import prefect_server  # noqa: PLC0415

    click.echo(prefect_server.stop())


@server.command()
def status() -> None:
    """Say whether the server runs, and where its dashboard is."""
    from flows import prefect_server  # noqa: PLC0415

    click.echo(prefect_server.status())


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
