"""A real program that serves until it is stopped: start, readiness, end, log."""

from tasks.stores.local_parts.server import STOP_DEADLINE_SECONDS, Server

__all__ = ["STOP_DEADLINE_SECONDS", "Server"]
