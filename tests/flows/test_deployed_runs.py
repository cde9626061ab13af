"""Deployed runs on a real server and worker: watched, slowed, paused and resumed, killed, and never two at once."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.real_parts import Registry, wait_until
from infra.real_parts.prefect_worker import PrefectWorker, ask
from tests.support.layouts import LayoutBuilder
from tests.support.registry_view import RepositoryView

pytestmark = pytest.mark.operations  # minutes of waiting for workers and schedules

ROOT = Path(__file__).parents[2]
POOL = "layoutlift"
TAGS = 30
SLOW = "100k"
"""Bytes a second, so that the run of all tags takes a minute."""


@dataclass
class Operations:
    """A worker's pool with the deployment `migrate/nightly`, and what is done to its runs."""

    api: str
    worker: PrefectWorker
    deployment: str

    def begin(self, **parameters: Any) -> str:
        run = ask(self.api, f"deployments/{self.deployment}/create_flow_run", {"parameters": parameters})
        return run["id"]

    def run(self, run: str) -> dict[str, Any]:
        (found,) = ask(self.api, "flow_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
        return found

    def state(self, run: str) -> str:
        return self.run(run)["state_name"]

    def wait(self, run: str, *states: str) -> None:
        wait_until(lambda: self.state(run) in states, what=f"{run} is {states}", deadline_seconds=120)

    def progress(self, run: str, key: str) -> dict[str, Any]:
        found = ask(self.api, "artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run]}}})
        return next((artifact for artifact in found if artifact["key"] == key), {"data": 0.0, "description": ""})

    def wait_for_progress(self, run: str, beyond: float = 0.0) -> float:
        def has_moved() -> bool:
            return self.progress(run, "migrate-tags")["data"] > beyond

        wait_until(has_moved, what="the progress has moved", deadline_seconds=120)
        return self.progress(run, "migrate-tags")["data"]

    def set_state(self, run: str, kind: str, name: str) -> None:
        ask(self.api, f"flow_runs/{run}/set_state", {"state": {"type": kind, "name": name}, "force": False})

    def set_limits(self, **value: Any) -> None:
        self.drop_limits()
        ask(self.api, "variables/", {"name": "layoutlift_limits", "value": value})

    def drop_limits(self) -> None:
        for variable in ask(self.api, "variables/filter"):
            request = urllib.request.Request(f"{self.api}/variables/{variable['id']}", method="DELETE")
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10).close()


@pytest.fixture(scope="module")
def operations(prefect_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operations]:
    port = json.loads((Path(prefect_environment["PREFECT_HOME"]) / "server.json").read_bytes())["port"]
    api = f"http://127.0.0.1:{port}/api"
    home = tmp_path_factory.mktemp("worker")
    environment = {"XDG_STATE_HOME": str(home / "state"), "LAYOUTLIFT_STATE": ""}
    with PrefectWorker(home, api=api, pool=POOL, environment=environment) as worker:
        deploy = ["--no-prompt", "deploy", "--all", "--prefect-file", "deployments/prefect.yaml"]
        subprocess.run(
            [Path(sys.executable).with_name("prefect"), *deploy],
            cwd=ROOT,
            env=os.environ | {"PREFECT_API_URL": api, "PREFECT_HOME": str(home / "client")},
            capture_output=True,
            timeout=120,
            check=True,
        )
        named = {"flows": {"name": {"any_": ["migrate"]}}, "deployments": {"name": {"any_": ["nightly"]}}}
        (deployment,) = ask(api, "deployments/filter", named)
        yield Operations(api, worker, deployment["id"])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for number in range(TAGS // 3):
        layout = LayoutBuilder(tmp_path / "bucket" / f"app-{number}")
        for tag in ("v1", "v2", "v3"):
            layout.image(tag, layers=[os.urandom(200_000)])
        layout.write()
    return tmp_path / "bucket"


@pytest.fixture
def parameters(source: Path, docker_registry: Registry, prefix: str) -> dict[str, Any]:
    target = f"{docker_registry.host}/{prefix}"
    return {"source": str(source), "target": target, "plain_http": True, "jobs": 2, "limit_rate": SLOW}


@pytest.fixture
def arrived(docker_registry: Registry, prefix: str) -> Any:
    """Call it for the number of tags at the target."""
    views = [RepositoryView(docker_registry, f"{prefix}/app-{number}") for number in range(TAGS // 3)]
    return lambda: sum(len(view.tags) for view in views)


def flow_processes(run: str) -> list[int]:
    """The processes that carry a flow run out: what the worker started, and no other."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue
        if f"PREFECT__FLOW_RUN_ID={run}".encode() in environment:
            found.append(int(folder.name))
    return found


def test_limits_are_changed_and_a_run_is_paused_and_resumed_from_the_dashboard(
    operations: Operations, parameters: dict[str, Any], arrived: Any
) -> None:
    run = operations.begin(**parameters)
    operations.wait_for_progress(run, 0)
    second = operations.begin(**parameters)
    operations.wait(second, "Skipped")
    assert "has worked on this source and target since" in operations.run(second)["state"]["message"]
    assert operations.run(run)["name"] == f"{parameters['source']} → {parameters['target']}"
    assert "of 30 tags" in operations.progress(run, "migrate-tags")["description"]
    assert "/s" in operations.progress(run, "migrate-bytes")["description"]
    operations.set_state(run, "PAUSED", "Suspended")
    wait_until(lambda: flow_processes(run) == [], what="the paused run's process ends", deadline_seconds=60)
    assert operations.state(run) == "Suspended"
    there = arrived()
    assert 0 < there < TAGS
    operations.set_limits(limit_rate=None)
    ask(operations.api, f"flow_runs/{run}/resume")
    operations.wait(run, "Completed", "Failed", "Crashed")
    operations.drop_limits()
    assert operations.state(run) == "Completed"
    assert arrived() == TAGS


def test_what_a_killed_worker_began_the_next_run_finishes(
    operations: Operations, parameters: dict[str, Any], arrived: Any
) -> None:
    run = operations.begin(**parameters)
    operations.wait_for_progress(run, 0)
    pids = flow_processes(run)
    assert pids
    operations.worker.kill()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)  # as when the machine dies; alone, the flow's process would finish its run
    there = arrived()
    assert 0 < there < TAGS
    operations.worker.start()
    operations.set_limits(limit_rate=None)
    started = time.monotonic()
    second = operations.begin(**parameters)
    operations.wait(second, "Completed", "Failed", "Crashed", "Skipped")
    operations.drop_limits()
    assert operations.state(second) == "Completed", operations.run(second)["state"]["message"]
    assert arrived() == TAGS
    assert time.monotonic() - started < 110, "the dead run's lock is seen to be dead"
    (summary,) = [operations.progress(second, "migrate-summary")["data"]]
    assert "Complete: 30 tags" in summary
