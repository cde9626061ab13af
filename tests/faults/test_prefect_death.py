"""A run as a flow may be killed, ended or cancelled too: the next one takes up what is missing."""

import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from infra.real_parts import Registry, wait_until
from infra.real_parts.prefect_worker import PrefectWorker, ask
from tests.support.command import Layoutlift
from tests.support.content import tree
from tests.support.deaths import end_and_finish
from tests.support.fault_proxy import FaultProxy, Silence
from tests.support.prefect_history import PrefectHistory

Process = subprocess.Popen


@pytest.fixture
def lifted(layoutlift: Layoutlift, prefect_environment: dict[str, str]) -> Layoutlift:
    """The command, running its flows on the local server."""
    layoutlift.environment, layoutlift.standalone = prefect_environment, False
    return layoutlift


@pytest.mark.timeout(300)
def test_killed_as_a_flow_a_migration_still_ends_complete_and_sends_nothing_twice(
    lifted: Layoutlift, docker_registry: Registry, proxy: FaultProxy, tmp_path: Path, prefix: str
) -> None:
    end_and_finish(lifted, docker_registry, proxy, tmp_path, prefix, [Process.kill, Process.terminate])


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("die", [Process.kill, Process.terminate], ids=["killed", "ended"])
def test_killed_often_as_a_flow_a_migration_still_ends_complete_and_sends_nothing_twice(
    lifted: Layoutlift, docker_registry: Registry, proxy: FaultProxy, tmp_path: Path, prefix: str, die: object
) -> None:
    for number in range(2):
        folder = tmp_path / str(number)
        lifted.standalone = False
        end_and_finish(lifted, docker_registry, proxy, folder, f"{prefix}/{number}", [die] * 5)  # type: ignore[list-item]


@pytest.fixture
def worker(prefect_environment: dict[str, str], layoutlift: Layoutlift, tmp_path: Path) -> Generator[PrefectWorker]:
    """A worker of a pool of the test's own, whose runs have the command's home."""
    api = f"{PrefectHistory.of(prefect_environment).url}/api"
    home = {name: layoutlift.full_environment()[name] for name in ("HOME", "XDG_STATE_HOME")}
    made = PrefectWorker(tmp_path / "worker", api=api, pool=f"pool-{tmp_path.name}", environment=home)
    made.start()
    yield made
    made.stop()


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_a_cancelled_flow_run_leaves_a_report_and_the_next_run_takes_up_the_rest(
    worker: PrefectWorker, lifted: Layoutlift, proxy: FaultProxy, tmp_path: Path, prefix: str
) -> None:
    source, target = tree(tmp_path / "s"), f"{proxy.host}/{prefix}"
    proxy.when("PUT", ".*/manifests/.*", Silence(), times=99)
    flow = ask(worker.api, "flows/", {"name": "migrate"})["id"]
    deployment = {"name": worker.pool, "flow_id": flow, "work_pool_name": worker.pool, "pull_steps": []}
    deployed = ask(worker.api, "deployments/", deployment | {"entrypoint": "flows.migrate.migrate"})["id"]
    report = lifted.home / "report.json"
    parameters = {"source": str(source), "target": target, "plain_http": True, "report": str(report)}
    begun = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
    run = ask(worker.api, f"deployments/{deployed}/create_flow_run", begun)["id"]
    wait_until(lambda: proxy.held >= 1, what="the run is at its manifests", deadline_seconds=180)
    ask(worker.api, f"flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}})

    def state() -> str:
        (found,) = ask(worker.api, "flow_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
        kind: str = found["state_type"]
        return kind

    wait_until(lambda: state() == "CANCELLED", what="it is cancelled", deadline_seconds=120)
    assert lifted.last_report["totals"]["copied"] == 0
    assert lifted.last_report["run"]["target"] == target
    proxy.heal()
    lifted.standalone = True
    assert lifted.migrate(source, target).totals["copied"] == 6
    assert lifted.verify(source, target, "--depth", "content").totals["tags"] == 6
    assert sorted(set(proxy.stored())) == sorted(proxy.stored())
