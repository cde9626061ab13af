"""How a command says what ended it, in a module that loads nothing else: each command imports it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tasks.operations.reports.told_errors import told

if TYPE_CHECKING:
    from tasks.oci.errors import LayoutliftError


def tell(error: LayoutliftError) -> None:
    """Say it on standard error; names from a source or target can't reach the terminal raw."""
    click.echo(f"layoutlift: {told(error)}", err=True)
