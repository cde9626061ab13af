"""A real Prefect server, worker and deployment, and what somebody does to its runs by the server's API."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.operations.desk import AUTOMATIONS, DEPLOYMENTS, POOL
from infra.real_parts import wait_until
from infra.real_parts.prefect_worker import PrefectWorker, ask
from tests.support.prefect_history import PrefectHistory, delete

ROOT = Path(__file__).parents[2]
WAIT_SECONDS = 150.0
"""For a process to be started by the worker, which takes 3 to 30 s here, and a run of a few seconds."""
ENDED = ("Completed", "Failed", "Crashed", "Cancelled", "Skipped")
HEARTBEAT_SECONDS = "30"
"""The shortest that Prefect takes."""


@dataclass
class DeployedRuns:
    """A worker's pool with the deployment `migrate/nightly`."""

    api: str
    worker: PrefectWorker
    deployment: str

    def begin(self, **parameters: Any) -> str:
        """Have the worker begin a run at once; its id."""
        found = ask(self.api, f"deployments/{self.deployment}/create_flow_run", {"parameters": parameters})
        return str(found["id"])

    def schedule(self, seconds: int, **parameters: Any) -> None:
        """Switch on a schedule beside those of the file."""
        schedule = {"interval": seconds, "anchor_date": datetime.now(UTC).isoformat()}
        wanted = [{"schedule": schedule, "active": True, "parameters": parameters, "slug": "often"}]
        ask(self.api, f"deployments/{self.deployment}/schedules", wanted)

    def unschedule(self) -> None:
        """Take that schedule away, and the runs that it would still have begun."""
        for schedule in ask(self.api, f"deployments/{self.deployment}/schedules", method="GET"):
            if schedule["slug"] == "often":
                delete(f"{self.api}/deployments/{self.deployment}/schedules/{schedule['id']}")

    def runs(self, name: str) -> list[dict[str, Any]]:
        """The runs of that name, from the one that began first."""
        found = ask(self.api, "flow_runs/filter", {"flow_runs": {"name": {"any_": [name]}}})
        return sorted((run for run in found if run["start_time"]), key=lambda run: run["start_time"])

    def run(self, run: str) -> dict[str, Any]:
        (found,) = ask(self.api, "flow_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
        return found

    def state_of(self, run: str) -> str:
        return str(self.run(run)["state_name"])

    def wait(self, run: str, *states: str, seconds: float = WAIT_SECONDS) -> str:
        """Wait until it is in one of these states, or has ended in another; the state that it is in."""
        awaited = {*states, *ENDED}
        wait_until(lambda: self.state_of(run) in awaited, what=f"{run} is {states}", deadline_seconds=seconds)
        return self.state_of(run)

    def progress(self, run: str, key: str) -> dict[str, Any]:
        found = ask(self.api, "artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run]}}})
        return next((artifact for artifact in found if artifact["key"] == key), {"data": 0.0, "description": ""})

    def wait_for_progress(self, run: str, beyond: float = 0.0) -> float:
        def has_moved() -> bool:
            return self.progress(run, "migrate-tags")["data"] > beyond

        wait_until(has_moved, what="the progress has moved", deadline_seconds=WAIT_SECONDS)
        return float(self.progress(run, "migrate-tags")["data"])

    def wait_for_words(self, run: str, words: str) -> None:
        """Wait until the log of a run says so."""
        condition = {"logs": {"flow_run_id": {"any_": [run]}}}

        def are_said() -> bool:
            return any(words in line["message"] for line in ask(self.api, "logs/filter", condition))

        wait_until(are_said, what=f"{run} says: {words}", deadline_seconds=WAIT_SECONDS)

    def pause(self, run: str) -> None:
        """Ask for what the dashboard's own button asks for; without `pause_reschedule` nobody begins it again."""
        ends = (datetime.now(UTC) + timedelta(seconds=300)).isoformat()
        state: dict[str, Any] = {"type": "PAUSED", "name": "Suspended"}
        state["state_details"] = {"pause_timeout": ends, "pause_reschedule": True}
        self._set_state(run, state)

    def cancel(self, run: str) -> None:
        """Ask for what the dashboard's own button asks for."""
        self._set_state(run, {"type": "CANCELLING", "name": "Cancelling"})

    def resume(self, run: str) -> None:
        ask(self.api, f"flow_runs/{run}/resume")

    def _set_state(self, run: str, state: dict[str, Any]) -> None:
        ask(self.api, f"flow_runs/{run}/set_state", {"state": state, "force": True})

    def kill_worker_and(self, run: str) -> None:
        """As when the machine dies: alone, the flow's process would finish its run."""
        pids = flow_processes(run)
        assert pids
        self.worker.kill()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    @staticmethod
    def reports_at(folder: Path) -> list[dict[str, Any]]:
        """The reports that runs were told to leave in a folder, from the one that began first."""
        found = [json.loads(path.read_bytes()) for path in folder.glob("*.json")]
        return sorted(found, key=lambda report: str(report["run"]["started"]))

    def set_limits(self, **value: Any) -> None:
        self.drop_limits()
        ask(self.api, "variables/", {"name": "layoutlift_limits", "value": value})

    def drop_limits(self) -> None:
        for variable in ask(self.api, "variables/filter"):
            delete(f"{self.api}/variables/{variable['id']}")


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


@pytest.fixture(scope="module")
def deployed(prefect_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployedRuns]:
    """The deployments of the file on the session's server, and a worker of this module's own."""
    api = f"{PrefectHistory.of(prefect_environment).url}/api"
    home = tmp_path_factory.mktemp("worker")
    environment = {
        "XDG_STATE_HOME": str(home / "state"),
        "LAYOUTLIFT_STATE": "",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": HEARTBEAT_SECONDS,
    }
    with PrefectWorker(home, api=api, pool=POOL, environment=environment) as worker:
        subprocess.run(
            [
                Path(sys.executable).with_name("prefect"),
                "--no-prompt",
                "deploy",
                "--all",
                "--prefect-file",
                DEPLOYMENTS,
            ],
            cwd=ROOT,
            env=os.environ | {"PREFECT_API_URL": api, "PREFECT_HOME": str(home / "client")},
            capture_output=True,
            timeout=120,
            check=True,
        )
        named = {"flows": {"name": {"any_": ["migrate"]}}, "deployments": {"name": {"any_": ["nightly"]}}}
        (deployment,) = ask(api, "deployments/filter", named)
        yield DeployedRuns(api, worker, deployment["id"])


@pytest.fixture
def crashed_when_silent(deployed: DeployedRuns) -> Iterator[None]:
    """Runs of which nothing was heard for two signs of life."""
    with impatient(deployed.api, "layoutlift runs: lost", 2 * int(HEARTBEAT_SECONDS)):
        yield


@contextmanager
def impatient(api: str, name: str, seconds: int) -> Iterator[None]:
    """Have the server do what an automation of the file does, after so many seconds."""
    automation = automations()[name]
    automation["trigger"]["within"] = seconds
    made = ask(api, "automations/", automation)
    try:
        yield
    finally:
        delete(f"{api}/automations/{made['id']}")


def automations() -> dict[str, dict[str, Any]]:
    """Those of the file, by name."""
    return {each["name"]: each for each in yaml.safe_load((ROOT / AUTOMATIONS).read_text())["automations"]}
