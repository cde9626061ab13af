"""`make up` and `make down`: a server, a worker and the deployments, of which a run is really carried out."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.demo.left_running import LeftRunning
from infra.operations.dashboard_settings import settings
from infra.operations.desk import deployed_state
from infra.real_parts import Registry
from infra.real_parts.prefect_worker import ask
from tasks.stores.local_parts.processes import start_time
from tests.support.layouts import LayoutBuilder
from tests.support.registry_view import RepositoryView

ROOT = Path(__file__).parents[2]
PREFECT = Path(sys.executable).with_name("prefect")


@dataclass(frozen=True)
class Machine:
    """A machine of its own as far as the operations desk can tell: home, state and settings in one folder."""

    home: Path

    def operations(self, action: str) -> list[str]:
        """The lines that `make up` or `make down` would print."""
        command = [sys.executable, "-m", "infra.operations", action, "--settings", self.home / "prefect.toml"]
        return self._run(command, cwd=ROOT).splitlines()

    def prefect(self, *arguments: str) -> str:
        return self._run([PREFECT, "--no-prompt", *arguments], cwd=self.home)

    def _run(self, command: list[str | Path], cwd: Path) -> str:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "LAYOUTLIFT_"))}
        own = {"HOME": str(self.home), "XDG_STATE_HOME": str(self.home / "state"), "PYTHONPATH": str(ROOT)}
        outcome = subprocess.run(
            command, cwd=cwd, env=kept | own, capture_output=True, text=True, timeout=600, check=False
        )
        assert outcome.returncode == 0, outcome.stdout + outcome.stderr
        return outcome.stdout

    def deployed_before(self) -> None:
        """As an earlier call leaves it: the server knows a deployment of ours, and the desk knows that it told it."""
        started = self._run([Path(sys.executable).with_name("layoutlift"), "server", "start"], cwd=self.home)
        api = f"{re.search(r'http://[0-9.:]+', started)[0]}/api"
        flow = ask(api, "flows/", {"name": "any"})
        ask(api, "deployments/", {"name": "any", "flow_id": flow["id"], "tags": ["layoutlift"]})
        (self.prefect_state / "deployed.sha256").write_text(deployed_state())

    @property
    def prefect_state(self) -> Path:
        return self.home / "state" / "layoutlift" / "prefect"

    @property
    def worker_pid(self) -> int:
        (worker,) = json.loads((self.prefect_state / "worker" / "running.json").read_bytes())
        return worker["pid"]


@pytest.fixture
def machine(prefect_environment: dict[str, str], tmp_path: Path) -> Iterator[Machine]:
    """Its server's database is a copy of a migrated one, which is what takes long at a first start."""
    machine = Machine(tmp_path / "home")
    machine.prefect_state.mkdir(parents=True)
    with (
        closing(sqlite3.connect(Path(prefect_environment["PREFECT_HOME"]) / "prefect.db")) as migrated,
        closing(sqlite3.connect(machine.prefect_state / "prefect.db")) as own,
    ):
        migrated.backup(own)
    yield machine
    machine.operations("down")


def the_run(api: str, name: str) -> dict[str, Any]:
    (run,) = ask(api, "flow_runs/filter", {"flow_runs": {"name": {"any_": [name]}}})
    return run


@pytest.mark.operations
@pytest.mark.timeout(900)  # a server, a worker and a flow's process start one after the other
def test_a_deployed_migration_runs_to_its_end(
    machine: Machine, docker_registry: Registry, prefix: str, tmp_path: Path
) -> None:
    (line,) = machine.operations("up")
    assert line.startswith("Dashboard: http://127.0.0.1:")
    api = f"{line.removeprefix('Dashboard: ')}/api"
    layout = LayoutBuilder(tmp_path / "bucket" / "app")
    layout.image("v1", layers=[b"layer"])
    layout.write()
    target = f"{docker_registry.host}/{prefix}"
    parameters = [f"source={tmp_path / 'bucket'}", f"target={target}", "plain_http=true"]
    options = [option for parameter in parameters for option in ("-p", parameter)]
    machine.prefect("deployment", "run", "migrate/nightly", *options, "--watch")
    run = the_run(api, f"{tmp_path / 'bucket'} → {target}")
    assert run["state_name"] == "Completed"
    found = ask(api, "artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run["id"]]}}})
    assert "migrate-summary" in {artifact["key"] for artifact in found}
    assert RepositoryView(docker_registry, f"{prefix}/app").tags == {"v1"}


@pytest.mark.operations
@pytest.mark.timeout(900)
def test_what_was_set_in_the_dashboard_outlives_an_upgrade(machine: Machine) -> None:
    (line,) = machine.operations("up")
    api = f"{line.removeprefix('Dashboard: ')}/api"
    named = {"flows": {"name": {"any_": ["migrate"]}}, "deployments": {"name": {"any_": ["nightly"]}}}
    (nightly,) = ask(api, "deployments/filter", named)
    place, (schedule,) = f"deployments/{nightly['id']}", nightly["schedules"]
    ask(api, place, {"parameters": {"source": "/mnt/ours", "target": "ours.example"}}, method="PATCH")
    set_to = {"active": True, "parameters": {"depth": "content"}}
    ask(api, f"{place}/schedules/{schedule['id']}", set_to, method="PATCH")
    ask(api, f"{place}/schedules", [{"schedule": {"cron": "0 12 * * *", "timezone": "UTC"}}])  # none has a slug there
    as_set = settings(api)[nightly["id"]]
    held = {"is_paused": True, "concurrency_limit": 3}
    ask(api, "work_pools/layoutlift", held, method="PATCH")
    (machine.prefect_state / "deployed.sha256").write_text("of another version")
    machine.operations("up")
    after = settings(api)[nightly["id"]]
    assert after.parameters == as_set.parameters | {"depth": "manifest"}
    assert [each for each in as_set.schedules if each not in after.schedules] == []
    assert len(after.schedules) == len(as_set.schedules) == 2
    (pool,) = ask(api, "work_pools/filter", {"work_pools": {"name": {"any_": ["layoutlift"]}}})
    assert {name: pool[name] for name in held} == held


@pytest.mark.timeout(900)
def test_it_is_put_up_once_and_taken_down_whole(machine: Machine) -> None:
    machine.deployed_before()  # to save its seconds
    first = machine.operations("up")
    worker = machine.worker_pid
    assert machine.operations("up") == first
    assert machine.worker_pid == worker, "a worker that runs is left alone: its flow runs are at work"
    os.kill(worker, signal.SIGKILL)
    assert machine.operations("up") == first
    assert LeftRunning(machine.prefect_state / "worker").is_alive()
    again = machine.worker_pid
    assert machine.operations("down") == []
    assert start_time(again) is None
    assert not (machine.prefect_state / "server.json").exists()
    assert not (machine.home / "prefect.toml").exists()
