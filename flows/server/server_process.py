"""The process of the local Prefect server: started so that it outlives the command, known again, ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.oci.errors import StateError
from tasks.stores.local_parts.processes import start_time
from tasks.stores.local_parts.waiting import http_status, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import BinaryIO

HOST = "127.0.0.1"
USUAL_PORT = 4200
READY_WITHIN = 120.0
STOPPED_WITHIN = 15.0
KILLED_WITHIN = 5.0
STARTED_BY = "_LAYOUTLIFT_SERVER_STARTED_BY"
"""Variable by which a server knows the process that is to write it down."""
_OK = 200
STOP_COMMAND = "layoutlift server stop"
NO_REASONS = (
    "Application startup failed. Exiting.",
    "(Background on this error at:",
    "For further information visit",
)
"""What uvicorn, SQLAlchemy and pydantic say after the reason."""

# The server outlives the command, and so must not keep the command's secrets: it gets these variables only.
INHERITED = frozenset({"HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER"})
INHERITED_PREFIXES = ("LC_", "LD_LIBRARY_PATH", "PREFECT_", "PYTHONPATH", "SSL_CERT_", "XDG_")
CLIENT_ONLY = frozenset(
    {f"PREFECT_{name}" for name in ("API_URL", "API_KEY", "API_AUTH_STRING", "CLIENT_CUSTOM_HEADERS", "PROFILE")}
    | {"PREFECT_SERVER_API_BASE_PATH"}
)


@dataclass(frozen=True)
class ServerRecord:
    """What server.json says: enough to know the process again, even if its pid was given to another since."""

    pid: int
    start_time: int
    port: int
    prefect_version: str

    @property
    def is_running(self) -> bool:
        """Whether that very process still lives."""
        return start_time(self.pid) == self.start_time

    @property
    def url(self) -> str:
        """Where that process answers."""
        return f"http://{HOST}:{self.port}"


def launch(state: Path, prefect_version: str) -> ServerRecord:
    """Start a server that outlives this process, and tell which one it is.

    The port is opened here and handed over, so that no other program can take it while the server gets ready,
    and whoever answers on it is the server that was started.
    """
    with open_port() as listener, fresh_log(state) as log:  # one that is cut short begins anew
        port = listener.getsockname()[1]
        child = subprocess.Popen(  # noqa: S603 - our own interpreter
            server_command(listener.fileno()),
            cwd=state,
            env=server_environment(state, port),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=[listener.fileno()],
            start_new_session=True,
            umask=0o077,  # its database holds blocks' secrets and the key to them, and others may see PREFECT_HOME
        )
    child.returncode = 0  # it is meant to outlive its Popen object, which would warn of that
    return ServerRecord(child.pid, start_time(child.pid) or 0, port, prefect_version)


def open_port() -> socket.socket:
    """A listening socket on the usual port, or on a free one where that is taken."""
    try:
        return listen_on(USUAL_PORT)
    except OSError:
        return listen_on(0)


def listen_on(port: int) -> socket.socket:
    """Listen, so that the port is really ours; what is accepted from it does not wait to fill packets."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind((HOST, port))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def fresh_log(state: Path) -> BinaryIO:
    """The log, with that of the server before moved aside: it may tell why that one ended.

    Prefect names there the address of a notification that fails, which is a secret of a block, too.
    """
    log = state / "server.log"
    with suppress(FileNotFoundError):
        log.replace(state / "server.log.1")
    return os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def server_command(descriptor: int) -> list[str]:
    """Prefect's application under uvicorn, as `prefect server start` runs it, on a socket that is open already."""
    command = [sys.executable, "-P", "-m", "uvicorn", "--factory", "flows.server.application:create_app"]
    options = ["--lifespan", "on", "--log-level", "warning", "--timeout-graceful-shutdown", "5"]
    return [*command, "--fd", str(descriptor), *options]


def server_environment(state: Path, port: int) -> dict[str, str]:
    """The server's environment: without the command's secrets, and with the user's own PREFECT_ settings."""
    kept = {name: value for name, value in os.environ.items() if is_inherited(name)}
    defaults = {
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_UI_API_URL": f"http://{HOST}:{port}/api",
        "PREFECT_UI_URL": f"http://{HOST}:{port}",  # what notifications link to
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": f"http://{HOST}:{port},http://localhost:{port}",  # else any page's
        "PREFECT_UI_STATIC_DIRECTORY": str(state / "ui"),  # the installed package may be read-only
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",  # of its own accord, it keeps runs for ever
        "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": "P30D",
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",  # of its own accord, word by word
        "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",  # second that the dashboard may lag
        "PREFECT_SERVER_EVENTS_EXPIRED_BUCKET_BUFFER": "P30D",  # what automations wait for, also while it is down
    }
    fixed = {
        "DO_NOT_TRACK": "1",
        "PREFECT_HOME": str(state),
        "PREFECT_SERVER_API_HOST": HOST,
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT__SERVER_FINAL": "1",  # what `prefect server start` passes to create_app
        STARTED_BY: str(os.getpid()),
    }
    return defaults | kept | fixed


def is_inherited(name: str) -> bool:
    """Whether the server gets this variable of the command's environment."""
    if name in CLIENT_ONLY:
        return False
    return name in INHERITED or name.startswith(INHERITED_PREFIXES) or name.lower().endswith("_proxy")


def wait_until_ready(record: ServerRecord, state: Path, check: Callable[[], None]) -> None:
    """Return when the server answers that it is healthy; a server that ended, or stays silent, is an error.

    `check` may raise to end the wait; the server goes on getting ready, for whoever comes next.
    """
    log = state / "server.log"

    def is_settled() -> bool:
        check()
        return is_healthy(record.port) or not record.is_running

    if not wait_for(is_settled, READY_WITHIN):
        raise StateError(
            f"the local Prefect server (pid {record.pid}) does not answer after {READY_WITHIN:.0f} s: "
            f"see {log}, or end it with `{STOP_COMMAND}`"
        )
    if not record.is_running:
        raise StateError(f"the local Prefect server ended while it started ({last_line(log)}): see {log}")


def is_healthy(port: int) -> bool:
    """Whether the server answers now; the socket is open before it does, hence the short timeout."""
    return http_status(f"http://{HOST}:{port}/api/health", timeout_seconds=1.0) == _OK


def last_line(log: Path) -> str:
    """What a program said last that tells why it ended."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return "it left no log"
    told = (line.strip() for line in reversed(lines) if not any(words in line for words in NO_REASONS))
    return next((line for line in told if line), "it said nothing")


def end_process(record: ServerRecord) -> None:
    """Ask the server to end, make it after a while, and be sure that it did."""
    for number, patience in ((signal.SIGTERM, STOPPED_WITHIN), (signal.SIGKILL, KILLED_WITHIN)):
        with suppress(ProcessLookupError):
            os.killpg(record.pid, number)
        if wait_for(lambda: not record.is_running, patience):
            collect_exit_status(record.pid)
            return
    raise StateError(f"the local Prefect server (pid {record.pid}) does not end, not even by SIGKILL")


def collect_exit_status(pid: int) -> None:
    """Leave no zombie behind where it was this very process that had started the server."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
