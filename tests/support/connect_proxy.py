"""A small real HTTP proxy: CONNECT and forwarded requests, with or without a password.

Names that end in `.test` lead to this machine, so that only who asks the proxy gets there.
"""

import base64
import contextlib
import socket
import threading
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import ClassVar
from urllib.parse import urlsplit

from tests.support.loopback_server import LoopbackServer

END_OF_HEAD = b"\r\n\r\n"
STEP = 64 * 1024


class _Server(ThreadingTCPServer):
    request_queue_size = LoopbackServer.request_queue_size
    daemon_threads = True


class ConnectProxy:
    """`seen` holds the first line of each request; `secrets` what came in `Proxy-Authorization`."""

    def __init__(self, login: tuple[str, str] | None = None) -> None:
        self.seen: list[str] = []
        self.secrets: list[str] = []
        self.forwarded: list[bytes] = []
        self.wanted = None if login is None else "Basic " + base64.b64encode(":".join(login).encode()).decode()
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": self}))
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseRequestHandler):
    proxy: ClassVar[ConnectProxy]

    def handle(self) -> None:
        head = b""
        while END_OF_HEAD not in head:
            part = self.request.recv(STEP)
            if not part:
                return
            head += part
        head, _, rest = head.partition(END_OF_HEAD)
        line, *fields = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in fields)}
        self.proxy.seen.append(line)
        self.proxy.secrets.append(headers.get("proxy-authorization", ""))
        if self.proxy.wanted not in {None, headers.get("proxy-authorization")}:
            self.request.sendall(
                b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            return
        method, address, _ = line.split(" ")
        with contextlib.suppress(OSError):
            if method == "CONNECT":
                self._tunnel(address, rest)
            else:
                self._forward(method, address, fields, rest)

    def _tunnel(self, address: str, rest: bytes) -> None:
        with _connected(address) as upstream:
            self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self._join(upstream, rest)

    def _forward(self, method: str, url: str, fields: list[str], rest: bytes) -> None:
        parts = urlsplit(url)
        kept = [each for each in fields if not each.lower().startswith(("proxy-", "connection:"))]
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        head = "\r\n".join([f"{method} {path} HTTP/1.1", *kept, "Connection: close"]).encode() + END_OF_HEAD
        self.proxy.forwarded.append(head)
        with _connected(parts.netloc) as upstream:
            self._join(upstream, head + rest)

    def _join(self, upstream: socket.socket, first: bytes) -> None:
        """Carry bytes both ways until the upstream has ended."""
        upstream.sendall(first)
        up = threading.Thread(target=_carry, args=(self.request, upstream), daemon=True)
        up.start()
        _carry(upstream, self.request)
        for each in (self.request, upstream):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        up.join()


def _connected(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection(("127.0.0.1" if host.endswith(".test") else host, int(port)), timeout=30)


def _carry(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while part := source.recv(STEP):
            target.sendall(part)
