"""Free loopback ports for servers that must be told their port before they start."""

from __future__ import annotations

import random
import socket

LOOPBACK = "127.0.0.1"
# Below the range that the kernel hands to outgoing connections, so that none of those takes a port
# between this check and the server's own bind.
CANDIDATE_PORTS = range(10_240, 32_768)


def free_ports(count: int) -> list[int]:
    """Return distinct ports that nobody listens on, drawn at random so that parallel workers differ."""
    candidates = random.SystemRandom().sample(CANDIDATE_PORTS, k=len(CANDIDATE_PORTS))
    free = (port for port in candidates if _is_free(port))
    return [next(free) for _ in range(count)]


def free_port() -> int:
    """Return one port that nobody listens on."""
    return free_ports(1)[0]


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers themselves do
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True
