"""How values of a policy's file are written: durations, sizes, patterns, digests, a target."""

from __future__ import annotations

import re
from math import isinf
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from tasks.endpoints import parse_target
from tasks.oci.digest import Digest
from tasks.oci.errors import ConfigurationError, LayoutliftError
from tasks.operations.cleanup.deciding.policy import select_repositories, select_tags

if TYPE_CHECKING:
    from collections.abc import Callable

_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:w|d|h|m|s))+")
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(w|d|h|m|s)")
_SECONDS = {"w": 604_800.0, "d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kKMGT]?)i?B?")
_BYTES = {"": 1, "k": 1024, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}


def seconds(text: object) -> float:
    """Read a duration such as `90d`, `12h` or `1w2d`.

    Raises:
        ValueError: the text is no duration.
    """
    if not isinstance(text, str) or _DURATION.fullmatch(text.strip()) is None:
        raise ValueError("a duration is a number with w, d, h, m or s behind it: 30d, 12h, 1w2d")
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))


def size_in_bytes(text: object) -> int:
    """Read a size such as `50G` or a plain number of bytes; the letters count in steps of 1,024.

    Raises:
        ValueError: the text is no size.
    """
    match = _SIZE.fullmatch(str(text).strip()) if type(text) in {int, str} else None
    if match is None or isinf(float(match[1])):
        raise ValueError("a size is a number of bytes, with k, M, G or T behind it: 50G")
    return int(float(match[1]) * _BYTES[match[2]])


def _usable(check: Callable[[Any], object]) -> AfterValidator:
    """Have pydantic name the place of what the engine refuses."""

    def validate(value: Any) -> Any:
        try:
            check(value)
        except LayoutliftError as error:
            raise ValueError(str(error)) from None
        return value

    return AfterValidator(validate)


def _check_tag_pattern(text: str) -> None:
    try:
        select_tags([text])
    except LayoutliftError as error:
        as_written = str(error).replace(repr(f":{text}"), repr(text))  # the engine's pattern has a colon before it
        raise ConfigurationError(as_written) from None


def _no_pulls(given: object) -> None:  # noqa: ARG001 - whatever is given
    raise ValueError(
        "a bucket keeps no record of pulls, so nothing can be kept by when it was pulled; "
        "list what runs in protect.digest_files instead"
    )


NoPulls = Annotated[None, BeforeValidator(_no_pulls), Field(exclude=True)]
"""A field that users of other tools look for, and that can't be kept."""
_DurationText = Annotated[str, Field(pattern=f"^{_DURATION.pattern}$")]
_SizeText = Annotated[str, Field(pattern=f"^{_SIZE.pattern}$")]
Duration = Annotated[float, BeforeValidator(seconds, json_schema_input_type=_DurationText)]
Size = Annotated[int, BeforeValidator(size_in_bytes, json_schema_input_type=int | _SizeText)]
Count = Annotated[int, Field(ge=1, strict=True)]
TagPattern = Annotated[str, _usable(_check_tag_pattern)]
RepositoryPattern = Annotated[str, _usable(lambda text: select_repositories([text]))]
DigestText = Annotated[str, _usable(Digest)]
TargetText = Annotated[str, _usable(parse_target)]
