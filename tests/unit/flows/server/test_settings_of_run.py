"""Prefect's settings are changed for a block of code, and for that alone; what is logged goes where it belongs."""

import logging
import threading
import uuid
from collections.abc import Iterator

import pytest
from prefect.context import TaskRunContext
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, get_current_settings

from flows.server.settings_of_run import changed_settings, logged_to_run
from flows.terminal.log_lines import DEBUG, LOGGERS, is_to_stderr, log_to_stderr
from tasks.stores.state import lock_holder
from tasks.stores.state.lock_holder import Heartbeat


def test_settings_are_others_within_the_block_and_as_before_after_it() -> None:
    before = get_current_settings()
    with changed_settings("api", "url", "http://127.0.0.1:1/api"):
        with changed_settings("flows", "heartbeat_frequency", None):
            assert PREFECT_API_URL.value() == "http://127.0.0.1:1/api"
            assert PREFECT_FLOWS_HEARTBEAT_FREQUENCY.value() is None
        assert PREFECT_FLOWS_HEARTBEAT_FREQUENCY.value() == before.flows.heartbeat_frequency
    assert get_current_settings() == before


class OfRun(logging.Handler):
    """What a run's log is sent by."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []
        self.runs: list[str | None] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.runs.append(getattr(record, "flow_run_id", None))
        self.told.append(record.getMessage())


@pytest.fixture
def of_run() -> Iterator[OfRun]:
    """Beside what writes to standard error, as in a command's process; all is as before afterwards."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels, handler = [logger.level for logger in loggers], OfRun()
    for logger in loggers:
        logger.setLevel(logging.NOTSET)
        logger.addHandler(handler)
    yield handler
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
        for each in [each for each in logger.handlers if each is handler or is_to_stderr(each)]:
            logger.removeHandler(each)


def test_a_run_is_told_what_a_logger_without_a_level_says(of_run: OfRun) -> None:
    with logged_to_run():
        logging.getLogger("tasks.runs").info("some tags")
    assert of_run.told == ["some tags"]


def test_each_request_is_still_shown_once_the_run_has_begun_and_is_not_told_to_its_log(
    of_run: OfRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(DEBUG, "1")
    log_to_stderr()
    with logged_to_run():
        logging.getLogger("tasks.stores").debug("HEAD /v2/: 200")
        logging.getLogger("tasks.runs").info("some tags")
    assert capsys.readouterr().err == "debug: HEAD /v2/: 200\ninfo: some tags\n"
    assert of_run.told == ["some tags"]


def test_a_thread_that_has_no_flow_run_warns_on_the_page_of_the_run_that_is_under_way(
    of_run: OfRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", run := str(uuid.uuid4()))
    monkeypatch.setattr(lock_holder, "HEARTBEAT_SECONDS", 0.01)
    lost = threading.Event()
    heart = Heartbeat(lambda: False, lost.set)
    with logged_to_run():
        heart.start()
        assert lost.wait(10)
    heart.stop()
    logging.getLogger("tasks.runs").warning("after the run")
    assert of_run.told == [lock_holder.LOST, "after the run"]
    assert of_run.runs == [run, None]


def test_what_a_thread_of_a_flow_run_says_is_left_to_prefect(of_run: OfRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which puts it on the page of its task."""
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", str(uuid.uuid4()))
    with logged_to_run(), TaskRunContext.model_construct():
        logging.getLogger("tasks.runs").warning("a tag")
    assert of_run.runs == [None]
