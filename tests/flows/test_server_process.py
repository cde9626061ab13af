"""Which process is the local Prefect server: told from others, waited for, ended; on small real processes."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from flows.course.stopping import stopped_by_signals
from flows.server import prefect_server, server_process
from flows.server.prefect_server import ensure_server, read_record, status, stop, write_record
from flows.server.server_process import ServerRecord, is_inherited, launch
from flows.terminal.console import Console
from infra.real_parts import wait_until
from tasks.oci.errors import InterruptedRunError, StateError
from tasks.stores.local_parts.ports import free_port
from tasks.stores.local_parts.processes import start_time


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    return tmp_path


@contextmanager
def stand_in(program: str = "exec sleep 60") -> Iterator[tuple[subprocess.Popen[bytes], ServerRecord]]:
    """A process that is started as the server is, and its record; it has begun its program."""
    command = ["sh", "-c", f"echo ready; {program}"]
    with subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        try:
            yield child, ServerRecord(child.pid, start_time(child.pid) or 0, 1, "3.8.8")
        finally:
            child.kill()


def test_a_server_that_stays_silent_is_told(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_process, "READY_WITHIN", 0.2)
    with stand_in() as (child, record):
        monkeypatch.setattr(prefect_server, "launch", lambda _, version: replace(record, prefect_version=version))
        with pytest.raises(StateError, match=r"does not answer after .* end it with `layoutlift server stop`"):
            ensure_server()
        assert stop().pid == child.pid
        assert not record.is_running


def test_a_server_that_nobody_lived_to_write_down_ends(state: Path) -> None:
    """As where a signal ends `layoutlift server start` just then; nobody could find it again."""
    dies = (
        "import os, sys; from pathlib import Path; from flows.server.server_process import launch; "
        "record = launch(Path(sys.argv[1]), '3.8.8'); print(record.pid, record.start_time, flush=True); os._exit(1)"
    )
    starter = subprocess.run([sys.executable, "-c", dies, state], stdout=subprocess.PIPE, text=True, check=False)
    pid, started = map(int, starter.stdout.split())
    try:
        wait_until(lambda: start_time(pid) != started, what="the server ends by itself")
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert "was ended before it had written that down" in (state / "server.log").read_text()


def test_a_server_that_can_not_be_written_down_is_ended(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the next command would start another on the same database."""
    (state / "server.json.new").mkdir()
    with stand_in() as (child, record):
        monkeypatch.setattr(prefect_server, "launch", lambda *_: record)
        with pytest.raises(StateError, match="can't be managed"):
            ensure_server()
        assert not record.is_running
        assert child.wait(5) is not None


def test_a_log_that_is_cut_short_while_the_server_runs_begins_anew(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As logrotate's copytruncate does; else a hole of the former size stands before all that comes."""
    program = "echo before; while ! test -e go; do sleep 0.02; done; echo after"
    monkeypatch.setattr(server_process, "server_command", lambda _: ["sh", "-c", program])
    log = state / "server.log"
    record = launch(state, "3.8.8")
    try:
        wait_until(lambda: log.read_text() == "before\n", what="the server says something")
        os.truncate(log, 0)
        (state / "go").touch()
        os.waitpid(record.pid, 0)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(record.pid, signal.SIGKILL)
    assert log.read_bytes() == b"after\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_wait_for_a_command_that_starts_the_server(
    number: signal.Signals, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_waiting() -> bool:
        locks = Path("/proc/locks").read_text().splitlines()
        return any("->" in line and f" {os.getpid()} " in line for line in locks)

    def tell() -> None:
        wait_until(is_waiting, what="the lock is waited for")
        os.kill(os.getpid(), number)

    console = Console()
    monkeypatch.setattr(prefect_server, "launch", lambda *_: pytest.fail("the lock was waited for to its end"))
    with (state / "server.lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        late = threading.Timer(5, fcntl.flock, (other, fcntl.LOCK_UN))
        late.start()
        teller = threading.Thread(target=tell)
        teller.start()
        with stopped_by_signals(console), pytest.raises(InterruptedRunError):
            ensure_server(console.stop.check)
        late.cancel()
        late.join()
        teller.join()
    assert console.interrupted


def test_a_process_that_got_the_pid_since_is_neither_found_nor_killed(state: Path) -> None:
    with stand_in() as (other, record):
        write_record(replace(record, start_time=record.start_time - 1), state)
        assert status().address is None
        stop()
        assert other.poll() is None
    assert not (state / "server.json").exists()


def test_a_zombie_is_gone() -> None:
    with stand_in() as (child, record):
        assert record.is_running
        os.kill(child.pid, signal.SIGKILL)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, and nobody has collected it
        assert Path(f"/proc/{child.pid}").exists()
        assert not record.is_running


def test_a_process_that_ignores_sigterm_is_killed(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_process, "STOPPED_WITHIN", 0.2)
    with stand_in("trap '' TERM; while true; do sleep 1; done") as (child, record):
        write_record(record, state)
        assert stop().pid == child.pid
        assert not record.is_running


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"pid": "x", "surplus": 1}'])
def test_a_damaged_record_means_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "server.json").write_text(text)
    assert read_record(tmp_path) is None


def test_a_program_name_with_brackets_is_read(tmp_path: Path) -> None:
    program = tmp_path / "a) S (b"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "60"]) as child:
        assert start_time(child.pid) == int(Path(f"/proc/{child.pid}/stat").read_text().split()[-31])
        child.kill()


def test_a_port_that_is_taken_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with server_process.listen_on(free_port()) as holder:
        port = holder.getsockname()[1]
        monkeypatch.setattr(server_process, "USUAL_PORT", port)
        with server_process.open_port() as other:
            assert other.getsockname()[1] != port
    with server_process.open_port() as now_free:
        assert now_free.getsockname()[1] == port


@pytest.mark.parametrize(
    "name",
    [
        "PATH",
        "LC_ALL",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL",
        "PREFECT_SERVER_API_AUTH_STRING",
        "https_proxy",
        "NO_PROXY",
    ],
)
def test_what_the_server_needs_is_inherited(name: str) -> None:
    assert is_inherited(name)


@pytest.mark.parametrize(
    "name",
    ["AWS_SECRET_ACCESS_KEY", "LAYOUTLIFT_TARGET_PASSWORD", "PREFECT_API_URL", "PREFECT_API_AUTH_STRING", "CI_TOKEN"],
)
def test_what_it_must_not_keep_is_not(name: str) -> None:
    assert not is_inherited(name)
