"""A `Target` over any registry that speaks the distribution specification (v1.1.1).

Retries live here and nowhere below: one policy, around one request or one blob. What is missing and what
can't be said are kept apart throughout.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import (
    ContentNotFoundError,
    InvalidDigestError,
    SizeMismatchError,
    UnexpectedAnswerError,
)
from tasks.oci.media_types import ACCEPT_MANIFESTS
from tasks.oci.registry_profiles import GENERIC, profile_of_service
from tasks.ports import RemoteManifest
from tasks.stores.blob_upload import BlobUpload
from tasks.stores.http_pool import MAX_ANSWER_SIZE, MAX_LIST_SIZE, HttpAnswer
from tasks.stores.oras_provider import read_refusal
from tasks.stores.registry_answers import deletion_of, error_of, manifest_error_of
from tasks.stores.registry_auth import Scopes, repository_scope
from tasks.stores.resuming_stream import resuming
from tasks.stores.transport_errors import redacted
from tasks.stores.verified_content import VerifiedContent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tasks.deletion_ports import Deletion
    from tasks.oci.registry_profiles import RegistryProfile
    from tasks.ports import BlobArrival, BlobContent, RepositoryKeeper
    from tasks.stores.http_pool import HttpPool
    from tasks.stores.oras_provider import OrasProvider, RepositoryContainer
    from tasks.stores.request_retry import RequestRetry
    from tasks.stores.verified_content import ByteStream

MAX_PAGES = 100_000
_OK, _CREATED, _PARTIAL, _NOT_FOUND = 200, 201, 206, 404


class RegistryStore:
    """See `Target`; one object serves all workers."""

    def __init__(
        self,
        provider: OrasProvider,
        pool: HttpPool,
        retry: RequestRetry,
        *,
        write: bool,
        profile: RegistryProfile = GENERIC,
    ) -> None:
        self.profile = profile
        self.keeper: RepositoryKeeper | None = None
        self._provider = provider
        self._pool = pool
        self._retry = retry
        self._write = write
        self._upload = BlobUpload(provider, pool, retry)

    @property
    def host(self) -> str:
        """See `Target.host`."""
        host: str = self._provider.hostname
        return host

    @property
    def requests_made(self) -> int:
        """See `Target.requests_made`."""
        return self._pool.requests_made

    @property
    def rate_limit(self) -> str | None:
        """What the registry last said of how many pulls are left, None where it says nothing."""
        return self._pool.rate_limit

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    def check_access(self) -> None:
        """See `Target.check_access`; what the answer says of the registry's kind is in `profile` from then on."""
        asked = f"GET {self._pool.origin}/v2/"
        answer = self._retry(lambda: self._checked(self._provider.do_request("/v2/"), asked))
        if answer.status != _OK:
            raise UnexpectedAnswerError(
                f"{self._pool.origin}/v2/ answered {answer.status}: is it a registry?", status=answer.status
            )
        if self.profile is GENERIC:
            self.profile = profile_of_service(self._provider.token_service)

    def list_tags(self, repository: str) -> frozenset[str]:
        """See `ManifestResolver.list_tags`."""
        listed = self._pages(repository, self._container(repository).tags_url(), "tags")
        return frozenset(tag for tag in listed or () if isinstance(tag, str))

    def resolve_manifest(self, repository: str, reference: str) -> Digest | None:
        """See `ManifestResolver.resolve_manifest`."""
        answer = self._request(
            repository, "HEAD", self._container(repository).manifest_url(reference), {"Accept": ACCEPT_MANIFESTS}
        )
        if answer.status == _NOT_FOUND:
            return None
        try:
            return Digest(answer.headers.get("Docker-Content-Digest"))
        except InvalidDigestError:  # a SHOULD in v1.1.1; ECR leaves it out
            manifest = self.fetch_manifest(repository, reference)
            return None if manifest is None else Digest.of(manifest.raw)

    def has_blob(self, repository: str, descriptor: Descriptor) -> bool:
        """See `ManifestResolver.has_blob`."""
        answer = self._request(repository, "HEAD", self._container(repository).get_blob_url(descriptor.digest))
        if answer.status == _NOT_FOUND:
            return False
        length = answer.headers.get("Content-Length")
        if length is not None and length != str(descriptor.size):
            raise SizeMismatchError(
                f"the target has {descriptor.digest} with {length} bytes instead of {descriptor.size}"
            )
        return True

    def fetch_manifest(self, repository: str, reference: str) -> RemoteManifest | None:
        """See `ContentFetcher.fetch_manifest`."""
        answer = self._request(
            repository,
            "GET",
            self._container(repository).manifest_url(reference),
            {"Accept": ACCEPT_MANIFESTS, "Accept-Encoding": "identity"},
        )
        if answer.status == _NOT_FOUND:
            return None
        return RemoteManifest(answer.body, answer.headers.get("Content-Type", "").partition(";")[0].strip())

    def fetch_blob(self, repository: str, descriptor: Descriptor) -> VerifiedContent:
        """See `ContentFetcher.fetch_blob`."""
        open_at = partial(self._stream_blob, repository, descriptor)
        return VerifiedContent(descriptor, lambda: resuming(open_at, self._retry))

    def list_referrers(self, repository: str, subject: Digest) -> frozenset[Digest] | None:
        """See `ContentFetcher.list_referrers`."""
        listed = self._pages(repository, f"/v2/{repository}/referrers/{subject}", "manifests")
        if listed is None:
            return None
        return frozenset(Digest(entry.get("digest")) for entry in listed if isinstance(entry, dict))

    def push_blob(self, repository: str, content: BlobContent, mount_from: str | None = None) -> BlobArrival:
        """See `ContentPusher.push_blob`."""
        self._refuse_what_it_refuses(content.descriptor)
        return self._upload.push(repository, content, mount_from)

    def push_manifest(self, repository: str, reference: str, manifest: RemoteManifest) -> bool:
        """See `ContentPusher.push_manifest`."""
        if self.profile is not GENERIC:
            self._refuse_what_it_refuses(Descriptor(manifest.media_type, Digest.of(manifest.raw), len(manifest.raw)))
        attempted = f"pushing {repository}:{reference}" if ":" not in reference else f"pushing {reference}"

        def attempt() -> HttpAnswer:
            answer = self._provider.do_request(
                self._path(repository, self._container(repository).manifest_url(reference)),
                "PUT",
                manifest.raw,
                {"Content-Type": manifest.media_type},
                self._scopes(repository),
            )
            if answer.status not in {_OK, _CREATED}:
                raise manifest_error_of(answer, attempted)
            return answer

        answer = self._retry(attempt)
        stored = answer.headers.get("Docker-Content-Digest")
        if stored is not None and not _names(stored, manifest.raw):
            raise UnexpectedAnswerError(f"{attempted}: the registry says it stored {stored[:100]!r} instead")
        return "OCI-Subject" in answer.headers

    def delete_manifest(self, repository: str, reference: str) -> Deletion:
        """See `ManifestRemover.delete_manifest` (distribution-spec v1.1.1 "Deleting tags", "Deleting Manifests")."""
        path = self._path(repository, self._container(repository).manifest_url(reference))
        scopes = (f"repository:{repository}:pull,push,delete",)
        return self._retry(
            lambda: deletion_of(self._provider.do_request(path, "DELETE", None, None, scopes), f"DELETE {path}")
        )

    def _refuse_what_it_refuses(self, descriptor: Descriptor) -> None:
        """Better said here than by the registry, after gigabytes were sent."""
        refusal = self.profile.refusal(descriptor)
        if refusal is not None:
            raise refusal

    @contextmanager
    def _stream_blob(self, repository: str, descriptor: Descriptor, offset: int) -> Iterator[ByteStream]:
        url = self._path(repository, self._container(repository).get_blob_url(descriptor.digest))
        wanted = {"Range": f"bytes={offset}-"} if offset else {}
        with self._provider.stream(url, self._scopes(repository), wanted) as answer:
            if answer.status == _NOT_FOUND:
                raise ContentNotFoundError(f"the target does not have {descriptor.digest}")
            if offset and answer.status == _OK:  # a range is a wish
                answer.skip(offset)
            elif offset and answer.status == _PARTIAL:
                _check_range(answer.headers, offset)
            elif answer.status != _OK:
                raise error_of(read_refusal(answer), f"reading {descriptor.digest}")
            yield answer

    def _pages(self, repository: str, url: str, field: str) -> list[object] | None:
        """The entries of a list that may come in pages (distribution-spec v1.1.1 "Listing Tags"), None on 404."""
        entries: list[object] = []
        seen: set[str] = set()
        path: str | None = self._path(repository, url)
        while path is not None and path not in seen and len(seen) < MAX_PAGES:
            answer = self._request(repository, "GET", path, most=MAX_LIST_SIZE)
            if answer.status == _NOT_FOUND:
                return entries if seen else None
            seen.add(path)
            entries += _listed(answer, field)
            path = self._next_page(answer)
        return entries

    def _next_page(self, answer: HttpAnswer) -> str | None:
        target, _, relation = answer.headers.get("Link", "").partition(";")
        if 'rel="next"' not in relation.replace(" ", "") and "rel=next" not in relation:
            return None
        # A proxy may have written another host into it: only the path counts, asked of the same registry.
        try:
            parts = urlsplit(urljoin(answer.url, target.strip().strip("<>")))
        except ValueError as error:
            message = f"{redacted(answer.url)}: the next page is said to be at {target[:100]!r}"
            raise UnexpectedAnswerError(message, status=answer.status) from error
        return f"{parts.path}?{urlencode(parse_qsl(parts.query, keep_blank_values=True))}"

    def _request(
        self,
        repository: str,
        method: str,
        url: str,
        headers: dict[str, str] | None = None,
        most: int = MAX_ANSWER_SIZE,
    ) -> HttpAnswer:
        """A request without a body that answers 200, or 404 for what is missing."""
        path = self._path(repository, url)
        attempted = f"{method} {self._pool.origin}{path.partition('?')[0]}"
        return self._retry(
            lambda: self._checked(
                self._provider.do_request(path, method, None, headers, self._scopes(repository), most=most), attempted
            )
        )

    def _checked(self, answer: HttpAnswer, attempted: str) -> HttpAnswer:
        if answer.status not in {_OK, _NOT_FOUND}:
            raise error_of(answer, attempted)
        return answer

    def _scopes(self, repository: str) -> Scopes:
        return (repository_scope(repository, write=self._write),)

    def _container(self, repository: str) -> RepositoryContainer:
        return self._provider.container(repository)

    def _path(self, repository: str, url: str) -> str:
        return self._container(repository).path(url)


def _check_range(headers: Mapping[str, str], offset: int) -> None:
    given = headers.get("Content-Range", "")
    if not given.startswith(f"bytes {offset}-"):
        raise UnexpectedAnswerError(f"asked for bytes from {offset} on, the registry sent {given[:60]!r}", status=206)


def _names(digest: str, content: bytes) -> bool:
    try:
        return digest == Digest.of(content, Digest(digest).algorithm)
    except InvalidDigestError:
        return False


def _listed(answer: HttpAnswer, field: str) -> list[object]:
    try:
        listed = json.loads(answer.body).get(field)
    except (ValueError, AttributeError, RecursionError) as error:
        raise UnexpectedAnswerError(f"{redacted(answer.url)}: the list is not JSON", status=answer.status) from error
    return listed if isinstance(listed, list) else []
