"""Globs as regular expressions: `*` and `?` stay within a path's component, `**` does not, `[...]` is a set.

Whoever fills a source chooses the names that these are matched with. An expression that tries each of its wildcards
at each place of a name takes minutes for one of many dashes, and all other threads wait meanwhile.
"""

from __future__ import annotations

import re
from itertools import pairwise

from tasks.oci.errors import ConfigurationError

SET = r"\[[!^]?+\]?+[^\]]*\]"
"""One of a glob: a bracket that comes first in it is a member, so that it has one at least."""
_TOKEN = re.compile(rf"\*\*/|\*\*|\*|\?|{SET}|.", re.DOTALL)
_ANY_LENGTH = frozenset({"**/", "**", "*"})
_Run = tuple[str, list[str]]
"""A wildcard that takes any length, or none, and the tokens up to the next one, each of which takes a character."""


def glob(text: str, *, any_character: str) -> re.Pattern[str]:
    """What matches all of a name; `any_character` is the expression for one that `*` and `?` take.

    Raises:
        ConfigurationError: a set is not closed, or a range in it is empty.
    """
    runs = [*_runs(text), ("", [])]
    return re.compile("".join(_of_run(run, after, any_character) for run, (after, _) in pairwise(runs)), re.DOTALL)


def _runs(text: str) -> list[_Run]:
    runs: list[_Run] = [("", [])]
    for token in _TOKEN.findall(text):
        if token in _ANY_LENGTH:
            runs.append((token, []))
        else:
            runs[-1][1].append(token)
    return runs


def _of_run(run: _Run, after: str, any_character: str) -> str:
    wildcard, tokens = run
    fixed = "".join(_of_character(token, any_character) for token in tokens)
    if _may_end_early(run, after, any_character):
        return f"(?>{_of_wildcard(wildcard, any_character, '?')}{fixed})"
    return _of_wildcard(wildcard, any_character) + fixed


def _may_end_early(run: _Run, after: str, any_character: str) -> bool:
    """Whether no place but the first where a run fits need be tried: the wildcard `after` takes what is left over."""
    wildcard, tokens = run
    match after:
        case "**":
            return wildcard != ""
        case "*":
            return wildcard == "*" or (wildcard != "" and any_character == ".")
        case "**/":
            return wildcard != "" and tokens[-1:] == ["/"]
        case _:
            return False


def _of_wildcard(wildcard: str, any_character: str, lazy: str = "") -> str:
    """What takes as much as it can, or with `?` for `lazy` as little."""
    forms = {"**/": f"(?:.*{lazy}/)?{lazy}", "**": f".*{lazy}", "*": f"{any_character}*{lazy}", "": ""}
    return forms[wildcard]


def _of_character(token: str, any_character: str) -> str:
    if token.startswith("[") and len(token) > 1:
        return _set(token[1:-1], any_character)
    match token:
        case "?":
            return any_character
        case "[":
            raise ConfigurationError("a '[' is not closed")
        case _:
            return re.escape(token)


def _set(body: str, any_character: str) -> str:
    negated = body[0] in "!^"
    members = re.findall(r".-.|.", body[negated:], re.DOTALL)
    for member in members:
        if member[0] > member[-1]:
            raise ConfigurationError(f"the range '{member}' is empty")
    inner = "".join(f"{re.escape(member[0])}-{re.escape(member[-1])}" for member in members)  # one is a range, too
    return f"(?={any_character})[{'^' if negated else ''}{inner}]"
