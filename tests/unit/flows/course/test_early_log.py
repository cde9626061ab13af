"""What a run that begins before its flow logs, before and after the flow takes it over, is on the flow run's page."""

import logging
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.course import early_start
from flows.course.early_start import EarlyStart
from flows.server.settings_of_run import logged_to_run
from flows.terminal.console import Console
from tasks.operations.running.tree_run import TreeRun
from tasks.run_options import RunKind, RunOptions
from tests.support.checks import check_of_one_tag


@pytest.fixture
def options(tmp_path: Path) -> RunOptions:
    return check_of_one_tag(tmp_path)


class Kept(logging.Handler):
    """Keeps what this test says, each time that it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage().startswith("said"):
            self.said.append(record.getMessage())


class OfRun(Kept):
    """Keeps what is said of a flow run, as what brings records to the run's page does."""

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "flow_run_id", None):
            super().emit(record)


@pytest.fixture
def of_run(monkeypatch: pytest.MonkeyPatch) -> Iterator[OfRun]:
    """In a process that is for one flow run, whose threads are not in its context."""
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", str(uuid.uuid4()))
    handler = OfRun()
    yield handler
    logging.getLogger("tasks").removeHandler(handler)


def test_what_the_engine_logged_before_reaches_the_handlers_that_came_since(options: RunOptions) -> None:
    console, engine = Console(), logging.getLogger("tasks")
    there, since = Kept(), Kept()
    engine.addHandler(there)
    try:
        early = EarlyStart(RunKind.CHECK, options, console)
        logging.getLogger("tasks.operations.reports.run_log").warning("said early")
        engine.addHandler(since)
        with early.taken_over():
            logging.getLogger("tasks.operations.reports.run_log").warning("said later")
    finally:
        engine.removeHandler(since)
        engine.removeHandler(there)
    assert there.said == since.said == ["said early", "said later"]


def test_of_a_log_that_waits_for_its_flow_the_last_records_are_kept(
    options: RunOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(early_start, "KEPT_RECORDS", 2)
    console, engine, kept = Console(), logging.getLogger("tasks"), Kept()
    console.early = EarlyStart(RunKind.CHECK, options, console, may_begin=lambda: False)
    console.early.wait_until_open(10)
    for number in range(5):
        engine.warning("said %d", number)
    engine.addHandler(kept)
    try:
        with console.open(RunKind.CHECK, options):
            assert kept.said == ["said 3", "said 4"]
    finally:
        engine.removeHandler(kept)


def test_what_a_thread_of_before_the_flow_warns_of_later_is_on_the_page_of_the_run(
    options: RunOptions, of_run: OfRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    console, under_way, taken = Console(), threading.Event(), threading.Event()

    def execute(*_: object, **__: object) -> None:
        under_way.set()
        assert taken.wait(10)
        logging.getLogger("tasks.operations.reports.run_log").warning("said by a worker")

    monkeypatch.setattr(TreeRun, "execute", execute)
    console.early = EarlyStart(RunKind.CHECK, options, console)
    logging.getLogger("tasks").addHandler(of_run)
    assert under_way.wait(10)
    with logged_to_run(), console.open(RunKind.CHECK, options) as run:
        taken.set()
        run.wait_for_head_start()
    assert of_run.said == ["said by a worker"]


def test_what_a_thread_warns_of_as_the_flow_takes_the_run_over_is_told_once(
    options: RunOptions, of_run: OfRun
) -> None:
    console, engine = Console(), logging.getLogger("tasks")
    console.early = EarlyStart(RunKind.CHECK, options, console)
    engine.addHandler(of_run)
    with logged_to_run():
        engine.warning("said meanwhile")
        with console.open(RunKind.CHECK, options):
            assert of_run.said == ["said meanwhile"]


def test_nothing_of_the_log_is_kept_of_a_run_that_nobody_took_over(options: RunOptions) -> None:
    before = logging.getLogger("tasks").handlers[:]
    EarlyStart(RunKind.CHECK, options, Console()).end()
    assert logging.getLogger("tasks").handlers == before
