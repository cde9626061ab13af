"""PostgreSQL from Debian's package, with a cluster of its own in the folder that it is given."""

import os
import pwd
import shutil
import subprocess
from pathlib import Path

from tasks.oci.errors import ProgramFailedError, ProgramMissingError
from tasks.stores.local_parts.ports import LOOPBACK, free_port
from tasks.stores.local_parts.server import Server

DEBIAN = Path("/usr/lib/postgresql")
DATABASE = "prefect"
LEAST_CONNECTIONS = 200


class PostgreSQL(Server):
    """An empty database named `prefect`, open to whoever is on this machine; root lends it the user `postgres`."""

    name = "postgresql"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port = free_port()

    @property
    def url(self) -> str:
        """What PREFECT_SERVER_DATABASE_CONNECTION_URL has to be."""
        return f"postgresql+asyncpg://postgres@{LOOPBACK}:{self.port}/{DATABASE}"

    def create_database(self) -> None:
        """Make the database, once the server answers."""
        self._run("createdb", "-h", LOOPBACK, "-p", str(self.port), "-U", "postgres", DATABASE)

    def _command(self) -> list[str]:
        data = self.folder / "data"
        if not data.exists():
            data.mkdir(mode=0o700)
            if os.geteuid() == 0:
                shutil.chown(data, "postgres", "postgres")
            self._run("initdb", "-D", str(data), "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-sync")
        settings = {
            "listen_addresses": LOOPBACK,
            "unix_socket_directories": "",
            "max_connections": str(LEAST_CONNECTIONS),
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [*_as_postgres(), str(program("postgres")), "-D", str(data), "-p", str(self.port), *options]

    def _is_ready(self) -> bool:
        command = [str(program("pg_isready")), "-q", "-h", LOOPBACK, "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    def _run(self, name: str, *arguments: str) -> None:
        command = [*_as_postgres(), str(program(name)), *arguments]
        outcome = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)
        if outcome.returncode != 0:
            raise ProgramFailedError(f"{name}: {outcome.stderr.strip()}")


def program(name: str) -> Path:
    """Find a program of the newest version: Debian keeps them by version and off the search path.

    Raises:
        ProgramMissingError: PostgreSQL's server is not installed.
    """
    found = sorted(DEBIAN.glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise ProgramMissingError(f"{name} is not installed: run `make test-operations` as root, which installs it")
    return found[-1]


def _as_postgres() -> list[str]:
    """PostgreSQL does not run as root."""
    if os.geteuid() != 0:
        return []
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        raise ProgramMissingError("there is no user postgres: install Debian's package postgresql") from None
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
