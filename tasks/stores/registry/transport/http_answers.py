"""Answers of a registry: whole ones, and those that are read as they come."""

from __future__ import annotations

from dataclasses import dataclass
from http.client import HTTPException
from string import punctuation
from typing import TYPE_CHECKING
from urllib.parse import quote

import urllib3
from urllib3.exceptions import HTTPError

from tasks.oci.errors import UnexpectedAnswerError
from tasks.stores.hidden_secrets import redacted
from tasks.stores.registry.transport.direct_requests import DirectAnswer
from tasks.stores.registry.transport.transport_errors import translate

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ANSWER_SIZE = 8 * 1024 * 1024
"""Bytes of an answer that is read whole: twice the largest manifest."""
MAX_LIST_SIZE = 64 * 1024 * 1024
"""Bytes of one page of a list; distribution 2.8 has all tags of a repository in one."""
_READ_STEP = 64 * 1024
_NO_ADDRESS_HOLDS = frozenset(" \\")
_KEPT = punctuation.replace("\\", "")

Response = urllib3.BaseHTTPResponse | DirectAnswer


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A whole answer; `url` is the one that gave it, after redirects."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


class StreamedAnswer:
    """An answer whose body is read as it comes; `url` is as in `HttpAnswer`."""

    def __init__(self, response: Response, url: str) -> None:
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self.url = url
        self.finished = False

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the buffer as far as one read does; 0 at the end."""
        return len(self.read(len(buffer), into=buffer))

    def skip(self, count: int) -> None:
        """Pass over what was read before."""
        while count > 0 and (part := self.read(min(count, _READ_STEP))):
            count -= len(part)

    def read(self, size: int, into: memoryview | None = None) -> bytes:
        """At most `size` bytes, into `into` too where given.

        Raises:
            TransportError: the connection broke or stalled.
        """
        try:
            data: bytes = self._response.read(size)
        except (HTTPError, HTTPException, OSError) as error:
            raise translate(error, "GET", self.url) from None  # as in `HttpPool`
        self.finished = not data
        if into is not None:
            into[: len(data)] = data
        return data


def said_once(header: str | None) -> str | None:
    """A header's value, where it came several times and always with that one: a proxy may say it once more."""
    values = {value.strip() for value in (header or "").split(",")}
    return values.pop() if len(values) == 1 and header is not None else header


def address_in(header: str) -> str:
    """An address as a header has it, what no address may hold escaped: some send spaces, and letters of all kinds.

    A backslash above all: a host ends there for urllib3, which connects, and not for the library that compares hosts.
    """
    if header.isascii() and header.isprintable() and _NO_ADDRESS_HOLDS.isdisjoint(header):
        return header
    return quote(header, safe=_KEPT, encoding="latin-1", errors="replace")


def read_capped(answer: StreamedAnswer, most: int) -> bytes:
    """All of an answer.

    Raises:
        TransportError: the connection broke or stalled.
        UnexpectedAnswerError: it has more than `most` bytes.
    """
    parts: list[bytes] = []
    total = 0
    while part := answer.read(_READ_STEP):
        parts.append(part)
        total += len(part)
        if total > most:
            raise UnexpectedAnswerError(f"{redacted(answer.url)}: the answer has more than {most} bytes")
    return b"".join(parts)
