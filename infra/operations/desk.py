"""The parts that scheduled operation needs on one machine, each found running or started."""

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import yaml

from flows.server import prefect_server
from infra.demo.left_running import LeftRunning
from infra.operations.dashboard_settings import TAG, kept_settings
from infra.real_parts import wait_until
from infra.real_parts.prefect_worker import PrefectWorker, ask
from tasks.oci.errors import ProgramFailedError
from tasks.stores.local_parts.processes import start_time

CLONE = Path(__file__).resolve().parents[2]
DEPLOYMENTS = Path("deployments", "prefect.yaml")
AUTOMATIONS = Path("deployments", "automations.yaml")
POOL = "layoutlift"
RUN_ENDS_WITHIN_SECONDS = 600.0
"""Ten, and one more for each 10,000 tags, of which a report is written; a run of 5,000,000 needs most of it."""
RUNS_AT_ONCE = 10
"""As many as a server on SQLite bears: what schedules missed while no worker ran begins at once."""
PATIENT = {"PREFECT_CLIENT_MAX_RETRIES": "8"}
"""As in prefect.env: a worker that can't reach its server ends, and kills its runs; with Prefect's 5 it soon does."""
PARENT_FIELD = 1  # of /proc/PID/stat, behind the program's name
SETTINGS = CLONE / "prefect.toml"
"""Where Prefect's own command, called in the clone, looks for its server."""
OURS = "# Written by `make up`"
"""How that file begins if it is ours."""


class OperationsError(Exception):
    """A part could not be started; the message says which, and what it said."""


@dataclass(frozen=True)
class Desk:
    """One server with one worker, whose records are beside the server's in its state folder.

    `settings` is the file that leads Prefect's own command to the server when it is called beside it.
    """

    state: Path
    settings: Path = SETTINGS

    @property
    def left_running(self) -> LeftRunning:
        """Which worker an earlier call has started."""
        return LeftRunning(self.state / "worker")

    def up(self) -> str:
        """Have everything running; the dashboard's address."""
        address = prefect_server.ensure_server()
        if not self.has_foreign_settings:
            self.settings.write_text(f'{OURS}, removed by `make down`.\n[api]\nurl = "{address.api}"\n')
        self._deploy(address.api)
        self._start_worker(address.api)
        return address.url

    def down(self) -> prefect_server.ServerStatus:
        """End the worker and the server, and tell which; runs, schedules and deployments stay in its database."""
        self._end_worker()
        stopped = prefect_server.stop()
        if not self.has_foreign_settings:
            self.settings.unlink(missing_ok=True)
        return stopped

    @property
    def has_foreign_settings(self) -> bool:
        """Whether the file of settings is somebody's own: that is neither written nor removed, as git has no copy."""
        return self.settings.exists() and not self.settings.read_bytes().startswith(OURS.encode())

    def _has_worker_of(self, api: str) -> bool:
        """Whether a worker runs that asks this server; a server may have another port than before."""
        earlier = self.left_running
        return earlier.exists() and earlier.is_alive() and all(asks(pid, api) for pid in earlier.pids)

    def _end_worker(self) -> None:
        if self.left_running.exists():
            for worker in self.left_running.pids:
                end_runs_of(worker)
            self.left_running.clear_away()

    def _start_worker(self, api: str) -> None:
        if self._has_worker_of(api):
            return
        self._end_worker()
        earlier = self.left_running
        earlier.begin()
        files = self.state / "worker" / "files"
        # A worker of another user may have made /tmp/runner_storage, for itself alone. Not below /tmp, which systems
        # tidy up, and not beside the log, which goes with the next worker: a run may outlive its own.
        scratch = self.state / "worker-tmp"
        scratch.mkdir(mode=0o700, exist_ok=True)
        environment = PATIENT | {"TMPDIR": str(scratch)}
        worker = PrefectWorker(files, api=api, pool=POOL, environment=environment, limit=RUNS_AT_ONCE)
        worker.start()
        earlier.add(worker)

    def _deploy(self, api: str) -> None:
        """Tell the server of the deployments, once: what was set in the dashboard stays, but it takes a while."""
        known = self.state / "deployed.sha256"
        wanted = deployed_state()
        if known.exists() and known.read_text() == wanted and has_deployments(api):
            return
        if not has_pool(api):  # else it stays as somebody set it, such as paused
            self._prefect(api, "work-pool", "create", POOL, "--type", "process")
        self._prefect(api, "block", "register", "--module", "flows.dashboard.block_types")
        with kept_settings(api, self.state / "deployed.json"):
            self._prefect(api, "deploy", "--all", "--prefect-file", str(DEPLOYMENTS))
        add_automations(api)
        known.write_text(wanted)

    def _prefect(self, api: str, *arguments: str) -> None:
        program = str(Path(sys.executable).with_name("prefect"))
        outcome = subprocess.run(
            [program, "--no-prompt", *arguments],
            cwd=CLONE,
            env=os.environ
            | {"PREFECT_API_URL": api, "PREFECT_HOME": str(self.state / "client"), "DO_NOT_TRACK": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if outcome.returncode != 0:
            raise OperationsError(f"prefect {' '.join(arguments)}:\n{outcome.stdout}{outcome.stderr}")


def has_deployments(api: str) -> bool:
    """Whether the server has deployments of ours: its database may be another one by now, or a new one."""
    return bool(ask(api, "deployments/filter", {"deployments": {"tags": {"all_": [TAG]}}, "limit": 1}))


def has_pool(api: str) -> bool:
    """Whether the server has the pool that the deployments are for."""
    return bool(ask(api, "work_pools/filter", {"work_pools": {"name": {"any_": [POOL]}}}))


def end_runs_of(worker: int) -> None:
    """Have the flow runs of a worker end in order: it kills them when it is told to end itself."""
    started = {pid: start_time(pid) for pid in children_of(worker)}
    for pid in started:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    with suppress(ProgramFailedError):  # what is left is the worker's to kill
        wait_until(
            lambda: not any(start and start_time(pid) == start for pid, start in started.items()),
            what="flow runs end",
            deadline_seconds=RUN_ENDS_WITHIN_SECONDS,
        )


def asks(worker: int, api: str) -> bool:
    """Whether this is the server that a worker was told of at its start."""
    try:
        environment = Path(f"/proc/{worker}/environ").read_bytes()
    except OSError:  # gone meanwhile
        return False
    return f"PREFECT_API_URL={api}".encode() in environment.split(b"\0")


def children_of(parent: int) -> Iterator[int]:
    """The processes that a process has started, and that live."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # gone meanwhile
            fields = path.read_text(errors="replace").rpartition(")")[2].split()
            if int(fields[PARENT_FIELD]) == parent:
                yield int(path.parent.name)


def add_automations(api: str) -> None:
    """Have the server do by itself what the file says; an automation that it has already is left as it is."""
    for automation in yaml.safe_load((CLONE / AUTOMATIONS).read_text())["automations"]:
        if not ask(api, "automations/filter", {"automations": {"name": {"any_": [automation["name"]]}}}):
            ask(api, "automations/", automation)


def deployed_state() -> str:
    """A digest of what a deployment is made of: the files, and the flows, whose parameters make its form.

    The choices of some parameters are values of `tasks`.
    """
    digest = hashlib.sha256()
    modules = (path for folder in ("flows", "tasks") for path in sorted((CLONE / folder).rglob("*.py")))
    for path in [CLONE / DEPLOYMENTS, CLONE / AUTOMATIONS, *modules]:
        digest.update(path.read_bytes())
    return digest.hexdigest()
