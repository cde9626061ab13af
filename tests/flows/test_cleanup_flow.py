"""The flow `cleanup` on a real server: asked, answered, within limits or beyond, and only ever that very plan."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from infra.real_parts import wait_until
from infra.real_parts.prefect_worker import ask
from tests.support.cleanup_trials import files_in_directory, holes
from tests.support.layouts import REF_NAME, LayoutBuilder, random_bytes
from tests.support.policies import newest_by_name
from tests.support.prefect_history import PrefectHistory

POLICY = newest_by_name(2, 50)
RUNNER = """
import sys
from uuid import UUID
from prefect.client.orchestration import get_client
from prefect.flow_engine import run_flow
from flows.cleanup import cleanup
for line in sys.stdin:
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(UUID(line.strip()))
    try:
        run_flow(cleanup, flow_run=run, parameters=run.parameters, return_type="state")
    except BaseException as error:
        print(type(error).__name__, error, file=sys.stderr)
    print("done", flush=True)
"""
"""Carries runs out as a worker's child does, each from the top; loading Prefect once spares most of the time."""


@dataclass
class Deployed:
    """The deployment `cleanup/weekly`, whose runs are carried out by a runner beside the test."""

    api: str
    deployment: str
    plans_folder: Path
    history: PrefectHistory
    runner: subprocess.Popen[str]

    def begin(self, source: Path, policy: Path, **parameters: Any) -> str:
        given = {"source": str(source), "policy": str(policy), "i_am_the_only_writer": True, **parameters}
        given["state"] = str(self.plans_folder)
        return ask(self.api, f"deployments/{self.deployment}/create_flow_run", {"parameters": given})["id"]

    def execute(self, run: str) -> dict[str, Any]:
        """The run from its top to where it ends or waits; what the server says of it then."""
        assert self.runner.stdin is not None
        assert self.runner.stdout is not None
        self.runner.stdin.write(f"{run}\n")
        self.runner.stdin.flush()
        assert self.runner.stdout.readline() == "done\n"
        return self.state(run)

    def state(self, run: str) -> dict[str, Any]:
        (found,) = ask(self.api, "flow_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
        return found["state"]

    def answer(self, run: str, **given: Any) -> dict[str, Any]:
        return ask(self.api, f"flow_runs/{run}/resume", {"run_input": given})

    def crash(self, run: str) -> None:
        self._set(run, "CRASHED", "Crashed")

    def retry(self, run: str) -> None:
        """As the button in the dashboard does."""
        self._set(run, "SCHEDULED", "AwaitingRetry")

    def _set(self, run: str, kind: str, name: str) -> None:
        set_to = ask(self.api, f"flow_runs/{run}/set_state", {"state": {"type": kind, "name": name}})
        assert (set_to["status"], set_to["state"]["name"]) == ("ACCEPT", name)

    def artifacts(self, run: str) -> dict[str, dict[str, Any]]:
        return self.history.artifacts({"id": run})

    def logs(self, run: str, words: str) -> list[str]:
        return [log["message"] for log in self.history.logs({"id": run}) if words in log["message"]]

    @property
    def plans(self) -> list[Path]:
        return sorted(self.plans_folder.glob("*.jsonl"))


@pytest.fixture(scope="module")
def runner(
    prefect_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[subprocess.Popen[str]]:
    home = tmp_path_factory.mktemp("runner")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("LAYOUTLIFT_")},
        "PREFECT_API_URL": f"{PrefectHistory.of(prefect_environment).url}/api",
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_LOGGING_EXTRA_LOGGERS": "tasks,flows",
        "XDG_STATE_HOME": str(home / "state"),
    }
    with subprocess.Popen(
        [sys.executable, "-c", RUNNER],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        yield process
        process.kill()


@pytest.fixture
def deployed(prefect_environment: dict[str, str], runner: subprocess.Popen[str], tmp_path: Path) -> Deployed:
    history = PrefectHistory.of(prefect_environment)
    api = f"{history.url}/api"
    flow = ask(api, "flows/", {"name": "cleanup"})["id"]
    wanted = {"name": f"weekly-{tmp_path.name}", "flow_id": flow, "entrypoint": "flows.cleanup.cleanup"}
    made = ask(api, "deployments/", wanted)
    return Deployed(api, made["id"], tmp_path / "plans", history, runner)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    layout = LayoutBuilder(tmp_path / "tree" / "team" / "app")
    for tag in range(4):
        layout.image(f"v{tag}", layers=[random_bytes(1, 2000), random_bytes(10 + tag, 3000)])
    layout.write()
    return tmp_path / "tree"


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    (tmp_path / "policy.yaml").write_text(POLICY)
    return tmp_path / "policy.yaml"


def index_of(source: Path) -> dict[str, Any]:
    return json.loads((source / "team/app/index.json").read_bytes())


def tags(source: Path) -> set[str]:
    return {entry["annotations"][REF_NAME] for entry in index_of(source)["manifests"]}


def test_a_plan_waits_for_a_yes_and_that_very_plan_is_applied(deployed: Deployed, source: Path, policy: Path) -> None:
    before = files_in_directory(source)
    run = deployed.begin(source, policy)
    waiting = deployed.execute(run)
    assert (waiting["type"], waiting["name"]) == ("PAUSED", "Suspended")
    assert files_in_directory(source) == before
    shown = deployed.artifacts(run)["cleanup-plan"]["data"]
    assert "2 of 4 tags go" in shown
    assert "beyond keep\\_last 2 of policy all" in shown
    assert str(deployed.plans[0].name).replace("-", "-") in shown.replace("\\", "")
    assert deployed.answer(run, max_tags=3)["status"] == "REJECT", "a resume without an answer is none"
    index = index_of(source)
    moved, stays = index["manifests"][0], index["manifests"][3]
    moved["digest"], moved["size"] = stays["digest"], stays["size"]  # somebody moves v0 while the plan waits
    (source / "team/app/index.json").write_text(json.dumps(index))
    policy.write_text(POLICY.replace("keep_last: 2", "keep_last: 1"))  # and the policy changes: that is another plan
    assert deployed.answer(run, approve=True)["status"] == "ACCEPT"
    ended = deployed.execute(run)
    assert ended["type"] == "COMPLETED", ended["message"]
    assert tags(source) == {"v0", "v2", "v3"}
    artifacts = deployed.artifacts(run)
    assert "1 entry taken out" in artifacts["cleanup-applied"]["data"]
    assert "changed since the plan" in artifacts["cleanup-applied"]["data"]
    assert "cleanup-problems" not in artifacts
    assert len(deployed.plans) == 1


def test_a_no_changes_nothing(deployed: Deployed, source: Path, policy: Path) -> None:
    before = files_in_directory(source)
    run = deployed.begin(source, policy)
    deployed.execute(run)
    deployed.answer(run, approve=False)
    ended = deployed.execute(run)
    assert (ended["type"], ended["name"]) == ("CANCELLED", "Rejected")
    assert files_in_directory(source) == before


def test_a_yes_beyond_the_limits_is_asked_back_until_one_is_raised(
    deployed: Deployed, source: Path, policy: Path
) -> None:
    policy.write_text(POLICY.replace("50", "10"))
    run = deployed.begin(source, policy)
    deployed.execute(run)
    deployed.answer(run, approve=True)
    again = deployed.execute(run)
    assert again["name"] == "Suspended"
    assert tags(source) == {"v0", "v1", "v2", "v3"}
    wait_until(lambda: deployed.logs(run, "a yes alone was not enough"), what="the log says why it asks again")
    (line,) = deployed.logs(run, "a yes alone was not enough")
    assert "max_percent is 10" in line
    deployed.answer(run, approve=True, max_percent=50)
    assert deployed.execute(run)["type"] == "COMPLETED"
    assert tags(source) == {"v2", "v3"}


def test_a_yes_to_a_plan_that_is_lost_is_none_to_another(deployed: Deployed, source: Path, policy: Path) -> None:
    run = deployed.begin(source, policy)
    deployed.execute(run)
    deployed.plans[0].unlink()
    deployed.answer(run, approve=True)
    assert deployed.execute(run)["name"] == "Suspended"
    assert tags(source) == {"v0", "v1", "v2", "v3"}


def test_within_the_limits_it_applies_by_itself_and_sweeps_in_later_runs(
    deployed: Deployed, source: Path, policy: Path
) -> None:
    blobs = set((source / "team/app/blobs/sha256").iterdir())
    for expected in (blobs, None, None):
        run = deployed.begin(source, policy, auto_apply=True)
        assert deployed.execute(run)["type"] == "COMPLETED"
        assert tags(source) == {"v2", "v3"}
        assert expected is None or set((source / "team/app/blobs/sha256").iterdir()) == expected
    assert set((source / "team/app/blobs/sha256").iterdir()) < blobs
    assert not list((source / ".layoutlift/trash").rglob("blobs/*/*")), "the third run deletes for good"
    assert "came back" in deployed.artifacts(run)["cleanup-applied"]["data"]
    layout = {path: raw for path, raw in files_in_directory(source).items() if not path.startswith(".layoutlift/")}
    assert not list(holes(layout))


def test_beyond_the_limits_nothing_is_applied_unasked(deployed: Deployed, source: Path, policy: Path) -> None:
    policy.write_text(POLICY.replace("50", "10"))
    before = files_in_directory(source)
    run = deployed.begin(source, policy, auto_apply=True)
    ended = deployed.execute(run)
    assert ended["type"] == "FAILED"
    assert "max_percent is 10" in ended["message"]
    assert files_in_directory(source) == before
    assert "Beyond the limits" in deployed.artifacts(run)["cleanup-plan"]["data"]


@pytest.mark.parametrize("auto_apply", [True, False])
def test_a_repository_whose_name_is_not_in_utf_8_is_named_where_the_plan_is_beyond_the_limits(
    deployed: Deployed, tmp_path: Path, policy: Path, auto_apply: bool
) -> None:
    """Prefect's client can't send its bytes, nor is anybody's terminal to get them."""
    policy.write_text(POLICY.replace("50", "10"))
    layout = LayoutBuilder(tmp_path / "tree" / os.fsdecode(b"caf\xe9\x1b[2J"))
    for tag in range(4):
        layout.image(f"v{tag}", layers=[random_bytes(10 + tag, 300)])
    layout.write()
    run = deployed.begin(tmp_path / "tree", policy, auto_apply=auto_apply)
    ended = deployed.execute(run)
    if auto_apply:
        assert ended["type"] == "FAILED"
        assert r"caf\udce9\x1b[2J: 50 % of its tags go" in ended["message"]
        return
    deployed.answer(run, approve=True)
    assert deployed.execute(run)["name"] == "Suspended"
    wait_until(lambda: deployed.logs(run, "a yes alone was not enough"), what="the log says why it asks again")
    (line,) = deployed.logs(run, "a yes alone was not enough")
    assert r"caf\udce9\x1b[2J: 50 % of its tags go" in line


def test_a_yes_that_comes_too_late_is_none(deployed: Deployed, source: Path, policy: Path) -> None:
    before = files_in_directory(source)
    run = deployed.begin(source, policy, approval_within="1s")
    deployed.execute(run)
    until = monotonic() + 1  # at the latest; the server may see it first, and the state has no time any more
    wait_until(lambda: monotonic() > until, what="the time for an answer is over")
    assert deployed.answer(run, approve=True)["status"] != "ACCEPT"
    assert deployed.state(run)["type"] == "FAILED"
    assert files_in_directory(source) == before


def test_a_yes_from_before_a_run_was_retried_is_none(deployed: Deployed, source: Path, policy: Path) -> None:
    before = files_in_directory(source)
    run = deployed.begin(source, policy)
    deployed.execute(run)
    deployed.answer(run, approve=True)
    deployed.crash(run)  # its worker is killed, before or while the plan is applied
    deployed.retry(run)
    assert deployed.execute(run)["name"] == "Suspended"
    assert files_in_directory(source) == before
    (plan,) = deployed.plans
    assert deployed.answer(run, approve=True)["status"] == "ACCEPT"
    assert deployed.execute(run)["type"] == "COMPLETED"
    assert tags(source) == {"v2", "v3"}
    assert deployed.plans == [plan]


def test_a_policy_that_is_about_nothing_fails_and_leads_to_what_was_found(
    deployed: Deployed, source: Path, policy: Path
) -> None:
    policy.write_text(POLICY.replace('"**"', '"other/**"'))
    run = deployed.begin(source, policy)
    ended = deployed.execute(run)
    assert ended["type"] == "FAILED"
    assert ended["message"].endswith(": the plan was applied; the findings in cleanup-plan say what it left alone")
    assert "no policy is about any repository" in deployed.artifacts(run)["cleanup-plan"]["data"]
