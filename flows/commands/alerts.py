"""`layoutlift alerts`: who is told that runs fail, meet conflicts, wait for a yes or long do not succeed."""

from __future__ import annotations

import os
from contextlib import contextmanager
from json import JSONDecodeError
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flows.commands.headings import HeadedGroup
from tasks.oci.errors import ConfigurationError, StateError
from tasks.stores.hidden_secrets import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator


@click.group(cls=HeadedGroup, short_help="Have the Prefect server tell people of failed runs")
def alerts() -> None:
    """Have the Prefect server tell people when runs fail, meet conflicts, wait for a yes or do not succeed."""


@alerts.command()
@click.argument("file", type=click.Path(path_type=Path))
def apply(file: Path) -> None:
    """Set the server's alerts to what FILE says."""
    from flows.files.alerts_file import load_alerts  # noqa: PLC0415 - not for --help

    wanted = load_alerts(file)
    _reach_server()
    from flows.dashboard import alert_automations  # noqa: PLC0415 - with Prefect, which has read the environment then

    with _answering_server():
        names = alert_automations.apply(wanted)
    for name in names:
        click.echo(f"set {name}")


@alerts.command()
def remove() -> None:
    """Take all alerts of layoutlift off the server."""
    _reach_server(may_start=False)
    from flows.dashboard import alert_automations  # noqa: PLC0415

    with _answering_server():
        names = alert_automations.remove()
    for name in names:
        click.echo(f"removed {name}")
    if not names:
        click.echo("nothing to remove: the server has no alerts of layoutlift", err=True)


def _reach_server(*, may_start: bool = True) -> None:
    """Find or start the server, and say which it is once it answers and lets us in; nothing is changed before.

    Raises:
        ConfigurationError: it can't or may not be started, does not answer, or refuses.
    """
    from flows.server import prefect_server  # noqa: PLC0415
    from flows.server.wrong_settings import wrong_settings_told  # noqa: PLC0415

    try:
        address = prefect_server.ensure_server() if may_start else prefect_server.running_server()
        os.environ.update(prefect_server.client_environment(address))
        with wrong_settings_told(), _answering_server():
            from flows.dashboard import alert_automations  # noqa: PLC0415 - imports Prefect, which reads that then

            alert_automations.names()
    except StateError as error:
        raise ConfigurationError(str(error)) from error
    click.echo(f"Dashboard: {address.shown}", err=True)


@contextmanager
def _answering_server() -> Iterator[None]:
    """Make an error of ours, in one line, of what it raises that the server does not answer or refuses.

    Raises:
        StateError: the server does not answer, or refuses.
    """
    import httpx  # noqa: PLC0415 - Prefect's, and slow

    try:
        yield
    except httpx.HTTPError as error:
        said = f"the Prefect server at {os.environ['PREFECT_API_URL']} says no, or nothing: {error}".splitlines()[0]
        raise StateError(without_secrets(said)) from error
    except JSONDecodeError as error:
        said = f"what answers at {os.environ['PREFECT_API_URL']} is no Prefect server, or a proxy before it"
        raise StateError(without_secrets(said)) from error
