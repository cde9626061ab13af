"""Variables of the environment that look like ours and are none: a mistyped limit would silently be no limit."""

from __future__ import annotations

import os
import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

import click

from tasks.operations.reports.shown_text import printable
from tasks.patience import SOURCE_TIMEOUT, TARGET_TIMEOUT
from tasks.stores.local_parts.programs import TOOLS_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

PREFIX = "LAYOUTLIFT_"
OF_NO_OPTION = frozenset(
    {
        SOURCE_TIMEOUT,
        TARGET_TIMEOUT,
        TOOLS_VARIABLE,
        "LAYOUTLIFT_TARGET_PASSWORD",
        "LAYOUTLIFT_REPORTS",  # of deployments/examples/scheduled-migration.sh
        "LAYOUTLIFT_REQUIRE_REAL_PARTS",  # of the tests
    }
)
"""Variables that are read, but for no option."""
_OF_A_SERVICE = re.compile(r"\w+_SERVICE_(HOST|PORT\w*)|\w+_PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?")
"""What Kubernetes tells each pod of a Service, here of one whose name begins with ours."""


def warn_of_unknown(group: click.Group, loaded: Iterable[str]) -> None:
    """Name each variable that looks like one of ours, and that no option is read from.

    Commands that are not `loaded` yet are loaded only for a name that none of the others knows.
    """
    named = {name for name in os.environ if name.startswith(PREFIX) and not _OF_A_SERVICE.fullmatch(name)}
    named -= OF_NO_OPTION
    if not named - set(variables_of(group, loaded)):
        return
    known = OF_NO_OPTION.union(variables_of(group, group.list_commands(click.Context(group))))
    for name in sorted(named - known):
        _warn(name, meant_by(name, known))


def variables_of(group: click.Group, commands: Iterable[str]) -> Iterator[str]:
    """The variables that options of these commands of a group are read from."""
    context = click.Context(group)
    for command in (group.get_command(context, name) for name in commands):
        if isinstance(command, click.Group):
            yield from variables_of(command, command.list_commands(context))
        elif command is not None:
            yield from (each.envvar for each in command.params if isinstance(each.envvar, str))


def meant_by(name: str, known: Collection[str]) -> str | None:
    """The variable that somebody may mean, by a part of its name or one that is written nearly so."""
    end = name.removeprefix(PREFIX[:-1])
    longer = [each for each in known if each.endswith(end)]
    if len(longer) == 1:
        return longer[0]
    near = get_close_matches(end, [each.removeprefix(PREFIX[:-1]) for each in sorted(known)], n=1, cutoff=0.75)
    return f"{PREFIX[:-1]}{near[0]}" if near else None


def _warn(name: str, meant: str | None) -> None:
    question = "" if meant is None else f"; is {meant} meant?"
    click.echo(f"layoutlift: no option is read from the variable {printable(name)}{question}", err=True)
