"""The server's history of runs goes after a while by itself, and no sooner."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from infra.real_parts import wait_until
from infra.real_parts.prefect_worker import ask
from tests.operations.databases import prefect_on

AGES = {"of last month": ("COMPLETED", 31), "recent": ("COMPLETED", 29), "at work": ("RUNNING", 400)}
"""The state of each run, and how many days ago it was in it."""
OFTEN = {"PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS": "2"}


@pytest.mark.operations  # a server of its own, from an empty database: half a minute
def test_a_server_of_ours_forgets_runs_that_ended_a_month_ago_and_no_others() -> None:
    with prefect_on("sqlite", OFTEN) as server:
        flow = ask(server.api, "flows/", {"name": "migrate"})["id"]
        ids = {
            ask(server.api, "flow_runs/", {"flow_id": flow, "name": name, "state": {"type": state}})["id"]: days
            for name, (state, days) in AGES.items()
        }
        with closing(sqlite3.connect(server.log.with_name("prefect.db"), timeout=30)) as database:
            for run, days in ids.items():
                then = str(datetime.now(UTC).replace(tzinfo=None) - timedelta(days=days))
                database.execute(
                    "UPDATE flow_run SET end_time = ? WHERE id = ? AND end_time IS NOT NULL", (then, run)
                )
            database.commit()

        def left() -> set[str]:
            return {run["name"] for run in ask(server.api, "flow_runs/filter")}

        wait_until(lambda: "of last month" not in left(), what="the old run is gone", deadline_seconds=120)
        assert left() == {"recent", "at work"}
