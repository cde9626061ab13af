"""Which tags are newest, by the words that cleanup policies and `--order-by` share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from tasks.operations.choosing.semver import parse_version

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tasks.oci.digest import Digest


class OrderBy(StrEnum):
    """By what tags are newest: what their writer noted, when their manifest was stored, or their name."""

    CREATED = "created"
    MANIFEST_MODIFIED = "manifest_modified"
    SEMVER = "semver"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class DatedTag:
    """A tag, what it names, and when it was made in seconds since 1970; None where nobody knows."""

    tag: str
    digest: Digest
    when: float | None


def newest_first(tags: Iterable[DatedTag], order_by: OrderBy) -> list[DatedTag]:
    """The tags that have a place in the order; by time none has whose time is not known, by semver no other name."""
    if order_by is OrderBy.SEMVER:
        versions = [(version, tag.tag, tag) for tag in tags if (version := parse_version(tag.tag)) is not None]
        return [tag for _, _, tag in sorted(versions, key=lambda each: each[:2], reverse=True)]
    if order_by is OrderBy.NAME:
        return sorted(tags, key=lambda tag: name_key(tag.tag), reverse=True)
    return newest_made_first(tags)


def newest_made_first(tags: Iterable[DatedTag]) -> list[DatedTag]:
    """The tags whose time is known."""
    dated = (tag for tag in tags if tag.when is not None)
    return sorted(dated, key=lambda tag: (tag.when, name_key(tag.tag)), reverse=True)


def name_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Names in the order of people: numbers inside count as numbers."""
    digits, parts = False, [""]
    for character in name:
        if character.isdecimal() is not digits:
            digits = not digits
            parts.append("")
        parts[-1] += character
    return tuple((0, int(p), "") if place % 2 else (1, 0, p) for place, p in enumerate(parts))
