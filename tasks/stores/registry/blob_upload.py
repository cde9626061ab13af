"""Uploads of blobs: a POST that opens a session or mounts, then one PUT with the whole body.

distribution-spec v1.1.1 "Pushing a blob monolithically" and "Mounting a blob from another repository". This
form works on every registry known. A small blob is sent by one POST as long as that is taken; chunks are kept for
what is too large for one request, or takes too long.
"""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit, urlunsplit

from tasks.oci.errors import (
    AuthenticationError,
    AuthorizationExpiredError,
    PayloadTooLargeError,
    PermissionDeniedError,
    RegistryError,
    RegistryUnavailableError,
    TransportError,
    UnexpectedAnswerError,
    UntrustedConnectionError,
)
from tasks.ports import BlobArrival
from tasks.stores.hidden_secrets import LONGEST_SHOWN
from tasks.stores.registry.chunked_upload import CHUNK_SIZES, ChunkedUpload, completed_at
from tasks.stores.registry.push_answers import opening_error_of
from tasks.stores.registry.registry_answers import asks_for_fewer, error_of
from tasks.stores.registry.scopes import repository_scope
from tasks.stores.registry.transport.http_answers import said_once
from tasks.stores.registry.transport.watched_connections import COMMITTED_BYTES_A_SECOND
from tasks.stores.registry.upload_tries import MAY_NOT_KNOW, UploadTries

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tasks.oci.descriptor import Descriptor
    from tasks.ports import BlobContent, Buffer
    from tasks.stores.registry.oras_provider import OrasProvider
    from tasks.stores.registry.request_retry import RequestRetry
    from tasks.stores.registry.scopes import Scopes
    from tasks.stores.registry.transport.http_answers import HttpAnswer
    from tasks.stores.registry.transport.http_pool import HttpPool

SMALL_BLOB = 256 * 1024
"""Bytes up to which a blob is read whole before it is sent: one system call instead of several."""
_OF_THE_MOMENT = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY})
_NOT_WAITED_FOR = frozenset({HTTPStatus.GATEWAY_TIMEOUT, 524})
"""A proxy, Cloudflare's with 524, did not wait for the answer; the registry may well be storing what it was sent."""
_MAY_BE_THERE = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT})
"""Nexus, set to change nothing, refuses what another upload brought meanwhile, even into another repository."""


class BlobUpload:
    """Sends blobs to one registry; safe to share by all workers."""

    def __init__(self, provider: OrasProvider, pool: HttpPool, retry: RequestRetry) -> None:
        self._provider = provider
        self._pool = pool
        self._retry = retry
        self._takes_single_post = True
        self._took_single_post = False
        self._chunks = ChunkedUpload(provider, self._place_of)

    def push(self, repository: str, content: BlobContent, mount_from: str | None) -> BlobArrival:
        """See `Target.push_blob`; each attempt is a new session and reads the content anew.

        Some registries answer 500 to a way that they don't know, and so the next attempt goes the one all know.
        """
        tried = UploadTries(content.descriptor)
        try:
            arrival = self._retry(partial(self._attempt, tried, repository, content, mount_from))
        except (TransportError, RegistryUnavailableError) as error:
            if (told := tried.as_limit(error)) is None:
                raise
            raise told from error
        is_small = content.descriptor.size <= SMALL_BLOB
        if tried.plainly and mount_from is None and is_small and not self._took_single_post:
            self._takes_single_post = False  # it never did: each further blob would break it once, and wait
        return arrival

    def _attempt(
        self, tried: UploadTries, repository: str, content: BlobContent, mount_from: str | None
    ) -> BlobArrival:
        tried.begin()
        if tried.times > 1 and self._has_arrived(tried, repository, content.descriptor):
            return BlobArrival.PUSHED  # the answer was lost, not the blob
        try:
            return self._push_once(repository, content, None if tried.plainly else mount_from, tried)
        except (TransportError, RegistryUnavailableError) as error:
            tried.plainly |= isinstance(error, RegistryUnavailableError) and error.status in MAY_NOT_KNOW
            tried.note_failure(error)
            raise

    def _push_once(
        self, repository: str, content: BlobContent, mount_from: str | None, tried: UploadTries
    ) -> BlobArrival:
        mounted = None if mount_from is None else self._mount(repository, content, mount_from, tried)
        return mounted or self._send(repository, content, tried)

    def _mount(
        self, repository: str, content: BlobContent, mount_from: str, tried: UploadTries
    ) -> BlobArrival | None:
        """Have a blob mounted, or put into the session that is opened in place of that; None where it is refused.

        Refusals of a mount are many, and one is that we have no right to read the other repository.
        """
        query = urlencode({"mount": content.descriptor.digest, "from": mount_from})
        own, other = repository_scope(repository, write=True), repository_scope(mount_from, write=False)
        try:
            path = f"{self._uploads_path(repository)}?{query}"
            answer = self._provider.do_request(path, "POST", b"", {}, (own, other))
        except (AuthenticationError, PermissionDeniedError):
            return None
        if answer.status == HTTPStatus.CREATED:
            return BlobArrival.MOUNTED
        return None if _is_refusal(answer) else self._put(repository, answer, content, (own, other), tried)

    def _send(self, repository: str, content: BlobContent, tried: UploadTries) -> BlobArrival:
        """Send a blob by the shortest way that the registry takes."""
        scopes: Scopes = (repository_scope(repository, write=True),)
        if content.descriptor.size <= SMALL_BLOB and self._takes_single_post and not tried.plainly:
            return self._post_whole(repository, content, scopes, tried)
        if self._needs_chunks(tried):
            return self._push_in_chunks(repository, content, scopes, tried)
        opened = self._provider.do_request(self._uploads_path(repository), "POST", b"", {}, scopes)
        return self._put(repository, opened, content, scopes, tried)

    def _post_whole(self, repository: str, content: BlobContent, scopes: Scopes, tried: UploadTries) -> BlobArrival:
        """Send a small blob in one request; a registry that never took that is not asked again.

        Its 202 opens a session as if there had been no body (distribution-spec v1.1.1 "Single POST").
        """
        headers = {"Content-Type": "application/octet-stream"}
        raw = content.read()
        url = completed_at(self._uploads_path(repository), content.descriptor.digest)
        answer = self._provider.do_request(url, "POST", raw, headers, scopes)
        if answer.status == HTTPStatus.CREATED:
            self._took_single_post = True
            return BlobArrival.PUSHED
        if answer.status == HTTPStatus.ACCEPTED:
            self._takes_single_post = False
            return self._put(repository, answer, content, scopes, tried)
        if _is_refusal(answer):
            tried.plainly = True
            arrival = self._send(repository, content, tried)  # where this fails, too, it was meant of the repository
            self._takes_single_post = self._took_single_post
            return arrival
        raise error_of(answer, f"sending {content.descriptor.digest}")

    def _put(
        self, repository: str, opened: HttpAnswer, content: BlobContent, scopes: Scopes, tried: UploadTries
    ) -> BlobArrival:
        """Send a blob into the session that an answer opens, if it opens one."""
        digest, size = content.descriptor.digest, content.descriptor.size
        if opened.status != HTTPStatus.ACCEPTED:
            raise opening_error_of(opened, f"starting the upload of {digest}")
        if self._needs_chunks(tried):
            return self._push_in_chunks(repository, content, scopes, tried)
        url = completed_at(self._place_of(opened), digest)
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        if size <= SMALL_BLOB:
            answer = self._provider.do_request(url, "PUT", content.read(), headers, scopes)
        else:
            answer = self._put_in_parts(url, content, headers, scopes, tried)
        tried.sent = answer.status in _NOT_WAITED_FOR
        is_taken = answer.status in {HTTPStatus.CREATED, HTTPStatus.NO_CONTENT}
        if is_taken or (answer.status in _MAY_BE_THERE and self._arrived(repository, content.descriptor)):
            return BlobArrival.PUSHED
        error = tried.error_of(answer, f"sending {digest}")
        if isinstance(error, PayloadTooLargeError) and size > CHUNK_SIZES[-1]:
            tried.too_large = True
            return self._push_in_chunks(repository, content, scopes, tried)
        raise error

    def _put_in_parts(
        self, url: str, content: BlobContent, headers: dict[str, str], scopes: Scopes, tried: UploadTries
    ) -> HttpAnswer:
        with content.chunks() as chunks:
            try:
                body = tried.body(_noting_end(chunks, tried), tried.descriptor.size)
                return self._provider.do_request(url, "PUT", body, headers, scopes)
            except AuthorizationExpiredError:
                tried.sent = False  # it was refused, and nothing is stored
                raise

    def _needs_chunks(self, tried: UploadTries) -> bool:
        size = tried.descriptor.size
        is_too_large = tried.too_large or (size >= self._chunks.refused and size > CHUNK_SIZES[-1])
        return not tried.only_whole and (is_too_large or tried.is_cut)

    def _push_in_chunks(
        self, repository: str, content: BlobContent, scopes: Scopes, tried: UploadTries
    ) -> BlobArrival:
        try:
            self._chunks.push(repository, content, scopes, tried)
        except RegistryError as error:
            tried.only_whole |= (refused := tried.refuses_chunks(error))
            if error.transient or not refused:
                raise
        else:
            if tried.is_cut:
                self._chunks.refused = min(self._chunks.refused, tried.cut_at)  # as much of others would be cut, too
            return BlobArrival.PUSHED
        return self._send(repository, content, tried)

    def _place_of(self, started: HttpAnswer) -> str:
        """The URL of an upload session, as it came, but for a port that it lacks."""
        location = started.headers.get("Location")
        if not location:
            raise UnexpectedAnswerError("the registry accepted an upload and named no place for it", status=202)
        url, kept = self._pool.next_hop(started.url, location, {"Authorization": ""})
        if kept:
            return url
        home, there = urlsplit(self._pool.origin), urlsplit(url)
        if (there.scheme, there.hostname, there.port) == (home.scheme, home.hostname, None):
            return urlunsplit(there._replace(netloc=home.netloc))  # a proxy told the registry its name, and no port
        host = there.netloc.rpartition("@")[2][:LONGEST_SHOWN]  # before it, a name and password may stand
        raise UntrustedConnectionError(f"the registry wants a blob sent to another host: {host}")

    def _has_arrived(self, tried: UploadTries, repository: str, descriptor: Descriptor) -> bool:
        """Whether the blob is there, or comes to be in the time that storing it takes.

        To send it twice at once is what distribution 2.8 loses tags by, and takes longer.
        """
        seconds = descriptor.size / COMMITTED_BYTES_A_SECOND if tried.sent else 0.0
        look = partial(self._arrived, repository, descriptor)
        has_arrived = bool(self._retry.until(wanted=True, look=look, seconds=seconds))
        tried.sent = False
        return has_arrived

    def _uploads_path(self, repository: str) -> str:
        return self._provider.container(repository).uploads_path

    def _arrived(self, repository: str, descriptor: Descriptor) -> bool:
        path = self._provider.container(repository).blob_path(descriptor.digest)
        scopes = (repository_scope(repository, write=True),)
        answer = self._provider.do_request(path, "HEAD", None, {}, scopes)
        if asks_for_fewer(answer):
            raise error_of(answer, f"looking for {descriptor.digest}")
        length = said_once(answer.headers.get("Content-Length"))
        return answer.status == HTTPStatus.OK and length in {None, str(descriptor.size)}


def _noting_end(chunks: Iterable[Buffer], tried: UploadTries) -> Iterator[Buffer]:
    """The chunks; once the last was taken, the registry may be storing the blob, whatever becomes of its answer."""
    yield from chunks
    tried.note_sent()


def _is_refusal(answer: HttpAnswer) -> bool:
    """Whether the registry will not do this, so that another way must be gone."""
    is_of_client = HTTPStatus.BAD_REQUEST <= answer.status < HTTPStatus.INTERNAL_SERVER_ERROR
    return is_of_client and answer.status not in _OF_THE_MOMENT and not asks_for_fewer(answer)
