"""A migration whose lock is taken away ends, and its report says why: nobody told it to."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flows.commands.running import exit_code
from flows.course.driving import drive, work_here
from flows.terminal.console import Console
from infra.real_parts import wait_until
from tasks.endpoints import TargetOptions
from tasks.oci.errors import IncompleteError, LockHeldError
from tasks.operations.reports.progress import Progress
from tasks.operations.reports.report_rows import result_of_row, tag_row
from tasks.operations.reports.run_log import RunLog
from tasks.operations.work.planning import CopyPolicy, OnConflict
from tasks.run_options import RunKind, RunOptions
from tasks.run_parts import LostLock, hold_lock
from tasks.runs import open_run
from tasks.stop import Stop
from tasks.stores.state import lock_holder
from tasks.stores.state.run_spool import RunSpool
from tests.support.checks import check_of_one_tag
from tests.support.scripted_registry import Reply, ScriptedRegistry


@pytest.fixture
def options(tmp_path: Path) -> Iterator[RunOptions]:
    """Of a migration of one tag to a registry that has nothing."""
    registry = ScriptedRegistry()
    registry.always("GET", "/v2/", Reply())
    try:
        yield replace(check_of_one_tag(tmp_path), target=TargetOptions(registry.host, plain_http=True))
    finally:
        registry.stop()


def test_a_run_that_lost_its_lock_says_so_in_its_report(
    tmp_path: Path, options: RunOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_holder, "HEARTBEAT_SECONDS", 0.01)
    stop = Stop()
    with open_run(RunKind.MIGRATE, options, stop) as run:
        batches = run.survey().batches
        (lock,) = (tmp_path / "state").rglob("lock")
        lock.unlink()
        wait_until(lambda: stop.requested, what="the run is told to end", deadline_seconds=10)
        run.tree.execute_all(batches)
        report = json.loads(run.write_report().read_text())
        with pytest.raises(IncompleteError, match="the run lost its lock: 0 of"):
            run.raise_if_incomplete()
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


@pytest.mark.parametrize("on_conflict", [OnConflict.REFUSE, OnConflict.FAIL], ids=str)
def test_a_run_that_loses_its_lock_while_it_looks_through_the_source_was_not_interrupted(
    tmp_path: Path, options: RunOptions, on_conflict: OnConflict, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a run that was, no further mapping of a file is begun; and a part that hands nothing in is done again."""
    tell, published = LostLock.tell, list[object]()

    def tell_and_lose(lost: LostLock, log: RunLog) -> None:
        tell(lost, log)
        lost.end()

    monkeypatch.setattr(LostLock, "tell", tell_and_lose)
    chosen = replace(options, policy=CopyPolicy(on_conflict=on_conflict))
    with pytest.raises(IncompleteError, match="the run lost its lock: 0 of 0 tags and 1 other thing") as raised:
        drive(RunKind.MIGRATE, chosen, Console(), work_here, published.append)
    assert (exit_code(raised.value), published) == (1, [])
    report = json.loads((tmp_path / "report.json").read_text())
    assert [each["code"] for each in report["findings"]] == ["lock_held"]


def test_a_run_that_loses_its_lock_before_it_is_open_is_refused_as_one_that_does_not_get_it(
    options: RunOptions, monkeypatch: pytest.MonkeyPatch
) -> None:

    def lost(*given: Any, **more: Any) -> LostLock:
        held = hold_lock(*given, **more)
        held.end()
        return held

    monkeypatch.setattr("tasks.runs.hold_lock", lost)
    with pytest.raises(LockHeldError, match="another run has taken over the lock of this one") as raised:
        drive(RunKind.MIGRATE, options, Console(), work_here)
    assert exit_code(raised.value) == 3
