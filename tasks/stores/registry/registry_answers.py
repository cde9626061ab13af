"""What a registry's error answers mean (distribution-spec v1.1.1, "Error Codes").

The codes in the body decide first, the HTTP status second: several registries use one status for many things.
"""

from __future__ import annotations

import json
import math
import re
import time
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from tasks.oci.errors import (
    AuthenticationError,
    PayloadTooLargeError,
    PermissionDeniedError,
    RateLimitedError,
    RegistryError,
    RegistryUnavailableError,
    TargetFullError,
    UnexpectedAnswerError,
)
from tasks.registry_ports import Deletion
from tasks.stores.hidden_secrets import redacted, without_secrets
from tasks.stores.registry.transport.http_answers import said_once
from tasks.stores.registry.transport.transport_errors import CLIENT_CERTIFICATE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tasks.stores.registry.transport.http_answers import HttpAnswer

_GIVEN_UP = 499
"""nginx's, where one of several proxies did not wait for the next."""
_PASSING = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, _GIVEN_UP})
_SESSION_LOST = frozenset({"BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID"})
"""With 404: the registry was started anew since it opened the upload, or another one answers; a new one is taken."""
_REACTIONS: Mapping[int, type[RegistryError]] = {
    HTTPStatus.UNAUTHORIZED: AuthenticationError,
    HTTPStatus.FORBIDDEN: PermissionDeniedError,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: PayloadTooLargeError,
}
_LIMITED = re.compile(r"\brate limit", re.IGNORECASE)
_FULL = re.compile(r"no space left on device|disk quota exceeded|'Err': (?:28|122)\b", re.IGNORECASE)
"""How distribution says so, 3 and 2.8: by the words or the number of ENOSPC and EDQUOT."""
_OVER_QUOTA = re.compile(
    r"quota (?:has been )?exceed(?:ed)?\b|exceed the configured upper limit|maximum allowed number of", re.IGNORECASE
)
"""How Harbor, Quay and Amazon ECR (of images, or of an image's tags) say so, with the status and code of missing
rights."""
_DATASTORE_FULL = re.compile(r"disk usage is too high", re.IGNORECASE)
"""How Artifactory says so, with the status of what is too large."""
_FULL_BY_STATUS: Mapping[int, re.Pattern[str]] = {
    HTTPStatus.FORBIDDEN: _OVER_QUOTA,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: _DATASTORE_FULL,
}
LOCKED = "REGISTRY_DISALLOWED_OPERATION"
"""Azure's code, with 405, for what somebody has locked: a tag, an image or a repository."""
MAX_RETRY_AFTER = 3600.0
_LONG_AGO = 1e9
"""A moment in Unix time, in seconds, that is over; a thousand times as much is one in milliseconds."""
MAX_REFUSAL_SIZE = 256 * 1024
"""Bytes of a refusal that is taken apart: distribution names each of a manifest's blobs that it misses, 1,500 in so
much, and while more is taken apart, of which a server may send megabytes, no other thread works."""
_FIRST_CODE = re.compile(rb'\s*+\{\s*+"errors"\s*+:\s*+\[\s*+\{[^{}]*?"code"\s*+:\s*+"(\w{1,64})"')
_PAGE = "(a page for people, as of a proxy or firewall before it)"
_SHOWN, _LOOKED_AT = 300, 4096
"""Characters of an answer: a secret that is cut is none to be known by its form."""


def error_codes(answer: HttpAnswer) -> tuple[str, ...]:
    """The codes in an error's body, each once; none when the body is not of the specification's form.

    Of a body that is not taken apart the first one alone.
    """
    if len(answer.body) >= MAX_REFUSAL_SIZE:
        first = _FIRST_CODE.match(answer.body, 0, _LOOKED_AT)
        return () if first is None else (first[1].decode(),)
    return tuple(dict.fromkeys(code for code, _ in listed_errors(answer)))


def describe(answer: HttpAnswer) -> str:
    """Status and the registry's own words, in one short line without control characters and what may be secret."""
    words = "; ".join(f"{code}: {message}" if message else code for code, message in listed_errors(answer))
    words = _of_tls(answer) or words or _text(answer)
    text = f"{answer.status} {words}" if words else f"{answer.status}"
    return without_secrets("".join(c if c.isprintable() else " " for c in text))[:_SHOWN]


def _text(answer: HttpAnswer) -> str:
    """What an answer says in another form than the specification's; of a page for people, that it is one."""
    said = " ".join(answer.body[:_LOOKED_AT].decode(errors="replace").split())
    if said.startswith("<?xml") and "<html" not in said:
        return ""  # of a store that the registry leads to
    return _PAGE if _is_page(answer) else said


def _is_page(answer: HttpAnswer) -> bool:
    """Whether it is a page for people; Quay calls `true` one, too, by its media type."""
    return answer.body[:_LOOKED_AT].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def _of_tls(answer: HttpAnswer) -> str:
    """What helps where a server in Go or nginx says that TLS is missing, or nginx that a client's certificate is."""
    if answer.status != HTTPStatus.BAD_REQUEST:
        return ""
    said = answer.body[:_LOOKED_AT].lower()
    if b"http request" in said and b"https" in said:
        return "to a request without TLS, which it wants: leave out --plain-http"
    return f"({CLIENT_CERTIFICATE})" if b"ssl certificate" in said else ""


def listed_errors(answer: HttpAnswer) -> list[tuple[str, str]]:
    """Code and words of each error in a body of the specification's form, as it lists them."""
    if len(answer.body) >= MAX_REFUSAL_SIZE:  # or cut off there
        return []
    try:
        listed = json.loads(answer.body)["errors"]
        return [(str(e.get("code", "")), _words(e)) for e in listed if isinstance(e, dict)]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []


def _words(error: dict[str, object]) -> str:
    message, detail = error.get("message"), error.get("detail")
    if isinstance(detail, dict) and len(detail) > 1:  # zot: the code's general words, then its own reason
        detail = {name: value for name, value in detail.items() if name != "description"}
    return " ".join(str(part) for part in (message, detail) if part)


def says_expired(answer: HttpAnswer) -> bool:
    """Whether an answer is Amazon ECR's way to say 401: 403, and "Your authorization token has expired"."""
    return answer.status == HTTPStatus.FORBIDDEN and "authorization token has expired" in describe(answer)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that `Retry-After` asks for, at most an hour; in either of its forms (RFC 9110 section 10.2.3).

    Some have a moment in Unix time there, as other headers of limits do. A moment is one of the clock that dated the
    answer: ours may be hours away from it.
    """
    value = said_once(headers.get("Retry-After"))
    if value is None:
        return None
    try:
        seconds = _until(float(value), headers)
    except ValueError:
        moment = _moment_of(value)
        if moment is None:
            return None
        seconds = moment - _now_of(headers)
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


def _until(given: float, headers: Mapping[str, str]) -> float:
    if given <= _LONG_AGO:
        return given
    moment = given if given <= _LONG_AGO * 1000 else given / 1000
    return moment - _now_of(headers)


def _now_of(headers: Mapping[str, str]) -> float:
    """When an answer was made, by the clock of whoever made it; by ours where it does not say so."""
    said = _moment_of(headers.get("Date", ""))
    return time.time() if said is None else said


def _moment_of(date: str) -> float | None:
    try:
        return _of_gmt(parsedate_to_datetime(date)).timestamp()
    except (ValueError, OverflowError):
        return None


def _of_gmt(date: datetime) -> datetime:
    """A date of HTTP, which is one of GMT whether it says so or not (RFC 9110 section 5.6.7)."""
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)


def may_pass(status: int) -> bool:
    """Whether a status is of a server, or of a proxy before it, that is in trouble for the moment."""
    return status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def asks_for_fewer(answer: HttpAnswer) -> bool:
    """Whether the registry wants fewer requests, and says nothing of what it was asked for."""
    return _is_throttling(answer, error_codes(answer))


def _is_throttling(answer: HttpAnswer, codes: tuple[str, ...]) -> bool:
    """GitHub's secondary limits are told by 403, and in words."""
    is_told = answer.status == HTTPStatus.FORBIDDEN and _LIMITED.search(describe(answer)) is not None
    return is_told or answer.status == HTTPStatus.TOO_MANY_REQUESTS or "TOOMANYREQUESTS" in codes


def check_api(answer: HttpAnswer, asked: str) -> None:
    """See that the answer to the address of a registry's API is one of a registry, and there.

    Raises:
        UnexpectedAnswerError: it is not.
    """
    if answer.status != HTTPStatus.OK:
        raise UnexpectedAnswerError(f"{asked} answered {answer.status}: is it a registry?", status=answer.status)
    if _is_page(answer):
        page = f"a page for people, from {redacted(answer.url)}"
        raise UnexpectedAnswerError(f"{asked} answered with {page}: is it a registry?", status=answer.status)
    if asked.startswith("http:") and answer.url.startswith("https:"):  # and no upload would follow
        raise UnexpectedAnswerError(f"{asked} leads to https: leave out --plain-http")


def error_of(answer: HttpAnswer, attempted: str) -> RegistryError:
    """The exception for an answer that is not the one hoped for."""
    message = f"{attempted}: the registry answered {describe(answer)}"
    codes = error_codes(answer)
    kind = _kind_of(answer, codes)
    return kind(message, status=answer.status, codes=codes, retry_after=retry_after(answer.headers))


def _kind_of(answer: HttpAnswer, codes: tuple[str, ...]) -> type[RegistryError]:
    if _is_throttling(answer, codes):
        return RateLimitedError
    if _says_full(answer):
        return TargetFullError
    is_lost = answer.status == HTTPStatus.NOT_FOUND and not _SESSION_LOST.isdisjoint(codes)
    if is_lost or may_pass(answer.status):
        return RegistryUnavailableError
    other = RegistryError if answer.status >= HTTPStatus.BAD_REQUEST else UnexpectedAnswerError
    return _REACTIONS.get(answer.status, other)


def _says_full(answer: HttpAnswer) -> bool:
    if answer.status == HTTPStatus.INSUFFICIENT_STORAGE:
        return True
    is_broken = answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    sign = _FULL if is_broken else _FULL_BY_STATUS.get(answer.status)
    return sign is not None and any(sign.search(words) for _, words in listed_errors(answer))


def deletion_of(answer: HttpAnswer, attempted: str) -> Deletion:
    """What the answer to a DELETE says; 400 and 405 are how registries say that they don't, but for Azure's locks.

    Raises:
        RegistryError: it says something else, such as that it is forbidden.
    """
    if answer.status in {200, 202, 204}:
        return Deletion.DELETED
    if answer.status == HTTPStatus.NOT_FOUND:
        return Deletion.MISSING
    codes = error_codes(answer)
    if answer.status in {400, 405, 501} and LOCKED not in codes and not _is_throttling(answer, codes):
        return Deletion.UNSUPPORTED
    raise error_of(answer, attempted)
