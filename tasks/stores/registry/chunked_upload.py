"""Uploads in chunks, for blobs larger than what a proxy before the registry lets through in one request.

distribution-spec v1.1.1 "Pushing a blob in chunks". Used after a 413, or where a request broke off twice, only:
several registries can't do it, or only in chunks of their own size.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from tasks.oci.errors import PayloadTooLargeError, UnexpectedAnswerError
from tasks.stores.registry.push_answers import opening_error_of
from tasks.stores.registry.registry_answers import may_pass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tasks.oci.digest import Digest
    from tasks.ports import BlobContent, Buffer
    from tasks.stores.registry.oras_provider import OrasProvider
    from tasks.stores.registry.scopes import Scopes
    from tasks.stores.registry.transport.http_answers import HttpAnswer
    from tasks.stores.registry.upload_tries import UploadTries

CHUNK_SIZES: tuple[int, ...] = (64 * 1024**2, 16 * 1024**2, 4 * 1024**2, 1024**2 - 1024, 256 * 1024)
"""Bytes of a chunk, tried in this order: just below the limits that proxies have by default."""
_MIN_LENGTH = "OCI-Chunk-Min-Length"
_MOST_CUT = 8
"""How often a blob is read anew because the registry took less of a chunk; the next ones are as large as it takes."""
_TAKEN = re.compile(r"(?:bytes=)?0-([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class _Sent:
    """How far an upload is: the last answer, how many bytes are `there`, and how many the last chunk brought."""

    answer: HttpAnswer
    there: int = 0
    brought: int = 0


class ChunkedUpload:
    """Sends blobs in chunks as large as the registry takes them; safe to share by all workers."""

    def __init__(self, provider: OrasProvider, place_of: Callable[[HttpAnswer], str]) -> None:
        """`place_of` gives the URL that an answer says to go on at."""
        self._provider = provider
        self._place_of = place_of
        self.refused = sys.maxsize
        """The smallest number of bytes that is known to be too many for one request."""
        self._taken = 0
        """The largest number of bytes that was taken in one request; what is refused after that is the whole blob."""

    def push(self, repository: str, content: BlobContent, scopes: Scopes, tried: UploadTries) -> None:
        """Send a blob; each size of chunk that is refused is tried no more in this run.

        `tried` says what of this blob broke off before, and is told when all was sent and is left to be stored.

        Raises:
            PayloadTooLargeError: even the smallest chunks are refused, or the blob as a whole.
            ContentError: the content is not what its descriptor says; the upload is not completed then.
        """
        for size in CHUNK_SIZES:
            if size >= min(self.refused, content.descriptor.size, max(tried.too_long, CHUNK_SIZES[-1] + 1)):
                continue
            try:
                self._push(repository, content, scopes, size, tried)
            except PayloadTooLargeError:
                if size <= self._taken:
                    raise
                self.refused = min(self.refused, size)  # another worker may be further down
                if size == CHUNK_SIZES[-1]:
                    raise
            else:
                return
        raise PayloadTooLargeError(f"the registry takes {content.descriptor.digest} neither whole nor in parts")

    def _push(self, repository: str, content: BlobContent, scopes: Scopes, chunk: int, tried: UploadTries) -> None:
        digest = content.descriptor.digest
        path = self._provider.container(repository).uploads_path
        answer = self._provider.do_request(path, "POST", b"", {}, scopes)
        if answer.status != HTTPStatus.ACCEPTED:
            raise opening_error_of(answer, f"starting the upload of {digest}")
        if tried.too_large:
            self.refused = min(self.refused, content.descriptor.size)
        url = completed_at(self._place_of(self._send_all(content, answer, chunk, scopes, tried)), digest)
        tried.note_sent()
        answer = self._provider.do_request(url, "PUT", b"", {"Content-Length": "0"}, scopes)
        if answer.status not in {HTTPStatus.CREATED, HTTPStatus.NO_CONTENT}:
            tried.sent = may_pass(answer.status)
            raise tried.error_of(answer, f"completing {digest}")

    def _send_all(
        self, content: BlobContent, opened: HttpAnswer, chunk: int, scopes: Scopes, tried: UploadTries
    ) -> HttpAnswer:
        """Send a blob; where the registry took less of a chunk, the rest in chunks that small. Its last answer."""
        least = _least(opened)
        chunk, sent = max(chunk, least), _Sent(opened)
        for _ in range(_MOST_CUT):
            sent = self._send_on(content, sent, chunk, scopes, tried)
            if sent.there == content.descriptor.size:
                return sent.answer
            chunk = min(chunk, max(sent.brought, least, CHUNK_SIZES[-1]))
        raise UnexpectedAnswerError("the registry takes less of each chunk than it was sent")

    def _send_on(self, content: BlobContent, sent: _Sent, chunk: int, scopes: Scopes, tried: UploadTries) -> _Sent:
        """Send from where the registry is, to the end or a chunk of which it takes less."""
        with content.chunks() as parts:
            pieces = _Pieces(parts)
            pieces.skip(sent.there)
            while left := content.descriptor.size - sent.there:
                length = min(chunk, left)
                body = tried.body(pieces.take(length), length)
                answer = self._send(self._place_of(sent.answer), body, sent.there, length, scopes, tried=tried)
                tried.note_taken()
                taken = _taken(answer, sent.there, length)
                sent = _Sent(answer, sent.there + taken, taken)
                if taken < length:
                    break
        return sent

    def _send(
        self, url: str, body: Iterator[Buffer], start: int, length: int, scopes: Scopes, *, tried: UploadTries
    ) -> HttpAnswer:
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(length),
            "Content-Range": f"{start}-{start + length - 1}",  # no unit, no total: the specification's own form
        }
        answer = self._provider.do_request(url, "PATCH", body, headers, scopes)
        if answer.status not in {HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT}:
            raise tried.error_of(answer, f"sending bytes {start} to {start + length - 1}")
        self._taken = max(self._taken, length)
        return answer


class _Pieces:
    """Cuts parts of any length into bodies of given lengths."""

    def __init__(self, parts: Iterator[Buffer]) -> None:
        self._parts = parts
        self._rest = memoryview(b"")

    def skip(self, length: int) -> None:
        """Pass over the next `length` bytes."""
        for _ in self.take(length):
            pass

    def take(self, length: int) -> Iterator[Buffer]:
        """The next `length` bytes, in parts that are valid until the next is asked for."""
        while length:
            if not self._rest:
                self._rest = memoryview(next(self._parts, b"")).cast("B")
                if not self._rest:
                    raise UnexpectedAnswerError("the content ended before its last chunk")
            part, self._rest = self._rest[:length], self._rest[length:]
            length -= len(part)
            yield part


def completed_at(place: str, digest: Digest) -> str:
    """The URL of the request that completes an upload at this place, as that of a blob with this digest."""
    return f"{place}{'&' if '?' in place else '?'}digest={digest}"


def _taken(answer: HttpAnswer, start: int, length: int) -> int:
    """How many bytes of a chunk the registry took: `Range` names the last byte of the upload that it has.

    All of them where that is left out, or can't be, as 0-0: the next request, or the digest, would tell otherwise.
    """
    named = _TAKEN.fullmatch(answer.headers.get("Range", "").strip())
    taken = int(named[1]) + 1 - start if named and int(named[1]) else length
    return taken if 0 < taken < length else length


def _least(answer: HttpAnswer) -> int:
    value = answer.headers.get(_MIN_LENGTH, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 12 else 0  # noqa: PLR2004 - no bomb
