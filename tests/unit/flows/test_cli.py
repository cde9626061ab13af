"""The command's own frame, before any command of it does something."""

import os
import subprocess
import sys

import pytest


def shown(*arguments: str, **environment: str) -> str:
    """What the command prints, as bytes of any encoding that has ASCII."""
    program = [sys.executable, "-c", "from flows.cli import main; main()", *arguments]
    ended = subprocess.run(program, env=os.environ | environment, capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert b"Traceback" not in ended.stderr
    return ended.stdout.decode("latin-1")


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_a_terminal_of_any_encoding_gets_the_text(encoding: str) -> None:
    assert "regex:" in shown("plan", "--help", PYTHONIOENCODING=encoding)


def test_what_an_encoding_lacks_is_shown_as_escapes() -> None:
    assert "\\u2026" in shown("plan", "--help", PYTHONIOENCODING="latin-1")
