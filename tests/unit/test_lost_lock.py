"""A migration whose lock is taken away ends, and its report says why: nobody told it to."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from infra.real_parts import wait_until
from tasks.endpoints import TargetOptions
from tasks.oci.errors import IncompleteError
from tasks.operations.reports.progress import Progress
from tasks.operations.reports.report_rows import result_of_row, tag_row
from tasks.operations.reports.run_log import RunLog
from tasks.run_options import RunKind
from tasks.run_parts import LostLock
from tasks.runs import open_run
from tasks.stop import Stop
from tasks.stores.state import lock_holder
from tasks.stores.state.run_spool import RunSpool
from tests.support.checks import check_of_one_tag
from tests.support.scripted_registry import Reply, ScriptedRegistry


def test_a_run_that_lost_its_lock_says_so_in_its_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_holder, "HEARTBEAT_SECONDS", 0.01)
    registry, stop = ScriptedRegistry(), Stop()
    registry.always("GET", "/v2/", Reply())
    options = replace(check_of_one_tag(tmp_path), target=TargetOptions(registry.host, plain_http=True))
    try:
        with open_run(RunKind.MIGRATE, options, stop) as run:
            batches = run.survey().batches
            (lock,) = (tmp_path / "state").rglob("lock")
            lock.unlink()
            wait_until(lambda: stop.requested, what="the run is told to end", deadline_seconds=10)
            run.tree.execute_all(batches)
            report = json.loads(run.write_report().read_text())
            with pytest.raises(IncompleteError, match="the run lost its lock: 0 of"):
                run.raise_if_incomplete()
    finally:
        registry.stop()
    (finding,) = [each for each in report["findings"] if each["path"] == "."]
    assert finding["code"] == "lock_held"
    assert "taken over the lock of this one" in finding["message"]


def test_a_lock_that_is_lost_before_there_is_a_log_is_told_once_there_is_one(tmp_path: Path) -> None:
    """As while the target is connected to and the ledger read."""
    stop = Stop()
    lost = LostLock(stop)
    lost.end()
    with RunSpool(tmp_path, tag_row, result_of_row) as spool:
        log = RunLog(spool, Progress(), stop, fail_fast=False)
        lost.tell(log)
    assert [(each.path, each.code) for each in log.findings] == [(".", "lock_held")]
    assert str(log.reason_to_skip()) == "the run lost its lock before this was begun"
    assert log.how_it_ended == "the run lost its lock"
