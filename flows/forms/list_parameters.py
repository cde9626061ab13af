"""What a user can say to `layoutlift ls`."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from flows.forms import field_checks as checks
from flows.forms import parameter_fields as p
from flows.forms.parameters import SplitParameters
from flows.forms.source_parameters import ChoosingParameters

Changed = Annotated[
    str | None,
    Field(description="Only what changed since the last migration to this target: +new, ~moved and -vanished tags"),
    AfterValidator(lambda text: None if text is None else checks.check_address(text)),
]


class ListParameters(SplitParameters, ChoosingParameters):
    """Parameters of `ls`."""

    changed: Changed = None
    state: p.State = None
    source_name: p.SourceName = None
