"""Reads one long list out of a JSON object, an element at a time.

An index of a hundred thousand entries takes five times its size as Python objects when it is decoded whole;
this way only what is kept of each entry is.
"""

from __future__ import annotations

import json
import re
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    Element = tuple[int, int, Any]

FIRST_LOOK = 4 * 1024
_FURTHER = 8
MOST_AT_ONCE = 4 * 1024 * 1024
"""Characters of a single element, or of all other members: as Python objects they may take twenty times that."""
_CUT_NUMBER = 2
"""Characters that a number cut off may end with and that are not taken for it, as in `1e+`."""
_CUT_NAME = len("-Infinity")
"""Characters before the end at which JSON that is only cut off may seem wrong; strings say so themselves."""
_decoder = json.JSONDecoder()
_BLANKS = re.compile(r"[ \t\r\n]++")
_NOTHING = re.compile(r"[ \t\r\n\0]*+")
"""What may follow; a mount may have filled a file up with zero bytes, to any size."""


class TooLongError(ValueError):
    """Something is JSON as far as it is looked at, and goes on beyond `MOST_AT_ONCE`."""


def iter_list(text: str, name: str, others: dict[str, Any]) -> Iterator[Any]:
    """The elements of the list called `name` in the object that `text` holds; see `iter_places`."""
    return (element for _, _, element in iter_places(text, name, others))


def iter_places(text: str, name: str, others: dict[str, Any]) -> Iterator[Element]:
    """Where each element of the list called `name` begins and ends in `text`, and the element.

    All other members are put into `others`; so is `name` itself where it is no list, and an empty one where it is.

    Raises:
        TooLongError: an element, or all other members, have more than `MOST_AT_ONCE` characters.
        ValueError: the text is not JSON, not an object, or has the list twice.
        RecursionError: something is nested too deep.
    """
    at = _expect(text, _skip(text, 0), "{")
    seen = False
    beside = f"what is there beside {name}"
    room = MOST_AT_ONCE
    at = _skip(text, at)
    while text[at : at + 1] != "}":
        key, end = _name(text, at, room, beside)
        length = end - at
        at = _skip(text, _expect(text, _skip(text, end), ":"))
        if key == name and seen:
            raise json.JSONDecodeError(f"{name} is there twice", text, at)
        seen = seen or key == name
        if key == name and text[at : at + 1] == "[":
            others[name] = []
            at = yield from _elements(text, at + 1, name)
        else:
            others[key], end = _value(text, at, room - length, beside)
            room -= length + end - at
            at = end
        at = _after_element(text, at, "}")
    if _NOTHING.fullmatch(text, at + 1) is None:
        raise json.JSONDecodeError("something follows the object", text, at + 1)


def _elements(text: str, at: int, name: str) -> Generator[Element, None, int]:
    at = _skip(text, at)
    place = count()
    while text[at : at + 1] != "]":
        begin = at
        element, at = _value(text, at, MOST_AT_ONCE, f"{name}[{next(place)}]")
        yield begin, at, element
        at = _after_element(text, at, "]")
    return at + 1


def _name(text: str, at: int, most: int, what: str) -> tuple[str, int]:
    """A member's name and its end; of anything else that stands there no object is made."""
    if text[at : at + 1] != '"':
        raise json.JSONDecodeError("expected a name", text, at)
    return _value(text, at, most, what)


def _value(text: str, at: int, most: int, what: str) -> tuple[Any, int]:
    """A value and its end; of one with more than `most` characters no object is made, and `what` it is is said."""
    for reach in _reaches(most):
        part = text[at : at + reach]
        is_rest = at + len(part) == len(text)
        try:
            value, end = _decoder.raw_decode(part)
        except json.JSONDecodeError as error:
            is_cut = error.pos >= len(part) - _CUT_NAME or error.msg.startswith("Unterminated string")
            if is_rest or (reach == most and not is_cut):
                raise json.JSONDecodeError(error.msg, text, at + error.pos) from None
        else:
            if is_rest or end < len(part) - _CUT_NUMBER:
                return value, at + end
    raise TooLongError(f"{what} is longer than {MOST_AT_ONCE} characters, and nothing so long is read")


def _reaches(most: int) -> Iterator[int]:
    """How far to look for the end of a value, little by little: what is looked at is copied, for each value anew."""
    reach = FIRST_LOOK
    while reach < most:
        yield reach
        reach *= _FURTHER
    yield most


def _after_element(text: str, at: int, end: str) -> int:
    """The place of the next element, or of the end."""
    at = _skip(text, at)
    if text[at : at + 1] == end:
        return at
    at = _skip(text, _expect(text, at, ","))
    if text[at : at + 1] == end:
        raise json.JSONDecodeError("a comma too many", text, at)
    return at


def _expect(text: str, at: int, character: str) -> int:
    if text[at : at + 1] != character:
        raise json.JSONDecodeError(f"expected {character}", text, at)
    return at + 1


def _skip(text: str, at: int) -> int:
    blanks = _BLANKS.match(text, at)
    return at if blanks is None else blanks.end()
