"""What a user can say of a cut-over."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, field_validator

from flows.forms.parameters import ComparingParameters
from flows.forms.quantities import waiting_time
from tasks.operations.in_step.replacements import OLD_REFERENCE, check_template

FrozenFor = Annotated[
    str,
    Field(description="Watch the source for so long (30m), and write nothing if an index changes meanwhile"),
    AfterValidator(waiting_time),
]
Output = Annotated[
    list[str], Field(description="Write old reference, new reference and digest to this .csv or .json")
]
WayBack = Annotated[str | None, Field(description="Write the list for the way back to this .csv or .json")]
OldReference = Annotated[str, Field(description="How users name a tag today, of {source}, {repository} and {tag}")]


def _no_age(value: str | None) -> str | None:
    if value is not None:
        raise ValueError("leave it out: what is too new would stay at the source alone, and nobody would name it")
    return value


OlderThan = Annotated[
    str | None,
    Field(description="Refused here: what is too new would stay at the source alone"),
    AfterValidator(_no_age),
]


class CutoverParameters(ComparingParameters):
    """Parameters of `cutover`."""

    NOT_OF_A_FILE: ClassVar = frozenset({"older_than"})  # of nightly runs; without it, what is too new is missed

    older_than: OlderThan = None
    frozen_for: FrozenFor = "0s"
    output: Output = []  # noqa: RUF012 - pydantic copies it
    way_back: WayBack = None
    old_reference: OldReference = OLD_REFERENCE

    @field_validator("old_reference")
    @classmethod
    def _names_a_tag(cls, value: str) -> str:
        check_template(value)
        return value
