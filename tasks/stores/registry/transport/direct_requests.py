"""Requests to one host straight on the standard library's connections, kept open between them.

urllib3 makes the connections (names, TLS, deadlines), and what it adds to a request then, for a client that does its
own redirects and retries, is three quarters of the processor time of a small one: the URL taken apart again, headers
copied twice, an answer wrapped in another. The standard library's own reading of headers, as those of a mail,
is most of the rest (docs/decisions/012-direct-requests.md).
"""

from __future__ import annotations

import threading
from http.client import HTTPException, HTTPResponse, IncompleteRead, LineTooLong
from typing import TYPE_CHECKING, Any

from urllib3.connection import HTTPConnection

from tasks.stores.registry.transport.bounded_responses import LONGEST_LINE, MOST_HEADERS, BoundedResponse
from tasks.stores.registry.transport.request_writing import write_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import BinaryIO

    from tasks.stores.registry.transport.request_writing import Body

LONGEST_LENGTH = 18
"""Digits of a body's length; no number of a thousand digits is one."""
_FIRST_FINAL, _NO_CONTENT, _NOT_MODIFIED = 200, 204, 304


class Headers(dict[str, str]):
    """An answer's headers, found whatever case their names are asked for in; repeated ones are joined."""

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a header."""
        return super().get(name.lower(), default)

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name.lower() if isinstance(name, str) else name)

    def get_all(self, name: str, default: Any = None) -> Any:
        """The values of a header as the standard library asks for them."""
        return [self[name]] if name in self else default


def read_headers(lines: BinaryIO) -> Headers:
    """Read the headers of an answer up to the empty line (RFC 9112 section 5).

    Raises:
        HTTPException: there are more or longer ones than any server sends, or one that is none.
    """
    found: dict[str, str] = {}
    key = ""
    for line in _header_lines(lines):
        if key and line[:1] in {b" ", b"\t"}:  # the rest of a folded line (RFC 9112 section 5.2)
            found[key] += f" {line.decode('latin-1').strip()}"
            continue
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or not name or name != name.strip():
            raise HTTPException(f"an answer has a header that is none: {line[:60]!r}")
        key, value = name.lower(), value.strip()
        found[key] = f"{found[key]}, {value}" if key in found else value
    return Headers(found)


def _header_lines(lines: BinaryIO) -> Iterator[bytes]:
    for _ in range(MOST_HEADERS + 1):
        line = lines.readline(LONGEST_LINE + 1)
        if len(line) > LONGEST_LINE:
            raise LineTooLong("header line")
        if line in {b"\r\n", b"\n"}:
            return
        if not line:
            raise HTTPException("an answer ends in its headers")
        yield line
    raise HTTPException(f"an answer has more than {MOST_HEADERS} headers")


class _Response(BoundedResponse):
    """As the standard library's, with headers read by `read_headers`."""

    def begin(self) -> None:
        """Read the status line and the headers of the final answer."""
        version, status, reason, headers = self._read_head()
        while status < _FIRST_FINAL:
            version, status, reason, headers = self._read_head()
        self.code = self.status = status
        self.reason = reason.strip()
        self.version = 10 if version == "HTTP/1.0" else 11
        self.headers = self.msg = headers
        is_chunked = _last(headers.get("transfer-encoding", "")).lower() == "chunked"
        self.chunked = is_chunked and not self._has_no_body()
        self.chunk_left = None
        self.length = self._announced_length()
        unbounded = self.length is None and not self.chunked
        self.will_close = unbounded or self._check_close()  # type: ignore[attr-defined] # typeshed leaves it out

    def _read_head(self) -> tuple[str, int, str, Any]:
        version, status, reason = self._read_status()
        return version, status, reason, read_headers(self.fp)

    def _has_no_body(self) -> bool:
        """Whether it ends with its headers, whatever these say (RFC 9112 section 6.3)."""
        return self.status in {_NO_CONTENT, _NOT_MODIFIED} or self._method == "HEAD"  # type: ignore[attr-defined] # as above

    def _announced_length(self) -> int | None:
        if self._has_no_body():
            return 0
        given: str = self.headers.get("content-length", "")
        length = _last(given)
        is_one = all(value.strip() == length for value in given.split(","))  # a proxy may have said it once more
        is_length = length.isdecimal() and len(length) <= LONGEST_LENGTH
        return int(length) if is_length and is_one and not self.chunked else None


def _last(values: str) -> str:
    """The last of the values of a header that may have several."""
    return values.rpartition(",")[2].strip()


class DirectAnswer:
    """An answer whose body is read as it comes; its connection goes back when all of it was."""

    def __init__(self, response: HTTPResponse, connection: HTTPConnection, give_back: Callable[[Any], None]) -> None:
        self._response = response
        self._connection = connection
        self._give_back = give_back
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers  # type: ignore[assignment] # ours, see `_Response`

    def read(self, size: int) -> bytes:
        """At most `size` bytes; none at the end.

        Raises:
            OSError, HTTPException: the connection broke, or the body ends before its end.
        """
        data = self._response.read(size)
        if not data and self._response.length:
            raise IncompleteRead(b"", self._response.length)
        return data

    def close(self) -> None:
        """Give up the rest of the body, and the connection with it."""
        self._response.close()
        self._connection.close()

    def release_conn(self) -> None:
        """Let the next request have the connection, unless it is spent."""
        if self._response.will_close or not self._response.isclosed():
            self.close()
        self._give_back(self._connection)


def _answered(sock: Any, method: str) -> HTTPResponse:
    """The answer to a request, its headers read."""
    response = _Response(sock, method=method)
    try:
        response.begin()
    except BaseException:
        response.close()
        raise
    return response


class DirectRequests:
    """Sends requests to one host; safe to share by all workers."""

    def __init__(self, connect: Callable[[], HTTPConnection]) -> None:
        """Make connections by `connect`; as many are kept as were in use at once."""
        self._connect = connect
        self._lock = threading.Lock()
        self._idle: list[HTTPConnection] = []

    def drop_idle(self) -> None:
        """Close all connections that are not in use."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()

    def send(self, method: str, path: str, headers: Mapping[str, str], body: Body) -> DirectAnswer:
        """Send a request and read its answer's headers.

        Raises:
            OSError, HTTPException: no answer arrived.
            urllib3.exceptions.HTTPError: the connection could not be made.
        """
        connection = self._take()
        try:
            whole = write_request(connection, method, path, headers, body)
            response = _answered(connection.sock, method)
        except BaseException:
            connection.close()
            raise
        return DirectAnswer(response, connection, self._put if whole else HTTPConnection.close)

    def _take(self) -> HTTPConnection:
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = self._connect()
        elif connection.sock is not None and not connection.is_connected:
            connection.close()  # the server has ended it meanwhile; it is made anew
        return connection

    def _put(self, connection: HTTPConnection) -> None:
        with self._lock:
            self._idle.append(connection)
