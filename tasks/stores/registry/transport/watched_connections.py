"""Connections that notice a peer which goes on, but hardly, and that can be broken when the run ends.

A socket's timeout starts anew with every byte when receiving, so that a byte a minute keeps a connection for
ever; and it bounds a whole `sendall`, so that a slow but honest line fails. Here both are judged alike, by
what moved while we waited for the peer.
"""

from __future__ import annotations

import io
import socket
import ssl
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.ssltransport import SSLTransport

from tasks.stores.registry.transport.bounded_responses import BoundedResponse

if TYPE_CHECKING:
    from tasks.ports import Buffer

LEAST_BYTES_A_SECOND = 64
"""What a peer must move on average over a stall deadline; 16 workers on a modem line get more each."""
COMMITTED_BYTES_A_SECOND = 20_000_000
"""How fast a registry must be able to hash or copy what it was sent, before it answers."""
_BUFFER = 64 * 1024
_TLS_RECORD = 16 * 1024
"""Bytes that TLS sends in one piece (RFC 8446 section 5.1)."""


class ProgressFloor:
    """Adds up waiting and bytes, and says when there was too little of these for that much waiting."""

    def __init__(self, deadline: float) -> None:
        """Judge after every `deadline` seconds of waiting."""
        self.deadline = deadline
        self._waited = 0.0
        self._moved = 0

    def note(self, seconds: float, moved: int) -> None:
        """Note that `moved` bytes passed while we waited for `seconds`.

        Raises:
            TimeoutError: the peer hardly moves.
        """
        self._waited += seconds
        self._moved += moved
        if self._waited < self.deadline:
            return
        if self._moved < self.deadline * LEAST_BYTES_A_SECOND:
            raise TimeoutError(f"only {self._moved} bytes in {self._waited:.0f} s")
        self._waited, self._moved = 0.0, 0


class WatchedSocket:
    """A socket whose sending and receiving is judged by a floor; everything else is the socket's own."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline
        self._sending = ProgressFloor(deadline)
        self._receiving = ProgressFloor(deadline)
        self._unanswered = 0
        self._timeout: float | None = None
        # TLS takes what it is given whole, or not at all: within one deadline that must be little
        self._at_once = _TLS_RECORD if isinstance(sock, ssl.SSLSocket | SSLTransport) else None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def settimeout(self, _: float | None) -> None:
        """The deadline is set once, here; others would set a total one for a whole answer."""

    def _set_timeout(self, seconds: float) -> None:
        """Each setting is a system call, and most would set what is set already."""
        if seconds != self._timeout:
            self._sock.settimeout(seconds)
            self._timeout = seconds

    def sendall(self, data: Buffer, flags: int = 0) -> None:
        """Send all of it, for as long as the peer takes some.

        Raises:
            TimeoutError: the peer takes hardly anything any more.
        """
        rest = memoryview(data).cast("B")
        self._unanswered += len(rest)
        self._set_timeout(self._deadline)
        while rest:
            started = time.monotonic()
            sent = self._sock.send(rest[: self._at_once], flags)
            self._sending.note(time.monotonic() - started, sent)
            rest = rest[sent:]

    def makefile(self, mode: str, *_: Any, **__: Any) -> io.BufferedReader:
        """What `http.client` reads an answer from."""
        del mode
        self._sending = ProgressFloor(self._deadline)
        self._receiving = ProgressFloor(self._deadline)
        return io.BufferedReader(_WatchedRaw(self), _BUFFER)

    def receive_into(self, raw: io.RawIOBase, buffer: Any) -> int | None:
        """Read as `raw` does; the first bytes of an answer may take longer after much was sent.

        Raises:
            TimeoutError: hardly anything comes.
        """
        extra, self._unanswered = self._unanswered // COMMITTED_BYTES_A_SECOND, 0
        self._set_timeout(self._deadline + extra)
        started = time.monotonic()
        count: int | None = raw.readinto(buffer)
        self._receiving.note(max(0.0, time.monotonic() - started - extra), count or 0)
        return count


class _WatchedRaw(io.RawIOBase):
    def __init__(self, sock: WatchedSocket) -> None:
        self._watched = sock
        self._raw: io.RawIOBase = sock._sock.makefile("rb", buffering=0)  # noqa: SLF001 - its other half

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        return self._watched.receive_into(self._raw, buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class OpenConnections:
    """All connections of a pool, in use or idle."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._lock = threading.Lock()
        self._sockets: weakref.WeakSet[WatchedSocket] = weakref.WeakSet()
        self._broken = False

    def watch(self, sock: socket.socket) -> WatchedSocket:
        """Watch a new connection."""
        watched = WatchedSocket(sock, self._deadline)
        with self._lock:
            self._sockets.add(watched)
            broken = self._broken
        if broken:
            _shut(watched)
        return watched

    def break_all(self) -> None:
        """End every connection, so that whoever waits on one is let go at once."""
        with self._lock:
            self._broken = True
            sockets = list(self._sockets)
        for sock in sockets:
            _shut(sock)

    def connection_classes(self) -> dict[str, Any]:
        """Kinds of connections by scheme, all of which are watched here."""
        return {"http": self._watched(HTTPConnection), "https": self._watched(HTTPSConnection)}

    def pool_classes(self) -> dict[str, Any]:
        """Connection pools by scheme, for a `PoolManager`, whose connections are all watched here."""
        kinds = self.connection_classes()
        pools = {"http": HTTPConnectionPool, "https": HTTPSConnectionPool}
        return {s: type(pool.__name__, (pool,), {"ConnectionCls": kinds[s]}) for s, pool in pools.items()}

    def _watched(self, connection: Any) -> Any:
        watch = self.watch

        def connect(self: Any) -> None:
            connection.connect(self)
            self.sock = watch(self.sock)

        return type(connection.__name__, (connection,), {"connect": connect, "response_class": BoundedResponse})


def _shut(watched: WatchedSocket) -> None:
    """End a connection beneath TLS, whose own way takes the encryption off under who is just sending."""
    sock: Any = watched._sock  # noqa: SLF001 - its owner's
    if isinstance(sock, SSLTransport):
        sock = sock.socket
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        return  # it has ended by itself
