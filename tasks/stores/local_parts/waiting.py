"""Polling with a deadline, for programs that start or end: what is cleaned up must end though a run was stopped."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tasks.oci.errors import ProgramFailedError

if TYPE_CHECKING:
    from collections.abc import Callable

POLL_INTERVAL_SECONDS = 0.05


def wait_for(condition: Callable[[], bool], deadline_seconds: float) -> bool:
    """Whether the condition came to hold within the deadline; it is asked again and again."""
    give_up_at = time.monotonic() + deadline_seconds
    while not condition():
        if time.monotonic() > give_up_at:
            return False
        time.sleep(POLL_INTERVAL_SECONDS)
    return True


def wait_until(condition: Callable[[], bool], *, what: str, deadline_seconds: float = 30.0) -> None:
    """Ask again and again until `condition` holds.

    Raises:
        ProgramFailedError: it does not within the deadline; the message says what was awaited.
    """
    if not wait_for(condition, deadline_seconds):
        raise ProgramFailedError(f"waited {deadline_seconds:g} s in vain until {what}")


def http_status(url: str, *, timeout_seconds: float = 2.0) -> int | None:
    """The status that a loopback URL answers a GET with, None where nothing answers, or no HTTP."""
    from http.client import HTTPConnection, HTTPException  # noqa: PLC0415 - most commands never get here

    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=timeout_seconds)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}" if parts.query else parts.path)
        return connection.getresponse().status
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
