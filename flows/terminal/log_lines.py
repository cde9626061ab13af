"""How the command writes its log: short lines on standard error, with a traceback only when asked for."""

from __future__ import annotations

import logging
import os
import sys
from typing import TextIO

from tasks.operations.reports.shown_text import printable

LOGGERS = ("flows", "tasks")
DEBUG = "LAYOUTLIFT_DEBUG"
"""Set for the whole log."""
FLOW_RUN = "flow_run_id"
"""The attribute by which a record names its flow run where its thread does not; Prefect's handler looks for it."""


class _Line(logging.Formatter):
    """A line a record; names from a source can't reach the terminal raw."""

    def format(self, record: logging.LogRecord) -> str:
        line = printable(f"{record.levelname.lower()}: {record.getMessage()}")
        if record.exc_info is None or not os.environ.get(DEBUG):
            return line
        told = self.formatException(record.exc_info).split("\n")
        return "\n".join([line, *map(printable, told)])


class _ToStderr(logging.StreamHandler[TextIO]):
    """Writes lines to standard error as it is at the moment: bars on a terminal take it over while they are shown."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(_Line())
        self.setLevel(logging.DEBUG if os.environ.get(DEBUG) else logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def log_to_stderr() -> None:
    """Send warnings of the engine to standard error; everything, with tracebacks, when LAYOUTLIFT_DEBUG is set.

    A second call takes the place of the first.
    """
    handler = _ToStderr()
    for name in LOGGERS:
        logger = logging.getLogger(name)
        for before in filter(is_to_stderr, list(logger.handlers)):
            logger.removeHandler(before)
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG if os.environ.get(DEBUG) else logging.INFO)


def is_to_stderr(handler: logging.Handler) -> bool:
    """Whether it is what `log_to_stderr` adds to a logger."""
    return isinstance(handler, _ToStderr)
