"""Polling with a deadline, for programs that start or end: what is cleaned up must end though a run was stopped."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

from tasks.oci.errors import ProgramFailedError

if TYPE_CHECKING:
    from collections.abc import Callable

POLL_INTERVAL_SECONDS = 0.05


def wait_until(condition: Callable[[], bool], *, what: str, deadline_seconds: float = 30.0) -> None:
    """Ask again and again until `condition` holds.

    Raises:
        ProgramFailedError: it does not within the deadline; the message says what was awaited.
    """
    give_up_at = time.monotonic() + deadline_seconds
    while not condition():
        if time.monotonic() > give_up_at:
            raise ProgramFailedError(f"waited {deadline_seconds:g} s in vain until {what}")
        time.sleep(POLL_INTERVAL_SECONDS)


def http_status(url: str, *, timeout_seconds: float = 2.0) -> int | None:
    """Return the status that a loopback URL answers with, or None where nothing answers."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy has no say on loopback
    try:
        with direct.open(url, timeout=timeout_seconds) as response:
            return int(response.status)
    except urllib.error.HTTPError as refusal:
        refusal.close()
        return refusal.code
    except OSError:
        return None
