"""The deployment `cleanup/weekly` on a real worker: its process ends while it waits, and another one goes on."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.real_parts import wait_until
from infra.real_parts.prefect_worker import PrefectWorker, ask
from tests.support.layouts import REF_NAME, LayoutBuilder, random_bytes
from tests.support.prefect_history import PrefectHistory

pytestmark = pytest.mark.operations  # minutes of waiting for a worker

ROOT = Path(__file__).parents[2]
POLICY = """
version: 1
policies: [{name: all, repositories: "**", order_by: name, tags: [{match: "v*", keep_last: 1}]}]
limits: {max_percent: 50}
"""


def tags(source: Path) -> set[str]:
    entries: list[dict[str, Any]] = json.loads((source / "app/index.json").read_bytes())["manifests"]
    return {entry["annotations"][REF_NAME] for entry in entries}


def test_a_worker_plans_ends_and_applies_after_a_yes(prefect_environment: dict[str, str], tmp_path: Path) -> None:
    layout = LayoutBuilder(tmp_path / "tree" / "app")
    for tag in ("v1", "v2"):
        layout.image(tag, layers=[random_bytes(int(tag[1:]), 2000)])
    layout.write()
    (tmp_path / "policy.yaml").write_text(POLICY)
    api = f"{PrefectHistory.of(prefect_environment).url}/api"
    home = tmp_path / "worker"
    home.mkdir()
    with PrefectWorker(home, api=api, pool="layoutlift", environment={"XDG_STATE_HOME": str(home / "state")}):
        deploy = ["--no-prompt", "deploy", "--all", "--prefect-file", "deployments/prefect.yaml"]
        deployed = subprocess.run(
            [Path(sys.executable).with_name("prefect"), *deploy],
            cwd=ROOT,
            env=os.environ | {"PREFECT_API_URL": api, "PREFECT_HOME": str(home / "client")},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert deployed.returncode == 0, deployed.stdout + deployed.stderr
        named = {"flows": {"name": {"any_": ["cleanup"]}}, "deployments": {"name": {"any_": ["weekly"]}}}
        (deployment,) = ask(api, "deployments/filter", named)
        given = {"source": str(tmp_path / "tree"), "policy": str(tmp_path / "policy.yaml")}
        given |= {"i_am_the_only_writer": True}
        run = ask(api, f"deployments/{deployment['id']}/create_flow_run", {"parameters": given})["id"]

        def state() -> str:
            (found,) = ask(api, "flow_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
            return found["state_name"]

        waits = {"Suspended", "Completed", "Failed", "Crashed"}
        wait_until(lambda: state() in waits, what="it waits", deadline_seconds=120)
        assert state() == "Suspended"
        assert tags(tmp_path / "tree") == {"v1", "v2"}

        def can_be_answered() -> bool:
            """Prefect stores the form when the run waits already."""
            stored = ask(api, f"flow_runs/{run}/input/filter", {"prefix": "", "limit": 10})
            return any(each["key"].endswith("schema") for each in stored)

        wait_until(can_be_answered, what="its form is there")
        assert ask(api, f"flow_runs/{run}/resume", {"run_input": {"approve": True}})["status"] == "ACCEPT"
        wait_until(lambda: state() in {"Completed", "Failed", "Crashed"}, what="it is applied", deadline_seconds=120)
        assert state() == "Completed"
    assert tags(tmp_path / "tree") == {"v2"}
