"""Polling with a deadline: the only place in the project's test machinery that sleeps."""

import time
import urllib.error
import urllib.request
from collections.abc import Callable

from infra.real_parts.errors import PartFailedError

POLL_INTERVAL_SECONDS = 0.05


def wait_until(condition: Callable[[], bool], *, what: str, deadline_seconds: float = 30.0) -> None:
    """Ask again and again until `condition` holds; past the deadline, fail and say what was awaited."""
    give_up_at = time.monotonic() + deadline_seconds
    while not condition():
        if time.monotonic() > give_up_at:
            raise PartFailedError(f"waited {deadline_seconds:g} s in vain until {what}")
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
