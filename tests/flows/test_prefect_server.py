"""The local Prefect server, on real ones: one shared by most tests, and a few short-lived ones of their own."""

import http.client
import json
import os
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from flows.server import prefect_server, server_process
from flows.server.prefect_server import (
    ServerAddress,
    client_environment,
    ensure_server,
    has_no_variable,
    read_record,
    start,
    status,
    stop,
    write_record,
)
from flows.server.server_process import ServerRecord
from tasks.oci.errors import ConfigurationError, StateError
from tests.support.prefect_history import PrefectHistory

SECRET = "hunter2-of-the-command"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
UNSET = ("PREFECT_API_URL", "PREFECT_HOME", "XDG_STATE_HOME", *PROXIES, *map(str.lower, PROXIES))


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in UNSET:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerRecord]:
    state = tmp_path_factory.mktemp("shared") / "prefect"
    with pytest.MonkeyPatch.context() as patch:
        for name in UNSET:
            patch.delenv(name, raising=False)
        patch.setenv("PREFECT_HOME", str(state))
        patch.setenv("LAYOUTLIFT_TARGET_PASSWORD", SECRET)
        start()
        record = read_record(state)
        assert record is not None
        yield record
        stop()
    assert not record.is_running


@pytest.fixture
def server(shared_server: ServerRecord, monkeypatch: pytest.MonkeyPatch) -> ServerRecord:
    """The shared server is the one that this test's commands find."""
    environ = Path(f"/proc/{shared_server.pid}/environ").read_bytes().decode().split("\0")
    home = next(entry for entry in environ if entry.startswith("PREFECT_HOME="))
    monkeypatch.setenv("PREFECT_HOME", home.partition("=")[2])
    return shared_server


@pytest.fixture
def own_state(server: ServerRecord, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A state folder of the test's own, its database migrated already; whatever runs on it is stopped after."""
    shared, own = prefect_server.state_folder(), tmp_path / "own"
    own.mkdir()
    with (
        closing(sqlite3.connect(shared / "prefect.db")) as source,
        closing(sqlite3.connect(own / "prefect.db")) as to,
    ):
        source.backup(to)
    monkeypatch.setenv("PREFECT_HOME", str(own))
    yield own
    stop()


def run_python(program: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(program)]
    return subprocess.run(
        command, env=os.environ | variables, capture_output=True, text=True, timeout=240, check=False
    )


def post(server: ServerRecord, path: str) -> list[dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    with closing(connection):
        connection.request("POST", path, body="{}", headers={"Content-Type": "application/json"})
        answer: list[dict[str, str]] = json.load(connection.getresponse())
        return answer


def get(server: ServerRecord, path: str) -> str:
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        connection.request("GET", path, headers={"Accept": "text/html"})
        return connection.getresponse().read().decode()


FLOW = """
    import logging, os
    from flows.server.prefect_server import client_environment, ensure_server
    os.environ.update(client_environment(ensure_server()))
    from prefect import flow, task
    logging.getLogger("tasks").setLevel("INFO")

    @task
    def shout(word):
        logging.getLogger("tasks.shout").info("shouted %s", word)
        return word.upper()

    @flow
    def trivial(fail):
        words = [future.result() for future in shout.map(["a", "b", "c"])]
        if fail:
            raise ValueError("on purpose")
        return words

    try:
        print(trivial(FAIL))
    except ValueError as error:
        print(error)
"""


# -- a running server


def test_what_tasks_tell_it_is_written_down_together_and_soon(server: ServerRecord) -> None:
    recorder = json.loads(get(server, "/api/admin/settings"))["server"]["services"]["task_run_recorder"]
    assert recorder["batch_size"] > 1
    assert recorder["flush_interval"] <= 1


def test_it_is_found_again_and_not_started_twice(server: ServerRecord) -> None:
    assert ensure_server() == ensure_server() == ServerAddress(server.url)
    assert status().pid == start().pid == server.pid


def test_status_names_address_pid_version_and_folder(server: ServerRecord) -> None:
    for part in (server.url, str(server.pid), server.prefect_version, str(prefect_server.state_folder())):
        assert part in str(status())


def test_the_dashboard_is_served_and_talks_to_its_own_server(server: ServerRecord) -> None:
    assert "<html" in get(server, "/v2/")
    assert json.loads(get(server, "/ui-settings"))["api_url"] == f"{server.url}/api"


@pytest.mark.parametrize("method", ["OPTIONS", "POST"])
def test_pages_of_others_in_a_browser_of_this_machine_may_ask_it_nothing(server: ServerRecord, method: str) -> None:
    """Or any page that somebody opens could read the secrets of blocks, and have a worker run what it likes."""
    own, by_name = server.url, server.url.replace("127.0.0.1", "localhost")
    allowed = {origin: may_ask(server, origin, method) for origin in (own, by_name, "https://evil.example", "null")}
    assert allowed == {own: own, by_name: by_name, "https://evil.example": None, "null": None}


def may_ask(server: ServerRecord, origin: str, method: str) -> str | None:
    """Which origin's pages may read the answer, as the server says to a browser."""
    headers = {"Origin": origin, "Content-Type": "application/json"}
    headers |= {"Access-Control-Request-Method": "POST"} if method == "OPTIONS" else {}
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        connection.request(method, "/api/block_documents/filter", body='{"include_secrets": true}', headers=headers)
        return connection.getresponse().headers["Access-Control-Allow-Origin"]


def test_a_variable_is_missing_only_where_the_server_itself_says_so(server: ServerRecord) -> None:
    address = ServerAddress(server.url)
    assert has_no_variable("layoutlift_limits", address, 30.0)
    with PrefectHistory(server.url).variable("layoutlift_limits", {}):
        assert not has_no_variable("layoutlift_limits", address, 30.0)
    assert not has_no_variable("layoutlift_limits", ServerAddress("http://127.0.0.1:1"), 30.0)


def test_it_does_not_keep_the_secrets_of_the_command_that_started_it(server: ServerRecord) -> None:
    assert SECRET.encode() not in Path(f"/proc/{server.pid}/environ").read_bytes()


def test_it_is_in_a_session_of_its_own(server: ServerRecord) -> None:
    assert os.getsid(server.pid) == server.pid != os.getsid(0)


@pytest.mark.parametrize(("fail", "output"), [("False", "['A', 'B', 'C']\n"), ("True", "on purpose\n")])
def test_a_flow_runs_against_it_and_only_its_own_output_is_seen(server: ServerRecord, fail: str, output: str) -> None:
    result = run_python(FLOW.replace("FAIL", fail), HTTP_PROXY="http://127.0.0.1:9", NO_PROXY="internal")
    assert (result.stdout, result.stderr) == (output, "")
    assert "shouted b" in {log["message"] for log in post(server, "/api/logs/filter")}


def test_a_server_of_another_version_is_refused(server: ServerRecord) -> None:
    state = prefect_server.state_folder()
    write_record(replace(server, prefect_version="3.0.0"), state)
    try:
        with pytest.raises(ConfigurationError, match=r"is version 3\.0\.0, .* run `layoutlift server stop`"):
            ensure_server()
        assert status().version == "3.0.0"
    finally:
        write_record(server, state)


# -- starting and stopping


def test_start_and_stop(own_state: Path, server: ServerRecord) -> None:
    assert "no local Prefect server" in str(status())
    started = start()
    assert started.address is not None
    assert started.address.url != server.url, "the port of the shared server is taken"
    record = read_record(own_state)
    assert record is not None
    assert stop() == started
    assert not record.is_running
    assert status().address is None
    assert stop().address is None


def test_two_commands_at_once_start_one_server(own_state: Path) -> None:
    program = "from flows.server.prefect_server import *; print(ensure_server().url, status().pid)"
    commands = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) for _ in range(2)]
    first, second = (command.communicate(timeout=240)[0].decode() for command in commands)
    assert first == second
    assert str(status().pid) in first, "and it goes on when the commands have ended"


@pytest.mark.usefixtures("server")
def test_nobody_else_can_read_the_database_or_the_log_of_a_server() -> None:
    """Whoever may enter the folder, which may be a PREFECT_HOME of the user's own."""
    state = prefect_server.state_folder()
    databases = list(state.glob("prefect.db*"))
    assert databases
    files = [*databases, state / "server.log"]
    assert {path.name for path in files if path.stat().st_mode & 0o077} == set()


def test_a_server_that_ends_while_it_starts_is_told_with_its_last_words(own_state: Path) -> None:
    (own_state / "prefect.db").write_bytes(b"no database" * 100)
    with pytest.raises(
        StateError, match=r"ended while it started \(.*not a database.*\): see .*server\.log"
    ) as caught:
        ensure_server()
    assert "\n" not in str(caught.value)
    assert status().address is None


# -- the environment


@pytest.mark.parametrize(
    ("api_url", "dashboard"),
    [("http://prefect:4200/api", "http://prefect:4200"), ("https://cloud/api/workspaces/1",) * 2],
)
def test_a_server_named_by_the_user_is_used_as_it_is(
    monkeypatch: pytest.MonkeyPatch, api_url: str, dashboard: str
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", api_url)
    monkeypatch.delenv("PREFECT_HOME")
    address = ensure_server()
    assert (address.url, address.api) == (dashboard, api_url)
    assert "PREFECT_HOME" not in client_environment(address)


def test_other_pages_are_let_in_where_the_user_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PREFECT_SERVER_CORS_ALLOWED_ORIGINS", "https://dashboard.example")
    environment = server_process.server_environment(tmp_path, 4200)
    assert environment["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] == "https://dashboard.example"


def test_what_the_user_set_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_LOGGING_EXTRA_LOGGERS", "mine")
    environment = client_environment(ServerAddress("http://127.0.0.1:4200"))
    assert environment["PREFECT_LOGGING_EXTRA_LOGGERS"] == "mine"
    assert environment["PREFECT_API_URL"] == "http://127.0.0.1:4200/api"
    assert environment["PREFECT_HOME"] == os.environ["PREFECT_HOME"]


def test_the_state_folder_follows_the_xdg_convention(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PREFECT_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    for xdg in ("", "relative"):
        monkeypatch.setenv("XDG_STATE_HOME", xdg)
        assert prefect_server.state_folder() == tmp_path / ".local" / "state" / "layoutlift" / "prefect"
    monkeypatch.setenv("XDG_STATE_HOME", "/x")
    assert prefect_server.state_folder() == Path("/x/layoutlift/prefect")


def test_a_state_folder_that_cannot_be_made_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "file" / "prefect"))
    with pytest.raises(StateError, match="can't be managed in"):
        ensure_server()
    assert status().address is None


def test_the_record_is_plain_json(tmp_path: Path) -> None:
    record = ServerRecord(pid=1, start_time=2, port=3, prefect_version="4")
    write_record(record, tmp_path)
    assert json.loads((tmp_path / "server.json").read_text()) == asdict(record)


def test_importing_it_does_not_import_prefect() -> None:
    result = run_python(
        "import sys, flows.server.prefect_server; print('prefect' in sys.modules, len(sys.modules) < 250)"
    )
    assert result.stdout == "False True\n"
