"""Authorization of requests to one registry: basic, or bearer tokens by repository scope.

Sources: distribution's docs/spec/auth/token.md and oauth.md. A token is kept for its scope, fetched anew before it
ends, and dropped when the registry refuses it; one worker fetches it while the others that need it wait, and what it
meets they have met too.
"""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from tasks.oci.errors import (
    AuthenticationError,
    PermissionDeniedError,
    RateLimitedError,
    RegistryUnavailableError,
    UnexpectedAnswerError,
    UntrustedConnectionError,
)
from tasks.stores.hidden_secrets import LONGEST_SHOWN, redacted
from tasks.stores.registry.challenges import Challenge, KeptChallenges, chosen, parse_challenges
from tasks.stores.registry.kept_credentials import USED_SHARE, KeptCredentials
from tasks.stores.registry.registry_answers import asks_for_fewer, describe, may_pass, retry_after
from tasks.stores.registry.transport.http_answers import address_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tasks.stores.registry.credentials import Credentials
    from tasks.stores.registry.transport.http_answers import HttpAnswer

Scopes = tuple[str, ...]

DEFAULT_LIFETIME = 60.0
"""Seconds that a token lives when its server does not say (token.md, "expires_in")."""
_CLIENT_ID = "layoutlift"
_ANY_SCOPES = ("",)  # a token may be kept for no scopes
_LONGEST_SCOPE = 1_000  # characters
MOST_TOKENS = 5_000
"""Tokens that are kept at once: 10 MB or 20. A batch's repositories are all opened before the first is worked on, and
in a source of 300,000 small ones so many are in work at once; with fewer tokens each would be fetched twice."""
NONE_CONFIGURED = (
    "none is configured; log in with docker or podman, or set LAYOUTLIFT_TARGET_USERNAME and "
    "LAYOUTLIFT_TARGET_PASSWORD"
)


def repository_scope(repository: str, *, write: bool) -> str:
    """The scope of a repository (distribution docs/spec/auth/scope.md)."""
    return f"repository:{repository}:{'pull,push' if write else 'pull'}"


def scopes_after(refusal: str, asked: Scopes) -> Scopes:
    """The scopes to ask for after a refusal's `WWW-Authenticate`, which names what is needed (token.md).

    That counts where it is more of the same repository than was asked for: Azure lists tags for whoever asked for
    `metadata_read`. Else what was asked for is asked for again.
    """
    bearers = (each for each in parse_challenges(refusal) if each.scheme == "bearer")
    named = next(bearers, Challenge("", {})).parameters.get("scope", "")
    place, _, needed = named.rpartition(":")
    for scope in asked if len(named) <= _LONGEST_SCOPE else ():
        its_place, _, actions = scope.rpartition(":")
        if place == its_place and not set(needed.split(",")) <= set(actions.split(",")):
            return tuple(named if each == scope else each for each in asked)
    return asked


@dataclass(frozen=True, slots=True)
class _Token:
    header: str = field(repr=False)
    fresh_until: float


class Authorizer:
    """Gives each request its `Authorization`; safe to share by all workers."""

    def __init__(
        self,
        origin: str,
        find: Callable[[], Credentials | None],
        send: Callable[[str, str, Mapping[str, str], bytes | None], HttpAnswer],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._origin = origin
        self.credentials = KeptCredentials(find, clock)
        self._send = send
        self._clock = clock
        self._lock = threading.Lock()
        self._challenges = KeptChallenges()
        self._tokens: dict[Scopes, _Token] = {}
        self._fetched: dict[Scopes, Future[_Token]] = {}

    @property
    def service(self) -> str:
        """The name that the registry gives its token service, empty before or without one."""
        challenge = self._challenges.of_host
        return challenge.parameters.get("service", "") if challenge else ""

    def header(self, scopes: Scopes) -> str | None:
        """What to send as `Authorization`; None as long as the registry has asked for nothing.

        Raises:
            AuthenticationError: the credentials are refused.
            PermissionDeniedError: they are good, but not for these scopes.
            RateLimitedError: the token server asks for fewer requests.
            RegistryUnavailableError: the token server is broken for the moment.
            ConfigurationError: the credentials can't be found, and never were.
            ConnectionFailedError: they were, and can't be had for the moment.
        """
        challenge = self._challenges.of(scopes)
        if challenge is None:
            return None
        key = _kept_by(challenge, scopes)
        ours: Future[_Token] = Future()
        with self._lock:
            token = self._tokens.get(key)
            if token is not None and self._clock() < token.fresh_until:
                return token.header
            fetched = self._fetched.setdefault(key, ours)
        if fetched is ours:
            self._fetch(key, ours, partial(self._authenticate, challenge, scopes))
        return fetched.result().header

    def _fetch(self, key: Scopes, token: Future[_Token], authenticate: Callable[[], _Token]) -> None:
        """Fetch a token for all who wait for it; for others, others fetch at the same time."""
        try:
            found = authenticate()
        except BaseException as error:
            with self._lock:
                del self._fetched[key]
            token.set_exception(error)
            raise
        with self._lock:
            del self._fetched[key]
            self._keep(key, found)
        token.set_result(found)

    def forget(self, scopes: Scopes) -> None:
        """Have the next request for these scopes authorized anew, by whatever credentials there are then."""
        self.credentials.forget()
        with self._lock:
            for key in (scopes, _ANY_SCOPES):
                self._tokens.pop(key, None)

    def keep_for(self, asked: Scopes, wider: Scopes) -> None:
        """Have what was granted for `wider` scopes sent with requests that ask for less, too."""
        with self._lock:
            if (token := self._tokens.get(wider)) is not None:
                self._keep(asked, token)

    def _keep(self, key: Scopes, token: _Token) -> None:
        self._tokens.pop(key, None)
        self._tokens[key] = token
        if len(self._tokens) > MOST_TOKENS:
            del self._tokens[next(iter(self._tokens))]  # the one that was fetched first

    def refused(self, scopes: Scopes, sent: str | None, challenge_header: str) -> None:
        """Note that the registry answered 401 to a request with the header `sent`.

        Raises:
            AuthenticationError: it offers no way that can be gone.
            PermissionDeniedError: it offers none for these scopes, and another one elsewhere.
        """
        known = None if challenge_header else self._challenges.of(scopes)  # Amazon's 403 names no way anew
        challenge = known or self._choose(scopes, parse_challenges(challenge_header))
        with self._lock:
            self._challenges.keep(scopes, challenge)
            key = _kept_by(challenge, scopes)
            token = self._tokens.get(key)
            if token is not None and token.header == sent:  # else another worker has a new one already
                del self._tokens[key]
                self.credentials.forget()  # a new password may have come in its place

    def _choose(self, scopes: Scopes, offered: tuple[Challenge, ...]) -> Challenge:
        challenge = chosen(offered)
        is_apart = self._challenges.are_apart(scopes, challenge)
        if challenge is None:
            schemes = ", ".join(dict.fromkeys(each.scheme for each in offered))[:LONGEST_SHOWN] or "none"
            message = f"{self._origin} asks for an authentication that is not supported: {schemes}"
            raise (PermissionDeniedError if is_apart else AuthenticationError)(message, status=401)
        is_of_some = is_apart or self._is_one_that_some_may_read(scopes)
        if is_of_some and challenge.scheme == "basic" and self.credentials.get() is None:
            raise PermissionDeniedError(f"{self._origin} asks for a password and {NONE_CONFIGURED}", status=401)
        return challenge

    def _is_one_that_some_may_read(self, scopes: Scopes) -> bool:
        """Whether scopes ask for no more than to read, of a host that has asked for nothing so far.

        Whoever writes without a login forgot it, which is better told at once than of each repository.
        """
        is_to_read = bool(scopes) and not any("push" in scope.rpartition(":")[2] for scope in scopes)
        return is_to_read and self._challenges.of_host is None

    def _authenticate(self, challenge: Challenge, scopes: Scopes) -> _Token:
        was_kept = self.credentials.is_kept
        credentials = self.credentials.get()
        if challenge.scheme == "bearer":
            try:
                return self._fetch_granted(challenge, scopes, credentials)
            except AuthenticationError:
                self.credentials.forget()
                if not was_kept:
                    raise
            return self._fetch_granted(challenge, scopes, self.credentials.get())
        if credentials is None:
            raise AuthenticationError(f"{self._origin} asks for a password and {NONE_CONFIGURED}", status=401)
        return _Token(credentials.basic(), self._clock() + credentials.lifetime * USED_SHARE)

    def _fetch_granted(self, challenge: Challenge, scopes: Scopes, credentials: Credentials | None) -> _Token:
        """A token server may refuse one scope (GitHub, Azure); asking for none tells whether it refuses us.

        One that a repository alone names says nothing of us; that of the host is asked.
        """
        of_host = self._challenges.of_host or challenge
        try:
            return self._fetch_token(challenge, scopes, credentials)
        except AuthenticationError as refusal:
            if not scopes:
                raise
            try:
                if of_host.scheme == "bearer":
                    self._fetch_token(of_host, (), credentials)
            except (AuthenticationError, UnexpectedAnswerError):  # what may pass says nothing of us
                raise refusal from None
            raise PermissionDeniedError(f"{refusal}, for {' '.join(scopes)} only", status=refusal.status) from None

    def _fetch_token(self, challenge: Challenge, scopes: Scopes, credentials: Credentials | None) -> _Token:
        realm = address_in(challenge.parameters["realm"])
        self._check_realm(realm)
        service = challenge.parameters["service"]
        if credentials is not None and credentials.identity_token:
            answer = self._exchange(realm, service, scopes, credentials.identity_token)
        else:
            named = [("service", service)] if service else []  # Google names none, and takes no empty one
            query = urlencode([*named, *(("scope", scope) for scope in scopes)])
            headers = {} if credentials is None else {"Authorization": credentials.basic()}
            answer = self._send("GET", f"{realm}{'&' if '?' in realm else '?'}{query}", headers, None)
        where = f"the token server {redacted(realm)[:200]}"
        is_refused = answer.status in {401, 403} and not asks_for_fewer(answer)
        if credentials is None and is_refused:  # Quay's, of whoever names no repository
            message = f"{where} asks for a login and {NONE_CONFIGURED}: {describe(answer)}"
            raise AuthenticationError(message, status=answer.status)
        return _read_token(answer, where, self.credentials.named, self._clock())

    def _exchange(self, realm: str, service: str, scopes: Scopes, identity_token: str) -> HttpAnswer:
        """Ask for a token in return for an identity token (oauth.md)."""
        form = {
            "grant_type": "refresh_token",
            "service": service,
            "client_id": _CLIENT_ID,
            "scope": " ".join(scopes),
            "refresh_token": identity_token,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._send("POST", realm, headers, urlencode(form).encode())

    def _check_realm(self, realm: str) -> None:
        try:
            is_encrypted = urlsplit(realm).scheme == "https"
        except ValueError as error:
            raise UntrustedConnectionError(f"{self._origin} has a token server at what is no web address") from error
        if not is_encrypted and not self._origin.startswith("http:"):
            raise UntrustedConnectionError(
                f"{self._origin} wants credentials sent to {redacted(realm)[:200]}, which is not encrypted"
            )


def _kept_by(challenge: Challenge, scopes: Scopes) -> Scopes:
    """A token is good for its scopes, a password for all of them: asking a cloud for one is not cheap."""
    return scopes if challenge.scheme == "bearer" else _ANY_SCOPES


def _read_token(answer: HttpAnswer, where: str, named: str, now: float) -> _Token:
    if (limited := asks_for_fewer(answer)) or may_pass(answer.status):
        kind = RateLimitedError if limited else RegistryUnavailableError
        wish = retry_after(answer.headers)
        raise kind(f"{where} answered {describe(answer)}", status=answer.status, retry_after=wish)
    if answer.status != HTTPStatus.OK:
        raise AuthenticationError(f"{where} refused {named} ({describe(answer)})", status=answer.status)
    try:
        body = json.loads(answer.body)
        token = body.get("token") or body["access_token"]
        lifetime = float(body.get("expires_in") or DEFAULT_LIFETIME)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise UnexpectedAnswerError(f"{where} answered without a token", status=answer.status) from error
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise UnexpectedAnswerError(f"{where} answered without a usable token", status=answer.status)
    return _Token(f"Bearer {token}", now + max(1.0, lifetime) * USED_SHARE)  # in this order: NaN is not more than 1.0
