"""The flows that take a migration file, on a real server: a run for each mapping, and one that tells of all."""

import json
import os
import subprocess
import sys
from pathlib import Path

from infra.real_parts import Registry
from infra.real_parts.prefect_worker import ask
from tests.support.layouts import LayoutBuilder

RUN = """
import os, sys
from flows.server.prefect_server import client_environment, ensure_server
os.environ.update(client_environment(ensure_server()))
from flows.migrate_file import migrate_file
from flows.verify_file import verify_file
from tasks.oci.errors import IncompleteError
for flow in migrate_file, verify_file:
    try:
        flow(file=sys.argv[1])
    except IncompleteError as error:
        print(error)
"""


def test_each_mapping_is_a_run_of_its_own(
    prefect_environment: dict[str, str], docker_registry: Registry, prefix: str, tmp_path: Path
) -> None:
    layout = LayoutBuilder(tmp_path / "good" / "app")
    layout.image("v1", layers=[b"layer"])
    layout.write()
    target = f"{docker_registry.host}/{prefix}"
    file = tmp_path / "m.yaml"
    mappings = [{"source": str(tmp_path / name)} for name in ("missing", "good")]
    mappings[1]["report"] = str(tmp_path / "report.json")
    file.write_text(
        json.dumps({"version": 1, "defaults": {"target": target, "plain_http": True}, "mappings": mappings})
    )
    environment = os.environ | prefect_environment | {"XDG_STATE_HOME": str(tmp_path / "state")}
    environment.pop("PREFECT_API_URL", None)
    ended = subprocess.run(
        [sys.executable, "-c", RUN, file], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    assert ended.stdout.splitlines() == [
        f"1 of 2 runs of {flow} did not end well: {tmp_path}/missing → {target}" for flow in ("migrate", "verify")
    ]
    assert json.loads((tmp_path / "report.json").read_bytes())["run"]["flow"] == "migrate", "its own, still"
    port = json.loads((Path(prefect_environment["PREFECT_HOME"]) / "server.json").read_bytes())["port"]
    names = [f"{tmp_path}/missing → {target}", f"{tmp_path}/good → {target}"]
    runs = ask(f"http://127.0.0.1:{port}/api", "flow_runs/filter", {"flow_runs": {"name": {"any_": names}}})
    assert sorted((run["name"], run["state_type"]) for run in runs) == sorted(
        [*zip(names, ["FAILED", "COMPLETED"], strict=True)] * 2
    )
