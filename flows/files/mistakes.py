"""What pydantic says of wrong values, in the words of those who wrote them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
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


def in_our_words(mistake: ErrorDetails) -> str:
    """What is wrong with a value, without its place."""
    if mistake["type"] == "missing":
        return f"it is missing; add it to {'the file' if len(mistake['loc']) == 1 else 'what begins in this line'}"
    said = mistake["msg"].removeprefix("Value error, ")
    return _WORDS.get(mistake["type"]) or said.replace("Input should be", "it must be", 1)


def in_one_line(error: ValidationError, whole: str) -> str:
    """Each mistake with its field, or with what the `whole` is called; no value is in it, which may be secret."""
    return "; ".join(
        f"{'.'.join(map(str, each['loc'])) or whole}: {each['msg'].removeprefix('Value error, ')}"
        for each in error.errors(include_url=False, include_context=False, include_input=False)
    )
