"""How a command says what ended it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tasks.oci.errors import ConfigurationError, ProgramFailedError
from tasks.operations.reports.shown_text import printable

if TYPE_CHECKING:
    from tasks.oci.errors import LayoutliftError

_OF_SEVERAL_LINES = (ConfigurationError, ProgramFailedError)
"""Mistakes in a file, a line each, and the end of a program's log. Elsewhere a new line is part of a name."""


def tell(error: LayoutliftError) -> None:
    """Say it on standard error; names from a source or target can't reach the terminal raw."""
    lines = str(error).split("\n") if isinstance(error, _OF_SEVERAL_LINES) else [str(error)]
    click.echo("layoutlift: " + "\n".join(map(printable, lines)), err=True)
