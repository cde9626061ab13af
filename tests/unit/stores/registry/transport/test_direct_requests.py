"""Headers of answers are read as HTTP has them, connections are used again, and ended ones are made anew."""

import io
from http.client import HTTPException, IncompleteRead, LineTooLong

import pytest
from urllib3.connection import HTTPConnection

from tasks.stores.registry.transport.direct_requests import LONGEST_LINE, MOST_HEADERS, DirectRequests, read_headers
from tests.support.scripted_registry import Reply, ScriptedRegistry


def headers_of(text: bytes) -> dict[str, str]:
    return read_headers(io.BytesIO(text))


@pytest.fixture
def requests(script: ScriptedRegistry) -> DirectRequests:
    return DirectRequests(lambda: HTTPConnection("127.0.0.1", script.port, timeout=5))


def answer_of(requests: DirectRequests, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    answer = requests.send(method, path, {}, body)
    parts = list(iter(lambda: answer.read(1000), b""))
    answer.release_conn()
    return answer.status, b"".join(parts)


def test_headers_are_found_in_any_case_and_joined_where_repeated() -> None:
    found = headers_of(b"Content-Length: 5\r\nLINK: <a>\r\nlink:  <b> \r\nEmpty:\r\n\r\nbody: not one")
    assert found.get("content-LENGTH") == found["Content-Length"] == "5"
    assert found["Link"] == "<a>, <b>"
    assert found["Empty"] == ""
    assert "body" not in found
    assert found.get("none", "default") == "default"


def test_a_header_that_is_folded_over_several_lines_is_one() -> None:
    found = headers_of(b'WWW-Authenticate: Bearer realm="x",\r\n  service="y",\r\n\tscope="z" \r\nNext: 1\r\n\r\n')
    assert found == {"www-authenticate": 'Bearer realm="x", service="y", scope="z"', "next": "1"}


@pytest.mark.parametrize(
    "text",
    [b"no colon\r\n\r\n", b": no name\r\n\r\n", b" folded: x\r\n\r\n", b"Spaced : x\r\n\r\n", b"Cut: of"],
    ids=["no colon", "no name", "folded", "spaced", "cut off"],
)
def test_what_is_no_header_is_refused(text: bytes) -> None:
    with pytest.raises(HTTPException):
        headers_of(text)


def test_headers_without_end_are_refused() -> None:
    with pytest.raises(LineTooLong):
        headers_of(b"a: " + b"x" * LONGEST_LINE + b"\r\n\r\n")
    with pytest.raises(HTTPException, match="more than"):
        headers_of(b"a: b\r\n" * (MOST_HEADERS + 1) + b"\r\n")
    assert headers_of(b"a: b\r\n" * MOST_HEADERS + b"\r\n")


def test_a_connection_is_used_again_when_its_answer_was_read(
    script: ScriptedRegistry, requests: DirectRequests
) -> None:
    script.always("GET", "/a", Reply(200, {}, b"content"))
    script.always("HEAD", "/a", Reply(200, {"Content-Length": "7"}))
    script.always("PUT", "/a", Reply(204))
    assert answer_of(requests, "GET", "/a") == (200, b"content")
    assert answer_of(requests, "HEAD", "/a") == (200, b"")
    assert answer_of(requests, "PUT", "/a", b"x" * 100_000) == (204, b"")
    assert answer_of(requests, "GET", "/a") == (200, b"content")
    assert len({request.connection for request in script.requests}) == 1


def test_a_connection_whose_answer_was_left_is_not(script: ScriptedRegistry, requests: DirectRequests) -> None:
    script.always("GET", "/a", Reply(200, {}, b"content"))
    unread = requests.send("GET", "/a", {}, None)
    unread.release_conn()
    assert answer_of(requests, "GET", "/a") == (200, b"content")
    assert len({request.connection for request in script.requests}) == 2


def test_a_connection_that_the_server_ended_is_made_anew(script: ScriptedRegistry, requests: DirectRequests) -> None:
    script.expect("GET", "/a", Reply(200, {"Connection": "close"}, b"first"), Reply(200, {}, b"second"))
    assert answer_of(requests, "GET", "/a") == (200, b"first")
    assert answer_of(requests, "GET", "/a") == (200, b"second")


def test_a_body_that_ends_early_is_no_body(script: ScriptedRegistry, requests: DirectRequests) -> None:
    script.expect("GET", "/a", Reply(200, {"Content-Length": "100"}, b"short", cut=5))
    with pytest.raises((IncompleteRead, ConnectionError)):
        answer_of(requests, "GET", "/a")


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        b"Content-Length: 2, 2\r\n\r\n{}",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"Transfer-Encoding: identity, Chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ],
)
def test_what_a_proxy_says_twice_of_a_body_does_not_keep_it_waiting(head: bytes) -> None:
    answer = RefusingSocket(b"HTTP/1.1 200 OK\r\n" + head + b"what a connection that stays open has not sent")
    connection = HTTPConnection("nowhere")
    connection.sock = answer  # type: ignore[assignment]
    assert answer_of(DirectRequests(lambda: connection), "GET", "/a") == (200, b"{}")


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_an_answer_that_has_no_body_is_not_waited_for_whatever_its_headers_say(status: bytes) -> None:
    class Empty(RefusedConnection):
        made = 0
        answer = b"HTTP/1.1 " + status + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + b"HTTP/1.1 200 OK\r\n\r\n"

    requests = DirectRequests(lambda: Empty("nowhere"))
    assert answer_of(requests, "PUT", "/a") == (int(status[:3]), b"")


class RefusingSocket:
    """Of a server that answers when it has seen the headers, and closes without reading the body."""

    def __init__(self, answer: bytes = b"HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nlong") -> None:
        self.sent = b""
        self.answer = answer

    def sendall(self, data: bytes) -> None:
        if b"\r\n\r\n" in self.sent:
            raise BrokenPipeError
        self.sent += data

    def makefile(self, *_: object) -> io.BufferedReader:
        return io.BufferedReader(io.BytesIO(self.answer))  # type: ignore[arg-type]

    def close(self) -> None:
        pass


class RefusedConnection(HTTPConnection):
    made = 0
    answer = RefusingSocket().answer

    def connect(self) -> None:
        type(self).made += 1
        self.sock = RefusingSocket(self.answer)  # type: ignore[assignment]


def test_a_refusal_that_comes_before_the_body_was_sent_is_read_and_its_connection_not_used_again() -> None:
    RefusedConnection.made = 0
    requests = DirectRequests(lambda: RefusedConnection("nowhere"))
    assert answer_of(requests, "PUT", "/a", b"x" * 100_000) == (413, b"long")
    assert answer_of(requests, "PUT", "/a", b"x" * 100_000) == (413, b"long")
    assert RefusedConnection.made == 2


@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
def test_a_body_of_no_stated_length_is_all_that_comes_and_its_connection_not_used_again(version: bytes) -> None:
    class Unbounded(RefusedConnection):
        made = 0
        answer = version + b" 200 OK\r\nContent-Type: text/plain\r\n\r\nall of it"

    requests = DirectRequests(lambda: Unbounded("nowhere"))
    assert answer_of(requests, "GET", "/a") == (200, b"all of it")
    assert answer_of(requests, "GET", "/a") == (200, b"all of it")
    assert Unbounded.made == 2
