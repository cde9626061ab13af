"""A run that is told to stop ends in order, whoever has taken over its signals meanwhile."""

import signal
from pathlib import Path

import pytest
from prefect.exceptions import TerminationSignal

from flows import embedded
from flows.console import Console
from flows.parameters import CheckParameters
from flows.prefect_server import ServerAddress
from flows.stopping import stopped_as_before, stopped_by_signals
from tasks.oci.errors import InterruptedRunError

PARAMETERS = CheckParameters(source="/source")


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
