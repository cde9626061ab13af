"""What the command says of the Prefect server that its flow reports to."""

import importlib
import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import httpx
import pytest
from prefect.settings import PREFECT_API_URL

from flows.course.stopping import stopped_by_signals
from flows.forms.parameters import CheckParameters
from flows.server import embedded, prefect_server, server_process
from flows.server.prefect_server import ServerAddress, ServerStatus
from flows.server.server_process import ServerRecord
from flows.terminal.console import Console
from tasks.oci.errors import ConfigurationError, InterruptedRunError
from tasks.stores.local_parts.processes import start_time

PARAMETERS = CheckParameters(source="/source")


def test_each_run_of_a_command_looks_for_the_local_server_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    servers = [ServerAddress(f"http://127.0.0.1:{port}") for port in (1, 2)]
    started = list(servers)
    used: list[str] = []

    def start(_: object) -> ServerStatus:
        return ServerStatus(tmp_path, started.pop(0))

    monkeypatch.setattr(embedded, "_load", lambda _: lambda **_: used.append(PREFECT_API_URL.value()))
    monkeypatch.setattr(prefect_server, "start", start)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.environ", dict(os.environ))
        os.environ.pop("PREFECT_API_URL", None)
        for _ in servers:
            embedded.run_flow("check", PARAMETERS, Console())
    assert used == [server.api for server in servers]


@pytest.mark.parametrize(("field", "value"), [("report", "caf\udce9.json"), ("include", ["app", "caf\udce9"])])
def test_a_name_that_prefect_can_not_keep_is_one_line_before_a_server_is_started(
    monkeypatch: pytest.MonkeyPatch, field: str, value: object
) -> None:
    monkeypatch.setattr(prefect_server, "ensure_server", lambda _: pytest.fail("a server was started"))
    with pytest.raises(ConfigurationError, match=f"^--{field}: it is not in UTF-8, .*--standalone$"):
        embedded.run_flow("check", PARAMETERS.model_copy(update={field: value}), Console())


def test_ctrl_c_while_the_server_gets_ready_ends_the_run_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    console, asked = Console(), []
    record = ServerRecord(os.getpid(), start_time(os.getpid()), 1, prefect_server.installed_prefect())

    def not_yet(port: int) -> bool:
        asked.append(port)
        console.stop.set()
        return False

    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setattr(server_process, "is_healthy", not_yet)
    monkeypatch.setattr(server_process, "READY_WITHIN", 5.0)
    prefect_server.write_record(record, tmp_path)
    with pytest.raises(InterruptedRunError):
        embedded.run_flow("check", PARAMETERS, console)
    assert asked == [1]


@pytest.mark.parametrize("is_hidden", [False, True])
def test_ctrl_c_while_prefect_is_imported_ends_the_import(
    is_hidden: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    console, left = Console(), []

    def load(_: str) -> Callable[..., object]:
        signal.raise_signal(signal.SIGINT)
        with suppress(InterruptedRunError) if is_hidden else nullcontext():
            importlib.import_module("no_such_module")
        return pytest.fail

    @contextmanager
    def meanwhile(_: ServerAddress) -> Iterator[None]:
        try:
            yield
        finally:
            left.append(console.interrupted)

    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.setattr(embedded, "_load", load)
    monkeypatch.setattr(prefect_server, "client_environment", lambda _: {})
    with stopped_by_signals(console), pytest.raises(InterruptedRunError, match="before Prefect had begun it"):
        embedded.run_flow("check", PARAMETERS, console, meanwhile)
    assert left == [True]


def test_a_server_of_the_users_is_used_by_every_run(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[str] = []
    monkeypatch.setattr(embedded, "_load", lambda _: lambda **_: used.append(PREFECT_API_URL.value()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.environ", os.environ | {"PREFECT_API_URL": "http://127.0.0.1:9/api"})
        for _ in range(2):
            embedded.run_flow("check", PARAMETERS, Console())
    assert used == ["http://127.0.0.1:9/api"] * 2


@pytest.mark.parametrize("address", ["s3cret", "127.0.0.1:4200/api", "ftp://bob:s3cret@host/api"])
def test_what_is_no_address_of_a_server_is_refused_before_a_dashboard_is_named(
    address: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", address)
    with pytest.raises(ConfigurationError, match="PREFECT_API_URL is no address") as raised:
        embedded.run_flow("check", PARAMETERS, Console())
    assert (capsys.readouterr().err, "s3cret" in str(raised.value)) == ("", False)


def test_a_local_server_that_can_not_be_started_is_a_matter_of_configuration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "file" / "prefect"))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with pytest.raises(ConfigurationError, match=r"can't be managed in .*; --standalone does without a server"):
        embedded.run_flow("check", PARAMETERS, Console())


@pytest.mark.parametrize("password", ["S3cretPw", "S3cret@Pw"])
def test_a_server_that_refuses_is_named_without_its_password(
    password: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refused(**_: object) -> None:
        raise httpx.HTTPError(f"Client error '403 Forbidden' for url 'http://bob:{password}@127.0.0.1:9/api/flows/'")

    for name, value in {
        "PREFECT_API_URL": f"http://bob:{password}@127.0.0.1:9/api",
        "PREFECT_HOME": str(tmp_path),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(embedded, "_load", lambda _: refused)
    monkeypatch.setattr(embedded.prefect_server, "client_environment", lambda _: {})
    with pytest.raises(ConfigurationError) as raised:
        embedded.run_flow("check", PARAMETERS, Console())
    assert "http://127.0.0.1:9 can't be used (Client error '403 Forbidden' for url 'http://127.0.0.1:9/api/" in str(
        raised.value
    )
    assert "cret" not in str(raised.value)


def test_a_server_whose_certificate_is_not_trusted_is_told_with_what_helps(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def untrusted(**_: object) -> None:
        raise httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed")

    monkeypatch.setenv("PREFECT_API_URL", "https://127.0.0.1:9/api")
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.setattr(embedded, "_load", lambda _: untrusted)
    monkeypatch.setattr(embedded.prefect_server, "client_environment", lambda _: {})
    with pytest.raises(ConfigurationError, match=r"self-signed\): have PREFECT_API_SSL_CERT_FILE name its authority"):
        embedded.run_flow("check", PARAMETERS, Console())


def test_a_server_that_is_lost_when_the_outcome_was_shown_changes_nothing_of_that(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As of a benchmark, which is no run that a console watches."""
    console = Console()

    def lost(**_: object) -> None:
        console.has_shown = True
        raise httpx.ConnectError("All connection attempts failed")

    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.setattr(embedded, "_load", lambda _: lost)
    monkeypatch.setattr(embedded.prefect_server, "client_environment", lambda _: {})
    embedded.run_flow("benchmark", PARAMETERS, console)
    assert "the Prefect server at http://127.0.0.1:9 was lost" in capsys.readouterr().err


def page_of_a_proxy() -> object:
    return httpx.Response(200, text="<html>log in</html>").json()


@pytest.mark.parametrize(
    ("ask", "expected"),
    [
        (
            page_of_a_proxy,
            (ConfigurationError, r"http://127.0.0.1:9 can't be used \(what answers there is no Prefect"),
        ),
        (lambda: json.loads("a file of ours"), (RuntimeError, "Failed to reach API")),
    ],
    ids=["a page", "a defect of ours is seen whole"],
)
def test_what_answers_with_a_page_is_no_prefect_server(
    ask: Callable[[], object],
    expected: tuple[type[Exception], str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def asked(**_: object) -> None:
        try:
            ask()
        except ValueError as error:  # as Prefect does
            raise RuntimeError("Failed to reach API") from error

    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.setattr(embedded, "_load", lambda _: asked)
    monkeypatch.setattr(embedded.prefect_server, "client_environment", lambda _: {})
    with pytest.raises(expected[0], match=expected[1]):
        embedded.run_flow("check", PARAMETERS, Console())
