"""Polling with a deadline, as the command's own benchmark does, with more patience."""

from collections.abc import Callable

from tasks.stores.local_parts import waiting
from tasks.stores.local_parts.waiting import http_status

__all__ = ["http_status", "wait_until"]

PATIENCE_SECONDS = 120.0
"""What is awaited comes at once on a quiet machine; on a busy one, the start of a flow alone may take 30 s."""


def wait_until(condition: Callable[[], bool], *, what: str, deadline_seconds: float = PATIENCE_SECONDS) -> None:
    """Ask again and again until `condition` holds.

    Raises:
        ProgramFailedError: it does not within the deadline; the message says what was awaited.
    """
    waiting.wait_until(condition, what=what, deadline_seconds=deadline_seconds)
