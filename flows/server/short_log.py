"""How the log of a flow run tells what ended it: in a line, as the command does, and not by Prefect's tracebacks."""

from __future__ import annotations

import logging
from weakref import ref

from prefect.exceptions import CancelledRun, ParameterTypeError

from tasks.oci.errors import LayoutliftError

_WHOLE = (LayoutliftError, ParameterTypeError, CancelledRun)
"""What says all by its message; the last is what Prefect makes of a run that ends as Skipped or Rejected."""
RUN_LOGGERS = ("prefect.flow_runs", "prefect.engine")
"""Where Prefect tells of what a flow raised: up to three times, each with the whole traceback."""


class _Shortly(logging.Filter):
    """Makes one line of what Prefect tells of an error whose message says all; a defect stays as it is."""

    def __init__(self) -> None:
        super().__init__()
        self._told: ref[BaseException] | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, _WHOLE) or _whole_log_is_wanted(record):
            return True
        if self._told is not None and self._told() is error:
            return False
        self._told = ref(error)  # and not the error, which would keep all that its traceback leads to
        record.msg, record.args, record.exc_info = "%s", (str(error),), None
        if isinstance(error, CancelledRun):
            record.levelno, record.levelname = logging.INFO, logging.getLevelName(logging.INFO)
        return True


def _whole_log_is_wanted(record: logging.LogRecord) -> bool:
    return logging.getLogger(record.name).isEnabledFor(logging.DEBUG)


_SHORTLY = _Shortly()


def tell_ends_shortly() -> None:
    """Have runs of this process tell in one line of their log what ended them, where it is an error of ours.

    With Prefect's logging at `DEBUG`, they tell all of it.
    """
    for name in RUN_LOGGERS:
        logging.getLogger(name).addFilter(_SHORTLY)
