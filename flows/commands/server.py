"""The commands `layoutlift server …`."""

from __future__ import annotations

import click

from flows.commands.headings import HeadedGroup
from flows.exit_codes import INCOMPLETE
from tasks.oci.errors import ConfigurationError, StateError


@click.group(cls=HeadedGroup, short_help="Start, show or stop the local Prefect server")
def server() -> None:
    """The local Prefect server, which keeps the history of runs and shows the dashboard."""


@server.command()
def start() -> None:
    """Start the server, unless it runs already."""
    from flows.server import prefect_server  # noqa: PLC0415

    try:
        click.echo(prefect_server.start())
    except StateError as error:
        raise ConfigurationError(str(error)) from error


@server.command()
def stop() -> None:
    """Stop the server; its history stays."""
    from flows.server import prefect_server  # noqa: PLC0415

    stopped = prefect_server.stop()
    click.echo(stopped if stopped.address is None else f"stopped: {stopped}")


@server.command()
def status() -> None:
    """Say whether the server runs, and where its dashboard is.

    Ends with 1 where none does.
    """
    from flows.server import prefect_server  # noqa: PLC0415

    found = prefect_server.status()
    click.echo(found)
    if found.address is None:
        raise SystemExit(INCOMPLETE)
