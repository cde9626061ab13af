"""What a benchmark has measured is printed, whether a flow measures it or the command itself."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from flows.cli import main
from flows.course import benchmark_course
from tasks.operations.benchmark.history import Regression
from tests.support.benchmark_facts import measured, results


@contextmanager
def measured_already(*_: object) -> Iterator[SimpleNamespace]:
    yield SimpleNamespace(
        results=results(measured(1.0)),
        regressions=(Regression("s3fs 8MiB warm", 1.0, 2.0),),
        ended={},
        folder=SimpleNamespace(path="/somewhere"),
        finish=lambda: None,
    )


@pytest.mark.parametrize("way", [[], ["--standalone"]], ids=["flow", "standalone"])
@pytest.mark.parametrize(
    ("form", "said"),
    [
        ([], ["8MiB", "results: /somewhere", "! slower: s3fs 8MiB warm"]),
        (["--json"], ['{"kind": "measurement"', '{"kind": "regression"']),
    ],
)
def test_the_figures_are_printed_at_the_end(
    monkeypatch: pytest.MonkeyPatch, way: list[str], form: list[str], said: list[str]
) -> None:
    def in_a_flow(_: str, parameters: Any, console: Any, work: Callable[[Any], None] = lambda _: None) -> None:
        benchmark_course.drive_benchmark(parameters.to_options(), console.stop, work)
        assert console.has_shown, "a server that is lost from here on changes nothing"

    monkeypatch.setattr("flows.commands.benchmark._log_progress", lambda: None)  # it would stay for other tests
    monkeypatch.setattr(benchmark_course, "open_benchmark", measured_already)
    monkeypatch.setattr(benchmark_course, "measure_here", lambda _: None)
    monkeypatch.setattr("flows.server.embedded.run_flow", in_a_flow)
    monkeypatch.setattr("tasks.benchmark_parts.refuse_without_parts", lambda _: None)
    ended = CliRunner().invoke(main, ["benchmark", "run", *way, *form])
    assert ended.exit_code == 0, ended.output
    assert all(each in ended.stdout for each in said)
