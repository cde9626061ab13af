"""Authorization of requests to one registry: basic, or bearer tokens by repository scope.

A token is kept for its scope, fetched anew before it ends, and dropped when the registry refuses it; one worker
fetches it while the others that need it wait, and what it meets they have met too.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from tasks.oci.errors import AuthenticationError, PermissionDeniedError, UnexpectedAnswerError
from tasks.stores.hidden_secrets import LONGEST_SHOWN
from tasks.stores.registry.challenges import Challenge, KeptChallenges, chosen, parse_challenges
from tasks.stores.registry.kept_credentials import NONE_CONFIGURED, USED_SHARE, KeptCredentials
from tasks.stores.registry.token_server import Granted, TokenServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.stores.registry.credentials import Credentials
    from tasks.stores.registry.scopes import Scopes
    from tasks.stores.registry.token_server import Send

_ANY_SCOPES = ("",)  # a token may be kept for no scopes
MOST_TOKENS = 5_000
"""Tokens that are kept at once: 10 MB or 20. A batch's repositories are all opened before the first is worked on, and
in a source of 300,000 small ones so many are in work at once; with fewer tokens each would be fetched twice."""


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
        send: Send,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._origin = origin
        self.credentials = KeptCredentials(find, clock)
        self._token_server = TokenServer(origin, send)
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

    def _fetch(self, key: Scopes, token: Future[_Token], authenticate: Callable[[], Granted]) -> None:
        """Fetch a token for all who wait for it; for others, others fetch at the same time."""
        try:
            granted = authenticate()
            found = _Token(granted.header, self._clock() + granted.lifetime * USED_SHARE)
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

    def _authenticate(self, challenge: Challenge, scopes: Scopes) -> Granted:
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
        return Granted(credentials.basic(), credentials.lifetime)

    def _fetch_granted(self, challenge: Challenge, scopes: Scopes, credentials: Credentials | None) -> Granted:
        """A token server may refuse one scope (GitHub, Azure); asking for none tells whether it refuses us.

        One that a repository alone names says nothing of us; that of the host is asked.
        """
        of_host = self._challenges.of_host or challenge
        try:
            return self._token_server.fetch(challenge, scopes, credentials)
        except AuthenticationError as refusal:
            if not scopes:
                raise
            try:
                if of_host.scheme == "bearer":
                    self._token_server.fetch(of_host, (), credentials)
            except (AuthenticationError, UnexpectedAnswerError):  # what may pass says nothing of us
                raise refusal from None
            raise PermissionDeniedError(f"{refusal}, for {' '.join(scopes)} only", status=refusal.status) from None


def _kept_by(challenge: Challenge, scopes: Scopes) -> Scopes:
    """A token is good for its scopes, a password for all of them: asking a cloud for one is not cheap."""
    return scopes if challenge.scheme == "bearer" else _ANY_SCOPES
