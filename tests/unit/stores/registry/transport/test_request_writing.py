"""A request is one well-formed head, with its body; nothing that is put into it can end it early or add to it."""

import ssl
from http.client import HTTPException
from typing import TYPE_CHECKING

import pytest
from urllib3.connection import HTTPConnection

from tasks.stores.registry.transport.request_writing import SENT_WITH_HEAD, Body, write_request

if TYPE_CHECKING:
    from tasks.ports import Buffer


class RecordingSocket:
    """Keeps what it is given to send, piece by piece, and takes no more than `most` pieces."""

    def __init__(self, most: int = 100, end: OSError | None = None) -> None:
        self.pieces: list[bytes] = []
        self.most = most
        self.end = end or BrokenPipeError()

    def sendall(self, data: bytes) -> None:
        if len(self.pieces) == self.most:
            raise self.end
        self.pieces.append(bytes(data))


class RecordingConnection(HTTPConnection):
    def __init__(self, host: str = "registry.example", port: int = 5000, most: int = 100) -> None:
        super().__init__(host, port)
        self.recorded = RecordingSocket(most)

    def connect(self) -> None:
        self.sock = self.recorded


def pieces_of(
    method: str, body: Body = None, headers: dict[str, str] | None = None, path: str = "/v2/?a=b"
) -> list[bytes]:
    connection = RecordingConnection()
    assert write_request(connection, method, path, headers or {}, body)
    return connection.recorded.pieces


def test_a_request_has_its_line_its_host_and_its_headers() -> None:
    assert pieces_of("GET", headers={"Accept": "a, b", "User-Agent": "x/1"}) == [
        (
            b"GET /v2/?a=b HTTP/1.1\r\nHost: registry.example:5000\r\nAccept-Encoding: identity\r\n"
            b"Accept: a, b\r\nUser-Agent: x/1\r\n\r\n"
        )
    ]


def test_a_small_body_goes_with_the_head_and_a_large_one_after_it() -> None:
    small, large = b"s" * SENT_WITH_HEAD, b"l" * (SENT_WITH_HEAD + 1)
    [both] = pieces_of("PUT", small)
    head, after = pieces_of("PUT", large)
    assert both.endswith(b"\r\nContent-Length: 65536\r\n\r\n" + small)
    assert head.endswith(b"\r\nContent-Length: 65537\r\n\r\n")
    assert after == large


def test_a_body_in_parts_is_as_long_as_its_headers_say() -> None:
    body: list[Buffer] = [b"one", memoryview(b"two")]
    head, *parts = pieces_of("PUT", iter(body), {"Content-Length": "6"})
    assert head.count(b"Content-Length") == 1
    assert b"\r\nContent-Length: 6\r\n" in head
    assert parts == [b"one", b"two"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_what_brings_nothing_where_something_could_come_says_so(method: str) -> None:
    assert b"\r\nContent-Length: 0\r\n" in pieces_of(method)[0]
    assert pieces_of(method, b"", {"Content-Length": "0"})[0].count(b"Content-Length") == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_what_can_bring_nothing_tells_no_length(method: str) -> None:
    assert b"Content-Length" not in pieces_of(method)[0]


@pytest.mark.parametrize(
    ("host", "port", "named"),
    [("registry.example", 80, b"registry.example"), ("::1", 5000, b"[::1]:5000"), ("::1", 80, b"[::1]")],
)
def test_the_host_is_named_with_a_port_that_is_not_the_usual_one(host: str, port: int, named: bytes) -> None:
    connection = RecordingConnection(host, port)
    write_request(connection, "GET", "/", {}, None)
    assert b"\r\nHost: " + named + b"\r\n" in connection.recorded.pieces[0]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/a", "secret\r\nX: y"),
        ("/a", "secret\ny"),
        ("/a", "secret\x00"),
        ("/a", "secret\N{EURO SIGN}"),
        ("/a b", "secret"),
        ("/a\r\nX: y", "secret"),
        ("/\N{LATIN SMALL LETTER U WITH DIAERESIS}", "secret"),
        ("/a\x7f", "secret"),
    ],
)
def test_what_would_end_a_line_is_not_sent_and_not_shown(path: str, value: str) -> None:
    connection = RecordingConnection()
    with pytest.raises(HTTPException) as refused:
        write_request(connection, "GET", path, {"Authorization": value}, None)
    assert "secret" not in str(refused.value)
    assert connection.recorded.pieces == []


def test_values_outside_of_ascii_arrive_as_one_byte_each() -> None:
    assert b"\r\nX: \xfc\ty\r\n" in pieces_of("GET", headers={"X": "\N{LATIN SMALL LETTER U WITH DIAERESIS}\ty"})[0]


@pytest.mark.parametrize("most", [0, 1, 2])
def test_a_server_that_ends_the_connection_early_may_have_answered(most: int) -> None:
    connection = RecordingConnection(most=most)
    assert write_request(connection, "PUT", "/a", {"Content-Length": "2"}, iter([b"a", b"b"])) is False
    assert len(connection.recorded.pieces) == most


@pytest.mark.parametrize("end", [ConnectionResetError(), ssl.SSLEOFError(8, "EOF occurred in violation of protocol")])
def test_so_it_is_however_the_end_is_told(end: OSError) -> None:
    connection = RecordingConnection(most=0)
    connection.recorded.end = end
    assert write_request(connection, "PUT", "/a", {}, b"a") is False


def test_silence_is_no_end() -> None:
    connection = RecordingConnection(most=0)
    connection.recorded.end = TimeoutError("timed out")
    with pytest.raises(TimeoutError):
        write_request(connection, "PUT", "/a", {}, b"a")


def test_a_connection_that_can_not_be_made_is_an_error() -> None:
    class Refused(HTTPConnection):
        def connect(self) -> None:
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        write_request(Refused("nowhere"), "GET", "/a", {}, None)
