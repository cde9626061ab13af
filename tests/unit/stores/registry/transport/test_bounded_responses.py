"""What a peer sends before, between and after what was asked for has an end, whether it means well or not."""

import io
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException

import pytest
from urllib3.connection import HTTPConnection

from tasks.oci.errors import ConnectionFailedError
from tasks.stores.registry.transport.bounded_responses import MOST_HEADERS, MOST_HEADS
from tasks.stores.registry.transport.direct_requests import DirectRequests
from tasks.stores.registry.transport.http_pool import HttpPool
from tests.support.scripted_registry import Reply, ScriptedRegistry

MakePool = Callable[..., HttpPool]
GIVES_UP_AFTER = 16 * 1024 * 1024
"""Bytes that the endless server sends before it takes its client for one that reads for ever."""
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Said:
    """A connection whose other side has said something, and then goes on saying the same."""

    def __init__(self, begin: bytes, again: bytes = b"") -> None:
        self._reader = io.BufferedReader(_Repeating(begin, again))

    def sendall(self, data: bytes) -> None:
        """Take a request, whatever it is."""

    def makefile(self, *_: object) -> io.BufferedReader:
        return self._reader

    def close(self) -> None:
        """Nothing is open."""


class _Repeating(io.RawIOBase):
    def __init__(self, begin: bytes, again: bytes) -> None:
        self._left = begin
        self._again = again
        self._said = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        if not self._left:
            self._left = self._again
        part, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(part)] = part
        self._said += len(part)
        assert self._said < GIVES_UP_AFTER, "it is read for ever"
        return len(part)


def answered(begin: bytes, again: bytes = b"") -> bytes:
    connection = HTTPConnection("nowhere")
    connection.sock = Said(begin, again)  # type: ignore[assignment]
    answer = DirectRequests(lambda: connection).send("GET", "/a", {}, None)
    return b"".join(iter(lambda: answer.read(1000), b""))


@pytest.mark.parametrize("status", [100, 102, 103])
def test_an_answer_that_is_only_announced_is_none(status: int) -> None:
    announced = f"HTTP/1.1 {status} Soon\r\n\r\n".encode()
    with pytest.raises(HTTPException, match="does not come"):
        answered(b"", announced)
    final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    assert answered(announced * (MOST_HEADS - 1) + final) == b"ok"


@pytest.mark.parametrize("size", [b"-1", b"-7fff", b"-0x5"])
def test_a_chunk_smaller_than_nothing_is_none(size: bytes) -> None:
    with pytest.raises(HTTPException):
        answered(CHUNKED + size + b"\r\n", b"x" * 65536)


def test_trailers_have_an_end() -> None:
    with pytest.raises(HTTPException, match="trailers"):
        answered(CHUNKED + b"0\r\n", b"a: b\r\n")
    assert answered(CHUNKED + b"2\r\nok\r\n0\r\n" + b"a: b\r\n" * MOST_HEADERS + b"\r\n") == b"ok"
    assert answered(CHUNKED + b"2\r\nok\r\n0\r\n") == b"ok", "some end the connection in place of the last line"


def test_a_length_that_is_no_number_of_bytes_ends_in_an_error_of_ours(
    script: ScriptedRegistry, make_pool: MakePool
) -> None:
    script.always("GET", "/a", Reply(200, {"Content-Length": "9" * 5_000}, b"short", cut=5))
    with suppress(ConnectionFailedError):  # where the connection breaks off before its end is seen
        assert make_pool(script.host).send("GET", "/a", {}).body == b"short"


@dataclass
class EndlessServer:
    """Answers each request with a redirect that has a body without end."""

    location: str
    sent: int = 0
    _listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))

    def __post_init__(self) -> None:
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection, suppress(OSError):
                    self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        connection.recv(65_536)
        head = f"HTTP/1.1 307 Elsewhere\r\nLocation: {self.location}\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head.encode())
        while self.sent < GIVES_UP_AFTER:
            connection.sendall(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
            self.sent += 65_536

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def endless(script: ScriptedRegistry) -> Generator[EndlessServer]:
    server = EndlessServer(f"{script.url}/there")
    yield server
    server.close()


@pytest.mark.parametrize("is_own", [True, False], ids=["the registry's own", "another host's"])
def test_a_redirect_whose_body_has_no_end_is_followed_all_the_same(
    script: ScriptedRegistry, endless: EndlessServer, make_pool: MakePool, is_own: bool
) -> None:
    script.expect("GET", "/there", Reply(body=b"content"))
    pool = make_pool(endless.host if is_own else script.host)
    assert pool.send("GET", f"http://{endless.host}/here", {}).body == b"content"
    assert endless.sent < GIVES_UP_AFTER
