"""How the flow of a benchmark ends where it can't begin."""

import pytest

from flows.benchmark import benchmark
from flows.course.watching import watched_by
from flows.terminal.console import Console
from tasks.oci.errors import LockHeldError


@pytest.fixture(autouse=True)
def bucket_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    def held(*_: object) -> None:
        raise LockHeldError("s3://bucket is in use by the benchmark before")

    monkeypatch.setattr("flows.benchmark.drive_benchmark", held)


def test_a_scheduled_benchmark_that_finds_the_one_before_at_work_has_not_failed() -> None:
    state = benchmark.fn(location="s3://bucket")
    assert state is not None
    assert (state.name, state.type.value) == ("Skipped", "CANCELLED")
    assert state.message == "s3://bucket is in use by the benchmark before"


def test_the_command_says_it_itself() -> None:
    with watched_by(Console()), pytest.raises(LockHeldError, match="is in use"):
        benchmark.fn(location="s3://bucket")
