"""A run that is told to stop ends in order, whoever has taken over its signals meanwhile."""

import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prefect.exceptions import TerminationSignal

from flows.course import stopping
from flows.course.stopping import stopped_as_before, stopped_by_signals
from flows.exit_codes import INTERRUPTED
from flows.forms.parameters import CheckParameters
from flows.server import embedded
from flows.server.prefect_server import ServerAddress
from flows.terminal.console import Console
from tasks.oci.digest import Digest
from tasks.oci.errors import InterruptedRunError
from tasks.run_options import RunKind
from tasks.run_parts import state_of
from tasks.runs import Run, open_run
from tasks.stop import Stop
from tests.support.checks import check_of_one_tag

PARAMETERS = CheckParameters(source="/source")
STOPPED = """
import signal, sys, threading
import click
from flows.course import stopping
from flows.course.stopping import stopped_by_signals
from flows.terminal.console import Console

console = Console()
with stopped_by_signals(console, patience=0.1):
    signal.raise_signal(signal.SIGINT)
    {within}
click.echo("what came of it")
click.echo("and what was wrong", err=True)
sys.exit(130 if console.interrupted else 1)
"""
HELD, TOLD, QUICKLY = "threading.Event().wait()", "click.echo('line by line')", "pass"


@pytest.mark.parametrize(
    ("term", "has_bars"), [("xterm", True), ("dumb", False), ("DUMB", False), ("unknown", False)]
)
def test_the_cursor_is_shown_again_on_a_terminal_on_which_bars_hide_it_and_on_no_other(
    term: str, has_bars: bool
) -> None:
    ours, its = pty.openpty()
    ended = subprocess.run(
        [sys.executable, "-c", "from flows.course.stopping import die; die()"],
        stderr=its,
        env={**os.environ, "TERM": term},
        check=False,
    )
    os.write(its, b"end")
    os.close(its)
    assert ended.returncode == INTERRUPTED
    assert os.read(ours, 100).startswith(b"\x1b[?25h") is has_bars
    os.close(ours)


def test_sigterm_stops_the_run_in_a_flow_that_took_it_over() -> None:
    console = Console()
    before = signal.getsignal(signal.SIGTERM)
    with stopped_by_signals(console):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as Prefect does with a handler of its own
        with stopped_as_before():
            signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    assert console.interrupted
    assert console.stop.requested
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("ignored", [False, True], ids=["in a shell", "nohup"])
def test_a_terminal_that_is_closed_ends_a_run_unless_that_is_to_be_ignored(ignored: bool) -> None:
    console = Console()
    with handled_before(signal.SIGHUP, ignored), stopped_by_signals(console):
        assert callable(signal.getsignal(signal.SIGHUP)) is not ignored
        for _ in range(2):  # the shell that ends hands it on to its jobs, and that is no second Ctrl-C
            signal.raise_signal(signal.SIGHUP)
    assert console.interrupted is not ignored


def test_ctrl_c_does_not_end_what_a_script_runs_in_the_background() -> None:
    """Its shell has jobs with an & ignore the signal, which goes to all processes of the terminal."""
    console = Console()
    with handled_before(signal.SIGINT, ignored=True), stopped_by_signals(console):
        signal.raise_signal(signal.SIGINT)
    assert not console.interrupted


@contextmanager
def handled_before(number: signal.Signals, ignored: bool) -> Iterator[None]:
    """Have a signal be ignored, or not, by whoever began this process; afterwards it is as before and as it was."""
    given = signal.SIG_IGN if ignored else signal.SIG_DFL
    before = signal.signal(number, given)
    try:
        yield
        assert signal.getsignal(number) is given
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize(("seconds", "deaths"), [(0.1, 0), (2.0, 1)], ids=["by timeout", "by a person"])
def test_a_signal_that_comes_twice_at_once_still_ends_a_run_in_order(
    monkeypatch: pytest.MonkeyPatch, seconds: float, deaths: int
) -> None:
    """`timeout 60 layoutlift …` sends each signal to the command itself, and to the group that it is in."""
    console, died, clock = Console(), [], iter([100.0, 100.0 + seconds])
    monkeypatch.setattr(stopping, "die", lambda: died.append("without a report"))
    monkeypatch.setattr(stopping, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    with stopped_by_signals(console):
        for _ in range(2):
            signal.raise_signal(signal.SIGTERM)
    assert console.interrupted
    assert len(died) == deaths


@pytest.mark.parametrize("is_impatient", [False, True], ids=["for a machine", "for a person"])
def test_a_signal_of_another_kind_has_a_run_saved_at_once_and_is_no_second_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, *, is_impatient: bool
) -> None:
    """A CI service that cancels a job sends Ctrl-C, SIGTERM 7.5 s later, and kills what is there 2.5 s after that."""
    done, over, clock = list[str](), threading.Event(), iter([100.0, 107.5, 107.6])
    monkeypatch.setattr(stopping, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(stopping, "_do_at_once", lambda _, acts, __: done.extend(act.__name__ for act in acts))
    monkeypatch.setattr(stopping, "die", lambda: (done.append("die"), over.set()))
    with stopped_by_signals(Console(), patience=30.0):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT if is_impatient else signal.SIGTERM)
        assert over.wait(10)
    assert done == (["die"] if is_impatient else ["_tell_of_it", "_write_ledger", "_write_report", "die"])


def test_a_signal_ends_a_run_whose_messages_nobody_reads_any_more() -> None:
    """As in `layoutlift migrate … 2>&1 | head`."""
    console, (reader, writer), kept = Console(), os.pipe(), os.dup(2)
    os.dup2(writer, 2)
    os.close(reader)
    os.close(writer)
    try:
        with stopped_by_signals(console):
            signal.raise_signal(signal.SIGTERM)
    finally:
        os.dup2(kept, 2)
        os.close(kept)
    assert console.stop.requested


def nobody_reads(reader: int, writer: int) -> None:
    """As when Ctrl-C has ended the `tee` of a pipeline, too."""
    os.close(reader)


def reader_sleeps(reader: int, writer: int) -> None:
    """As when `less` shows its first page."""
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while os.write(writer, bytes(4096)):
            pass
    os.set_blocking(writer, True)


@pytest.mark.parametrize(
    ("state", "within"),
    [(nobody_reads, HELD), (reader_sleeps, HELD), (nobody_reads, TOLD), (nobody_reads, QUICKLY)],
    ids=["held and nobody reads", "held and the reader sleeps", "prints in the run", "prints after it"],
)
def test_lost_output_neither_keeps_a_stopped_run_nor_hides_that_it_was_stopped(
    state: Callable[[int, int], None], within: str
) -> None:
    reader, writer = os.pipe()
    state(reader, writer)
    program = [sys.executable, "-c", STOPPED.format(within=within)]
    with subprocess.Popen(program, stdin=subprocess.DEVNULL, stdout=writer, stderr=writer) as process:
        try:
            assert process.wait(30) == 130
        finally:
            process.kill()
    os.close(writer)


class NeverEnds:
    """The end of a run, or a hurry, that does not come; keeps for how long it was waited for."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def is_set(self) -> bool:
        return False

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        return False


@pytest.mark.parametrize(("is_ending", "waits"), [(True, [8.0, 60.0]), (False, [8.0, 0.0])], ids=["report", "work"])
def test_a_report_of_very_many_tags_is_waited_for_and_work_that_does_not_let_go_is_not(
    monkeypatch: pytest.MonkeyPatch, *, is_ending: bool, waits: list[float]
) -> None:
    never: Any = NeverEnds()
    reports: list[object] = []
    monkeypatch.setattr(stopping, "die", lambda: None)
    monkeypatch.setattr(stopping, "_write_ledger", lambda _: None)
    monkeypatch.setattr(stopping, "_write_report", reports.append)
    totals = SimpleNamespace(tags=600_000)
    console: Any = SimpleNamespace(latest_run=SimpleNamespace(is_ending=is_ending, totals=totals))
    stopping._last_resort(console, never, never, 8.0)
    assert never.waits == waits
    assert reports == [console]


@pytest.fixture
def last_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """A run that has brought a tag, and does not let go."""
    monkeypatch.setattr(stopping, "die", lambda: None)
    with open_run(RunKind.CHECK, check_of_one_tag(tmp_path), Stop()) as run:
        run.ledger.note_tag("app", "v1", str(Digest.of(b"image")), None, 0, layout="app")
        yield run


def end_without_waiting(run: Run) -> None:
    console: Any = SimpleNamespace(latest_run=run)
    never: Any = NeverEnds()
    stopping._last_resort(console, never, never, 0.0)


def brought(run: Run) -> set[str]:
    """The tags that the next run knows as ours."""
    return set(state_of(RunKind.CHECK, run.options, Stop()).ledger("next").tags_of("app"))


def test_what_the_last_report_tells_of_is_known_to_the_next_run(last_run: Run) -> None:
    end_without_waiting(last_run)
    assert last_run.report_path is not None
    assert brought(last_run) == {"v1"}


def test_a_last_report_that_takes_too_long_does_not_keep_the_ledger_from_being_written(
    last_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "LAST_WORDS_SECONDS", 0.1)
    with blocking(monkeypatch, last_run, "write_report"):
        end_without_waiting(last_run)
        assert brought(last_run) == {"v1"}


def test_a_ledger_that_takes_too_long_does_not_keep_the_last_report_from_being_named(
    last_run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with blocking(monkeypatch, last_run.ledger, "flush"):
        end_without_waiting(last_run)
    assert f"its report: {last_run.report_places[0]}" in capsys.readouterr().err


def test_a_run_of_which_nothing_lets_go_ends_within_ten_seconds(
    last_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is said in docs/faults.md."""
    began = time.monotonic()
    with (
        blocking(monkeypatch, stopping, "leave_lost_output"),
        blocking(monkeypatch, last_run.ledger, "flush"),
        blocking(monkeypatch, last_run, "write_report"),
    ):
        end_without_waiting(last_run)
        took = time.monotonic() - began
    assert 1.5 < took < 10.5 - stopping.LAST_RESORT_SECONDS


@contextmanager
def blocking(monkeypatch: pytest.MonkeyPatch, of: object, act: str) -> Iterator[None]:
    """Have one of its acts wait for the end of the block."""
    over = threading.Event()
    with monkeypatch.context() as patched:
        patched.setattr(of, act, lambda: over.wait(30))
        try:
            yield
        finally:
            over.set()


def test_a_worker_keeps_its_own_sigterm() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stopped_as_before():
        assert signal.getsignal(signal.SIGTERM) is before


def test_sigterm_before_the_flow_has_begun_its_work_is_an_interruption(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def terminated(**_: object) -> None:
        raise TerminationSignal(signal=signal.SIGTERM)

    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.setattr(embedded, "_load", lambda _: terminated)
    monkeypatch.setattr(embedded.prefect_server, "ensure_server", lambda _: ServerAddress("http://127.0.0.1:1"))
    monkeypatch.setattr(embedded.prefect_server, "client_environment", lambda _: {})
    with pytest.raises(InterruptedRunError):
        embedded.run_flow("check", PARAMETERS, Console())
