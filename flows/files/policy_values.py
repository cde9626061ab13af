"""How values of a policy's file are written: durations, sizes, patterns, digests, a target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from flows.forms.quantities import DURATION, SIZE, seconds, size_in_bytes
from flows.forms.told_to_pydantic import told_to_pydantic
from tasks.endpoints import parse_target
from tasks.oci.digest import Digest
from tasks.oci.errors import ConfigurationError, LayoutliftError
from tasks.operations.cleanup.deciding.policy import select_repositories, select_tags

if TYPE_CHECKING:
    from collections.abc import Callable


def _usable(check: Callable[[Any], object]) -> AfterValidator:
    """Have pydantic name the place of what the engine refuses."""

    def validate(value: Any) -> Any:
        with told_to_pydantic():
            check(value)
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
_DurationText = Annotated[str, Field(pattern=f"^{DURATION}$")]
_SizeText = Annotated[str, Field(pattern=f"^{SIZE}$")]
Duration = Annotated[float, BeforeValidator(seconds, json_schema_input_type=_DurationText)]
Size = Annotated[int, BeforeValidator(size_in_bytes, json_schema_input_type=int | _SizeText)]
Count = Annotated[int, Field(ge=1, strict=True)]
TagPattern = Annotated[str, _usable(_check_tag_pattern)]
RepositoryPattern = Annotated[str, _usable(lambda text: select_repositories([text]))]
DigestText = Annotated[str, _usable(Digest)]
TargetText = Annotated[str, _usable(parse_target)]
