"""Free loopback ports for servers that must be told their port before they start."""

from tasks.stores.local_parts.ports import LOOPBACK, free_port, free_ports

__all__ = ["LOOPBACK", "free_port", "free_ports"]
