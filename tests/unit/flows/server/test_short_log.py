"""What ends a run is one line of its log, not the way to it; a defect keeps the whole way."""

import logging
from collections.abc import Callable, Iterator

import pytest
from prefect.exceptions import CancelledRun, ParameterTypeError

from flows.server.short_log import RUN_LOGGERS, tell_ends_shortly
from tasks.oci.errors import ConfigurationError, IncompleteError


class _Kept(logging.Handler):
    """Keeps each record as a handler of a run's log would send it."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.levels: list[int] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))
        self.levels.append(record.levelno)


@pytest.fixture(params=RUN_LOGGERS)
def logger(request: pytest.FixtureRequest) -> Iterator[logging.Logger]:
    tell_ends_shortly()
    found = logging.getLogger(request.param)
    level = found.level
    yield found
    found.setLevel(level)


@pytest.fixture
def log_end(logger: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], list[str]]:
    """Log an error as Prefect does, by the engine of the flow and by what called it; the lines that come of it."""
    kept = _Kept()
    monkeypatch.setattr(logger, "handlers", [kept])  # Prefect's own are for runs of a server

    def log(error: Exception) -> list[str]:
        try:
            raise error
        except Exception as raised:
            logger.exception("Encountered exception during execution: %r", raised)
            logger.error("Engine execution exited with unexpected exception", exc_info=True)  # noqa: G201 - as it does
        return kept.lines

    return log


@pytest.mark.parametrize(
    "error",
    [
        ConfigurationError("the source s3://bucket can't be listed"),
        IncompleteError("1 of 6 tags have a problem"),
        ParameterTypeError("jobs: it must be 1 or more"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_ended_a_run_is_one_line(log_end: Callable[[Exception], list[str]], error: Exception) -> None:
    assert log_end(error) == [str(error)]


def test_a_run_that_was_skipped_has_not_failed(
    log_end: Callable[[Exception], list[str]], logger: logging.Logger
) -> None:
    assert log_end(CancelledRun("another run is at work")) == ["another run is at work"]
    (kept,) = logger.handlers
    assert isinstance(kept, _Kept)
    assert kept.levels == [logging.INFO]


def test_two_runs_of_one_process_that_end_alike_are_both_told(log_end: Callable[[Exception], list[str]]) -> None:
    log_end(IncompleteError("1 of 6 tags have a problem"))
    assert log_end(IncompleteError("1 of 6 tags have a problem")) == ["1 of 6 tags have a problem"] * 2


def test_a_defect_is_seen_whole(log_end: Callable[[Exception], list[str]]) -> None:
    first, second = log_end(KeyError("digest"))
    for line, words in ((first, "Encountered exception"), (second, "Engine execution exited")):
        assert line.startswith(words)
        assert "Traceback (most recent call last)" in line


def test_who_asks_for_the_whole_log_gets_it(
    log_end: Callable[[Exception], list[str]], logger: logging.Logger
) -> None:
    logger.setLevel(logging.DEBUG)
    assert all("Traceback" in line for line in log_end(IncompleteError("1 of 6 tags have a problem")))
