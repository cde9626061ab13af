"""What of Prefect's settings and of logging is changed for the runs of this process."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from prefect.context import FlowRunContext, SettingsContext, TaskRunContext, get_settings_context
from prefect.runtime import flow_run

from flows.terminal.log_lines import FLOW_RUN, LOGGERS, is_to_stderr

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


@contextmanager
def logged_to_run() -> Iterator[None]:
    """Let what our loggers tell in the block reach the flow run: Prefect sends it there, but sets no level.

    Who wants to see more, as by `--debug`, sees it on standard error; a run's log is not filled with each request.
    """
    whose = _Whose(flow_run.get_id())
    handlers = [each for name in LOGGERS for each in _handlers_of_runs(logging.getLogger(name))]
    for handler in handlers:
        handler.addFilter(_is_for_run)
        handler.addFilter(whose)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(whose)


def _handlers_of_runs(logger: logging.Logger) -> list[logging.Handler]:
    """What brings a logger's records to runs; from now on it tells at least what goes there."""
    if not logger.isEnabledFor(logging.INFO):
        logger.setLevel(logging.INFO)
    return [handler for handler in logger.handlers if not is_to_stderr(handler)]


def _is_for_run(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.INFO or record.name.partition(".")[0] not in LOGGERS


class _Whose(logging.Filter):
    """Names the flow run in records of threads that Prefect ascribes to no run.

    Such are those that began before it was loaded.
    """

    def __init__(self, run: str | None) -> None:
        super().__init__()
        self._run = run

    def filter(self, record: logging.LogRecord) -> bool:
        if self._run is not None and FlowRunContext.get() is None and TaskRunContext.get() is None:
            setattr(record, FLOW_RUN, self._run)
        return True
