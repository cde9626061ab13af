"""What pydantic says of wrong values, in the words of those who wrote them."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_WORDS = {
    "bool_parsing": "it must be true or false",
    "bool_type": "it must be true or false",
    "dict_type": "it must hold fields and values",
    "extra_forbidden": "there is no such field",
    "int_from_float": "it must be a whole number",
    "int_parsing": "it must be a whole number",
    "int_type": "it must be a whole number",
    "list_type": "it must be a list",
    "model_type": "it must hold fields and values",
    "string_too_short": "it is empty",
    "string_type": "it must be a text; put it between quotes if it looks like a number or date",
    "string_unicode": "it is not in UTF-8",
    "too_short": "it holds too few entries",
}


def in_our_words(mistake: ErrorDetails, model: type[BaseModel] | None = None) -> str:
    """What is wrong with a value, without its place; of a field that `model` lacks, which of its own may be meant."""
    if mistake["type"] == "missing":
        return f"it is missing; add it to {'the file' if len(mistake['loc']) == 1 else 'what begins in this line'}"
    if mistake["type"] == "extra_forbidden":
        return f"{_WORDS['extra_forbidden']}{_meant(mistake['loc'], model)}"
    said = mistake["msg"].removeprefix("Value error, ")
    return _WORDS.get(mistake["type"]) or said.replace("Input should be", "it must be", 1)


def _meant(place: Sequence[int | str], model: type[BaseModel] | None) -> str:
    *whole, name = place
    near = get_close_matches(str(name), sorted(_fields(model, whole)), n=1)
    return f"; is {near[0]} meant?" if near else ""


def _fields(kind: Any, place: Sequence[int | str]) -> set[str]:
    """The names that fields at a place within a value of this type may have."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if not place:
            return set(kind.model_fields)
        field = kind.model_fields.get(str(place[0]))
        return set() if field is None else _fields(field.annotation, place[1:])
    # a list's entry and a variant of a union are a step of the place; of what may be left out, there is none
    return {name for part in get_args(kind) for rest in (place, place[1:]) for name in _fields(part, rest)}


def in_one_line(error: ValidationError, whole: str) -> str:
    """Each mistake with its field, or with what the `whole` is called; no value is in it, which may be secret."""
    return "; ".join(
        f"{'.'.join(map(str, each['loc'])) or whole}: {each['msg'].removeprefix('Value error, ')}"
        for each in error.errors(include_url=False, include_context=False, include_input=False)
    )
