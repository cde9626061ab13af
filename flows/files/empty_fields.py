"""Fields that may be left out, but not left empty: whoever writes `keep_last:` means a number, and forgot it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias, TypeVar

from pydantic import BeforeValidator

LEFT_EMPTY = "it is empty; give it a value, or leave the field out"
_Value = TypeVar("_Value")


def _refuse_empty(value: object) -> object:
    if value is None:
        raise ValueError(LEFT_EMPTY)
    return value


if TYPE_CHECKING:
    LeftOut: TypeAlias = _Value | None
    """A value, or None where the file has no such field."""
else:
    LeftOut = Annotated[_Value, BeforeValidator(_refuse_empty)]  # defaults are not validated
