"""A `Target` over any registry that speaks the distribution specification (v1.1.1).

What is tried again is one request or one blob, by the one policy of `RequestRetry`, here and in the parts that this
is made of. What is missing and what can't be said are kept apart throughout.
"""

from __future__ import annotations

import logging
from functools import partial
from http import HTTPStatus
from itertools import count
from typing import TYPE_CHECKING

from tasks.oci.descriptor import MAX_MEDIA_TYPE, Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import (
    InvalidDigestError,
    ManifestRefusedError,
    PermissionDeniedError,
    RegistryUnavailableError,
    TransferStalledError,
    UnexpectedAnswerError,
)
from tasks.oci.media_types import ACCEPT_MANIFESTS, IMAGE_INDEX
from tasks.oci.reference import is_tag
from tasks.oci.registry_profiles import GENERIC, profile_of_service
from tasks.ports import RemoteManifest
from tasks.stores.registry.blob_reading import BlobReading
from tasks.stores.registry.blob_upload import BlobUpload
from tasks.stores.registry.head_requests import HeadRequests
from tasks.stores.registry.manifest_deletion import ManifestDeletion
from tasks.stores.registry.push_answers import manifest_error_of
from tasks.stores.registry.registry_answers import check_api, error_codes, error_of
from tasks.stores.registry.registry_lists import digests_of, is_index, read_pages, says_no_list
from tasks.stores.registry.scopes import Scopes, repository_scope
from tasks.stores.registry.transport.http_answers import MAX_LIST_SIZE, HttpAnswer, said_once

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tasks.oci.registry_profiles import RegistryProfile
    from tasks.ports import BlobArrival, BlobContent
    from tasks.registry_ports import Deletion, RepositoryKeeper
    from tasks.stores.registry.oras_provider import OrasProvider
    from tasks.stores.registry.request_retry import RequestRetry
    from tasks.stores.registry.transport.http_pool import HttpPool
    from tasks.stores.verified_content import VerifiedContent

logger = logging.getLogger(__name__)

_STORED = frozenset({200, 201, 202, 204})
"""How registries say that they took a manifest. Only 201 is the specification's; older Quay answered 202."""

_ANY_TAG = "latest"
"""What is asked for to see whether a repository may be read; it need not be there."""


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
        self._blobs = BlobReading(provider, retry, pool.origin, write=write)
        self._heads = HeadRequests(provider, retry, "manifests")
        self._deletion = ManifestDeletion(provider, pool, retry)

    @property
    def host(self) -> str:
        """See `Target.host`."""
        host: str = self._provider.hostname
        return host

    @property
    def requests_made(self) -> int:
        """How many HTTP requests were sent so far."""
        return self._pool.requests_made

    @property
    def rate_limit(self) -> str | None:
        """What the registry last said of how many pulls are left, None where it says nothing."""
        return self._pool.rate_limit

    def close(self) -> None:
        """Close all connections."""
        self._pool.drop_idle()

    def check_access(self) -> None:
        """Ask the target for its API, so that a wrong host or password shows before anything is sent.

        What the answer says of the registry's kind is in `profile` from then on.

        Raises:
            AuthenticationError: the credentials are refused.
            UnexpectedAnswerError: what answers is no registry, or is one elsewhere.
            TransportError: there is no answer.
        """
        check_api(self._retry(self.knock), f"{self._pool.origin}/v2/")
        if self.profile is GENERIC:
            self.profile = profile_of_service(self._provider.token_service)

    def knock(self) -> HttpAnswer:
        """Ask once to be let in, by a new authorization; what is refused is raised."""
        return _checked(self._provider.knock(), f"GET {self._pool.origin}/v2/")

    def list_tags(self, repository: str) -> frozenset[str] | None:
        """See `ManifestResolver.list_tags`; where nothing else may be asked either, that is raised.

        Distribution takes minutes for the list of a large repository in a bucket, and a proxy does not wait for it.
        """
        try:
            return self._list_tags(repository)
        except (RegistryUnavailableError, TransferStalledError) as error:
            logger.warning("each tag of %s is asked for by itself, as they are not listed: %s", repository, error)
            return None
        except PermissionDeniedError as refusal:
            if self._write or refusal.status != HTTPStatus.UNAUTHORIZED:
                raise
            also = "some say so of a repository that is not there yet, and that a push makes"  # Quay does
            raise PermissionDeniedError(f"{refusal}; {also}", status=refusal.status, codes=refusal.codes) from refusal

    def _list_tags(self, repository: str) -> frozenset[str] | None:
        ask = partial(self._ask_for_list, repository)
        try:
            first = ask(self._provider.container(repository).tags_path)
        except PermissionDeniedError:
            self.resolve_manifest(repository, _ANY_TAG)
            return None  # whoever may push may not list, as with Amazon's rights for a push, and Azure's scope map
        if first.status != HTTPStatus.OK:
            return None if self.profile.no_repository.isdisjoint(error_codes(first)) else frozenset()
        listed = read_pages(first, "tags", ask)
        tags = (tag for tag in listed.entries if isinstance(tag, str) and is_tag(tag))
        return frozenset(tags) if listed.whole and listed.named else None

    def resolve_manifest(self, repository: str, reference: str) -> Digest | None:
        """See `ManifestResolver.resolve_manifest`."""
        path = self._provider.container(repository).manifest_path(reference)
        accept, attempted = {"Accept": ACCEPT_MANIFESTS}, f"HEAD {self._pool.origin}{path}"
        answer = self._heads.ask(path, self._scopes(repository), attempted, accept)
        if answer is not None:
            if answer.status == HTTPStatus.NOT_FOUND:
                return None
            digest = Digest.or_none(said_once(answer.headers.get("Docker-Content-Digest")))
            if digest is not None:  # a SHOULD in v1.1.1; ECR leaves it out
                return digest
        manifest = self.fetch_manifest(repository, reference)
        return None if manifest is None else Digest.of(manifest.raw)

    def resolve_pushed(self, repository: str, tag: str, digest: Digest) -> Digest | None:
        """See `ManifestResolver.resolve_pushed`."""
        return self._retry.until(digest, partial(self.resolve_manifest, repository, tag))

    def has_blob(self, repository: str, descriptor: Descriptor) -> bool:
        """See `ManifestResolver.has_blob`."""
        return self._blobs.has(repository, descriptor)

    def fetch_manifest(self, repository: str, reference: str) -> RemoteManifest | None:
        """See `Target.fetch_manifest`."""
        path = self._provider.container(repository).manifest_path(reference)
        headers, scopes = {"Accept": ACCEPT_MANIFESTS, "Accept-Encoding": "identity"}, self._scopes(repository)
        answer = self._retry(
            lambda: _checked(
                self._provider.do_request(path, "GET", None, headers, scopes), f"GET {self._pool.origin}{path}"
            )
        )
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        return RemoteManifest(answer.body, media_type[:MAX_MEDIA_TYPE])

    def fetch_blob(self, repository: str, descriptor: Descriptor) -> VerifiedContent:
        """See `Target.fetch_blob`."""
        return self._blobs.fetch(repository, descriptor)

    def list_referrers(self, repository: str, subject: Digest) -> frozenset[Digest] | None:
        """See `ManifestResolver.list_referrers`; a page of another place is none of the registry's."""
        ask = partial(self._ask_for_list, repository, headers={"Accept": IMAGE_INDEX}, follow=False)
        try:
            first = ask(f"/v2/{repository}/referrers/{subject}")
        except PermissionDeniedError:
            return None  # what Harbor before 2.8 says of it; whoever may read nothing is told so by the list's tag
        if first.status != HTTPStatus.OK or not is_index(first):
            return None
        listed = read_pages(first, "manifests", ask)
        return frozenset(digests_of(listed.entries)) if listed.named else None

    def push_blob(self, repository: str, content: BlobContent, mount_from: str | None = None) -> BlobArrival:
        """See `Target.push_blob`."""
        self._refuse_what_it_refuses(content.descriptor)
        return self._upload.push(repository, content, mount_from)

    def push_manifest(self, repository: str, reference: str, manifest: RemoteManifest) -> None:
        """See `Target.push_manifest`."""
        self._push_manifest(repository, reference, manifest, lambda: True)

    def push_tag(self, repository: str, tag: str, manifest: RemoteManifest, may_write: Callable[[], bool]) -> bool:
        """See `Target.push_tag`; pauses that the registry asked for are over before it is asked."""
        return self._push_manifest(repository, tag, manifest, may_write) is not None

    def _push_manifest(
        self, repository: str, reference: str, manifest: RemoteManifest, may_write: Callable[[], bool]
    ) -> HttpAnswer | None:
        if self.profile is not GENERIC:
            self._refuse_what_it_refuses(Descriptor(manifest.media_type, Digest.of(manifest.raw), len(manifest.raw)))
        attempted = f"pushing {repository}:{reference}" if ":" not in reference else f"pushing {reference}"
        path = self._provider.container(repository).manifest_path(reference)
        headers, scopes = {"Content-Type": manifest.media_type}, self._scopes(repository)
        attempts = count()

        def attempt() -> HttpAnswer | None:
            is_again = next(attempts) > 0
            if not self._pool.after_pauses(may_write):
                return None
            answer = self._provider.do_request(path, "PUT", manifest.raw, headers, scopes)
            if answer.status in _STORED:
                return answer
            error = manifest_error_of(answer, attempted)
            is_refused = isinstance(error, ManifestRefusedError | PermissionDeniedError)
            if is_again and is_refused and self._has_stored(repository, reference, manifest):
                return answer
            raise error

        answer = self._retry(attempt)
        stored = None if answer is None else said_once(answer.headers.get("Docker-Content-Digest"))
        if stored is not None and not _names(stored, manifest.raw):
            raise UnexpectedAnswerError(f"{attempted}: the registry says it stored {stored[:100]!r} instead")
        return answer

    def _has_stored(self, repository: str, reference: str, manifest: RemoteManifest) -> bool:
        """Whether what is refused now is there: an earlier answer was lost, and the tag may be written once only."""
        return self.resolve_manifest(repository, reference) == Digest.of(manifest.raw)

    def delete_manifest(self, repository: str, reference: str) -> Deletion:
        """See `Target.delete_manifest`."""
        return self._deletion.delete(repository, reference, lambda: True)

    def delete_tag(self, repository: str, tag: str, may_delete: Callable[[], bool]) -> Deletion:
        """See `Target.delete_tag`; pauses that the registry asked for are over before it is asked."""
        return self._deletion.delete(repository, tag, may_delete)

    def _refuse_what_it_refuses(self, descriptor: Descriptor) -> None:
        """Better said here than by the registry, after gigabytes were sent."""
        refusal = self.profile.refusal(descriptor)
        if refusal is not None:
            raise refusal

    def _ask_for_list(
        self, repository: str, path: str, *, headers: Mapping[str, str] | None = None, follow: bool = True
    ) -> HttpAnswer:
        """A page of a list, or an answer that says that there is none."""

        def attempt() -> HttpAnswer:
            answer = self._provider.do_request(
                path, "GET", None, headers, self._scopes(repository), most=MAX_LIST_SIZE, follow=follow
            )
            if answer.status != HTTPStatus.OK and not says_no_list(answer):
                raise error_of(answer, f"GET {self._pool.origin}{path.partition('?')[0]}")
            return answer

        return self._retry(attempt)

    def _scopes(self, repository: str) -> Scopes:
        return (repository_scope(repository, write=self._write),)


def _checked(answer: HttpAnswer, attempted: str) -> HttpAnswer:
    """An answer of 200, or of 404 for what is missing."""
    if answer.status not in {HTTPStatus.OK, HTTPStatus.NOT_FOUND}:
        raise error_of(answer, attempted)
    return answer


def _names(digest: str, content: bytes) -> bool:
    try:
        return digest == Digest.of(content, Digest(digest).algorithm)
    except InvalidDigestError:
        return False
