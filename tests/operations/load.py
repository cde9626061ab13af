"""Puts many flow runs at once on a Prefect server, and says what became of them.

    python -m tests.operations.load sqlite 20 100

runs that many flows of 20 tasks each in one process, so that the server and not the clients is what is loaded.
"""

import asyncio
import json
import os
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.operations.databases import PrefectServer, prefect_on, settle

TASKS = 20
ASK_EVERY = 0.25
UNANSWERED = 60.0
"""Seconds that count for a question without an answer: twice as long as one is waited for."""


def measured(database: str, at_once: int, server: PrefectServer) -> dict[str, Any]:
    """What a server did with `at_once` runs."""
    os.environ.update({"PREFECT_API_URL": server.api, "PREFECT_LOGGING_LEVEL": "CRITICAL", "DO_NOT_TRACK": "1"})
    before = {"cpu": server.cpu_seconds, "log": server.log.stat().st_size, "at": time.monotonic()}
    name = f"load-{at_once}-{os.getpid()}"
    with answer_times(server) as answers:
        failed = asyncio.run(_all(at_once, name))
    seconds = time.monotonic() - before["at"]
    ours: dict[str, object] = {"flow_runs": {"tags": {"all_": [name]}}}
    completed = {"state": {"type": {"any_": ["COMPLETED"]}}}
    tasks = settle(server, at_once * TASKS, ours | {"task_runs": completed})
    log = server.log.read_text(errors="replace")[int(before["log"]) :]
    return {
        "database": database,
        "runs_at_once": at_once,
        "failed_runs": sum(failed.values()),
        "failures": dict(failed),
        "completed_runs": server.count("flow_runs", {"flow_runs": {"tags": {"all_": [name]}, **completed}}),
        "tasks_written_down": tasks,
        "locked": log.count("database is locked"),
        "answer_p95_seconds": round(statistics.quantiles(answers, n=20)[-1], 2),
        "answers_missing": sum(each == UNANSWERED for each in answers),
        "server_cpu_seconds_a_run": round((server.cpu_seconds - before["cpu"]) / at_once, 2),
        "seconds": round(seconds, 1),
    }


@contextmanager
def answer_times(server: PrefectServer) -> Iterator[list[float]]:
    """Seconds that a small question to the server takes meanwhile, as somebody at the dashboard would wait."""
    seen: list[float] = []
    done = threading.Event()

    def look() -> None:
        while not done.wait(ASK_EVERY):
            asked = time.monotonic()
            try:
                server.count("flow_runs", {})
            except OSError:
                seen.append(UNANSWERED)
            else:
                seen.append(time.monotonic() - asked)

    thread = threading.Thread(target=look, name="answers")
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


async def _all(at_once: int, name: str) -> Counter[str]:
    from prefect import flow, tags, task  # noqa: PLC0415 - after the environment says where the server is

    @task
    async def step(number: int) -> int:
        return number

    @flow
    async def load() -> None:
        for number in range(TASKS):
            await step(number)

    with tags(name):
        outcomes = await asyncio.gather(*(load() for _ in range(at_once)), return_exceptions=True)
    return Counter(_failure(outcome) for outcome in outcomes if isinstance(outcome, BaseException))


def _failure(error: BaseException) -> str:
    """What ended a run: for an answer of the server, its status."""
    answer = getattr(error, "response", None)
    return type(error).__name__ if answer is None else f"status {answer.status_code}: {answer.text[:200]}"


def main(database: str, *numbers: str) -> int:
    """Print a line of JSON for each number of runs at once."""
    with prefect_on(database) as server:
        for number in numbers:
            print(json.dumps(measured(database, int(number), server)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
