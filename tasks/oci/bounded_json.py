"""Reads JSON that others wrote if it has no more values than it should: each may take twenty times its bytes."""

from __future__ import annotations

import json
import re
from typing import Any

_COUNTED = (b",", b"{", b"[")
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)


class TooManyValuesError(ValueError):
    """It may be JSON, and no object was made of it."""


def json_within(raw: bytes, most: int) -> Any:
    """What some JSON says that has at most about so many values, objects and lists.

    Raises:
        TooManyValuesError: it has more.
        ValueError: it is no JSON.
        RecursionError: it is nested too deep.
    """
    if _count(raw, 0, len(raw)) > most and _has_more(raw, most):
        raise TooManyValuesError(f"more than {most:,} values")
    return json.loads(raw)


def _has_more(raw: bytes, most: int) -> bool:
    """Whether there are more beside what is in strings; in UTF-16 a letter may have a quote's byte, so all count."""
    if not json.detect_encoding(raw).startswith("utf-8"):
        return True
    found, end = 0, 0
    for text in _STRING.finditer(raw):
        found += _count(raw, end, text.start())
        if found > most:
            return True
        end = text.end()
    return found + _count(raw, end, len(raw)) > most


def _count(raw: bytes, begin: int, end: int) -> int:
    return sum(raw.count(each, begin, end) for each in _COUNTED)
