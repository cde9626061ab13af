"""Runs a flow in the command's own process, against the Prefect server there is or a local one."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

import click

from flows import prefect_server
from flows.watching import watched_by

if TYPE_CHECKING:
    from pydantic import BaseModel

    from flows.watching import Watcher


def run_flow(name: str, parameters: BaseModel, watcher: Watcher) -> None:
    """Run the flow `flows.<name>.<name>` and print where it can be watched.

    Raises:
        LayoutliftError: whatever the flow ended with.
        StateError: the local server can't be started.
    """
    address = prefect_server.ensure_server()
    click.echo(f"Dashboard: {address.url}", err=True)
    os.environ.update(prefect_server.client_environment(address))
    module = importlib.import_module(f"flows.{name}")
    with watched_by(watcher):
        getattr(module, name)(**parameters.model_dump())
