"""What the log shows on a terminal, with tracebacks where somebody asked for them."""

import logging
import sys

import pytest

from flows.terminal.log_lines import DEBUG, _Line


def test_a_traceback_that_was_asked_for_does_not_steer_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        raise ValueError("a name: \x1b]0;owned\x07")
    except ValueError:
        record = logging.LogRecord("tasks", logging.ERROR, __file__, 1, "unexpected", (), sys.exc_info())
    assert _Line().format(record) == "error: unexpected"
    monkeypatch.setenv(DEBUG, "1")
    lines = _Line().format(record).split("\n")
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[-1] == r"ValueError: a name: \x1b]0;owned\x07"
