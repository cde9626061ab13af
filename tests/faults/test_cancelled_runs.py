"""A flow run may be cancelled at the dashboard at any moment: it ends in order, and the next one does the rest."""

import json
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from infra.real_parts import Registry, wait_until
from tests.support.command import Layoutlift
from tests.support.content import tree
from tests.support.deployed_runs import DeployedRuns, flow_processes
from tests.support.fault_proxy import FaultProxy
from tests.support.registry_view import everything_tagged

pytestmark = [pytest.mark.operations, pytest.mark.timeout(1200)]

TAGS = 24
ROUNDS = 6
ENDS_WITHIN = 30.0
"""Prefect kills what has not ended so long after it was told to."""


def test_cancelled_at_any_moment_a_migration_leaves_a_report_and_still_ends_complete(
    deployed: DeployedRuns,
    layoutlift: Layoutlift,
    docker_registry: Registry,
    proxy: FaultProxy,
    tmp_path: Path,
    prefix: str,
) -> None:
    source = tree(tmp_path / "source", repositories=4, tags=TAGS // 4, size=60_000)
    given = {"source": str(source), "target": f"{proxy.host}/{prefix}", "plain_http": True, "jobs": 2}
    dice = random.Random(prefix)
    interrupted = 0
    for number in range(ROUNDS):
        report = tmp_path / f"{number}.json"
        goal = len(proxy.seen) + dice.randint(3, 60)  # from the second request on a run has its lock and its report
        run = deployed.begin(**given, max_requests=20, report=str(report))
        wait_until(lambda goal=goal: len(proxy.seen) >= goal, what="the run is at work", deadline_seconds=120)
        deployed.cancel(run)
        asked = time.monotonic()
        wait_until(lambda run=run: not flow_processes(run), what="its process ends", deadline_seconds=60)
        assert time.monotonic() - asked < ENDS_WITHIN
        assert deployed.wait(run) == "Cancelled"
        left = json.loads(report.read_bytes())
        told = Counter(row["repository"] for row in left["tags"])
        never_begun = {finding["path"]: finding["code"] for finding in left["findings"]}
        assert all(told[f"app-{n}"] == TAGS // 4 or f"app-{n}" in never_begun for n in range(4)), (told, never_begun)
        codes = {row["error"]["code"] for row in left["tags"] if row["error"]}
        reasons = codes | set(never_begun.values())
        interrupted += bool(reasons)
        assert reasons <= {"interrupted"}
        if not reasons:  # all was done before it could be told to stop
            assert {row["outcome"] for row in left["tags"]} <= {"copied", "up_to_date"}
            assert sum(told.values()) == TAGS
        wait_until(lambda: proxy.busy == 0, what="the registry has done what was under way")
    assert interrupted, "no run was told to stop while it had something to do"
    assert deployed.wait(deployed.begin(**given)) == "Completed"
    assert len(everything_tagged(docker_registry, prefix)) == TAGS
    assert layoutlift.verify(source, given["target"], "--depth", "content").totals["tags"] == TAGS
    stored = proxy.stored()
    assert sorted(set(stored)) == sorted(stored), "something was sent again that the target had"
