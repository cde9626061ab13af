"""Semantic versions (semver.org 2.0.0) and constraints on them, as npm and Flux users write them.

A constraint is one or more alternatives joined by `||`; an alternative is one or more comparators, all of which
must hold: `>=1.0 <2.0`, `^1.2`, `~1.2.3`, `1.x`, `=1.2.3`.
"""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.oci.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    Compare = Callable[["Key", "Key"], bool]

Release = tuple[int, int, int]
Prerelease = tuple[tuple[int, int, str], ...]
Key = tuple[Release, Prerelease]

_RELEASED: Prerelease = ((2, 0, ""),)  # after every prerelease
_FLOOR: Prerelease = ()  # before every prerelease
_LONGEST = 256
_PARTS = 3

_NUMBER = r"(?:0|[1-9][0-9]{0,17})"
_SUFFIX = r"(?:-(?P<pre>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
_VERSION = re.compile(rf"v?(?P<release>{_NUMBER}\.{_NUMBER}\.{_NUMBER}){_SUFFIX}")
_PLACE = rf"(?:{_NUMBER}|[xX*])"
_PARTIAL = re.compile(rf"v?(?P<release>{_PLACE}(?:\.{_PLACE}){{0,2}}){_SUFFIX}")
_COMPARATOR = re.compile(r"(?P<sign>[<>]=?|=|\^|~)?\s*(?P<version>[^\s,<>=^~|]+)(?:\s*,\s*|\s+|$)")


def parse_version(text: str) -> Key | None:
    """The key by which a version sorts, None when `text` is no version; a leading `v` is tolerated."""
    match = _VERSION.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        return None
    major, minor, patch = map(int, match["release"].split("."))
    prerelease = _prerelease(match["pre"])
    return None if prerelease is None else ((major, minor, patch), prerelease)


def is_release(version: Key) -> bool:
    """Whether a version is no prerelease."""
    return version[1] == _RELEASED


def _prerelease(text: str | None) -> Prerelease | None:
    if text is None:
        return _RELEASED
    parts = text.split(".")
    if any(part.isdigit() and part.startswith("0") and part != "0" for part in parts):
        return None  # the specification forbids leading zeroes in numeric identifiers
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts)


@dataclass(frozen=True, slots=True)
class _Alternative:
    """Comparators that must all hold, and the releases of which prereleases are welcome."""

    bounds: tuple[tuple[Compare, Key], ...]
    prereleases_of: frozenset[Release]

    def allows(self, version: Key) -> bool:
        release, prerelease = version
        if prerelease != _RELEASED and release not in self.prereleases_of:
            return False
        return all(compare(version, key) for compare, key in self.bounds)


@dataclass(frozen=True, slots=True)
class Constraint:
    """Which versions are wanted; made by `parse`."""

    alternatives: tuple[_Alternative, ...]

    @classmethod
    def parse(cls, text: str) -> Constraint:
        """Read a constraint.

        Raises:
            ConfigurationError: it can't be understood, or no version can fulfil one of its parts.
        """
        return cls(tuple(_alternative(part.strip()) for part in text.split("||")))

    def allows(self, text: str) -> bool:
        """Whether `text` is a version that fulfils this; a prerelease only when one of its release is named."""
        version = parse_version(text)
        return version is not None and any(alternative.allows(version) for alternative in self.alternatives)


def _alternative(text: str) -> _Alternative:
    if not text:
        raise ConfigurationError("a version constraint is empty")
    bounds: list[tuple[Compare, Key]] = []
    named: set[Release] = set()
    position = 0
    while position < len(text):
        match = _COMPARATOR.match(text, position)
        if match is None:
            raise ConfigurationError(f"not a version constraint: {text[position:]!r}")
        partial = _Partial.parse(match["version"])
        bounds.extend(_bounds(match["sign"] or "=", partial))
        if partial.prerelease != _RELEASED:
            named.add(partial.lowest[0])
        position = match.end()
    return _Alternative(tuple(bounds), frozenset(named))


@dataclass(frozen=True, slots=True)
class _Partial:
    """A version of which the last numbers may be left open: `1`, `1.x`, `1.2`, `1.2.3-rc.1`."""

    numbers: tuple[int, ...]
    prerelease: Prerelease

    @classmethod
    def parse(cls, text: str) -> _Partial:
        match = _PARTIAL.fullmatch(text) if len(text) <= _LONGEST else None
        prerelease = _prerelease(match["pre"]) if match else None
        if match is None or prerelease is None:
            raise ConfigurationError(f"not a version: {text!r}")
        numbers, is_whole = _numbers(match["release"].split("."), text)
        if prerelease != _RELEASED and not is_whole:
            raise ConfigurationError(f"a prerelease needs all three numbers before it: {text!r}")
        return cls(numbers, prerelease)

    @property
    def is_whole(self) -> bool:
        return len(self.numbers) == _PARTS

    @property
    def lowest(self) -> Key:
        """The first release that this can mean."""
        return _release(self.numbers), self.prerelease

    def after(self, kept: int) -> Key:
        """The end of all versions that agree with this in the first `kept` numbers."""
        return _release((*self.numbers[: kept - 1], self.numbers[kept - 1] + 1)), _FLOOR


def _numbers(places: list[str], text: str) -> tuple[tuple[int, ...], bool]:
    known = [place for place in places if place.isdigit()]
    if places[: len(known)] != known:
        raise ConfigurationError(f"a number follows an open place: {text!r}")
    return tuple(map(int, known)), len(known) == _PARTS


def _release(numbers: tuple[int, ...]) -> Release:
    major, minor, patch = (*numbers, 0, 0, 0)[:_PARTS]
    return major, minor, patch


def _bounds(sign: str, version: _Partial) -> list[tuple[Compare, Key]]:
    if not version.numbers:
        if sign in {"<", ">"}:
            raise ConfigurationError(f"no version is {sign} any version")
        return []
    known = len(version.numbers)
    if sign == "^":
        return _between(version, _caret_places(version.numbers))
    if sign == "~":
        return _between(version, min(known, 2))
    if sign == "=" and not version.is_whole:
        return _between(version, known)
    return [_one_bound(sign, version)]


def _one_bound(sign: str, version: _Partial) -> tuple[Compare, Key]:
    if not version.is_whole and sign in {">", "<="}:  # 1.2 means all of 1.2.x
        return (operator.ge if sign == ">" else operator.lt), version.after(len(version.numbers))
    compare = {"=": operator.eq, ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}[sign]
    return compare, version.lowest


def _between(version: _Partial, kept: int) -> list[tuple[Compare, Key]]:
    return [(operator.ge, version.lowest), (operator.lt, version.after(kept))]


def _caret_places(numbers: tuple[int, ...]) -> int:
    """How many numbers `^` holds fast: up to the first that is not zero."""
    return next((place for place, number in enumerate(numbers, 1) if number), len(numbers))
