"""Reads blobs of a registry, and tells whether it has them."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from io import BytesIO
from typing import TYPE_CHECKING

from tasks.oci.errors import ContentNotFoundError, DamagedAtTargetError, UnexpectedAnswerError
from tasks.stores.registry.head_requests import HeadRequests
from tasks.stores.registry.oras_provider import read_refusal
from tasks.stores.registry.registry_answers import error_of
from tasks.stores.registry.scopes import repository_scope
from tasks.stores.registry.transport.http_answers import StreamedAnswer, said_once
from tasks.stores.resuming_stream import resuming
from tasks.stores.verified_content import VerifiedContent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tasks.oci.descriptor import Descriptor
    from tasks.stores.registry.oras_provider import OrasProvider
    from tasks.stores.registry.request_retry import RequestRetry
    from tasks.stores.registry.scopes import Scopes
    from tasks.stores.verified_content import ByteStream


class BlobReading:
    """Reads from one registry; safe to share by all workers. `write` is whether tokens are to allow writing, too."""

    def __init__(self, provider: OrasProvider, retry: RequestRetry, origin: str, *, write: bool) -> None:
        self._provider = provider
        self._retry = retry
        self._origin = origin
        self._write = write
        self._heads = HeadRequests(provider, retry, "blobs")

    def has(self, repository: str, descriptor: Descriptor) -> bool:
        """See `ManifestResolver.has_blob`."""
        try:
            length = self._length(repository, descriptor)
        except ContentNotFoundError:
            return False
        if length is not None and length != str(descriptor.size):
            raise DamagedAtTargetError(
                f"the target has {descriptor.digest} with {length} bytes instead of {descriptor.size}"
            )
        return True

    def fetch(self, repository: str, descriptor: Descriptor) -> VerifiedContent:
        """See `Target.fetch_blob`."""
        open_at = partial(self._stream, repository, descriptor)
        return VerifiedContent(descriptor, lambda: resuming(open_at, self._retry))

    def _length(self, repository: str, descriptor: Descriptor) -> str | None:
        """How many bytes of a blob the registry says it has, if it says so.

        Raises:
            ContentNotFoundError: it says that it has no such blob.
        """
        path = self._provider.container(repository).blob_path(descriptor.digest)
        answer = self._heads.ask(path, self._scopes(repository), f"HEAD {self._origin}{path}")
        if answer is None:
            return self._begun(repository, descriptor)
        if answer.status == HTTPStatus.NOT_FOUND:
            raise _not_there(descriptor)
        length = said_once(answer.headers.get("Content-Length"))
        return self._begun(repository, descriptor) if length in {None, "0"} and descriptor.size else length

    def _begun(self, repository: str, descriptor: Descriptor) -> str | None:
        """The length as an answer with a body has it: some proxies give every HEAD one of 0, as they see no body."""

        def attempt() -> str | None:
            with self._stream(repository, descriptor, 0) as stream:
                if not stream.readinto(memoryview(bytearray(1))):
                    return "0"
                return said_once(stream.headers.get("Content-Length")) if isinstance(stream, StreamedAnswer) else None

        return self._retry(attempt)

    @contextmanager
    def _stream(self, repository: str, descriptor: Descriptor, offset: int) -> Iterator[ByteStream]:
        path = self._provider.container(repository).blob_path(descriptor.digest)
        wanted = {"Range": f"bytes={offset}-"} if offset else {}
        with self._provider.stream(path, self._scopes(repository), wanted) as answer:
            if answer.status == HTTPStatus.NOT_FOUND:
                raise _not_there(descriptor)
            if offset and answer.status == HTTPStatus.OK:  # a range is a wish
                answer.skip(offset)
            elif offset and answer.status == HTTPStatus.PARTIAL_CONTENT:
                _check_range(answer.headers, offset)
            elif offset == descriptor.size and answer.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                yield BytesIO()  # all of it was read, and only the end of the answer was lost
                return
            elif answer.status != HTTPStatus.OK:
                raise error_of(read_refusal(answer), f"reading {descriptor.digest}")
            yield answer

    def _scopes(self, repository: str) -> Scopes:
        return (repository_scope(repository, write=self._write),)


def _not_there(descriptor: Descriptor) -> ContentNotFoundError:
    return ContentNotFoundError(f"the target does not have {descriptor.digest}")


def _check_range(headers: Mapping[str, str], offset: int) -> None:
    given = headers.get("Content-Range", "")
    if not given.startswith(f"bytes {offset}-"):
        raise UnexpectedAnswerError(f"asked for bytes from {offset} on, the registry sent {given[:60]!r}", status=206)
