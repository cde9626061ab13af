"""A tiny HTTP server that answers what a test wrote down, and fails the test on any other request."""

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from tests.support.loopback_server import LoopbackServer

UNEXPECTED = 418


@dataclass(frozen=True)
class Request:
    """A request as it arrived; `at` is monotonic time, `connection` tells connections apart."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    at: float
    connection: int


@dataclass(frozen=True)
class Reply:
    """An answer, or the lack of one.

    `drop` resets the connection instead, `cut` sends only so many bytes of the body, `silent` says nothing more
    after the head (or, with `deaf`, does not even read the request's body) until the server stops.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    drop: bool = False
    cut: int | None = None
    silent: bool = False
    deaf: bool = False


Answer = Reply | Callable[[Request], Reply]


class ScriptedRegistry:
    """`expect` what will be asked; each reply is used once, in order, unless it is there `always`."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.unexpected: list[str] = []
        self._once: dict[tuple[str, str], list[Answer]] = {}
        self._always: dict[tuple[str, str], Answer] = {}
        self._lock = threading.Lock()
        self.closing = threading.Event()
        self.may_read = threading.Event()
        self.may_read.set()
        self.longest_body: int | None = None
        self._server = LoopbackServer(type("Handler", (_Handler,), {"script": self}))
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that left
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port: int = self._server.server_address[1]
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"{'http' if tls is None else 'https'}://{self.host}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        self._thread.start()

    def expect(self, method: str, path: str, *answers: Answer) -> None:
        """Answer the next requests for `path` (without its query) with these, one after the other."""
        self._once.setdefault((method, path), []).extend(answers)

    def always(self, method: str, path: str, answer: Answer) -> None:
        """Answer any further request for `path` with this."""
        self._always[method, path] = answer

    def asked(self, method: str, path: str) -> list[Request]:
        """The requests for `path` so far."""
        return [request for request in self.requests if (request.method, request.path) == (method, path)]

    def answer_to(self, method: str, path: str) -> Answer | None:
        """Take the next answer; None where the script has none."""
        with self._lock:
            waiting = self._once.get((method, path))
            return waiting.pop(0) if waiting else self._always.get((method, path))

    def hold_bodies(self) -> threading.Event:
        """Read no request's body until the returned event is set."""
        self.may_read.clear()
        return self.may_read

    def cut_bodies(self, at: int) -> None:
        """Reset from now on any request of whose body more bytes come, as what limits a request's time does."""
        self.longest_body = at

    def stop(self) -> None:
        """End the server, and what it left hanging."""
        if self.closing.is_set():
            return
        self.closing.set()
        self.may_read.set()
        self._server.shutdown()
        self._server.server_close()

    def check(self) -> None:
        """Fail where something else was asked, or less than expected."""
        assert self.unexpected == []
        assert {key: left for key, left in self._once.items() if left} == {}


class _Handler(BaseHTTPRequestHandler):
    """Answers as its script says."""

    protocol_version = "HTTP/1.1"
    script: ClassVar[ScriptedRegistry]

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
        del format, args

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        answer = self.script.answer_to(self.command, parts.path)
        if answer is None:
            self.script.unexpected.append(f"{self.command} {self.path}")
            answer = Reply(UNEXPECTED)
        deaf = isinstance(answer, Reply) and answer.deaf
        request = Request(
            self.command,
            parts.path,
            parse_qs(parts.query, keep_blank_values=True),
            {name.lower(): value for name, value in self.headers.items()},
            b"" if deaf else self._body(),
            time.monotonic(),
            self.client_address[1],
        )
        self.script.requests.append(request)
        if self._is_cut():
            self._reset()
            return
        self._reply(answer if isinstance(answer, Reply) else answer(request))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - http.server's names

    def _body(self) -> bytes:
        self.script.may_read.wait()
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        length = int(self.headers.get("Content-Length", "0"))
        return self.rfile.read(min(length, self.script.longest_body or length) if self._is_cut() else length)

    def _is_cut(self) -> bool:
        most = self.script.longest_body
        return most is not None and int(self.headers.get("Content-Length", "0")) > most

    def _reply(self, reply: Reply) -> None:
        if reply.drop:
            self._reset()
            return
        if reply.deaf:
            self._hang()
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        says_length = not reply.headers.keys().isdisjoint({"Content-Length", "Transfer-Encoding"})
        if not says_length and reply.status not in {204, 304}:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body if reply.cut is None else reply.body[: reply.cut])
        if reply.silent:
            self._hang()
        elif reply.cut is not None:
            self.close_connection = True

    def _hang(self) -> None:
        self.script.closing.wait()
        self.close_connection = True

    def _reset(self) -> None:
        linger = struct.pack("ii", 1, 0)  # close sends a reset
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True
