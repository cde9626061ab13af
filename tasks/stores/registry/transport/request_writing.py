"""Writes requests to a connection (RFC 9112): the head in one piece, and a small body with it.

The standard library looks at each header by itself and sends a body after the head, always. For a small request that
is more of a processor than all the rest of sending it, and one more call for each side
(docs/decisions/012-direct-requests.md).
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterable
from http.client import HTTPException
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from urllib3.connection import HTTPConnection

    from tasks.ports import Buffer

Body = bytes | Iterable["Buffer"] | None
"""What a request brings; of anything but bytes, the headers that go with it must tell the length."""

SENT_WITH_HEAD = 64 * 1024
"""Bytes of a body up to which copying it costs less than a call of its own."""
_ENDED_BY_SERVER = (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError)
"""What sending meets then; over TLS, versions of Python make the last of the first two (cpython issue 115627)."""
_BRING_SOMETHING = frozenset({"POST", "PUT", "PATCH"})
_NOT_OF_A_PATH = re.compile(r"[^\x21-\x7e]")
_NOT_OF_A_HEADER = re.compile(r"[^\t\x20-\x7e\x80-\xff]")


def write_request(connection: HTTPConnection, method: str, path: str, headers: Mapping[str, str], body: Body) -> bool:
    """Send a request; False when the server ended the connection before it had all, as after an early refusal.

    Raises:
        HTTPException: a header or the path has characters that would end it.
        OSError, urllib3.exceptions.HTTPError: the connection could not be made, or not be used.
    """
    head = _head(connection, method, path, headers, body)
    if connection.sock is None:
        connection.connect()
    sock: Any = connection.sock
    try:
        for part in _parts(head, body):
            sock.sendall(part)
    except _ENDED_BY_SERVER:
        return False
    return True


def _parts(head: bytes, body: Body) -> Iterable[Buffer]:
    if body is None:
        return (head,)
    if not isinstance(body, bytes):
        return chain((head,), body)
    return (head + body,) if len(body) <= SENT_WITH_HEAD else (head, body)


def _head(connection: HTTPConnection, method: str, path: str, headers: Mapping[str, str], body: Body) -> bytes:
    """The request line and the headers, with the empty line that ends them."""
    host = f"[{connection.host}]" if ":" in connection.host else connection.host
    port = "" if connection.port == connection.default_port else f":{connection.port}"
    sent = {"Host": f"{host}{port}", "Accept-Encoding": "identity", **headers}
    if isinstance(body, bytes) or (body is None and method in _BRING_SOMETHING):
        sent.setdefault("Content-Length", str(len(body or b"")))
    lines = [f"{name}: {value}" for name, value in sent.items()]
    if _NOT_OF_A_PATH.search(path) or any(map(_NOT_OF_A_HEADER.search, lines)):
        raise HTTPException("the path or a header has characters that no request may have")
    return "\r\n".join((f"{method} {path} HTTP/1.1", *lines, "", "")).encode("latin-1")
