"""Prefect servers for a test, on PostgreSQL or on SQLite, started by the command as a user would."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.real_parts import wait_until
from infra.real_parts.postgresql import PostgreSQL
from infra.real_parts.prefect_worker import ask
from tests.support.command import Layoutlift


@dataclass(frozen=True)
class PrefectServer:
    """A server that was started by `layoutlift server start`."""

    api: str
    pid: int
    log: Path

    def count(self, kind: str, condition: dict[str, object]) -> int:
        """How many of `flow_runs` or `task_runs` there are."""
        return int(ask(self.api, f"{kind}/count", condition))

    @property
    def cpu_seconds(self) -> float:
        """What its process has used so far: a figure that other programs on the machine do not change much."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100


@contextmanager
def prefect_on(database: str, environment: Mapping[str, str] | None = None) -> Iterator[PrefectServer]:
    """A fresh server on `postgresql` or `sqlite`, with these variables besides.

    Its folder is not pytest's, into which PostgreSQL's user may not look.
    """
    folder = Path(tempfile.mkdtemp(prefix="layoutlift-operations-"))
    folder.chmod(0o755)
    try:
        if database == "sqlite":
            with _server(folder, {**(environment or {})}) as server:
                yield server
            return
        with PostgreSQL(folder / "postgresql") as postgresql:
            postgresql.create_database()
            url = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": postgresql.url}
            with _server(folder, {**(environment or {}), **url}) as server:
                yield server
    finally:
        shutil.rmtree(folder)


@contextmanager
def _server(folder: Path, environment: dict[str, str]) -> Iterator[PrefectServer]:
    home = folder / "home"
    home.mkdir()
    command = Layoutlift(home, environment)
    command("server", "start")
    record = json.loads((home / "prefect" / "server.json").read_bytes())
    try:
        yield PrefectServer(f"http://127.0.0.1:{record['port']}/api", record["pid"], home / "prefect" / "server.log")
    finally:
        command("server", "stop")


def settle(server: PrefectServer, wanted: int, condition: dict[str, object]) -> int:
    """How many task runs the server has written down as completed, once it has all, or for a minute no more."""
    seen = [-1, 0]

    def has_all_or_stands_still() -> bool:
        found = server.count("task_runs", condition)
        seen[1] = seen[1] + 1 if found == seen[0] else 0
        seen[0] = found
        return found >= wanted or seen[1] > 60 / 0.05

    wait_until(has_all_or_stands_still, what="task runs are written down", deadline_seconds=600)
    return seen[0]
