"""What `make up` and `make down` decide without a server: on what an earlier call left, and on runs at work."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flows.server import prefect_server
from infra.demo.left_running import LeftRunning, Running
from infra.operations import desk
from infra.operations.__main__ import main as operations
from infra.operations.desk import Desk, deployed_state
from infra.real_parts import wait_until
from infra.real_parts.prefect_worker import PrefectWorker, ask
from tasks.stores.local_parts.processes import start_time
from tests.support.collectors import receiving

API = "http://127.0.0.1:1/api"
RUN = """trap 'sleep 0.2; echo in order > ended; exit' TERM; echo > begun; while :; do sleep 0.02; done"""
WORKER = f"""sh -c "{RUN}" & trap "kill -9 $!; exit" TERM; while :; do sleep 0.02; done"""
"""A worker that kills its run when it is told to end, as Prefect's does."""


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    state = tmp_path / "prefect"
    state.mkdir()
    monkeypatch.setenv("PREFECT_HOME", str(state))
    return state


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = os.environ | {"PREFECT_API_URL": API}
    command = ["sh", "-c", WORKER]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, start_new_session=True) as process:
        try:
            wait_until((tmp_path / "begun").exists, what="the run begins")
            yield process
        finally:
            with suppress(ProcessLookupError):  # the worker and its run have ended
                os.killpg(process.pid, signal.SIGKILL)


def left_running(state: Path, worker: subprocess.Popen[bytes]) -> LeftRunning:
    """The record of an earlier call, which has started that worker."""
    left = LeftRunning(state / "worker")
    left.begin()
    running = Running(
        name="worker",
        pid=worker.pid,
        started=str(start_time(worker.pid) or ""),
        stop_signal=signal.SIGTERM,
        leftovers=[],
        mountpoint=None,
    )
    left.parts.append(running)
    left._save()
    return left


def test_a_worker_of_a_server_that_has_another_address_by_now_is_none_of_this_one_s(
    state: Path, worker: subprocess.Popen[bytes]
) -> None:
    """The local server takes a free port where the usual one is taken, each time another."""
    assert not Desk(state)._has_worker_of(API)
    left_running(state, worker)
    assert Desk(state)._has_worker_of(API)
    assert not Desk(state)._has_worker_of(API.replace(":1/", ":2/"))


def test_runs_at_work_end_in_order_before_their_worker_does(
    state: Path, tmp_path: Path, worker: subprocess.Popen[bytes]
) -> None:
    left = left_running(state, worker)
    stopped = Desk(state, tmp_path / "prefect.toml").down()
    assert str(stopped).startswith("no local Prefect server is running")
    assert (tmp_path / "ended").read_text() == "in order\n"
    assert start_time(worker.pid) is None
    assert not left.exists()


@pytest.fixture
def settings(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Prefect's own command looks for its server; all that `up` and `down` start or end is there already."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    address = SimpleNamespace(url="http://127.0.0.1:1", api=API)
    monkeypatch.setattr(prefect_server, "ensure_server", lambda: address)
    monkeypatch.setattr(prefect_server, "stop", lambda: SimpleNamespace(address=None))
    monkeypatch.setattr(prefect_server, "state_folder", lambda: state)
    for part in ("_deploy", "_start_worker"):
        monkeypatch.setattr(Desk, part, lambda *_: None)
    return tmp_path / "prefect.toml"


def test_somebody_s_own_settings_of_prefect_are_neither_overwritten_nor_removed(
    settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They are ignored by git, so nothing would bring them back."""
    settings.write_text('[api]\nurl = "https://prefect.example.com/api"\n')
    before = settings.read_bytes()
    assert operations(["up", "--settings", str(settings)]) == 0
    told = capsys.readouterr().err
    assert f"{settings} is not of make up, and stays as it is" in told
    assert f"PREFECT_API_URL={API}\n" in told
    assert settings.read_bytes() == before
    assert operations(["down", "--settings", str(settings)]) == 0
    assert settings.read_bytes() == before


def test_settings_of_ours_are_written_anew_and_removed(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert operations(["up", "--settings", str(settings)]) == 0
        assert f'url = "{API}"' in settings.read_text()
        assert capsys.readouterr().err == ""
    assert operations(["down", "--settings", str(settings)]) == 0
    assert not settings.exists()


def test_a_worker_that_never_came_up_is_not_taken_for_one_that_runs(state: Path) -> None:
    left = LeftRunning(state / "worker")
    left.begin()  # and killed, before the worker had answered
    assert left.exists()
    assert not left.is_alive()


def test_a_server_that_asks_for_a_password_is_told_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "lifter:hunter2")
    with receiving() as server, pytest.raises(json.JSONDecodeError):
        ask(server.url, "deployments/filter")
    assert server.logins == ["Basic bGlmdGVyOmh1bnRlcjI="]


def test_a_server_that_has_one_of_the_automations_is_told_of_the_others_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """What somebody changed in the dashboard stays as it is, and an earlier version knew fewer."""
    known = ["layoutlift runs: lost"]

    def asked(api: str, path: str, condition: dict[str, Any]) -> list[str]:
        if path == "automations/":
            known.append(condition["name"])
            return []
        return [name for name in known if name in condition["automations"]["name"]["any_"]]

    monkeypatch.setattr(desk, "ask", asked)
    for _ in range(2):
        desk.add_automations(API)
    assert known == ["layoutlift runs: lost", "layoutlift runs: never begun"]


@dataclass(frozen=True)
class Deploying:
    """What a server knows, by the place where it is asked for, and what Prefect's command is told for it."""

    known: dict[str, list[dict[str, str]]]
    told: list[tuple[str, ...]] = field(default_factory=list)

    def commands(self) -> list[str]:
        return [arguments[0] for arguments in self.told]


@pytest.fixture
def deploying(monkeypatch: pytest.MonkeyPatch) -> Deploying:
    deploying = Deploying({})
    monkeypatch.setattr(desk, "ask", lambda api, path, condition=None: deploying.known.get(path, []))
    monkeypatch.setattr(desk, "add_automations", lambda api: None)
    monkeypatch.setattr(desk, "kept_settings", lambda api, record: nullcontext())
    monkeypatch.setattr(Desk, "_prefect", lambda self, api, *arguments: deploying.told.append(arguments))
    return deploying


@pytest.mark.parametrize(("known_to_the_server", "deployed"), [([{"name": "nightly"}], 0), ([], 1)])
def test_deployments_are_told_again_to_a_server_that_has_none(
    state: Path, deploying: Deploying, known_to_the_server: list[dict[str, str]], deployed: int
) -> None:
    deploying.known["deployments/filter"] = known_to_the_server
    (state / "deployed.sha256").write_text(deployed_state())
    Desk(state)._deploy(API)
    assert deploying.commands().count("deploy") == deployed


@pytest.mark.parametrize("file", ["flows/migrate.py", "tasks/oci/registry_profiles.py", "deployments/prefect.yaml"])
def test_whatever_a_form_is_made_of_is_told_to_the_server_when_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    """The choices of a field, such as the kinds of registries, are in the package that the flows are built on."""
    monkeypatch.setattr(desk, "CLONE", tmp_path)
    for each in (file, desk.DEPLOYMENTS, desk.AUTOMATIONS):
        (tmp_path / each).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / each).write_text("as it was")
    before = deployed_state()
    assert deployed_state() == before
    (tmp_path / file).write_text("with one more")
    assert deployed_state() != before


@pytest.mark.parametrize(("known_to_the_server", "created"), [([{"name": "layoutlift"}], 0), ([], 1)])
def test_a_pool_that_the_server_has_stays_as_somebody_set_it(
    state: Path, deploying: Deploying, known_to_the_server: list[dict[str, str]], created: int
) -> None:
    """One that was paused for an upgrade would run on at once, and one that was limited as it likes."""
    deploying.known["work_pools/filter"] = known_to_the_server
    Desk(state)._deploy(API)
    assert deploying.commands().count("work-pool") == created


def test_its_worker_begins_no_more_runs_at_once_than_the_server_bears(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(PrefectWorker, "start", lambda worker: commands.append(worker._command()))
    monkeypatch.setattr(LeftRunning, "add", lambda left, part: None)
    Desk(state)._start_worker(API)
    (command,) = commands
    assert dict(pairwise(command))["--limit"] == "10"


def test_its_worker_starts_where_another_user_s_has_taken_the_common_folder(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prefect's `runner_storage` is in the folder for temporary files, and belongs to whoever came first."""
    environments: list[dict[str, str]] = []
    monkeypatch.setattr(PrefectWorker, "start", lambda worker: environments.append(worker._whole_environment()))
    monkeypatch.setattr(LeftRunning, "add", lambda left, part: None)
    Desk(state)._start_worker(API)
    (environment,) = environments
    own = Path(environment["TMPDIR"])
    assert own.stat().st_mode & 0o777 == 0o700
    assert own.is_relative_to(state), "below /tmp it would be gone after some days without a run"
    assert not own.is_relative_to(state / "worker"), "which goes with the next worker, and a run may outlive its own"
