"""Runs that a Prefect server knows of and no process does, as a machine leaves them that goes away."""

from datetime import UTC, datetime
from uuid import uuid4

import httpx

from infra.real_parts.prefect_worker import ask

FLOW = "migrate"


def lone_run(api: str, state: str) -> str:
    """A run in that state; its id."""
    flow = ask(api, "flows/", {"name": FLOW})["id"]
    return str(ask(api, "flow_runs/", {"flow_id": flow, "state": {"type": state}})["id"])


def give_a_sign_of_life(api: str, run: str) -> None:
    """As the process of the run would, once."""
    flow = {"prefect.resource.id": "prefect.flow.any", "prefect.resource.name": FLOW, "prefect.resource.role": "flow"}
    event = {
        "id": str(uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": "prefect.flow-run.heartbeat",
        "resource": {"prefect.resource.id": f"prefect.flow-run.{run}"},
        "related": [flow],
        "payload": {},
    }
    httpx.post(f"{api}/events", json=[event], timeout=30, trust_env=False).raise_for_status()


def put_into(api: str, run: str, state: str, name: str | None = None) -> None:
    """Have the run be in a state, wherever it comes from."""
    wanted = {"type": state} | ({} if name is None else {"name": name})
    ask(api, f"flow_runs/{run}/set_state", {"state": wanted, "force": True})


def state_of(api: str, run: str) -> tuple[str, str]:
    """The name of a run's state, and what that says."""
    (found,) = ask(api, "flow_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
    return found["state"]["name"], found["state"]["message"] or ""
