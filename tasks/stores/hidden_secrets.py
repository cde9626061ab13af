"""Takes out of what others say what may be secret in it: some repeat what they were sent, or where they redirect.

What this process was given itself is left out wherever it stands; anything else is known by its form.
"""

from __future__ import annotations

import json
import re
import threading
from urllib.parse import quote, quote_plus, urlsplit, urlunsplit

_AUTHORIZATION = re.compile(r"((?i:basic|bearer)[ :]+)(?![A-Za-z]?[a-z]+[.,;:)]?(?:\s|$))[\w.~+/=-]{4,}")
"""A scheme and what follows it, unless that is a word: `Bearer token is missing` is to be read."""
_PASSWORD_OF_URL = re.compile(r"(\w://)[^\s/:@\"'\[]*:(?:(?!://)[^\s?#\"'])*@(?!sha\d+:)")
"""Up to the last @, whatever lies between; some write a password with its slashes. A digest is none's host."""
_USER_OF_URL = re.compile(r"(\w://)[^\s/\"']*@")
_QUERY_OF_URL = re.compile(r"(\w://(?:(?!://)[^\s?#\"'])*[?#])[^\s\"']+")
_QUERY_OF_PATH = re.compile(r"((?:^|(?<=[\s\"']))/[^\s?#\"']*\?)[^\s\"']+")
"""Of an address without its host, as urllib3 has it in what it says of one that it can't reach."""
_NAMES = r"(?i:password|passwd|secret|token|signature|credential|(?:api|access)[_-]?key)"
_NAMED = re.compile(rf"({_NAMES}=[\"']?)[^\s&\"',;)]+")
_MEMBER = re.compile(rf"([\"'][\w-]{{0,40}}{_NAMES}[\"']\s?:\s?[\"'])[^\"']+")
"""A member of an object, as JSON and Python write them."""
_HEADER = re.compile(rf"(\b[Xx]-[\w-]{{0,40}}{_NAMES}\s?:\s?)[^\s\"',;]+")
"""A header of a request, as S3 and its like repeat what was signed."""
_JSON_WEB_TOKEN = re.compile(r"\beyJ[\w-]+\.[\w.-]+")
_CUT = re.compile(r"(?i)(?<![\s:\"'])(?<!basic)(?<!bearer)\s+")
"""Where the beginning of a text may be cut off, and no secret from what tells that it is one."""
MOST = 4_096
"""Characters of a text that are looked at: what a server says may be long, and made to keep the patterns busy."""
LONGEST_SHOWN = 500
"""Characters of what a server says, in a message that the report may have once for each tag."""

_SHORTEST = 6
"""Characters of a secret that is looked for: a shorter one would make words unreadable, and tell itself by that."""
_MOST_GIVEN = 512
"""Secrets that are known at once: a helper hands out new ones each hour, and another target's password stays good."""
_ESCAPED_BY_GO = {ord(c): f"\\u{ord(c):04x}" for c in "<>&"}


class GivenSecrets:
    """Secrets that this process was given; safe to share by all workers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recent: dict[str, set[str]] = {}
        """Each with its forms; the oldest is first."""
        self._longest_first: tuple[str, ...] = ()

    def add(self, secret: str) -> None:
        """Know one more, in place of the oldest."""
        with self._lock:
            self._recent.pop(secret, None)
            self._recent[secret] = _forms(secret)
            if len(self._recent) > _MOST_GIVEN:
                del self._recent[next(iter(self._recent))]
            self._longest_first = tuple(sorted(set().union(*self._recent.values()), key=len, reverse=True))

    def leave_out(self, text: str) -> str:
        """A text without them."""
        for secret in self._longest_first:
            text = text.replace(secret, "…")
        return text


def _forms(secret: str) -> set[str]:
    """A secret as it stands where it is repeated: in JSON, also Go's, a repr, an address, or as words of a line."""
    as_json = json.dumps(secret)[1:-1]
    as_text = json.dumps(secret, ensure_ascii=False)[1:-1]
    forms = {
        *(secret, as_words(secret), repr(secret)[1:-1], quote(secret, safe=""), quote_plus(secret)),
        *(as_json, as_text, as_json.translate(_ESCAPED_BY_GO), as_text.translate(_ESCAPED_BY_GO)),
    }
    return {form for form in forms if len(form) >= _SHORTEST}


def as_words(text: str) -> str:
    """A text as the words of one line, without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


_given = GivenSecrets()


def remember(secret: str) -> None:
    """Leave a secret out of all that is shown from now on."""
    if len(secret) >= _SHORTEST:
        _given.add(secret)


def without_secrets(text: str) -> str:
    """A text without credentials, and without the user and query of each URL; a very long one is cut at a blank."""
    text = _given.leave_out(text)  # before it is cut: a part of one is none that is known
    if len(text) > MOST:
        text = f"{text[:MOST].rpartition(' ')[0]} …"
    text = _MEMBER.sub(r"\1…", _NAMED.sub(r"\1…", _AUTHORIZATION.sub(r"\1…", text)))
    text = _QUERY_OF_PATH.sub(r"\1…", _JSON_WEB_TOKEN.sub("…", _HEADER.sub(r"\1…", text)))
    return _QUERY_OF_URL.sub(r"\1…", _USER_OF_URL.sub(r"\1", _PASSWORD_OF_URL.sub(r"\1", text)))


def end_without_secrets(text: str, most: int) -> str:
    """The last `most` characters of what a program said, as `without_secrets`; a very long one is cut at a blank."""
    text = _given.leave_out(text)
    if len(text) > MOST:
        blank = _CUT.search(text, len(text) - MOST)
        text = "" if blank is None else text[blank.end() :]
    return without_secrets(text)[-most:]


def redacted(url: str) -> str:
    """A URL without what may be secret in it: user, password and query; and not longer than people read."""
    parts = urlsplit(url)
    path = parts.path if parts.netloc else parts.path.rpartition("@")[2]  # `ftp:user:password@host` has no host
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], path, "", ""))[:LONGEST_SHOWN]
