"""The local Prefect server: found or started for a command, kept running for the next one and the dashboard.

One server belongs to one state folder, which is its PREFECT_HOME and holds

    prefect.db    its SQLite database: the history of runs
    server.json   which process it is: pid, start time of that process, port, Prefect's version
    server.lock   held while a server is looked for, started or stopped, so that two commands start one
    server.log    what it printed since its start; server.log.1 is the one before

Nothing here imports Prefect: where it is found has to be in the environment before Prefect is imported.
"""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flows.course.stopping import ending_waits
from flows.server.server_process import (
    HOST,
    STOP_COMMAND,
    ServerRecord,
    end_process,
    launch,
    wait_until_ready,
)
from flows.server.wrong_settings import refuse_missing_certificates, refuse_unusable_proxies
from tasks.oci.errors import ConfigurationError, StateError
from tasks.stores.local_parts.waiting import http_status
from tasks.stores.state.state_directory import default_state_root, made_state_root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_NOT_FOUND = 404


@dataclass(frozen=True)
class ServerAddress:
    """Where a Prefect server answers; `url` is the dashboard's address."""

    url: str
    api_path: str = "/api"

    @property
    def api(self) -> str:
        """What PREFECT_API_URL has to be."""
        return self.url + self.api_path

    @property
    def shown(self) -> str:
        """The dashboard's address without a name and password that it may hold."""
        scheme, slashes, rest = self.url.partition("://")
        return scheme + slashes + rest.rpartition("@")[2]


@dataclass(frozen=True)
class ServerStatus:
    """The local server as `server status` tells of it; without `address` none is running."""

    state: Path
    address: ServerAddress | None = None
    pid: int | None = None
    version: str | None = None

    def __str__(self) -> str:
        if self.address is None:
            return f"no local Prefect server is running (state folder {self.state})"
        return f"Prefect server {self.version} at {self.address.url} (pid {self.pid}, state folder {self.state})"


def ensure_server(check: Callable[[], None] = lambda: None) -> ServerAddress:
    """The server that flows report to: PREFECT_API_URL's where that is set, else the local one, ready to answer.

    `check` is called while it gets ready, and may raise to end the wait.
    """
    refuse_missing_certificates()
    refuse_unusable_proxies()
    if external := os.environ.get("PREFECT_API_URL"):
        return external_address(external)
    status = start(check)
    if status.address is None:
        raise StateError(str(status))
    return status.address


def running_server() -> ServerAddress:
    """As `ensure_server`, for what is of no use on a server that has just been started.

    None is started as far as can be told: one that ends between the look and its use is replaced.

    Raises:
        ConfigurationError: there is none.
    """
    refuse_missing_certificates()
    refuse_unusable_proxies()
    if would_start():
        raise ConfigurationError(
            f"{status()}, and PREFECT_API_URL names no other: set it, or run `layoutlift server start` first"
        )
    return ensure_server()


def would_start() -> bool:
    """Whether `ensure_server` would have to start a server, as far as can be told without waiting for others.

    Raises:
        StateError: the record of the local one can't be read.
    """
    return not os.environ.get("PREFECT_API_URL") and read_record(state_folder()) is None


def start(check: Callable[[], None] = lambda: None) -> ServerStatus:
    """Start the local server unless it is running, and wait until it answers, or `check` raises."""
    with locked_state(check) as state:
        record = read_record(state)
        if record is None:
            record = launched(state)
        refuse_other_version(record)
        wait_until_ready(record, state, check)
        return status_of(record, state)


def launched(state: Path) -> ServerRecord:
    """Start a server and write down which it is; one that nobody could find again is ended."""
    record = launch(state, installed_prefect())
    try:
        write_record(record, state)
    except OSError:
        end_process(record)
        raise
    return record


def stop() -> ServerStatus:
    """Stop the local server, and tell what was stopped; none running is as good."""
    with locked_state() as state:
        record = read_record(state)
        if record is not None:
            end_process(record)
        record_path(state).unlink(missing_ok=True)
        return status_of(record, state)


def status() -> ServerStatus:
    """What is running now, without waiting for a command that is starting or stopping it."""
    state = state_folder()
    return status_of(read_record(state), state)


def has_no_variable(name: str, address: ServerAddress, patience: float) -> bool:
    """Whether the local server says that it keeps no such variable; where it says anything else, it may."""
    return http_status(f"{address.api}/variables/name/{name}", timeout_seconds=patience) == _NOT_FOUND


def client_environment(address: ServerAddress) -> dict[str, str]:
    """What must be in `os.environ` before Prefect is imported by the command; what the user set already wins.

    Prefect's own console handlers are silenced, because the command prints results, progress and errors itself;
    records of the loggers `tasks` and `flows` go to the run, where the dashboard shows them. For a server of the
    user's own, PREFECT_HOME stays theirs too: the key to that server may be in its profile. The local one's version
    is known, so that Prefect need not ask for it.
    """
    local = {"PREFECT_HOME": str(state_folder()), "PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED": "false"}
    wanted = ({} if os.environ.get("PREFECT_API_URL") else local) | {
        "PREFECT_API_URL": address.api,
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_EVENTS_WORKER_MAX_QUEUE_SIZE": "20000",
        "PREFECT_LOGGING_EXTRA_LOGGERS": "tasks,flows",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_HANDLERS_DEBUG_LEVEL": "CRITICAL",
    }
    return wanted | {name: os.environ[name] for name in wanted if name in os.environ} | past_proxies(address)


def past_proxies(address: ServerAddress) -> dict[str, str]:
    """Keep requests to the local server away from a proxy, which would look for it on its own machine."""
    proxied = any(name.lower() in {"http_proxy", "all_proxy"} for name in os.environ)
    if not proxied or not address.url.startswith(f"http://{HOST}:"):
        return {}
    exceptions = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    if exceptions == "*" or HOST in exceptions.split(","):
        return {}
    return {"no_proxy": f"{exceptions},{HOST}".lstrip(",")}


def external_address(api_url: str) -> ServerAddress:
    """The address behind PREFECT_API_URL, whose API is used exactly as given.

    Raises:
        ConfigurationError: it is no address; what it is may be a secret, and is not repeated.
    """
    if not api_url.lower().startswith(("http://", "https://")):
        raise ConfigurationError(
            "PREFECT_API_URL is no address of a server, as http://127.0.0.1:4200/api is; correct it, or unset it"
        )
    dashboard = api_url.removesuffix("/api")
    return ServerAddress(dashboard, api_url[len(dashboard) :])


def state_folder() -> Path:
    """PREFECT_HOME where it is set, else a part of our own state folder."""
    if home := os.environ.get("PREFECT_HOME"):
        return Path(home).expanduser().absolute()
    return default_state_root(os.environ) / "prefect"


def status_of(record: ServerRecord | None, state: Path) -> ServerStatus:
    """A record in the words of `server status`."""
    if record is None:
        return ServerStatus(state)
    return ServerStatus(state, ServerAddress(record.url), record.pid, record.prefect_version)


@contextmanager
def locked_state(check: Callable[[], None] = lambda: None) -> Iterator[Path]:
    """The state folder, made if need be, while no other command looks at its server; ends with the process.

    A signal ends the wait for that other command where `check` then raises.
    """
    state = state_folder()
    if not os.environ.get("PREFECT_HOME"):
        made_state_root(os.environ)
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (state / "server.lock").open("a") as lock:
            with ending_waits(check):
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield state
    except OSError as error:
        raise StateError(f"the local Prefect server can't be managed in {state}: {error}") from error


def record_path(state: Path) -> Path:
    """Where the running server is written down."""
    return state / "server.json"


def read_record(state: Path) -> ServerRecord | None:
    """The server that runs on this state folder; a record that is missing, unreadable or stale means none."""
    try:
        fields = json.loads(record_path(state).read_text(encoding="utf-8"))
        record = ServerRecord(**fields)
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
        return None
    except OSError as error:
        raise StateError(f"can't read {record_path(state)}: {error.strerror}") from error
    return record if record.is_running else None


def write_record(record: ServerRecord, state: Path) -> None:
    """Put the record in place whole, so that a reader never sees half of it."""
    fresh = record_path(state).with_suffix(".json.new")
    fresh.write_text(json.dumps(asdict(record)) + "\n", encoding="utf-8")
    fresh.replace(record_path(state))


def installed_prefect() -> str:
    """The version of Prefect that this command would import."""
    from importlib.metadata import version  # noqa: PLC0415 - most commands never get here

    return version("prefect")


def refuse_other_version(record: ServerRecord) -> None:
    """Client and server of different versions misunderstand each other in ways that show only later."""
    ours = installed_prefect()
    if record.prefect_version != ours:
        raise ConfigurationError(
            f"the local Prefect server (pid {record.pid}, {record.url}) is version {record.prefect_version}, "
            f"this layoutlift uses {ours}: run `{STOP_COMMAND}`, then try again"
        )
