"""Sharded migrations with several workers of a pool, one of which dies in the middle with all that it runs."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

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


def processes_of(worker: PrefectWorker) -> list[int]:
    """The flow runs' processes that a worker started: they have its environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        ours = f"PREFECT_HOME={worker.folder / 'home'}".encode() in environment
        if ours and any(each.startswith(b"PREFECT__FLOW_RUN_ID=") for each in environment):
            found.append(int(folder.name))
    return found


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
    views = [RepositoryView(docker_registry, f"{prefix}/app-{number}") for number in range(REPOSITORIES)]

    def arrived() -> set[str]:
        return {f"app-{number}:{tag}" for number, view in enumerate(views) for tag in view.tags}

    options = ("--shards", "4", "--limit-rate", "200k")
    with layoutlift.running("migrate", source, target, *options) as parent:
        wait_until(lambda: len(arrived()) >= 6, what="the shards are at work", deadline_seconds=300)
        second = layoutlift.migrate(source, target, *options, code=3)
        assert "has worked on this source and target since" in second.stderr
        doomed = next(worker for worker in workers if processes_of(worker))
        doomed.kill()
        for pid in processes_of(doomed):
            os.kill(pid, signal.SIGKILL)
        there = arrived()
        assert 0 < len(there) < ALL
        stdout, stderr = parent.communicate(timeout=700)
    assert parent.returncode == 0, stdout + stderr
    report = layoutlift.last_report
    outcomes = Counter(row["outcome"] for row in report["tags"])
    assert sum(outcomes.values()) == ALL
    assert set(outcomes) == {"copied", "up_to_date"}, "what the dead worker had brought is not sent again"
    assert all(row["verified"] == "manifest" for row in report["tags"])
    kept = {f"{row['repository']}:{row['tag']}" for row in report["tags"] if row["outcome"] == "up_to_date"}
    assert kept <= there
    assert any(finding["code"] == "shard_restarted" for finding in report["findings"])
    assert report["totals"]["tags"] == ALL
    assert arrived() == {f"app-{number}:{tag}" for number in range(REPOSITORIES) for tag in TAGS}
    left = ask(api, "artifacts/filter", {"artifacts": {"type": {"any_": ["layoutlift-report"]}}})
    assert left == [], "reports are removed once they were read"
    layoutlift.standalone = True
    layoutlift.verify(source, target, "--depth", "content")


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
