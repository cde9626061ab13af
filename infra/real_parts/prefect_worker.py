"""A Prefect worker that runs the deployments of a work pool as processes of this machine."""

import base64
import json
import os
import sys
import time
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path
from typing import Any

from tasks.stores.local_parts.server import Server

WORKER_NAME = "layoutlift"
QUERY_SECONDS = "2"
ANSWER_WITHIN_SECONDS = 30.0
BUSY_ATTEMPTS, BUSY_SECONDS = 8, 2.0


def ask(api: str, path: str, condition: Any = None, method: str = "POST") -> Any:
    """Ask a Prefect server's API and return its answer, None where it is empty; `path` is such as `flow_runs/filter`.

    A server that is too busy just now (503) is asked again, as Prefect's own client does, and so is one that does
    not answer a question in time; what would change something is not said twice.

    Raises:
        OSError: there is no answer, or a bad one.
    """
    for _ in range(BUSY_ATTEMPTS - 1):
        try:
            return _ask_once(api, path, condition, method)
        except urllib.error.HTTPError as refusal:
            if refusal.code != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
        except TimeoutError:
            if not path.endswith("/filter"):
                raise
        time.sleep(BUSY_SECONDS)
    return _ask_once(api, path, condition, method)


def _ask_once(api: str, path: str, condition: Any, method: str) -> Any:
    body = json.dumps(condition or {}).encode()
    headers = {"Content-Type": "application/json", **_login()}
    request = urllib.request.Request(f"{api}/{path}", body, headers, method=method)  # noqa: S310 - loopback
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy has no say on loopback
    with direct.open(request, timeout=ANSWER_WITHIN_SECONDS) as answer:
        return None if answer.status == HTTPStatus.NO_CONTENT else json.load(answer)


def _login() -> dict[str, str]:
    """What a server wants to see that asks for a name and password; Prefect's own client reads the same variable."""
    login = os.environ.get("PREFECT_API_AUTH_STRING")
    return {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"} if login else {}


class PrefectWorker(Server):
    """One worker of one pool, which it creates where it is missing; flow runs inherit its environment."""

    name = "worker"

    def __init__(
        self,
        folder: Path,
        *,
        api: str,
        pool: str,
        environment: dict[str, str] | None = None,
        called: str = WORKER_NAME,
        limit: int | None = None,
    ) -> None:
        super().__init__(folder)
        self.called = called
        self.limit = limit
        self.api = api
        self.pool = pool
        self.environment = environment or {}

    def _command(self) -> list[str]:
        prefect = str(Path(sys.executable).with_name("prefect"))
        options = ["--pool", self.pool, "--type", "process", "--name", self.called]
        options += ["--limit", str(self.limit)] if self.limit is not None else []
        return [prefect, "--no-prompt", "worker", "start", *options]

    def _environment(self) -> dict[str, str]:
        return {
            "DO_NOT_TRACK": "1",
            "PREFECT_API_URL": self.api,
            "PREFECT_EVENTS_WORKER_MAX_QUEUE_SIZE": "20000",
            "PREFECT_HOME": str(self.folder / "home"),
            "PREFECT_LOGGING_EXTRA_LOGGERS": "tasks,flows",
            "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_WORKER_QUERY_SECONDS": QUERY_SECONDS,
            **self.environment,
        }

    def _is_ready(self) -> bool:
        """The pool has a worker that said so since this one was started."""
        try:
            workers = ask(self.api, f"work_pools/{self.pool}/workers/filter")
        except OSError:
            return False
        return any(worker["status"] == "ONLINE" for worker in workers)
