"""What of Prefect's settings and of logging is changed for the runs of this process."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prefect.context import SettingsContext, get_settings_context

from flows.terminal.log_lines import LOGGERS, is_to_stderr

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def changed_settings(part: str, name: str, value: object) -> Iterator[None]:
    """Have one setting, `name` in its `part`, be another.

    Prefect's `temporary_settings` reads all of them anew, from the environment and files, which takes a run of some
    seconds 40 ms of processor each time.
    """
    context = get_settings_context()
    changed = getattr(context.settings, part).model_copy(update={name: value})
    with SettingsContext(profile=context.profile, settings=context.settings.model_copy(update={part: changed})):
        yield


def log_to_run() -> None:
    """Let what our loggers tell reach the run: Prefect sends their records there, but sets no level.

    Who wants to see more, as by `--debug`, sees it on standard error; a run's log is not filled with each request.
    """
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if not logger.isEnabledFor(logging.INFO):
            logger.setLevel(logging.INFO)
        for handler in logger.handlers:
            if not is_to_stderr(handler):
                handler.addFilter(_is_for_run)


def _is_for_run(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.INFO or record.name.partition(".")[0] not in LOGGERS
