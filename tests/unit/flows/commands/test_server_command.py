"""What `layoutlift server stop` says that it did."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from flows.cli import main
from flows.commands.server import server
from flows.server import prefect_server
from flows.server.prefect_server import ServerAddress, ServerStatus
from tasks.oci.errors import StateError

RUNNING = ServerStatus(Path("/state"), ServerAddress("http://127.0.0.1:4200"), 7, "3.0.0")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (RUNNING, "stopped: Prefect server 3.0.0 at http://127.0.0.1:4200 (pid 7, state folder /state)\n"),
        (ServerStatus(Path("/state")), "no local Prefect server is running (state folder /state)\n"),
    ],
)
def test_stop_says_that_the_server_was_stopped_or_that_none_ran(
    status: ServerStatus, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefect_server, "stop", lambda: status)
    assert CliRunner().invoke(server, ["stop"]).output == said


def test_a_server_that_can_not_be_started_is_no_run_that_went_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def start() -> ServerStatus:
        raise StateError("the local Prefect server can't be managed in /state")

    monkeypatch.setattr(prefect_server, "start", start)
    assert CliRunner().invoke(main, ["server", "start"]).exit_code == 2


@pytest.mark.parametrize(("status", "code"), [(RUNNING, 0), (ServerStatus(Path("/state")), 1)])
def test_a_script_can_tell_whether_a_server_runs(
    status: ServerStatus, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefect_server, "status", lambda: status)
    ended = CliRunner().invoke(server, ["status"])
    assert (ended.exit_code, ended.output) == (code, f"{status}\n")
