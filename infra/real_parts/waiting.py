"""Polling with a deadline; the command's own benchmark waits the same way."""

from tasks.stores.local_parts.waiting import http_status, wait_until

__all__ = ["http_status", "wait_until"]
