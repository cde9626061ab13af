"""A run in the command's own process gives signs of life, and does not wait for them at its end."""

import json
import os
import subprocess
import sys
from pathlib import Path

from infra.real_parts import Registry
from infra.real_parts.waiting import wait_until
from tests.support.command import Layoutlift
from tests.support.layouts import LayoutBuilder
from tests.support.prefect_history import PrefectHistory

PROGRAM = """
import json, threading
from prefect import flow
from prefect.context import FlowRunContext
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY as FREQUENCY
from flows.server import heartbeats

sent, twice = [], threading.Event()

def send(event, resource, related):
    sent.append([event, resource["prefect.resource.id"], related[0]["prefect.resource.name"]])
    if len(sent) == 2:
        twice.set()

heartbeats.emit_event = send

@flow
def lifted():
    with heartbeats.heartbeats():
        twice.wait(60)
    names = [thread.name for thread in threading.enumerate()]
    return str(FlowRunContext.get().flow_run.id), FREQUENCY.value(), "heartbeats" in names

with heartbeats.own_heartbeats():
    heartbeats._seconds.set(0.01)
    run, theirs, left = lifted()
print(json.dumps({"run": run, "theirs": theirs, "left": left, "sent": sent}))
"""


def test_a_command_s_run_is_known_to_be_alive_by_the_events_that_prefect_itself_sends(
    layoutlift: Layoutlift,
    prefect_environment: dict[str, str],
    docker_registry: Registry,
    prefix: str,
    tmp_path: Path,
) -> None:
    layoutlift.environment, layoutlift.standalone = prefect_environment, False
    layout = LayoutBuilder(tmp_path / "app")
    layout.image("v1")
    layout.write()
    target = f"{docker_registry.host}/{prefix}"
    layoutlift.migrate(tmp_path, target)
    dashboard = PrefectHistory.of(prefect_environment)
    run = dashboard.the_run(f"{tmp_path} → {target}")
    wait_until(lambda: bool(dashboard.events(run, "prefect.flow-run.heartbeat")), what="a sign of life")
    event, *_ = dashboard.events(run, "prefect.flow-run.heartbeat")
    flows = [each for each in event["related"] if each["prefect.resource.role"] == "flow"]
    assert [flow["prefect.resource.name"] for flow in flows] == ["migrate"]


def test_signs_of_life_go_on_until_the_run_ends_and_no_longer(prefect_environment: dict[str, str]) -> None:
    api = {"PREFECT_API_URL": f"{PrefectHistory.of(prefect_environment).url}/api"}
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | prefect_environment | api,
        capture_output=True,
        text=True,
        check=True,
    )
    seen = json.loads(ended.stdout)
    assert seen["theirs"] is None, "Prefect's own thread would hold up the end of the run"
    assert not seen["left"]
    assert len(seen["sent"]) >= 2
    event = ["prefect.flow-run.heartbeat", f"prefect.flow-run.{seen['run']}", "lifted"]
    assert all(each == event for each in seen["sent"])
