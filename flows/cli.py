"""The command `layoutlift`. Prefect is imported only where a flow runs."""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from flows.commands.config_option import config_option, heeded
from flows.commands.debugging import with_debug
from flows.commands.headings import HeadedGroup
from flows.commands.known_variables import warn_of_unknown
from flows.commands.options import standalone_option, with_parameters
from flows.commands.other_tools import COMMANDS
from flows.commands.running import checked, exit_code, logs_in, run_to_end
from flows.course.one_heap import use_one_heap
from flows.course.stopping import leave_lost_output
from flows.exit_codes import INCOMPLETE, INTERRUPTED, UNREAD
from flows.forms.list_parameters import ListParameters
from flows.forms.parameters import CheckParameters, MigrateParameters
from flows.forms.scale_parameters import ScaledMigrateParameters, ScaledVerifyParameters
from flows.terminal.last_line import tell
from tasks.oci.errors import LayoutliftError
from tasks.run_options import RunKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typing_extensions import Buffer

    from flows.forms.parameters import RunParameters

ELSEWHERE = {
    "alerts": "alerts",
    "benchmark": "benchmark",
    "cleanup": "cleanup",
    "cutover": "cutover",
    "delete": "deleting",
    "recover": "deleting",
    "server": "server",
    "validate": "validate",
    "zot": "zot",
}
"""Commands by name, with their modules in `flows.commands`, which are loaded for that command and for --help only."""
AS_WORK_GOES = (
    *("ls", "check", "plan", "migrate", "verify", "cutover", "validate"),
    *("cleanup", "delete", "recover", "zot", "benchmark", "server", "alerts"),
)
"""All commands, as --help lists them."""
OUTPUT_LOST = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What writing to a full disk ends with; where that is a file of ours, its store has made another error of it."""
NO_THREAD = "can't start new thread"
"""What Python says where the system lets it have no further one."""


class _SparedFile(io.FileIO):
    """A file to which writing never fails for want of room: what a full disk does not take of it is lost."""

    def write(self, given: Buffer, /) -> int:
        try:
            return super().write(given)
        except OSError as error:
            if error.errno not in OUTPUT_LOST:
                raise
            return memoryview(given).nbytes


class _Commands(HeadedGroup):
    """Ends every command with a message and an exit code of ours, never with a traceback."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        _show_any_text()
        try:
            return super().main(*args, **kwargs)
        except (RuntimeError, MemoryError) as error:
            if isinstance(error, RuntimeError) and str(error) != NO_THREAD:
                raise
            click.echo(f"layoutlift: {_lack(error)}", err=True)
            raise SystemExit(INCOMPLETE) from None
        except OSError as error:
            if error.errno not in OUTPUT_LOST or error.filename is not None:
                raise
            _drop_output()
            click.echo(f"layoutlift: the output can't be written: {error.strerror}", err=True)
            raise SystemExit(INCOMPLETE) from None

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted((*super().list_commands(ctx), *ELSEWHERE), key=AS_WORK_GOES.index)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in ELSEWHERE:
            return with_debug(getattr(import_module(f"flows.commands.{ELSEWHERE[cmd_name]}"), cmd_name))
        command = super().get_command(ctx, cmd_name)
        return None if command is None else with_debug(command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if not ctx.resilient_parsing and (instead := COMMANDS.get(args[0])):  # completion asks, too
            raise click.UsageError(f"No such command {args[0]!r}: {instead}", ctx)
        return super().resolve_command(ctx, args)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with _ended_quietly():  # --help loads all commands, and is answered here
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        use_one_heap()
        with _ended_quietly():
            try:
                warn_of_unknown(self, self.commands)
                return super().invoke(ctx)
            except LayoutliftError as error:
                tell(error)
                raise SystemExit(exit_code(error)) from None


def _lack(error: RuntimeError | MemoryError) -> str:
    """What this machine, or the limits that it sets us, did not give."""
    if isinstance(error, MemoryError):
        return "there is no memory left: raise the limit (ulimit -v, or the container's), or use fewer --jobs"
    limits = "ulimit -u and -v, systemd's TasksMax, or the container's"
    return f"no further thread can be started: raise the limit ({limits}), or use fewer --jobs"


@contextmanager
def _ended_quietly() -> Iterator[None]:
    """Have Ctrl-C end the process, or that nobody reads what it prints; click would end with 1 and say "Aborted!"."""
    try:
        yield
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError:
        leave_lost_output()
        raise SystemExit(UNREAD) from None


def _show_any_text() -> None:
    """Show as escapes what the terminal's encoding lacks: arrows are ours, and names are anybody's.

    Where a stream is closed (`>&-`), Python has none, and what is printed goes nowhere; else a file of ours would
    take its place. So is it with standard input, which has nothing then.
    """
    if sys.stdin is None:
        sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115 - for as long as we run
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for as long as we run
            setattr(sys, name, nowhere)
    _spare_standard_error()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _spare_standard_error() -> None:
    """What a full disk does not take of standard error is lost.

    Whatever is said there goes beside the work, which would end for it.
    """
    if sys.stderr is sys.__stderr__ and isinstance(sys.stderr, io.TextIOWrapper):
        spared = io.BufferedWriter(_SparedFile(sys.stderr.fileno(), "wb", closefd=False))
        sys.stderr = io.TextIOWrapper(spared, sys.stderr.encoding, line_buffering=True)


def _drop_output() -> None:
    """Have what is left of standard output go nowhere, so that it can't fail again at the interpreter's end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


EPILOG = """\b
Examples:
  layoutlift plan /mnt/bucket registry.example:5000
  layoutlift migrate s3://bucket/layouts registry.example:5000/team
  layoutlift migrate /mnt/bucket registry.example:5000 --include 'team/**:v*'

Options are also read from the environment: LAYOUTLIFT_JOBS=16 is --jobs 16."""


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]}, epilog=EPILOG)
@click.version_option(package_name="layoutlift")
def main() -> None:
    """Lift trees of OCI image layouts out of a bucket or directory into a real registry, verified."""


def _runs(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command what everything has that runs over a tree, or over those that a file lists."""
    command = click.option("--json", "as_json", is_flag=True, help="Print the report as JSON")(command)
    return config_option(click.pass_context(command))


@main.command(short_help="Copy SOURCE into TARGET, and verify it there")
@with_parameters(ScaledMigrateParameters, arguments_required=False)
@_runs
@logs_in
@standalone_option
@click.option("--dry-run", is_flag=True, help="Only say what would be done, as the command plan does")
def migrate(context: click.Context, /, *, dry_run: bool, standalone: bool, **given: Any) -> None:
    """Copy every repository and tag of SOURCE into TARGET, and verify them there."""
    kind = RunKind.PLAN if dry_run else RunKind.MIGRATE
    _run(context, kind, ScaledMigrateParameters, given, standalone=standalone or dry_run)


@main.command(short_help="Say what migrate would do and refuse; changes nothing")
@with_parameters(MigrateParameters, arguments_required=False)
@_runs
@logs_in
def plan(context: click.Context, /, **given: Any) -> None:
    """Say what a migration of SOURCE into TARGET would do, and what would be refused; changes nothing."""
    _run(context, RunKind.PLAN, MigrateParameters, given, standalone=True)


@main.command(short_help="Prove that TARGET holds what SOURCE says")
@with_parameters(ScaledVerifyParameters, arguments_required=False)
@_runs
@logs_in
@standalone_option
def verify(context: click.Context, /, *, standalone: bool, **given: Any) -> None:
    """Prove that TARGET holds what SOURCE says, and list the tags that these repositories have besides."""
    _run(context, RunKind.VERIFY, ScaledVerifyParameters, given, standalone=standalone)


def _run(
    context: click.Context, kind: RunKind, model: type[RunParameters], given: dict[str, Any], *, standalone: bool
) -> NoReturn:
    config: Path | None = given.pop("config")
    given = heeded(context, given, config, model, writes=kind is RunKind.MIGRATE)
    if config is None:
        run_to_end(kind, model, given, standalone=standalone)
    from flows.commands.mappings import run_mappings  # noqa: PLC0415 - only here

    run_mappings(kind, config, given, standalone=standalone)


@main.command(short_help="Prove that all that SOURCE refers to is there")
@with_parameters(CheckParameters, arguments_required=False)
@_runs
def check(context: click.Context, /, **given: Any) -> None:
    """Check inside SOURCE that everything each tag refers to is there, and with --depth content unaltered."""
    _run(context, RunKind.CHECK, CheckParameters, given, standalone=True)


@main.command(short_help="List the repositories and tags of SOURCE")
@with_parameters(ListParameters)
@click.option("--json", "as_json", is_flag=True, help="Print everything that was found as JSON")
def ls(*, as_json: bool, **given: Any) -> None:
    """List the repositories and tags of SOURCE; needs no server and no registry."""
    from flows.terminal.changes import list_changes  # noqa: PLC0415
    from flows.terminal.listing import list_source  # noqa: PLC0415

    parameters = checked(ListParameters, given)
    if parameters.changed is None:
        complete = list_source(parameters, as_json=as_json)
    else:
        complete = list_changes(parameters, parameters.changed, as_json=as_json)
    if not complete:
        raise SystemExit(INCOMPLETE)
