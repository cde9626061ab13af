"""Reads durations, sizes and rates as people write them; letters for bytes count in steps of 1,024."""

from __future__ import annotations

import re
from math import isinf

_DURATION = r"[0-9]+(?:\.[0-9]+)?\s*[wdhms]"
_PART = re.compile(r"([0-9.]+)\s*([wdhms])")
_SECONDS = {"w": 604_800.0, "d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}
_BYTES = {"": 1, "k": 1024, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}

LONGEST_WAIT = 365 * _SECONDS["d"]

DURATION = rf"(?:{_DURATION}\s*)+"
SIZE = r"([0-9]+(?:\.[0-9]+)?)\s*([kKMGT]?)i?B?"
"""As regular expressions, for the schemas of files."""


def number(value: object) -> object:
    """The value as it is, unless it is a switch: true would count as 1, be it of tags or of requests a second.

    Raises:
        ValueError: it is one.
    """
    if isinstance(value, bool):
        raise ValueError("it must be a number")  # noqa: TRY004 - pydantic's form
    return value


def seconds(text: object) -> float:
    """Read a duration such as `90d`, `12h` or `1w2d`.

    Raises:
        ValueError: the text is no duration.
    """
    if not isinstance(text, str) or re.fullmatch(DURATION, text.strip()) is None:
        raise ValueError("a duration is a number with w, d, h, m or s behind it: 30d, 12h, 1w2d")
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))


def waiting_time(text: str) -> str:
    """The text as it is, if it is a duration that a run can wait for.

    Raises:
        ValueError: it is none, or longer than a year.
    """
    if seconds(text) > LONGEST_WAIT:
        raise ValueError("a run waits for a year at most: 365d")
    return text


def size_in_bytes(text: object) -> int:
    """Read a size such as `50G` or a plain number of bytes.

    Raises:
        ValueError: the text is no size.
    """
    found = _bytes(str(text)) if type(text) in {int, str} else None
    if found is None:
        raise ValueError("a size is a number of bytes, with k, M, G or T behind it: 50G")
    return int(found)


def bytes_per_second(text: str) -> float:
    """Read a rate such as `50M` or `50MB/s`.

    Raises:
        ValueError: the text is no rate, or none at all.
    """
    found = _bytes(text.strip().removesuffix("/s"))
    if not found:
        raise ValueError("a rate is a number of bytes a second, with k, M or G behind it: 50M")
    return found


def _bytes(text: str) -> float | None:
    match = re.fullmatch(SIZE, text.strip())
    if match is None or isinf(float(match[1])):
        return None
    return float(match[1]) * _BYTES[match[2]]
