"""What a user can say of a source, and of what of it is meant; the models of all commands and flows begin here."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from flows.forms import parameter_fields as f
from tasks.exact_lists import read_exact_list
from tasks.operations.choosing.newest import Newest, NewestBy
from tasks.operations.choosing.selection import Selection


class Parameters(BaseModel):
    """Fields that a user fills in; none else, and none is changed later."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _can_be_a_name(cls, value: object) -> object:
        if isinstance(value, str) and "\0" in value:  # the system's calls raise an error of their own over it
            raise ValueError("it holds a NUL, which no name has")
        return value


class SourceParameters(Parameters):
    """What to read, and how to get at it where it is a bucket; credentials are found as the AWS tools find them."""

    source: f.Source
    endpoint_url: f.EndpointUrl = None
    request_payer: f.RequestPayer = False


class ReadingParameters(SourceParameters):
    """As `SourceParameters`, of what changes nothing at the source."""

    no_sign_request: f.NoSignRequest = False

    @field_validator("no_sign_request")
    @classmethod
    def _nobody_pays_unnamed(cls, value: bool, info: ValidationInfo) -> bool:  # noqa: FBT001 - pydantic's own way
        if value and info.data.get("request_payer"):
            raise ValueError("who pays for requests has to sign them: leave out --request-payer or this")
        return value


class ChoosingParameters(ReadingParameters):
    """What to read, and what of it."""

    include: f.Include = []
    exclude: f.Exclude = []
    newest: f.Newest = None
    order_by: f.Order = NewestBy.CREATED
    tags_from: f.TagsFrom = None

    @field_validator("order_by")
    @classmethod
    def _order_has_a_use(cls, value: NewestBy, info: ValidationInfo) -> NewestBy:
        if value is not NewestBy.CREATED and info.data.get("newest") is None:
            raise ValueError("it is a setting of --newest")
        return value

    @field_validator("tags_from")
    @classmethod
    def _list_is_all(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and (beside := [n for n in ("include", "exclude", "newest") if info.data.get(n)]):
            raise ValueError(f"it says exactly what comes: leave out {', '.join(f'--{name}' for name in beside)}")
        return value

    @property
    def wanted(self) -> Newest | None:
        """How many, as a value of the engine; None where all are wanted."""
        return None if self.newest is None else Newest(self.newest, self.order_by)

    @property
    def selection(self) -> Selection:
        """All of it as a value of the engine.

        Raises:
            ConfigurationError: a pattern or list can't be used.
        """
        return Selection.parse(self.include, self.exclude, self.wanted, read_exact_list(self.tags_from))
