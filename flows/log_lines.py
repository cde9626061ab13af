"""How the command writes its log: short lines on standard error, with a traceback only when asked for."""

from __future__ import annotations

import logging
import os
import sys

from tasks.operations.reporting import printable

LOGGERS = ("flows", "tasks")
DEBUG = "LAYOUTLIFT_DEBUG"


class _Line(logging.Formatter):
    """A line a record; names from a source can't reach the terminal raw."""

    def format(self, record: logging.LogRecord) -> str:
        line = printable(f"{record.levelname.lower()}: {record.getMessage()}")
        if record.exc_info is None or not os.environ.get(DEBUG):
            return line
        return f"{line}\n{self.formatException(record.exc_info)}"


def log_to_stderr() -> None:
    """Send warnings of the engine to standard error; everything, with tracebacks, when LAYOUTLIFT_DEBUG is set."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line())
    handler.setLevel(logging.DEBUG if os.environ.get(DEBUG) else logging.WARNING)
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG if os.environ.get(DEBUG) else logging.INFO)
