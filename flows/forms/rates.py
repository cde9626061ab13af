"""Reads rates as people write them."""

from __future__ import annotations

import re

_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kKMG]?)i?B?(?:/s)?")
_UNITS = {"": 1, "k": 1024, "K": 1024, "M": 1024**2, "G": 1024**3}


def bytes_per_second(text: str) -> float:
    """Read a rate such as `50M`; the letters count in steps of 1,024.

    Raises:
        ValueError: the text is no rate.
    """
    match = _RATE.fullmatch(text.strip())
    if match is None or not float(match[1]):
        raise ValueError("a rate is a number of bytes a second, with k, M or G behind it: 50M")
    return float(match[1]) * _UNITS[match[2]]
