"""What a Prefect server keeps of runs, asked by plain HTTP."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from infra.real_parts import wait_until
from infra.real_parts.prefect_worker import ask

FINAL = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})


def delete(url: str) -> None:
    """Delete something at a Prefect server; one that is too busy just now (503) is asked again, as by `ask`."""

    def is_deleted() -> bool:
        status = httpx.delete(url, timeout=30, trust_env=False).status_code
        assert status in {204, 404, 503}, f"{url}: {status}"
        return status != 503

    wait_until(is_deleted, what=f"{url} is deleted")


@dataclass(frozen=True)
class PrefectHistory:
    """The local server at `url`; runs and their artifacts, tasks and logs as it has them."""

    url: str

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "PrefectHistory":
        """The server of a state folder, as the fixture `prefect_environment` names it."""
        record = json.loads((Path(environment["PREFECT_HOME"]) / "server.json").read_bytes())
        return cls(f"http://127.0.0.1:{record['port']}")

    @contextmanager
    def variable(self, name: str, value: object) -> Iterator[None]:
        """Have the server keep a variable until the end of the block; flows of other tests see it, too."""
        made = ask(f"{self.url}/api", "variables/", {"name": name, "value": value})
        try:
            yield
        finally:
            delete(f"{self.url}/api/variables/{made['id']}")

    def the_run(self, name: str) -> dict[str, Any]:
        """The one run of that name; there being none or several fails the test."""
        (run,) = self.runs(name)
        return run

    def runs(self, name: str) -> list[dict[str, Any]]:
        return self.ask("flow_runs", {"flow_runs": {"name": {"any_": [name]}}})

    def artifacts(self, run: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """The artifacts of a run by key; the progress has none."""
        found = self.ask("artifacts", {"artifacts": {"flow_run_id": {"any_": [run["id"]]}}})
        return {artifact["key"] or artifact["type"]: artifact for artifact in found}

    def tasks(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        """The tasks of a run that has ended; the server learns of their ends by events, a moment later."""

        def found() -> list[dict[str, Any]]:
            return self.ask("task_runs", {"flow_runs": {"id": {"any_": [run["id"]]}}})

        def ended() -> bool:
            tasks = found()
            return bool(tasks) and all(task["state_type"] in FINAL for task in tasks)

        wait_until(ended, what="the server knows the ends of the tasks")
        return found()

    def logs(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        return self.ask("logs", {"logs": {"flow_run_id": {"any_": [run["id"]]}}})

    def events(self, run: dict[str, Any], name: str) -> list[dict[str, Any]]:
        """The events of that name about a run; the server keeps them a moment after they are sent."""
        condition = {"event": {"name": [name]}, "resource": {"id": [f"prefect.flow-run.{run['id']}"]}}
        answer = ask(f"{self.url}/api", "events/filter", {"filter": condition})
        found: list[dict[str, Any]] = answer["events"]
        return found

    def ask(self, kind: str, condition: dict[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = ask(f"{self.url}/api", f"{kind}/filter", condition)
        return found
