"""What the log shows on a terminal, with tracebacks where somebody asked for them."""

import io
import logging
import sys

import pytest
from rich.console import Console
from rich.progress import Progress

from flows.terminal.log_lines import DEBUG, LOGGERS, _Line, log_to_stderr


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


def test_a_warning_stands_on_a_line_of_its_own_above_the_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(sys, "stderr", terminal)
    for name in LOGGERS:
        monkeypatch.setattr(logging.getLogger(name), "handlers", [])
    log_to_stderr()
    with Progress(console=Console(file=terminal, force_terminal=True, width=80), auto_refresh=False) as bars:
        bars.add_task("tags", total=2)
        bars.refresh()
        logging.getLogger("flows").warning("a tag is refused")
    before = terminal.getvalue().partition("warning: a tag is refused\n")[0]
    assert before.endswith("\x1b[2K"), "the bar is taken away before something else is written in its place"
