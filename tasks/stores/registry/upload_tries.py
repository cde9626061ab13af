"""How the upload of one blob has gone so far: how often it was tried, and where its requests broke off.

A blob that breaks off again and again meets what limits the time of a request, as zot, GitHub and load balancers do;
of such a limit nothing else tells.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from tasks.oci.errors import (
    AuthenticationError,
    RegistryError,
    RegistryUnavailableError,
    TargetFullError,
    TransportError,
    UploadBrokeOffError,
)
from tasks.stores.registry.chunked_upload import CHUNK_SIZES
from tasks.stores.registry.push_answers import says_upload_lost, upload_error_of
from tasks.stores.registry.registry_answers import may_pass

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tasks.oci.descriptor import Descriptor
    from tasks.ports import Buffer
    from tasks.stores.registry.transport.http_answers import HttpAnswer

MAY_BE_CUT = CHUNK_SIZES[0]
"""Bytes from which on a blob that breaks off may have taken too long; smaller ones are one chunk, more or less."""
SHORTEST_LIMIT = 1.0
"""Seconds that a request lasted at least which a limit ended: what is reset at once is so for another reason."""
MAY_NOT_KNOW = frozenset({HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.NOT_IMPLEMENTED})
"""How some answer to a way that they don't know; any other 5xx tells of the moment."""
_KNOWS_NO_CHUNKS = frozenset({"", "UNKNOWN"})
"""With 404, how some answer the first chunk, of an upload that they know well."""
_OFTEN = 2
"""So many breaks are not of the moment any more; nor is what goes wrong with one more upload than so many."""
_LEAST_AT_FIRST = 5 * 1024**2
"""Chunks are of 4 MiB until one broke off, however little went before: smaller ones are many, for a bad line."""


@dataclass(slots=True)
class _Body:
    """The body of a request on its way; what was begun to be sent, and is not all gone, has not gone."""

    length: int
    began: float = field(default_factory=time.monotonic)
    gone: int = 0
    seconds: float = 0.0

    def passing(self, chunks: Iterable[Buffer]) -> Iterator[Buffer]:
        for chunk in chunks:
            length = memoryview(chunk).nbytes
            yield chunk
            self.gone += length


@dataclass(slots=True)
class UploadTries:
    """What was met with one blob; `plainly` and `only_whole` say which ways are not gone any more.

    It is `sent` where the registry may be storing all of it still, and `too_large` where it was refused whole:
    meant of a quota, maybe, as long as no other upload was opened.
    """

    descriptor: Descriptor
    times: int = 0
    plainly: bool = False
    only_whole: bool = False
    sent: bool = False
    too_large: bool = False
    chunks_taken: int = 0
    times_lost: int = 0
    _body: _Body | None = None
    _breaks: list[_Body] = field(default_factory=list)

    def begin(self) -> None:
        """Note another attempt."""
        self.times += 1
        self._body = None

    def note_sent(self) -> None:
        """Note that all was sent, and is left to be stored."""
        self.sent = True

    def body(self, chunks: Iterable[Buffer], length: int) -> Iterator[Buffer]:
        """The body of a request, watched on its way."""
        self._body = _Body(length)
        return self._body.passing(chunks)

    def note_taken(self) -> None:
        """Note that a chunk was taken."""
        self.chunks_taken += 1
        self._body = None

    def note_failure(self, error: TransportError | RegistryUnavailableError) -> None:
        """Note what ended an attempt, if it did so within a body.

        The end of a chunk may be gone from here and not be there: silence after it is a break, too.
        """
        may_be_limit = error.transient if isinstance(error, TransportError) else may_pass(error.status)
        in_chunks = self.is_cut and not self.only_whole
        is_break = self._is_within_body() or (isinstance(error, TransportError) and in_chunks)
        if may_be_limit and is_break and self._body is not None and self._body.gone:
            self._body.seconds = time.monotonic() - self._body.began
            if self._body.seconds >= SHORTEST_LIMIT:
                self._breaks.append(self._body)

    def error_of(self, answer: HttpAnswer, attempted: str) -> RegistryError:
        """The exception for bytes that were not taken; an upload that is lost each time never was."""
        error = upload_error_of(answer, attempted)
        is_lost = says_upload_lost(error)
        self.times_lost += is_lost
        if not is_lost or self.times_lost <= _OFTEN:
            return error
        return RegistryError(f"{error}, {self.times_lost} times", status=error.status, codes=error.codes)

    def _is_within_body(self) -> bool:
        return self._body is not None and self._body.gone < self._body.length

    @property
    def is_cut(self) -> bool:
        """Whether it seems to be cut off by a limit."""
        return len(self._breaks) >= _OFTEN and self.descriptor.size > MAY_BE_CUT

    @property
    def cut_at(self) -> int:
        """The size of blobs that may not go whole either: what went at most before a request broke off."""
        return max(MAY_BE_CUT, *(each.gone for each in self._breaks))

    @property
    def too_long(self) -> int:
        """How many bytes a request must not have any more: half of what went before the last one broke off."""
        if not self.is_cut:
            return sys.maxsize
        half = self._breaks[-1].gone // 2
        return max(half, _LEAST_AT_FIRST) if len(self._breaks) == _OFTEN else half

    def refuses_chunks(self, error: RegistryError) -> bool:
        """Whether an answer to chunks, in which the blob goes only for being cut, sends it back to one request."""
        if not self.is_cut or self.only_whole:
            return False
        if isinstance(error, RegistryUnavailableError):
            is_to_first = not self.chunks_taken and self._body is not None
            if error.status == HTTPStatus.NOT_FOUND:
                return is_to_first and _KNOWS_NO_CHUNKS.issuperset(error.codes)
            return is_to_first and not self._is_within_body() and error.status in MAY_NOT_KNOW
        return not error.transient and not isinstance(error, AuthenticationError | TargetFullError)

    def as_limit(self, error: TransportError | RegistryUnavailableError) -> UploadBrokeOffError | None:
        """What an upload ended with, told by its breaks where they say more."""
        if not error.transient or not self.is_cut:
            return None
        last, count = self._breaks[-1], len(self._breaks)
        where = f"{last.seconds:.0f} s at {_in_units(last.gone)} of {_in_units(last.length)}"
        often = "twice" if count == _OFTEN else f"{count} times"
        limit = "the target, or a proxy before it, may limit the time of a request"
        return UploadBrokeOffError(f"{self.descriptor.digest} broke off after {where}, {often}: {limit} ({error})")


def _in_units(size: int) -> str:
    return f"{size / 1024**3:.1f} GiB" if size >= 1024**3 else f"{size / 1024**2:.0f} MiB"
