"""A reverse proxy on loopback that stands before a real registry and does to requests what a test wrote down.

Whatever no rule is for passes unchanged. Everything is counted, so that a test can tell what was sent twice.
"""

import http.client
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from tests.support.loopback_server import LoopbackServer

STEP = 64 * 1024
FOR_EVER = 10**9
HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"})
BLOB_PUT = r".*/blobs/uploads/.*"


@dataclass(frozen=True)
class Seen:
    """A request and what came of it; `body` counts the bytes of it that arrived, `status` 0 is no answer."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: int
    status: int
    at: float


@dataclass(frozen=True)
class Upstream:
    """What the registry answered."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Say:
    """Answer this instead of asking the registry; with `unread`, before the body is read."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    unread: bool = False


@dataclass(frozen=True)
class Reset:
    """Reset the connection when so many bytes of the request's body have arrived."""

    at: int = 0


@dataclass(frozen=True)
class LoseAnswer:
    """Let the registry do it, then reset the connection."""


@dataclass(frozen=True)
class CutAnswer:
    """Send only so many bytes of the answer's body, then end the connection."""

    at: int


@dataclass(frozen=True)
class Silence:
    """Say nothing any more when so many bytes of the request's body were read."""

    at: int = FOR_EVER


@dataclass(frozen=True)
class Drip:
    """Pass the answer, a byte at a time."""

    seconds: float


@dataclass(frozen=True)
class Sip:
    """Read the request's body a byte at a time, after so many that came quickly."""

    seconds: float
    after: int = 0


@dataclass(frozen=True)
class Change:
    """Pass the request, and what `how` makes of the answer."""

    how: Callable[[Upstream], Upstream]


Fault = Say | Reset | LoseAnswer | CutAnswer | Silence | Drip | Sip | Change


TOO_LARGE = Say(413, {}, b"<html>413</html>", unread=True)
"""What nginx and content networks say to a larger body than `most_body`, and hang up."""


@dataclass
class _Rule:
    method: str
    path: re.Pattern[str]
    fault: Fault
    left: int


class FaultProxy:
    """`when(method, path, fault, times=1)`: rules count in the order in which they were made.

    `busy` counts open connections. When those of a dead client are gone, all that it had sent was done: a request
    of which nobody has read a byte yet is on its connection already.
    """

    def __init__(self, upstream: str, tls: ssl.SSLContext | None = None) -> None:
        self.upstream = upstream
        self.seen: list[Seen] = []
        self.held = 0
        self.busy = 0
        self.most_body = FOR_EVER
        self.closing = threading.Event()
        self._rules: list[_Rule] = []
        self._lock = threading.Lock()
        self._server = _Server(self)
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that left
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"{'http' if tls is None else 'https'}://{self.host}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def when(self, method: str, path: str, fault: Fault, times: int = 1) -> None:
        """Do this to the next `times` requests whose method and path fully match."""
        with self._lock:
            self._rules.append(_Rule(method, re.compile(path), fault, times))

    def heal(self) -> None:
        """Forget all rules."""
        with self._lock:
            self._rules.clear()

    def asked(self, method: str, path: str) -> list[Seen]:
        """The requests so far that fully match."""
        return [seen for seen in self.seen if seen.method == method and re.fullmatch(path, seen.path)]

    def stored(self) -> list[str]:
        """The digest of every blob that the registry said it stored, as often as it was sent."""
        uploads = [seen for seen in self.seen if seen.status == 201 and re.fullmatch(BLOB_PUT, seen.path)]
        return [
            seen.path.partition("/blobs/")[0] + parse_qs(seen.query)["digest"][0] for seen in uploads if seen.body
        ]

    def take(self, method: str, path: str, length: int) -> Fault | None:
        """The fault for a request, used up by that."""
        if length > self.most_body:
            return TOO_LARGE
        with self._lock:
            for rule in self._rules:
                if rule.left and re.fullmatch(rule.method, method) and rule.path.fullmatch(path):
                    rule.left -= 1
                    return rule.fault
        return None

    def count(self, change: int) -> None:
        """Count a connection that began or ended."""
        with self._lock:
            self.busy += change

    def hold(self) -> None:
        """Count a request that is left hanging."""
        with self._lock:
            self.held += 1

    def stop(self) -> None:
        """End the proxy, and what it left hanging."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(LoopbackServer):
    """Counts its connections from when they are accepted, which is before their threads run."""

    def __init__(self, proxy: FaultProxy) -> None:
        super().__init__(type("Handler", (_Handler,), {"proxy": proxy}))
        self._proxy = proxy

    def process_request(self, request: Any, client_address: Any) -> None:
        self._proxy.count(1)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._proxy.count(-1)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: ClassVar[FaultProxy]

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the standard library's name
        del format, args

    def _serve(self) -> None:
        self._received, self._status = 0, 0
        self._arrived = time.monotonic()
        path = urlsplit(self.path).path
        self._noted = False
        try:
            self._meet(self.proxy.take(self.command, path, int(self.headers.get("Content-Length", "0"))))
        finally:
            self._note()

    def _note(self) -> None:
        """Write down a request, before its answer, or the lack of one, lets the test go on."""
        if not self._noted:
            self._noted = True
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.proxy.seen.append(
                Seen(self.command, parts.path, parts.query, headers, self._received, self._status, self._arrived)
            )

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - http.server's names

    def _meet(self, fault: Fault | None) -> None:
        match fault:
            case Say():
                self._say(fault)
            case Reset(at):
                self._body(at)
                self._reset()
            case Silence(at):
                self._body(at)
                self._hang()
            case Sip(seconds, after):
                self._sip(seconds, after)
            case LoseAnswer():
                self._ask(self._body())
                self._reset()
            case CutAnswer(at):
                answer = self._ask(self._body())
                self._answer(answer, answer.body[:at])
                self.close_connection = True  # no reset, which would take back what is on its way
            case Drip(seconds):
                self._drip(self._ask(self._body()), seconds)
            case Change(how):
                changed = how(self._ask(self._body()))
                self._answer(changed, changed.body)
            case None:
                passed = self._ask(self._body())
                self._answer(passed, passed.body)

    def _say(self, said: Say) -> None:
        if said.unread:
            self.close_connection = True
        else:
            self._body()
        headers = {"Content-Length": str(len(said.body)), **said.headers}
        self._answer(Upstream(said.status, headers, said.body), said.body)

    def _body(self, most: int = FOR_EVER) -> bytes:
        parts = []
        wanted = min(most, int(self.headers.get("Content-Length", "0")))
        while wanted > 0 and (part := self.rfile.read(min(STEP, wanted))):
            parts.append(part)
            self._received += len(part)
            wanted -= len(part)
        if wanted > 0:  # the client left in the middle
            self.close_connection = True
            raise ConnectionResetError
        return b"".join(parts)

    def _ask(self, body: bytes) -> Upstream:
        connection = http.client.HTTPConnection(self.proxy.upstream, timeout=60)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in {"connection", "transfer-encoding"}:
                    connection.putheader(name, value)
            connection.endheaders(body)
            response = connection.getresponse()
            headers = {n: v for n, v in response.getheaders() if n.lower() not in HOP_BY_HOP}
            content = response.read()
            self._status = response.status
            length = response.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
            return Upstream(response.status, headers | ({"Content-Length": length} if length else {}), content)
        finally:
            connection.close()

    def _answer(self, answer: Upstream, body: bytes) -> None:
        self._status = answer.status
        self._note()
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def _drip(self, answer: Upstream, seconds: float) -> None:
        self._status = answer.status
        self._note()
        head = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
        self.close_connection = True
        with suppress(OSError):
            for byte in f"HTTP/1.1 {answer.status} OK\r\n{head}\r\n".encode() + answer.body:
                self.connection.sendall(bytes([byte]))
                if self.proxy.closing.wait(seconds):
                    return

    def _sip(self, seconds: float, after: int) -> None:
        self._body(after)
        self._note()
        self.proxy.hold()
        self.close_connection = True
        with suppress(OSError):
            while self.connection.recv(1) and not self.proxy.closing.wait(seconds):
                self._received += 1

    def _hang(self) -> None:
        self._note()
        self.proxy.hold()
        self.proxy.closing.wait()
        self.close_connection = True

    def _reset(self) -> None:
        self._note()
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()
