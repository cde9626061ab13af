"""Challenges: what a registry asks for where it does not let a request through (RFC 9110 section 11.6.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_HEADER = 16 * 1024
"""Characters that are looked at; a registry may send millions, with every answer."""
MOST_OTHERS = 5_000
"""Scopes with a challenge of their own that are kept; one that is let go costs a refusal more."""
_CHALLENGE = re.compile(r'([A-Za-z][A-Za-z0-9_-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))|([A-Za-z][A-Za-z0-9_-]*)')


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to authenticate that a registry offers."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """All challenges of a `WWW-Authenticate` header; schemes and names in lower case."""
    found: list[tuple[str, dict[str, str]]] = []
    for name, quoted, plain, scheme in _CHALLENGE.findall(header[:LONGEST_HEADER]):
        if scheme:
            found.append((scheme.lower(), {}))
        elif found:
            found[-1][1][name.lower()] = re.sub(r"\\(.)", r"\1", quoted) or plain
    return tuple(Challenge(scheme, parameters) for scheme, parameters in found)


def chosen(offered: tuple[Challenge, ...]) -> Challenge | None:
    """The way to go of those offered, without what each refusal says anew; None where none can be gone."""
    by_scheme = {challenge.scheme: challenge for challenge in reversed(offered)}
    bearer = by_scheme.get("bearer")
    if bearer is not None and (realm := bearer.parameters.get("realm")):
        return Challenge("bearer", {"realm": realm, "service": bearer.parameters.get("service", "")})
    return Challenge("basic") if "basic" in by_scheme else None


class KeptChallenges:
    """What a host asks for, and what single scopes do that ask for something else; one worker at a time may `keep`.

    A refusal changes what is sent with its own scopes only: Harbor, Gitea and Forgejo ask for a password where a
    token gives no right, and in Nexus one repository may take tokens and the next one passwords.
    """

    def __init__(self) -> None:
        self.of_host: Challenge | None = None
        self._of_others: dict[tuple[str, ...], Challenge] = {}

    def of(self, scopes: tuple[str, ...]) -> Challenge | None:
        """What was last asked for; None as long as nothing was."""
        return self._of_others.get(scopes, self.of_host)

    def are_apart(self, scopes: tuple[str, ...], challenge: Challenge | None) -> bool:
        """Whether scopes are asked for something else than the host asks for."""
        return bool(scopes) and self.of_host is not None and self.of_host != challenge

    def keep(self, scopes: tuple[str, ...], challenge: Challenge) -> None:
        """Note what was asked for: of the host as a whole where that is without scopes, or the first."""
        self._of_others.pop(scopes, None)
        if self.are_apart(scopes, challenge):
            self._of_others[scopes] = challenge
            if len(self._of_others) > MOST_OTHERS:
                del self._of_others[next(iter(self._of_others))]
        else:
            self.of_host = challenge
