"""A run that begins while Prefect is imported is the flow's run afterwards, or ends in order with its report."""

import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from flows.course import stopping
from flows.course.early_start import EarlyStart, begun_early, may_begin_early
from flows.course.live_limits import DEFAULT_VARIABLE
from flows.forms.parameters import CheckParameters, MigrateParameters
from flows.server.prefect_server import ServerAddress
from flows.terminal.console import Console
from infra.real_parts import wait_until
from tasks.oci.errors import ConfigurationError
from tasks.operations.running.tree_run import TreeRun
from tasks.run_options import RunKind, RunOptions
from tasks.runs import Run
from tests.support.layouts import LayoutBuilder
from tests.support.scripted_registry import Reply, ScriptedRegistry


@pytest.fixture
def options(tmp_path: Path) -> RunOptions:
    layout = LayoutBuilder(tmp_path / "tree" / "app")
    layout.image("v1", layers=[b"one"])
    layout.write()
    return checked(tmp_path, tmp_path / "tree")


def checked(folder: Path, source: Path) -> RunOptions:
    state, report = folder / "state", folder / "report.json"
    return CheckParameters(source=str(source), state=str(state), report=str(report)).to_options()


def test_the_flow_goes_on_with_the_run_that_was_begun(options: RunOptions) -> None:
    console = Console()
    console.early = early = EarlyStart(RunKind.CHECK, options, console)
    with console.open(RunKind.CHECK, options) as run:
        for batch in run.survey().batches:
            run.execute(batch, last_attempt=True)
        assert run.totals.tags == 1
        run.raise_if_incomplete()
    early.end()
    assert not console.stop.requested


def test_a_run_that_may_begin_does_so_before_anybody_asks_for_its_work(options: RunOptions) -> None:
    console = Console()
    console.early = EarlyStart(RunKind.CHECK, options, console)
    with console.open(RunKind.CHECK, options) as run:
        wait_until(lambda: run.totals.tags == 1, what="the tag is checked", deadline_seconds=10)


def test_a_run_that_could_not_be_opened_and_that_nobody_takes_over_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    console = Console()
    EarlyStart(RunKind.CHECK, checked(tmp_path, tmp_path / "nowhere"), console).end()
    assert console.run is None
    assert "nowhere" in caplog.text


def test_a_run_that_may_not_begin_yet_is_opened_and_begun_by_the_flow(options: RunOptions) -> None:
    console = Console()
    console.early = EarlyStart(RunKind.CHECK, options, console, lambda: False)
    with console.open(RunKind.CHECK, options) as run:
        assert not [each for each in threading.enumerate() if each.name.startswith("head start")]
        assert run.progress.expected == 0
        for batch in run.survey().batches:
            run.execute(batch, last_attempt=True)
        assert (run.progress.expected, run.totals.tags) == (1, 1)


def test_a_run_that_nobody_takes_over_ends_with_its_report_and_says_so(options: RunOptions) -> None:
    console = Console()
    EarlyStart(RunKind.CHECK, options, console).end()
    assert console.stop.requested
    assert console.run is not None
    report = json.loads(Path(options.report or os.devnull).read_text())
    assert "interrupted" in {finding["code"] for finding in report["findings"]}


def test_a_run_that_was_stopped_before_the_flow_began_says_that(options: RunOptions) -> None:
    console = Console()
    early = EarlyStart(RunKind.CHECK, options, console)
    console.interrupt()
    early.end()
    report = json.loads(Path(options.report or os.devnull).read_text())
    assert "told to stop" in " ".join(finding["message"] for finding in report["findings"])


def test_the_latest_run_is_one_that_was_opened_and_that_nobody_watches_yet(options: RunOptions) -> None:
    console = Console()
    assert console.latest_run is None
    console.early = EarlyStart(RunKind.CHECK, options, console)
    with console.early.taken_over() as run:
        assert console.latest_run is run


def test_a_run_that_does_not_end_in_time_is_ended_and_says_where_its_report_is(
    options: RunOptions, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    console, died = Console(), threading.Event()
    monkeypatch.setattr(stopping, "die", died.set)
    console.early = EarlyStart(RunKind.CHECK, options, console)
    with console.early.taken_over(), stopping.stopped_by_signals(console, patience=0.0):
        signal.raise_signal(signal.SIGTERM)
        assert died.wait(10)
    said = capfd.readouterr().err
    _, _, place = said.partition("layoutlift: its report: ")
    report = json.loads(Path(place.partition(", ")[0]).read_text())
    assert "let go" in " ".join(finding["message"] for finding in report["findings"])


def test_the_report_of_a_run_that_nobody_takes_over_waits_for_what_is_under_way(
    options: RunOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way, reported = threading.Event(), threading.Event()
    reported_before_the_end: list[bool] = []
    write_report = Run.write_report

    def execute(*_: object, **__: object) -> None:
        under_way.set()
        reported_before_the_end.append(reported.wait(0.3))

    def writes(run: Run) -> None:
        reported.set()
        write_report(run)

    monkeypatch.setattr(TreeRun, "execute", execute)
    monkeypatch.setattr(Run, "write_report", writes)
    early = EarlyStart(RunKind.CHECK, options, Console())
    assert under_way.wait(10)
    early.end()
    assert reported.is_set()
    assert reported_before_the_end == [False]


def test_a_run_that_can_not_be_opened_says_why_to_whoever_takes_it_over(tmp_path: Path) -> None:
    console = Console()
    options = checked(tmp_path, tmp_path / "nowhere")
    console.early = EarlyStart(RunKind.CHECK, options, console)
    with pytest.raises(ConfigurationError, match="nowhere"), console.open(RunKind.CHECK, options):
        pass


@pytest.mark.parametrize(
    "given",
    [
        {"hours": "22:00-06:00"},
        {"limits_from": "limits.yaml"},
        {"metrics": "layoutlift.prom"},
        {"on_conflict": "fail"},
        {"delete_vanished": True},
        {"source": "block:bucket"},
        {"target": "block:registry"},
    ],
)
def test_a_run_that_must_look_at_something_first_does_not_begin_early(tmp_path: Path, given: dict[str, Any]) -> None:
    plain = MigrateParameters(source=str(tmp_path), target="localhost:5000")
    assert may_begin_early(RunKind.MIGRATE, plain.to_options())
    waits = MigrateParameters(**({"source": str(tmp_path), "target": "localhost:5000"} | given))
    assert not may_begin_early(RunKind.MIGRATE, waits.to_options())


@pytest.mark.parametrize(("status", "begins"), [(404, True), (200, False), (401, False), (500, False)])
def test_a_run_begins_early_only_where_the_server_has_no_limits_for_it(
    options: RunOptions, status: int, begins: bool
) -> None:
    server, console = ScriptedRegistry(), Console()
    server.expect("GET", f"/api/variables/name/{DEFAULT_VARIABLE}", Reply(status))
    try:
        with (
            begun_early(RunKind.CHECK, options, console, ServerAddress(server.url)),
            console.open(RunKind.CHECK, options) as run,
        ):
            ahead = [each for each in threading.enumerate() if each.name.startswith("head start")]
            assert bool(ahead) is begins
            for batch in run.survey().batches:
                run.execute(batch, last_attempt=True)
            assert run.totals.tags == 1
        assert not console.stop.requested
    finally:
        server.stop()
    server.check()


def test_a_run_that_no_flow_came_for_is_ended_with_the_block(options: RunOptions) -> None:
    console = Console()
    with begun_early(RunKind.CHECK, options, console, ServerAddress("http://127.0.0.1:1")):
        assert not console.stop.requested
    assert console.stop.requested
    assert console.run is not None
    assert not console.run.tree.complete
