"""oras-py's registry provider, with the parts replaced that a migration can't live with.

The only module that imports oras. What stays is its model of a registry: a provider for one host, containers that
know the paths of its API, and `do_request` as the one way there. Replaced are its session, its retry (131 s on a
wrong password, none on 429), its authorization (one token for all repositories), its uploads (whole blobs in memory),
its existence checks (any error is "missing") and its manifests (serialised again, so that digests change);
docs/decisions/003-oras-py.md has the list.
"""

from __future__ import annotations

from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

from oras.container import Container
from oras.provider import Registry

from tasks.oci.errors import (
    AuthenticationError,
    AuthorizationExpiredError,
    PermissionDeniedError,
    RegistryError,
)
from tasks.stores.hidden_secrets import redacted
from tasks.stores.registry.kept_credentials import NONE_CONFIGURED
from tasks.stores.registry.registry_answers import MAX_REFUSAL_SIZE, describe, error_of, says_expired
from tasks.stores.registry.scopes import scopes_after
from tasks.stores.registry.transport.http_answers import MAX_ANSWER_SIZE, HttpAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tasks.oci.digest import Digest
    from tasks.stores.registry.registry_auth import Authorizer
    from tasks.stores.registry.scopes import Scopes
    from tasks.stores.registry.transport.http_answers import StreamedAnswer
    from tasks.stores.registry.transport.http_pool import HttpPool
    from tasks.stores.registry.transport.request_writing import Body


class RepositoryContainer(Container):
    """A container made of parts that are known, not guessed from text.

    oras-py takes the first component of `team.x/app` for a host, and gives every name the tag `latest`.
    """

    def __init__(self, registry: str, repository: str) -> None:
        self.registry = registry
        self.namespace, _, self.repository = repository.rpartition("/")
        self.tag = None
        self.digest = None

    def manifest_path(self, reference: str) -> str:
        """Where a manifest is, by tag or digest."""
        return self._path(self.manifest_url(reference))

    def blob_path(self, digest: Digest) -> str:
        """Where a blob is."""
        return self._path(self.get_blob_url(digest))

    @property
    def uploads_path(self) -> str:
        """Where uploads begin."""
        return self._path(self.upload_blob_url())

    @property
    def tags_path(self) -> str:
        """Where the tags are listed."""
        return self._path(self.tags_url())

    def _path(self, url: str) -> str:
        """The path of one of oras's URLs, which come without a scheme."""
        return url.removeprefix(self.registry)


class OrasProvider(Registry):
    """Requests to one registry, authorized per repository scope."""

    def __init__(self, host: str, pool: HttpPool, authorizer: Authorizer) -> None:
        super().__init__(hostname=host, insecure=pool.origin.startswith("http:"))
        self.session.close()  # requests' session, in whose place the pool is used
        self._pool = pool
        self._authorizer = authorizer
        self._was_let_in = False

    @property
    def token_service(self) -> str:
        """The name that the registry gives its token service, empty as long as it asked for no token."""
        return self._authorizer.service

    def is_own(self, url: str) -> bool:
        """Whether an answer from a whole URL is the registry's, and not of a place that it leads to."""
        return self._pool.is_own(url)

    def knock(self) -> HttpAnswer:
        """Ask for nothing but to be let in, anew.

        A token that was granted before says nothing of who grants them now. Nor does a connection that nobody has
        ended: it may be dead, as after a machine slept, and be asked in vain for as long as an answer may take.
        """
        self._authorizer.forget(())
        self._pool.drop_idle()
        return self.do_request("/v2/")

    def container(self, repository: str) -> RepositoryContainer:
        """The container of a repository, for its paths."""
        return RepositoryContainer(self.hostname, repository)

    def do_request(
        self,
        url: str,
        method: str = "GET",
        data: Body = None,
        headers: Mapping[str, str] | None = None,
        scopes: Scopes = (),
        *,
        most: int = MAX_ANSWER_SIZE,
        follow: bool = True,
    ) -> HttpAnswer:
        """Send a request once, and once more with new authorization after a 401; the rest is as in `HttpPool.send`.

        Where the 401 names a scope with more rights, the new authorization is for that.
        A body that can't be read twice must not be given before the registry has accepted a header for
        these scopes; uploads start with a POST, which sees to that.

        Raises:
            AuthenticationError: the registry refuses the credentials.
            PermissionDeniedError: it refuses them for these scopes.
            AuthorizationExpiredError: they ended after a body was sent that can't be read again here.
            TransportError: no usable answer arrived.
        """
        sent = self._authorizer.header(scopes)
        answer = self._pool.send(method, url, _with(headers, sent), data, most, follow=follow)
        if answer.status != HTTPStatus.UNAUTHORIZED and not says_expired(answer):
            self._was_let_in |= sent is not None
            return answer
        asked, scopes = scopes, scopes_after(answer.headers.get("WWW-Authenticate", ""), scopes)
        renewed = self._renew(scopes, sent, answer)
        if scopes != asked and all(map(_covers, scopes, asked)):
            self._authorizer.keep_for(asked, scopes)  # else a body that follows, and can't be sent twice, is refused
        if renewed != sent and not (data is None or isinstance(data, bytes)):
            raise AuthorizationExpiredError(f"{self.hostname}: the authorization ended during an upload", status=401)
        if renewed == sent:
            raise self._refusal(renewed, scopes, answer)
        answer = self._pool.send(method, url, _with(headers, renewed), data, most, follow=follow)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            raise self._refusal(renewed, scopes, answer)
        self._was_let_in |= renewed is not None
        return answer

    def _refusal(self, sent: str | None, scopes: Scopes, answer: HttpAnswer) -> RegistryError:
        """What was just granted, or is good elsewhere, and is refused here tells of this repository only."""
        credentials = self._authorizer.credentials
        refuses = f"refuses {credentials.named}" if credentials.are_found else f"wants a login and {NONE_CONFIGURED}"
        message = f"{self.hostname} {refuses}: {describe(answer)}"
        kind = PermissionDeniedError if scopes and self._is_good(sent) else AuthenticationError
        return kind(message, status=HTTPStatus.UNAUTHORIZED)

    def _is_good(self, sent: str | None) -> bool:
        """A new token is; a password is, where any was taken before and the registry itself still lets us in."""
        if sent is None or sent.startswith("Bearer "):
            return sent is not None
        return self._was_let_in and self._lets_in()

    def _lets_in(self) -> bool:
        try:
            self.do_request("/v2/")
        except AuthenticationError:
            return False
        return True

    @contextmanager
    def stream(self, url: str, scopes: Scopes, wanted: Mapping[str, str]) -> Iterator[StreamedAnswer]:
        """A GET with `wanted` among its headers, whose body is read as it comes.

        Raises:
            AuthenticationError: the registry refuses the credentials.
            PermissionDeniedError: it refuses them for this repository.
            TransportError: no usable answer arrived.
        """
        sent = self._authorizer.header(scopes)
        headers = {"Accept-Encoding": "identity", **wanted}
        with self._pool.open("GET", url, _with(headers, sent)) as answer:
            if answer.status not in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
                yield answer
                return
            refused = read_refusal(answer)
        if refused.status == HTTPStatus.FORBIDDEN and not says_expired(refused):
            raise error_of(refused, f"GET {url.partition('?')[0]}")
        renewed = self._renew(scopes, sent, refused)
        with self._pool.open("GET", url, _with(headers, renewed)) as answer:
            if answer.status == HTTPStatus.UNAUTHORIZED:
                raise self._refusal(renewed, scopes, read_refusal(answer))
            yield answer

    def _renew(self, scopes: Scopes, sent: str | None, refusal: HttpAnswer) -> str | None:
        """A new authorization, in the way that the registry itself asks for.

        Who keeps its blobs must not: a token server of theirs would be sent the password.
        """
        if not self._pool.is_own(refusal.url):
            where = f"{redacted(refusal.url)}, where {self.hostname} leads to,"
            raise PermissionDeniedError(f"{where} wants credentials, and gets none", status=refusal.status)
        self._authorizer.refused(scopes, sent, refusal.headers.get("WWW-Authenticate", ""))
        return self._authorizer.header(scopes)


def _covers(scope: str, other: str) -> bool:
    """Whether a scope gives all rights of another of the same repository; Azure's for lists gives none of these."""
    given, wanted = (set(each.rpartition(":")[2].split(",")) for each in (scope, other))
    return "*" in given or wanted <= given


def _with(headers: Mapping[str, str] | None, authorization: str | None) -> dict[str, str]:
    fresh = dict(headers or {})
    if authorization is not None:
        fresh["Authorization"] = authorization
    return fresh


def read_refusal(answer: StreamedAnswer) -> HttpAnswer:
    """A refusal with as much of its body as tells why."""
    return HttpAnswer(answer.status, answer.headers, answer.read(MAX_REFUSAL_SIZE), answer.url)
