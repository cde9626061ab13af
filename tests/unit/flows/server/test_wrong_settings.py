"""A wrong setting of Prefect's is one line, not the traceback of an import."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import BaseModel, ValidationError

from flows.cli import main
from flows.forms.parameters import VerifyParameters
from flows.server.embedded import run_flow
from flows.server.prefect_server import ensure_server
from flows.server.wrong_settings import refuse_unusable_proxies, wrong_settings_told
from flows.terminal.console import Console
from tasks.oci.errors import ConfigurationError

PROGRAM = """
from flows.server.embedded import _load
from tasks.oci.errors import ConfigurationError
try:
    _load("verify")
except ConfigurationError as error:
    print(error)
"""


def loaded(folder: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A flow's module, imported in a process of its own in that folder."""
    command = [sys.executable, "-c", PROGRAM]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder, env=os.environ | variables)


def test_the_field_is_named_and_its_value_is_not(tmp_path: Path) -> None:
    ended = loaded(tmp_path, {"PREFECT_LOGGING_LEVEL": "nonsense"})
    assert "Prefect does not take level of its LoggingSettings: Input should be 'DEBUG', 'INFO'" in ended.stdout
    assert "nonsense" not in ended.stdout


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PREFECT_CLIENT_CUSTOM_HEADERS", "secret", "custom_headers"),
        ("PREFECT_LOGGING_SETTINGS_PATH", ".", "Prefect can't be loaded: .: Is a directory"),
    ],
)
def test_what_prefect_says_little_of_is_named(name: str, value: str, said: str, tmp_path: Path) -> None:
    ended = loaded(tmp_path, {name: value})
    assert (said in ended.stdout, "secret" in ended.stdout) == (True, False), ended.stdout


@pytest.mark.parametrize("name", ["PREFECT_API_SSL_CERT_FILE", "SSL_CERT_FILE"])
def test_certificates_that_are_not_there_are_named_before_a_server_is_started(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The server would not start with them either."""
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    monkeypatch.setenv(name, "ca.pem")
    with pytest.raises(ConfigurationError, match=f"^{name}: there is no file ca.pem"):
        ensure_server()
    assert not (tmp_path / "prefect").exists()


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for each in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(each, raising=False)
        monkeypatch.delenv(each.upper(), raising=False)


@pytest.mark.usefixtures("no_proxies")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NO_PROXY", "localhost,127.0.0.1,fd00::/8"),
        ("NO_PROXY", "localhost,[::1]"),
        ("ALL_PROXY", "socks5://me:hunter2@127.0.0.1:9"),
        ("all_proxy", "socks://me:hunter2@127.0.0.1:9"),
        ("HTTPS_PROXY", "http://me:hunter2@proxy:port"),
    ],
)
def test_a_proxy_that_prefect_can_not_use_is_named_before_a_server_is_started(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its client reads all of these variables as soon as there is one, whichever server it is for."""
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=f"^Prefect's client can't use what {name} says") as caught:
        ensure_server()
    assert not (tmp_path / "prefect").exists()
    assert (value in str(caught.value), "hunter2" in str(caught.value)) == (False, False)


@pytest.mark.usefixtures("no_proxies")
def test_where_several_variables_name_proxies_none_that_may_be_right_is_called_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in (("HTTP_PROXY", "http://a:1"), ("HTTPS_PROXY", "http://a:1"), ("NO_PROXY", "[::1]")):
        monkeypatch.setenv(name, value)
    said = r"^Prefect's client can't use what one of HTTP_PROXY, HTTPS_PROXY and NO_PROXY says"
    with pytest.raises(ConfigurationError, match=said):
        refuse_unusable_proxies()


WRONG = [("NO_PROXY", "[::1]"), ("SSL_CERT_FILE", "ca.pem"), ("PREFECT_API_URL", "localhost:4200")]


@pytest.mark.usefixtures("no_proxies")
@pytest.mark.parametrize(("name", "value"), WRONG)
def test_only_who_can_do_without_a_server_is_told_of_it(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.setenv(name, value)
    ended = CliRunner().invoke(main, ["alerts", "remove"])
    assert (ended.exit_code, name in ended.stderr, "--standalone" in ended.stderr) == (2, True, False)
    with pytest.raises(ConfigurationError, match=f"{name}.*; --standalone does without a server$"):
        run_flow("verify", VerifyParameters(source="/source", target="a.example"), Console())


def test_a_proxy_that_prefect_can_use_is_no_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hunter2@127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "localhost,.example,10.0.0.0/8,::1")
    refuse_unusable_proxies()


def test_a_broken_file_of_settings_in_the_folder_of_the_command_is_named(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool")
    ended = loaded(tmp_path, {})
    assert "pyproject.toml" in ended.stdout


def test_alerts_name_it_too() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "from flows.cli import main; main(['alerts', 'remove'])"],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"PREFECT_API_URL": "http://127.0.0.1:9/api", "PREFECT_LOGGING_LEVEL": "nonsense"},
    )
    assert "layoutlift: Prefect does not take level of its LoggingSettings: " in ended.stderr
    assert (ended.returncode, "Traceback" in ended.stderr) == (2, False)


def test_another_error_is_left_as_it_is() -> None:
    class Other(BaseModel):
        number: int

    with pytest.raises(ValidationError), wrong_settings_told():
        Other.model_validate({"number": "x"})
    with pytest.raises(ConfigurationError, match="number of its OtherSettings"), wrong_settings_told():
        type("OtherSettings", (Other,), {}).model_validate({"number": "x"})
