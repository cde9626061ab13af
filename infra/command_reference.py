"""Writes docs/commands.md from the commands themselves: `python -m infra.command_reference` (`make docs`)."""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from flows.cli import main as layoutlift
from flows.commands.headings import headed

PAGE = Path(__file__).resolve().parents[1] / "docs" / "commands.md"
PREAMBLE = """\
# Commands

Every command, with its options and what `--help` says of them.
`make docs` writes this page from the commands themselves.
An option with a variable is also read from the environment; each line of it is a value where several can be given.
A variable `LAYOUTLIFT_…` that nothing is read from is named on standard error.
Of no option are `LAYOUTLIFT_TARGET_PASSWORD`, `LAYOUTLIFT_TARGET_TIMEOUT` (seconds that a target may be away, 300),
`LAYOUTLIFT_SOURCE_TIMEOUT` (seconds after which a mount that does not answer counts as hung, 30), and
`LAYOUTLIFT_TOOLS` (a folder in which a benchmark looks for programs first).
[Exit codes](../README.md#exit-codes) are in the README; [migrating](migrating.md) says what its options mean.
"""


def reference() -> str:
    """Return the whole page in Markdown."""
    root = click.Context(layoutlift, info_name="layoutlift")
    return PREAMBLE + "".join(map(_section, _leaves(root)))


def _leaves(parent: click.Context) -> Iterator[click.Context]:
    """Give a context to each command that does something, in the order of `--help`."""
    group = parent.command
    if not isinstance(group, click.Group):
        yield parent
        return
    for name in group.list_commands(parent):
        command = group.get_command(parent, name)
        if command is not None and not command.hidden:
            yield from _leaves(click.Context(command, info_name=name, parent=parent))


def _section(context: click.Context) -> str:
    """Describe one command: what it does, how it is called, its options."""
    command = context.command
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    help_text = inspect.cleandoc(command.help or "").replace("\b\n", "").replace("\f", "")
    return f"\n## {context.command_path}\n\n{help_text}\n\n```\n{usage}\n```\n{_options(context)}"


def _options(context: click.Context) -> str:
    """Tables of the options, as `--help` divides them."""
    lists = headed(context.command, context)
    return "".join(_table(heading if len(lists) > 1 else "", options, context) for heading, options in lists)


def _table(heading: str, options: list[click.Option], context: click.Context) -> str:
    rows = [_row(option, context) for option in options if "--help" not in option.opts]
    if not rows:
        return ""
    above = f"\n{heading}:\n" if heading else ""
    return f"{above}\n| option | variable | does |\n|---|---|---|\n{''.join(rows)}"


def _row(option: click.Option, context: click.Context) -> str:
    written, help_text = option.get_help_record(context) or ("", "")
    variable = f"`{option.envvar}`" if isinstance(option.envvar, str) else ""
    cells = (f"`{written}`", variable, help_text.replace("  [", " ["))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def main() -> int:
    """Write the page."""
    PAGE.write_text(reference(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
