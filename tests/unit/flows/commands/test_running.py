"""What a user gives on standard input is the password, whole."""

import io
import os
import traceback

import pytest

from flows.commands.running import take_credentials
from tasks.oci.errors import ConfigurationError

KEY = '{\n  "type": "service_account",\n  "private_key": "-----BEGIN\\n"\n}'
"""A password of many lines: the name `_json_key` at Google's registries wants the key's file."""


class Terminal(io.StringIO):
    """Somebody who types, and ends a password with a line."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LAYOUTLIFT_TARGET_USERNAME", "LAYOUTLIFT_TARGET_PASSWORD"):
        monkeypatch.setenv(name, "")


@pytest.mark.parametrize(
    ("given", "password"),
    [
        (f"{KEY}\n", KEY),
        ("word\n", "word"),
        ("word\r\n", "word"),
        ("word", "word"),
        (" two words ", " two words "),
    ],
)
def test_all_of_standard_input_is_the_password_but_the_end_of_its_last_line(
    given: str, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(given, newline=""))
    take_credentials("_json_key", from_stdin=True)
    assert os.environ["LAYOUTLIFT_TARGET_USERNAME"] == "_json_key"
    assert os.environ["LAYOUTLIFT_TARGET_PASSWORD"] == password


@pytest.mark.parametrize("given", ["", "\n", "\r\n"], ids=repr)
def test_that_nothing_is_given_is_no_empty_password(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a registry would refuse it, or let nobody in particular in, as when a secret of a script is not set."""
    monkeypatch.setattr("sys.stdin", io.StringIO(given, newline=""))
    with pytest.raises(ConfigurationError, match="--password-stdin: standard input holds no password"):
        take_credentials("me", from_stdin=True)


@pytest.mark.parametrize("given", [b"hunter2\xff\n", b"hunter2\0\n"], ids=repr)
def test_a_password_that_is_no_text_is_refused_and_not_shown(given: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given), encoding="utf-8"))
    with pytest.raises(ConfigurationError, match=r"--password-stdin: .* is no text") as raised:
        take_credentials("me", from_stdin=True)
    assert "hunter2" not in "".join(traceback.format_exception(raised.value))


def test_at_a_terminal_a_line_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal("word\nnot for us\n")
    monkeypatch.setattr("sys.stdin", terminal)
    take_credentials(None, from_stdin=True)
    assert os.environ["LAYOUTLIFT_TARGET_PASSWORD"] == "word"
    assert terminal.readline() == "not for us\n"
