"""Sharded runs with several workers of a pool, one of which dies in the middle with all that it runs."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.real_parts import Registry, wait_until
from infra.real_parts.prefect_worker import PrefectWorker, ask
from tests.support.command import Layoutlift, interrupt
from tests.support.layouts import LayoutBuilder
from tests.support.registry_view import RepositoryView

pytestmark = [pytest.mark.operations, pytest.mark.timeout(900)]  # a worker that vanished is waited for

ROOT = Path(__file__).parents[2]
POOL = "layoutlift"
REPOSITORIES = 12
TAGS = ("v1", "v2", "v3")
ALL = REPOSITORIES * len(TAGS)


@pytest.fixture
def api(prefect_environment: dict[str, str]) -> str:
    port = json.loads((Path(prefect_environment["PREFECT_HOME"]) / "server.json").read_bytes())["port"]
    return f"http://127.0.0.1:{port}/api"


@pytest.fixture
def workers(api: str, tmp_path: Path) -> Iterator[list[PrefectWorker]]:
    """Two, each with room for two shards and a state of its own: they share nothing but source and target."""
    with ExitStack() as stack:
        started = []
        for name in ("one", "two"):
            home = tmp_path / f"worker-{name}"
            home.mkdir()
            environment = {"XDG_STATE_HOME": str(home / "state"), "LAYOUTLIFT_STATE": ""}
            worker = PrefectWorker(home, api=api, pool=POOL, environment=environment, called=name, limit=2)
            started.append(stack.enter_context(worker))
        deploy = ["--no-prompt", "deploy", "-n", "shard", "--prefect-file", "deployments/prefect.yaml"]
        subprocess.run(
            [Path(sys.executable).with_name("prefect"), *deploy],
            cwd=ROOT,
            env=os.environ | {"PREFECT_API_URL": api, "PREFECT_HOME": str(tmp_path / "client")},
            capture_output=True,
            timeout=180,
            check=True,
        )
        yield started


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for number in range(REPOSITORIES):
        layout = LayoutBuilder(tmp_path / "bucket" / f"app-{number}")
        for tag in TAGS:
            layout.image(tag, layers=[os.urandom(200_000)])
        layout.write()
    return tmp_path / "bucket"


def processes_of(worker: PrefectWorker) -> dict[int, str]:
    """The processes that a worker started, each with its flow run: they have its environment."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            variables = (folder / "environ").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        runs = [each.partition("=")[2] for each in variables if each.startswith("PREFECT__FLOW_RUN_ID=")]
        if runs and f"PREFECT_HOME={worker.folder / 'home'}" in variables:
            found[int(folder.name)] = runs[0]
    return found


@dataclass(frozen=True)
class Shards:
    """The shards of a run as the Prefect server and the target's registry show them."""

    api: str
    views: dict[str, RepositoryView]

    def arrived(self) -> set[str]:
        return {f"{name}:{tag}" for name, view in self.views.items() for tag in view.tags}

    def arrived_before(self, happened: Callable[[], bool], what: str) -> set[str]:
        """What had arrived when something had not happened yet."""
        there = self.arrived()

        def looked() -> bool:
            nonlocal there
            found = self.arrived()
            if happened():
                return True
            there = found
            return False

        wait_until(looked, what=what, deadline_seconds=300)
        return there

    def of(self, worker: PrefectWorker) -> dict[str, set[str]]:
        """Those that a worker is at, by their flow runs, each with all the tags that it is to bring."""
        runs = self._asked(processes_of(worker).values())
        return {
            run["id"]: {f"{name}:{tag}" for name in run["parameters"]["repositories"] for tag in TAGS} for run in runs
        }

    def have_begun(self, title: str) -> bool:
        """Whether no shard waits for its process, in which case nobody would miss it for minutes."""
        named = {"flow_runs": {"name": {"like_": f"{title}: shard"}}}
        return not {run["state_type"] for run in ask(self.api, "flow_runs/filter", named)} & {"SCHEDULED", "PENDING"}

    def is_amid(self, worker: PrefectWorker) -> bool:
        """Whether a worker has brought some tags of a shard, and some not."""
        arrived = self.arrived()
        return any(arrived & tags and not tags <= arrived for tags in self.of(worker).values())

    def states(self, runs: Iterable[str]) -> set[str]:
        return {run["state_type"] for run in self._asked(runs)}

    def _asked(self, runs: Iterable[str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = ask(
            self.api, "flow_runs/filter", {"flow_runs": {"id": {"any_": sorted(set(runs))}}}
        )
        return found


def kill_with_all_that_it_runs(worker: PrefectWorker) -> None:
    worker.kill()
    for pid in processes_of(worker):
        os.kill(pid, signal.SIGKILL)


def test_the_shards_of_a_worker_that_vanishes_are_finished_by_another(
    layoutlift: Layoutlift,
    prefect_environment: dict[str, str],
    workers: list[PrefectWorker],
    api: str,
    docker_registry: Registry,
    prefix: str,
    source: Path,
) -> None:
    layoutlift.environment, layoutlift.standalone, layoutlift.deadline_seconds = prefect_environment, False, 800
    target = f"{docker_registry.host}/{prefix}"
    names = [f"app-{number}" for number in range(REPOSITORIES)]
    shards = Shards(api, {name: RepositoryView(docker_registry, f"{prefix}/{name}") for name in names})
    options = ("--shards", "4", "--limit-rate", "200k", "--jobs", "1")
    with layoutlift.running("migrate", source, target, *options) as parent:
        wait_until(lambda: bool(shards.arrived()), what="the shards are at work", deadline_seconds=300)
        second = layoutlift.migrate(source, target, *options, code=3)
        assert "has worked on this source and target since" in second.stderr
        title = f"{source} → {target}"
        wait_until(lambda: shards.have_begun(title), what="every shard has begun", deadline_seconds=300)
        wait_until(lambda: any(map(shards.is_amid, workers)), what="a shard is half done")
        doomed = next(filter(shards.is_amid, workers))
        lost = shards.of(doomed)
        kill_with_all_that_it_runs(doomed)
        lost = {run: tags for run, tags in lost.items() if shards.states([run]) == {"RUNNING"}}
        there = shards.arrived_before(lambda: "CRASHED" in shards.states(lost), what="one of them is given up")
        wait_until(lambda: shards.states(lost) == {"CRASHED"}, what="they are given up", deadline_seconds=300)
        stdout, stderr = parent.communicate(timeout=700)
    assert parent.returncode == 0, stdout + stderr
    report = layoutlift.last_report
    outcomes = {f"{row['repository']}:{row['tag']}": row["outcome"] for row in report["tags"]}
    kept = {tag for tag, outcome in outcomes.items() if outcome == "up_to_date"}
    assert kept == there & set().union(*lost.values()), "what the dead worker had brought is not sent again"
    assert kept, "it had brought something"
    assert {outcomes[tag] for tag in outcomes.keys() - kept} == {"copied"}
    assert all(row["verified"] == "manifest" for row in report["tags"])
    restarted = [finding for finding in report["findings"] if finding["code"] == "shard_restarted"]
    assert len(restarted) == len(lost)
    assert report["totals"]["tags"] == len(report["tags"]) == ALL
    assert outcomes.keys() == shards.arrived() == {f"{name}:{tag}" for name in names for tag in TAGS}
    of_shards = {"name": {"like_": f"{title}: shard"}}  # other tests leave reports on purpose
    body = {"artifacts": {"type": {"any_": ["layoutlift-report"]}}, "flow_runs": of_shards}
    left = ask(api, "artifacts/filter", body)
    assert left == [], "reports are removed once they were read"
    verified = layoutlift.verify(source, target, "--depth", "content", "--shards", "2")
    assert set(verified.outcomes.values()) == {"up_to_date"}
    assert len(verified.rows) == ALL
    assert verified.report["run"]["equal_at"]
    title = {"flow_runs": {"name": {"like_": f"{title}: shard"}}, "flows": {"name": {"any_": ["verify-shard"]}}}
    assert [run["state_type"] for run in ask(api, "flow_runs/filter", title)] == ["COMPLETED"] * 2


def test_a_migration_that_is_stopped_takes_its_shards_along(
    layoutlift: Layoutlift,
    prefect_environment: dict[str, str],
    workers: list[PrefectWorker],
    api: str,
    docker_registry: Registry,
    prefix: str,
    source: Path,
) -> None:
    layoutlift.environment, layoutlift.standalone, layoutlift.deadline_seconds = prefect_environment, False, 400
    target = f"{docker_registry.host}/{prefix}"
    views = [RepositoryView(docker_registry, f"{prefix}/app-{number}") for number in range(REPOSITORIES)]

    def arrived() -> int:
        return sum(len(view.tags) for view in views)

    def ends() -> set[str]:
        """How the shards' flow runs have ended, or are."""
        named = {"flow_runs": {"name": {"like_": f"{source} → {target}: shard"}}}
        return {run["state_type"] for run in ask(api, "flow_runs/filter", named)}

    with layoutlift.running("migrate", source, target, "--shards", "4", "--limit-rate", "200k") as parent:
        wait_until(lambda: arrived() >= 4, what="the shards are at work", deadline_seconds=300)
        code, *_ = interrupt(parent, within=120)
    assert code == 130
    wait_until(lambda: ends() == {"CANCELLED"}, what="every shard is cancelled", deadline_seconds=180)
    wait_until(lambda: not any(map(processes_of, workers)), what="their processes have ended", deadline_seconds=120)
    there = arrived()
    assert there < ALL
    layoutlift.standalone = True
    ended = layoutlift.migrate(source, target)
    assert ended.totals["copied"] == ALL - ended.totals["up_to_date"]
    assert ended.totals["up_to_date"] == there, "what the shards had brought is not sent again"
