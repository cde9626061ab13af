"""Asks a token server for tokens, as a challenge of the registry names it.

Sources: distribution's docs/spec/auth/token.md and oauth.md.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from tasks.oci.errors import (
    AuthenticationError,
    RateLimitedError,
    RegistryUnavailableError,
    UnexpectedAnswerError,
    UntrustedConnectionError,
)
from tasks.stores.hidden_secrets import redacted
from tasks.stores.registry.credentials import Credentials
from tasks.stores.registry.kept_credentials import NONE_CONFIGURED
from tasks.stores.registry.registry_answers import asks_for_fewer, describe, may_pass, retry_after
from tasks.stores.registry.transport.http_answers import address_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tasks.stores.registry.challenges import Challenge
    from tasks.stores.registry.scopes import Scopes
    from tasks.stores.registry.transport.http_answers import HttpAnswer

    Send = Callable[[str, str, Mapping[str, str], bytes | None], HttpAnswer]

DEFAULT_LIFETIME = 60.0
"""Seconds that a token lives when its server does not say (token.md, "expires_in")."""
_LONGEST_TOKEN = 64 * 1024
"""Characters; each request carries it, and the longest header that servers take has some tens of thousands."""
_CLIENT_ID = "layoutlift"


@dataclass(frozen=True, slots=True)
class Granted:
    """What to send as `Authorization`, for `lifetime` seconds."""

    header: str = field(repr=False)
    lifetime: float


class TokenServer:
    """Whoever gives tokens for the registry at `origin`; its challenges say where."""

    def __init__(self, origin: str, send: Send) -> None:
        self._origin = origin
        self._send = send

    def fetch(self, challenge: Challenge, scopes: Scopes, credentials: Credentials | None) -> Granted:
        """Ask for a token that is good for these scopes; an answer to `challenge` names who gives it.

        Raises:
            AuthenticationError: the credentials are refused, for these scopes or altogether.
            RateLimitedError: the token server asks for fewer requests.
            RegistryUnavailableError: it is broken for the moment.
            UnexpectedAnswerError: it answers with no token.
            UntrustedConnectionError: the credentials would be sent unencrypted, or nowhere.
        """
        realm = address_in(challenge.parameters["realm"])
        self._check_realm(realm)
        service = challenge.parameters["service"]
        if credentials is not None and credentials.identity_token:
            answer = self._exchange(realm, service, scopes, credentials.identity_token)
        else:
            answer = self._get(realm, service, scopes, credentials)
        where = f"the token server {redacted(realm)[:200]}"
        if (limited := asks_for_fewer(answer)) or may_pass(answer.status):
            kind = RateLimitedError if limited else RegistryUnavailableError
            wish = retry_after(answer.headers)
            raise kind(f"{where} answered {describe(answer)}", status=answer.status, retry_after=wish)
        if answer.status != HTTPStatus.OK:
            raise _refusal(answer, where, credentials)
        return _read(answer, where)

    def _get(self, realm: str, service: str, scopes: Scopes, credentials: Credentials | None) -> HttpAnswer:
        named = [("service", service)] if service else []  # Google names none, and takes no empty one
        query = urlencode([*named, *(("scope", scope) for scope in scopes)])
        headers = {} if credentials is None else {"Authorization": credentials.basic()}
        return self._send("GET", f"{realm}{'&' if '?' in realm else '?'}{query}", headers, None)

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


def _refusal(answer: HttpAnswer, where: str, credentials: Credentials | None) -> AuthenticationError:
    if credentials is None and answer.status in {401, 403}:  # Quay's, of whoever names no repository
        told = f"{where} asks for a login and {NONE_CONFIGURED}: {describe(answer)}"
    else:
        told = f"{where} refused {(credentials or Credentials()).named} ({describe(answer)})"
    return AuthenticationError(told, status=answer.status)


def _is_usable(token: str) -> bool:
    return len(token) <= _LONGEST_TOKEN and token.isascii() and token.isprintable()


def _read(answer: HttpAnswer, where: str) -> Granted:
    try:
        body = json.loads(answer.body)
        token = body.get("token") or body["access_token"]
        lifetime = float(body.get("expires_in") or DEFAULT_LIFETIME)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise UnexpectedAnswerError(f"{where} answered without a token", status=answer.status) from error
    if not isinstance(token, str) or not _is_usable(token):
        raise UnexpectedAnswerError(f"{where} answered without a usable token", status=answer.status)
    return Granted(f"Bearer {token}", max(1.0, lifetime))  # in this order: NaN is not more than 1.0
