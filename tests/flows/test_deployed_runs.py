"""Deployed runs on a real server and worker: watched, slowed, paused and resumed, killed, and never two at once."""

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from flows.forms.parameters import MigrateParameters
from infra.operations.desk import POOL
from infra.real_parts import Registry, wait_until
from infra.real_parts.prefect_worker import PrefectWorker
from tasks.run_options import RunKind
from tasks.run_parts import state_of
from tasks.stop import Stop
from tasks.stores.local_parts.server import Server
from tests.support.deployed_runs import ENDED, ROOT, WAIT_SECONDS, DeployedRuns, flow_processes
from tests.support.layouts import LayoutBuilder
from tests.support.registry_view import RepositoryView

pytestmark = [pytest.mark.operations, pytest.mark.timeout(600)]  # minutes of waiting for workers and schedules

TAGS = 30
SLOW = "100k"
"""Bytes a second, so that the run of all tags takes a minute."""


class WorkerOfTheImage(PrefectWorker):
    """As it is started in a container, where a signal reaches the first process alone."""

    name = "container"

    def _command(self) -> list[str]:
        return [str(ROOT / "infra" / "entrypoint.sh"), "prefect", *super()._command()[1:]]

    def _environment(self) -> dict[str, str]:
        return super()._environment() | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


class PodOfTheImage(Server):
    """A container for one run, as a pool's worker starts it."""

    name = "pod"

    def __init__(self, folder: Path, deployed: DeployedRuns, run: str) -> None:
        super().__init__(folder)
        self._deployed = deployed
        self._run = run

    def _command(self) -> list[str]:
        return [str(ROOT / "infra" / "entrypoint.sh"), "prefect", "flow-run", "execute"]

    def _environment(self) -> dict[str, str]:
        worker = self._deployed.worker
        return worker._environment() | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PREFECT__FLOW_RUN_ID": self._run,
            "PREFECT_FLOW_RUN_EXECUTE_SIGTERM_BEHAVIOR": "reschedule",
        }

    def _is_ready(self) -> bool:
        return self._deployed.state_of(self._run) == "Running"


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
def arrived(docker_registry: Registry, prefix: str) -> Callable[[], int]:
    """Call it for the number of tags at the target."""
    views = [RepositoryView(docker_registry, f"{prefix}/app-{number}") for number in range(TAGS // 3)]
    return lambda: sum(len(view.tags) for view in views)


def lock_of(parameters: dict[str, Any]) -> AbstractContextManager[object]:
    options = MigrateParameters(**parameters).to_options()
    return state_of(RunKind.MIGRATE, options, Stop()).lock("the process before")


def test_limits_are_changed_and_a_run_is_paused_and_resumed_from_the_dashboard(
    deployed: DeployedRuns, parameters: dict[str, Any], arrived: Callable[[], int], tmp_path: Path
) -> None:
    parameters["state"] = str(tmp_path / "state")
    run = deployed.begin(**parameters)
    deployed.wait_for_progress(run, 0)
    second = deployed.begin(**parameters)
    assert deployed.wait(second) == "Skipped"
    assert "has worked on this source and target since" in deployed.run(second)["state"]["message"]
    assert deployed.run(run)["name"] == f"{parameters['source']} → {parameters['target']}"
    assert "of 30 tags" in deployed.progress(run, "migrate-tags")["description"]
    assert "/s" in deployed.progress(run, "migrate-bytes")["description"]
    deployed.pause(run)
    wait_until(lambda: flow_processes(run) == [], what="the paused run's process ends", deadline_seconds=60)
    assert deployed.state_of(run) == "Suspended"
    there = arrived()
    assert 0 < there < TAGS
    deployed.set_limits(limit_rate=None)
    with lock_of(parameters):  # as a process has it that still writes its report
        deployed.resume(run)
        deployed.wait_for_words(run, "this run waits for it")
    assert deployed.wait(run) == "Completed"
    deployed.drop_limits()
    assert arrived() == TAGS


def test_a_run_that_waits_for_the_lock_is_paused_and_resumed_as_one_at_work(
    deployed: DeployedRuns, parameters: dict[str, Any], arrived: Callable[[], int], tmp_path: Path
) -> None:
    parameters |= {"state": str(tmp_path / "state"), "limit_rate": None}
    with lock_of(parameters):
        run = deployed.begin(**parameters, lock_timeout="10m")
        deployed.wait_for_words(run, "this run waits for it")
        deployed.pause(run)
        wait_until(lambda: flow_processes(run) == [], what="the paused run's process ends", deadline_seconds=60)
    assert deployed.state_of(run) == "Suspended"
    assert arrived() == 0
    deployed.resume(run)
    assert deployed.wait(run) == "Completed"
    assert arrived() == TAGS


def test_what_a_killed_worker_began_the_next_scheduled_run_finishes(
    deployed: DeployedRuns, parameters: dict[str, Any], arrived: Callable[[], int], crashed_when_silent: None
) -> None:
    dead = deployed.begin(**parameters)
    deployed.wait_for_progress(dead, 0)
    deployed.kill_worker_and(dead)
    assert 0 < arrived() < TAGS
    assert deployed.state_of(dead) == "Running", "nobody is there to say otherwise"
    deployed.schedule(30, **parameters | {"limit_rate": None})
    deployed.worker.start()
    name = deployed.run(dead)["name"]

    def finished() -> list[dict[str, Any]]:
        return [run for run in deployed.runs(name) if run["id"] != dead and run["state_name"] in ENDED]

    try:
        wait_until(lambda: bool(finished()), what="a scheduled run has ended", deadline_seconds=240)
    finally:
        deployed.unschedule()
    first = finished()[0]
    assert first["auto_scheduled"]
    assert first["state_name"] == "Completed", "the dead run's lock is seen to be dead"
    assert arrived() == TAGS
    assert "Complete: 30 tags" in deployed.progress(first["id"], "migrate-summary")["data"]
    assert deployed.wait(dead, seconds=240) == "Crashed"
    assert "No sign of life" in deployed.run(dead)["state"]["message"]


@pytest.mark.parametrize("locked", [True, False], ids=["as they are", "with a state each, and so without a lock"])
def test_two_runs_of_one_pair_never_work_at_the_same_time(
    deployed: DeployedRuns, parameters: dict[str, Any], arrived: Callable[[], int], tmp_path: Path, locked: bool
) -> None:
    runs = []
    for name in ("one", "two", "three"):
        state = {} if locked else {"state": str(tmp_path / name)}
        runs.append(deployed.begin(**parameters, **state, report=str(tmp_path / f"{name}.json")))
    ends = [deployed.wait(run, seconds=300) for run in runs]
    assert "Completed" in ends
    assert arrived() == TAGS
    reports = [report["run"] for report in deployed.reports_at(tmp_path)]
    assert len(reports) == ends.count("Completed")
    overlap = any(later["started"] < earlier["finished"] for earlier, later in pairwise(reports))
    assert overlap != locked, "runs that know nothing of each other show that the comparison would notice"
    if locked:
        assert set(ends) <= {"Completed", "Skipped"}


def test_a_run_with_a_parameter_of_an_earlier_version_fails_and_names_it(
    deployed: DeployedRuns, parameters: dict[str, Any]
) -> None:
    run = deployed.begin(**parameters, jobz=4)
    wait_until(lambda: deployed.state_of(run) == "Failed", what="the run has failed", deadline_seconds=WAIT_SECONDS)
    assert "the flow migrate has no parameter jobz: " in deployed.run(run)["state"]["message"]


def test_a_worker_s_container_that_is_stopped_ends_its_runs_in_order(
    deployed: DeployedRuns, parameters: dict[str, Any], arrived: Callable[[], int], tmp_path: Path
) -> None:
    """As compose and Kubernetes stop it: the signal reaches the first process alone."""
    deployed.worker.stop()
    with WorkerOfTheImage(tmp_path, api=deployed.api, pool=POOL, environment=deployed.worker.environment):
        run = deployed.begin(**parameters, report=str(tmp_path / "report.json"))
        deployed.wait_for_progress(run, 0)
    told = deployed.run(run)["state"]
    deployed.worker.start()
    assert (told["name"], told["message"]) == ("Crashed", "Execution was aborted by a termination signal.")
    assert flow_processes(run) == []
    (report,) = deployed.reports_at(tmp_path)
    assert report["run"]["not_equal_because"] == "the run did not come to its end"
    assert arrived() < TAGS


def test_a_run_s_pod_that_is_evicted_has_its_run_done_again_and_leaves_a_report(
    deployed: DeployedRuns, parameters: dict[str, Any], arrived: Callable[[], int], tmp_path: Path
) -> None:
    """As prefect-kubernetes asks for it where a job's pod is not begun anew by Kubernetes itself."""
    deployed.worker.stop()
    run = deployed.begin(**parameters, state=str(tmp_path / "state"), report=str(tmp_path / "report.json"))
    with PodOfTheImage(tmp_path, deployed, run):
        deployed.wait_for_progress(run, 0)
    assert deployed.state_of(run) == "AwaitingRetry"
    assert flow_processes(run) == []
    (report,) = deployed.reports_at(tmp_path)
    assert report["run"]["not_equal_because"] == "the run did not come to its end"
    assert 0 < arrived() < TAGS
    deployed.set_limits(limit_rate=None)
    deployed.worker.start()
    wait_until(lambda: deployed.state_of(run) in ENDED, what="it has ended", deadline_seconds=2 * WAIT_SECONDS)
    deployed.drop_limits()
    assert deployed.state_of(run) == "Completed"
    assert arrived() == TAGS
