"""A Prefect server that is started anew changes nothing for runs at work, and ends those that died with it."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flows.server.server_process import server_environment
from infra.operations.desk import DEPLOYMENTS, POOL, add_automations
from infra.real_parts import Registry, wait_until
from infra.real_parts.prefect_worker import PrefectWorker, ask
from tasks.stores.local_parts.ports import LOOPBACK, free_port
from tasks.stores.local_parts.server import Server
from tests.support.content import tree
from tests.support.deployed_runs import ENDED, ROOT
from tests.support.lone_runs import give_a_sign_of_life, lone_run
from tests.support.registry_view import RepositoryView

pytestmark = [pytest.mark.operations, pytest.mark.timeout(900)]
PREFECT = Path(sys.executable).with_name("prefect")
NAME = "prefect.db"
SLOW = "60k"
"""Bytes a second, so that the runs last for longer than a server takes to start."""


class PrefectServer(Server):
    """As `layoutlift-server.service` starts it: at the same address each time."""

    name = "prefect"

    def __init__(self, folder: Path, migrated: Path) -> None:
        super().__init__(folder)
        self.migrated = migrated
        self.port = free_port()
        self.api = f"http://{LOOPBACK}:{self.port}/api"

    def _command(self) -> list[str]:
        return [str(PREFECT), "server", "start", "--host", LOOPBACK, "--port", str(self.port)]

    def _environment(self) -> dict[str, str]:
        return server_environment(self.folder, self.port)  # what counts of it, the unit has too

    def _is_ready(self) -> bool:
        try:
            return isinstance(ask(self.api, "flow_runs/filter"), list)
        except OSError:
            return False

    def take_a_new_database(self) -> None:
        """One that is migrated already, which is what takes long at a first start."""
        self.folder.mkdir(exist_ok=True)
        for path in self.folder.glob("prefect.db*"):
            path.unlink()
        with closing(sqlite3.connect(self.migrated)) as given, closing(sqlite3.connect(self.folder / NAME)) as own:
            given.backup(own)

    def waits_for(self, run: str) -> bool:
        """Whether an automation expects to hear of the run."""
        with closing(sqlite3.connect(self.folder / NAME, timeout=30)) as database:
            query = "SELECT count(*) FROM automation_bucket WHERE bucketing_key LIKE ?"
            ((found,),) = database.execute(query, (f"%{run}%",)).fetchall()
        return bool(found)

    def let_three_hours_pass(self) -> None:
        """Have all that automations wait for begin and end so much earlier, as if it had been down for as long."""
        earlier = "strftime('%Y-%m-%d %H:%M:%f000', \"{0}\", '-3 hours')"
        columns = ", ".join(f'"{name}" = {earlier.format(name)}' for name in ("start", "end"))
        with closing(sqlite3.connect(self.folder / NAME, timeout=30)) as database:
            database.execute(f"UPDATE automation_bucket SET {columns}")
            database.commit()


@pytest.fixture
def server(prefect_environment: dict[str, str], tmp_path: Path) -> Iterator[PrefectServer]:
    server = PrefectServer(tmp_path / "server", Path(prefect_environment["PREFECT_HOME"]) / NAME)
    server.take_a_new_database()
    with server:
        yield server


@pytest.fixture
def worker(server: PrefectServer, tmp_path: Path) -> Iterator[PrefectWorker]:
    environment = {"XDG_STATE_HOME": str(tmp_path / "state"), "LAYOUTLIFT_STATE": ""}
    with PrefectWorker(tmp_path / "worker", api=server.api, pool=POOL, environment=environment) as worker:
        yield worker


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("loses", [False, True], ids=["started anew", "with another database"])
def test_runs_at_work_end_as_they_would_have(
    server: PrefectServer, docker_registry: Registry, prefix: str, tmp_path: Path, loses: bool
) -> None:
    source, target = tree(tmp_path / "bucket", size=400_000), f"{docker_registry.host}/{prefix}"
    deploy(server.api, tmp_path / "client")
    report = tmp_path / "report.json"
    given = {"source": str(source), "target": target, "plain_http": True, "jobs": 1, "limit_rate": SLOW}
    run = begin(server.api, given | {"report": str(report)})
    view = RepositoryView(docker_registry, f"{prefix}/app-0")
    wait_until(lambda: bool(view.tags), what="the run is at work", deadline_seconds=180)
    server.stop()
    assert not report.exists(), "it is at work yet"
    if loses:
        server.take_a_new_database()
    server.start()
    wait_until(report.exists, what="the run has ended", deadline_seconds=240)
    assert json.loads(report.read_bytes())["totals"]["copied"] == 6
    if loses:
        assert state_of(server.api, run) is None
        return
    wait_until(lambda: state_of(server.api, run) in ENDED, what="the server knows it", deadline_seconds=120)
    assert state_of(server.api, run) == "Completed"


@pytest.mark.parametrize("state", ["RUNNING", "PENDING"])
def test_a_run_that_died_together_with_its_server_is_crashed_once_that_is_back(
    server: PrefectServer, state: str
) -> None:
    """The time within which it had to be heard of ended while nobody listened."""
    add_automations(server.api)
    run = lone_run(server.api, state)
    if state == "RUNNING":
        give_a_sign_of_life(server.api, run)
    wait_until(lambda: server.waits_for(run), what="it is waited for", deadline_seconds=60)
    server.stop()
    server.let_three_hours_pass()
    server.start()
    wait_until(lambda: state_of(server.api, run) == "Crashed", what="the run is crashed", deadline_seconds=60)


def deploy(api: str, home: Path) -> None:
    command = [PREFECT, "--no-prompt", "deploy", "--all", "--prefect-file", DEPLOYMENTS]
    environment = os.environ | {"PREFECT_API_URL": api, "PREFECT_HOME": str(home)}
    subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=120, check=True)


def begin(api: str, parameters: dict[str, Any]) -> str:
    named = {"flows": {"name": {"any_": ["migrate"]}}, "deployments": {"name": {"any_": ["nightly"]}}}
    (deployment,) = ask(api, "deployments/filter", named)
    return str(ask(api, f"deployments/{deployment['id']}/create_flow_run", {"parameters": parameters})["id"])


def state_of(api: str, run: str) -> str | None:
    found = ask(api, "flow_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
    return found[0]["state_name"] if found else None
