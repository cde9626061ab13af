"""What every command needs: checked parameters, credentials, exit codes, and a run carried to its end."""

from __future__ import annotations

import os
import re
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click
from pydantic import BaseModel, ValidationError

from flows.commands.options import ARGUMENTS, variable_of
from flows.course.stopping import stopped_by_signals
from flows.exit_codes import COMPLETE, INCOMPLETE, INTERRUPTED, REFUSED, WRONG_USAGE
from flows.files.mistakes import in_our_words
from flows.forms.block_names import block_name, names_block, refuse_blocks
from flows.forms.scale_parameters import ScaleParameters
from flows.terminal.last_line import tell
from flows.terminal.printed_report import print_report
from tasks.choosing_options import read_exact_list
from tasks.oci.errors import (
    ConfigurationError,
    InterruptedRunError,
    LayoutliftError,
    RefusedError,
    RegistryError,
    TransportError,
)
from tasks.stores.given_files import STANDARD_INPUT
from tasks.stores.source_checks import check_source, refuse_swapped

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from flows.forms.parameters import RunParameters
    from flows.server.prefect_server import ServerAddress
    from flows.terminal.console import Console
    from tasks.run_options import RunKind, RunOptions
    from tasks.runs import Run

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


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: its exit code, and the run, with which the report goes that is in no folder of a state."""

    code: int
    run: Run | None = None

    @property
    def report(self) -> Path | None:
        """The report, where the run came to have one."""
        return self.run.report_path if self.run is not None else None


def run_to_end(kind: RunKind, model: type[RunParameters], given: dict[str, Any], *, standalone: bool) -> NoReturn:
    """Run to the end, print the outcome, and exit with the code that says how it was."""
    as_json = prepare(given)
    parameters = checked(model, given, blocks=not standalone)
    ended = run_one(kind, parameters, standalone=standalone, show=not as_json)
    if as_json and ended.report is not None:
        print_report(ended.report)
    raise SystemExit(ended.code)


def prepare(given: dict[str, Any]) -> bool:
    """Take out of `given`, and act on, what the run itself does not take: the login, and whether JSON is wanted.

    Returns:
        Whether JSON is wanted.

    Raises:
        ConfigurationError: both the password and a list would be read from standard input.
    """
    as_json = bool(given.pop("as_json"))
    if given.get("password_stdin") and given.get("tags_from") == STANDARD_INPUT:
        raise ConfigurationError("--tags-from -: standard input has the password; name a file")
    take_credentials(given.pop("username", None), from_stdin=given.pop("password_stdin", False))
    return as_json


def run_one(kind: RunKind, parameters: RunParameters, *, standalone: bool, show: bool) -> Ended:
    """Run to the end and print the outcome if it is to be shown; errors are printed and told by the code."""
    from flows.terminal.console import Console, print_outcome  # noqa: PLC0415 - not for --help

    console = Console()
    with stopped_by_signals(console):
        code = _complete(kind, parameters, console, standalone=standalone)
    if show and console.run is not None and console.run.report_places and not _is_all_told(code, console.run):
        print_outcome(console.run)
    return Ended(INTERRUPTED if console.interrupted else code, console.run)


def _is_all_told(code: int, run: Run) -> bool:
    """Whether the error that was printed says it all: nothing was done, so that a summary would hold only zeros."""
    return code == WRONG_USAGE and not run.totals.tags and len(run.log.findings) <= 1


def _complete(kind: RunKind, parameters: RunParameters, console: Console, *, standalone: bool) -> int:
    try:
        refuse_swapped(parameters.source, getattr(parameters, "target", None))
        if standalone:
            refuse_blocks(parameters)
            refuse_scale(parameters)
            from flows.course.driving import drive, work_here  # noqa: PLC0415

            drive(kind, parameters.to_options(), console, work_here)
        else:
            if block_name(parameters.source) is None:
                check_source(parameters.source)  # before a server is started for nothing
            read_exact_list(parameters.tags_from)
            from flows.server.embedded import run_flow  # noqa: PLC0415

            before_start = partial(_ask_target, parameters.to_options(), console)
            run_flow(kind, parameters, console, _meanwhile(kind, parameters, console), before_start)
    except LayoutliftError as error:
        tell(error)
        return exit_code(error)
    return COMPLETE


def _ask_target(options: RunOptions, console: Console) -> None:
    """See that the target lets us in, before a server is started for nothing; the run itself asks again.

    Raises:
        LayoutliftError: it does not.
    """
    from tasks.endpoints import open_target  # noqa: PLC0415 - not for --help

    if options.target is not None and not names_block(options):
        with open_target(options.target, console.stop, write=False):
            pass


def _meanwhile(
    kind: RunKind, parameters: RunParameters, console: Console
) -> Callable[[ServerAddress], AbstractContextManager[object]]:
    """What to do while Prefect is imported: begin, unless it is there already or its server may not let us in."""
    from flows.course.early_start import begun_early, may_begin_early  # noqa: PLC0415 - not for --help

    options = parameters.to_options()
    scaled = isinstance(parameters, ScaleParameters) and parameters.is_scaled
    loaded, other = "prefect" in sys.modules, os.environ.get("PREFECT_API_URL")
    if scaled or loaded or other or not may_begin_early(kind, options):
        return nullcontext
    return partial(begun_early, kind, options, console)


def refuse_scale(parameters: RunParameters) -> None:
    """See that a run of this process alone was not asked to take more.

    Raises:
        ConfigurationError: it was asked to use more processes.
    """
    if isinstance(parameters, ScaleParameters) and parameters.is_scaled:
        raise ConfigurationError(
            f"--shards and --task-runner need Prefect: leave out {_shown_name('standalone')} and --dry-run"
        )


def checked(model: type[_Model], given: dict[str, Any], *, blocks: bool = False) -> _Model:
    """The parameters as a model; only what runs as a flow may have `blocks` for source and target.

    Raises:
        ConfigurationError: one of them is wrong; the message names each option and what is wrong with it.
    """
    try:
        parameters = model(**given)
    except ValidationError as error:
        raise wrong_options(error) from None
    if not blocks:
        refuse_blocks(parameters)
    return parameters


def wrong_options(error: ValidationError) -> ConfigurationError:
    """The error that names each option and what is wrong with it."""
    return ConfigurationError(
        "; ".join(
            f"{_shown_name(str(each['loc'][0]))}: {_with_variables(in_our_words(each))}"
            for each in error.errors(include_url=False, include_context=False, include_input=False)
        )
    )


def _shown_name(field: str) -> str:
    return field.upper() if field in ARGUMENTS else _with_variable(f"--{field.replace('_', '-')}")


def _with_variable(option: str) -> str:
    variable = variable_of(option.removeprefix("--").replace("-", "_"))
    return option if variable is None else f"{option} ({variable})"


def _with_variables(said: str) -> str:
    """The same with the variable behind each option that came from one: nobody may have typed it."""
    return re.sub(r"--[a-z][a-z-]*", lambda named: _with_variable(named[0]), said)


def logs_in(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options from which `take_credentials` takes a login to the registry."""
    for option in (
        click.option(
            "--password-stdin",
            is_flag=True,
            help="Read the registry's password from standard input; else LAYOUTLIFT_TARGET_PASSWORD has it",
        ),
        click.option(
            "--username",
            envvar="LAYOUTLIFT_TARGET_USERNAME",
            metavar="NAME",
            help="User name at the registry; without it, what docker login stored counts",
        ),
    ):
        command = option(command)
    return command


def take_credentials(username: str | None, *, from_stdin: bool) -> None:
    """Put what the user gave where the engine looks for it: this process's environment, never a parameter.

    A password may have many lines, as a key of Google's has; who types one ends it with the line.

    Raises:
        ConfigurationError: what is read is no text, or nothing.
    """
    if username:
        os.environ["LAYOUTLIFT_TARGET_USERNAME"] = username
    if from_stdin:
        try:
            given = sys.stdin.readline() if sys.stdin.isatty() else sys.stdin.read()
            password = given.rstrip("\r\n")
            if not password:
                raise ConfigurationError("--password-stdin: standard input holds no password")
            os.environ["LAYOUTLIFT_TARGET_PASSWORD"] = password
        except ValueError:  # not chained: it may carry what was read; a null character can't be handed on
            raise ConfigurationError("--password-stdin: what standard input holds is no text in UTF-8") from None
