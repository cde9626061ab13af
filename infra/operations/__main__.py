"""Starts or ends scheduled operation on this machine: `python -m infra.operations up|down`."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from flows.server import prefect_server
from infra.operations.desk import SETTINGS, Desk, OperationsError
from tasks.oci.errors import LayoutliftError


def main(arguments: Sequence[str]) -> int:
    """Do what was asked for; on success `up` prints one line, the dashboard's address; `down` tells what it ended."""
    parser = argparse.ArgumentParser(prog="python -m infra.operations", description=__doc__)
    parser.add_argument("action", choices=("up", "down"))
    parser.add_argument("--settings", type=Path, default=SETTINGS, help="the prefect.toml that names the server")
    chosen = parser.parse_args(arguments)
    os.environ.pop("PREFECT_API_URL", None)  # this is the local server, whichever one the user else talks to
    desk = Desk(prefect_server.state_folder(), chosen.settings)
    try:
        if chosen.action == "up":
            url = desk.up()
            print(f"Dashboard: {url}", flush=True)
            if desk.has_foreign_settings:
                lead = f"to lead the command prefect to this server, set PREFECT_API_URL={url}/api"
                print(f"{chosen.settings} is not of make up, and stays as it is; {lead}", file=sys.stderr)
        else:
            stopped = desk.down()
            print(stopped if stopped.address is None else f"stopped, with its worker: {stopped}", file=sys.stderr)
    except (LayoutliftError, OperationsError, OSError) as error:
        print(f"{chosen.action}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
