"""What a user can say of a source, and of what of it is meant; the models of all commands and flows begin here."""

from __future__ import annotations

from time import time

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from flows.forms import parameter_fields as f
from flows.forms.quantities import seconds
from tasks.choosing_options import ChoosingOptions
from tasks.operations.choosing.by_age import Ages
from tasks.operations.choosing.newest import Newest, NewestBy

_CHOOSE_BY_RULE = ("include", "exclude", "newest", "newer_than", "older_than")


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
    newer_than: f.NewerThan = None
    older_than: f.OlderThan = None
    tags_from: f.TagsFrom = None

    @field_validator("order_by")
    @classmethod
    def _order_has_a_use(cls, value: NewestBy, info: ValidationInfo) -> NewestBy:
        if value is not NewestBy.CREATED and info.data.get("newest") is None:
            raise ValueError("it is a setting of --newest")
        return value

    @field_validator("older_than")
    @classmethod
    def _ages_leave_something(cls, value: str | None, info: ValidationInfo) -> str | None:
        newer = info.data.get("newer_than")
        if value is not None and newer is not None and seconds(value) >= seconds(newer):
            apart = f"nothing is at least {value} old and at most {newer}, as --newer-than says"
            raise ValueError(f"{apart}: this has to be the shorter one")
        return value

    @field_validator("tags_from")
    @classmethod
    def _list_is_all(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and (beside := [n for n in _CHOOSE_BY_RULE if info.data.get(n)]):
            named = ", ".join(f"--{name.replace('_', '-')}" for name in beside)
            raise ValueError(f"it says exactly what comes: leave out {named}")
        return value

    @property
    def choosing(self) -> ChoosingOptions:
        """What of it, as a value of the engine; ages count from this moment on."""
        newest = None if self.newest is None else Newest(self.newest, self.order_by)
        newer, older = (None if each is None else seconds(each) for each in (self.newer_than, self.older_than))
        ages = None if newer is older is None else Ages(newer, older, time())
        return ChoosingOptions(tuple(self.include), tuple(self.exclude), newest, ages, self.tags_from)
