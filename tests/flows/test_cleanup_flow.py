"""The flow `cleanup` on a real server: asked, answered, within limits or beyond, and only ever that very plan."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.real_parts.prefect_worker import ask
from tests.support.cleanup_trials import files_in_directory, holes
from tests.support.layouts import REF_NAME, LayoutBuilder, random_bytes
from tests.support.prefect_history import PrefectHistory

POLICY = """
version: 1
policies:
  - name: all
    repositories: "**"
    order_by: name
    tags: [{match: "v*", keep_last: 2}]
blobs: {grace: 0s}
quarantine: {hold: 0s}
limits: {max_percent: 50}
"""
POOL = "cleanup-trials"


@dataclass
class Deployed:
    """The deployment `cleanup/weekly`, whose runs are carried out here as a worker's child processes would be."""

    api: str
    home: Path
    deployment: str
    history: PrefectHistory

    def begin(self, source: Path, policy: Path, **parameters: Any) -> str:
        given = {"source": str(source), "policy": str(policy), "i_am_the_only_writer": True, **parameters}
        return ask(self.api, f"deployments/{self.deployment}/create_flow_run", {"parameters": given})["id"]

    def execute(self, run: str) -> dict[str, Any]:
        """One process of the run, to its end; what the server says of the run then."""
        environment = {
            **os.environ,
            "PREFECT_API_URL": self.api,
            "PREFECT_HOME": str(self.home / "prefect"),
            "XDG_STATE_HOME": str(self.home / "state"),
        }
        command = [Path(sys.executable).with_name("prefect"), "flow-run", "execute", run]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)
        state = self.state(run)
        assert state["type"] not in {"SCHEDULED", "RUNNING", "CRASHED"}, ended.stdout + ended.stderr
        return state

    def state(self, run: str) -> dict[str, Any]:
        (found,) = ask(self.api, "flow_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
        return found["state"]

    def answer(self, run: str, **given: Any) -> dict[str, Any]:
        return ask(self.api, f"flow_runs/{run}/resume", {"run_input": given})

    def artifacts(self, run: str) -> dict[str, dict[str, Any]]:
        return self.history.artifacts({"id": run})

    @property
    def plans(self) -> list[Path]:
        return sorted((self.home / "state/layoutlift/cleanups/plans").glob("*.jsonl"))


@pytest.fixture
def deployed(prefect_environment: dict[str, str], tmp_path: Path) -> Deployed:
    history = PrefectHistory.of(prefect_environment)
    api = f"{history.url}/api"
    flow = ask(api, "flows/", {"name": "cleanup"})
    made = ask(
        api,
        "deployments/",
        {"name": f"weekly-{tmp_path.name}", "flow_id": flow["id"], "entrypoint": "flows.cleanup.cleanup"},
    )
    return Deployed(api, tmp_path / "home", made["id"], history)


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
    assert "1 entries taken out" in artifacts["cleanup-applied"]["data"]
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


def test_a_yes_that_comes_too_late_is_none(deployed: Deployed, source: Path, policy: Path) -> None:
    before = files_in_directory(source)
    run = deployed.begin(source, policy, approval_within="1s")
    waiting = deployed.execute(run)
    assert waiting["type"] in {"PAUSED", "FAILED"}
    answer = deployed.answer(run, approve=True)
    assert answer["status"] != "ACCEPT"
    assert deployed.state(run)["type"] == "FAILED"
    assert files_in_directory(source) == before
