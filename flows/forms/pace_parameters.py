"""What a user can say of how fast and when a run works; the same forms hold at its start and while it goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from flows.forms.quantities import bytes_per_second, number
from tasks.operations.running.hours import Hours

if TYPE_CHECKING:
    from tasks.run_options import RunOptions

LimitRate = Annotated[
    str | None,
    Field(description="Most bytes a second to send, or to read for --depth content, such as 50M"),
    AfterValidator(lambda rate: rate if rate is None or bytes_per_second(rate) else None),
]
MaxRequests = Annotated[
    float | None, Field(description="Most requests to send a second", gt=0), BeforeValidator(number)
]
AllowedHours = Annotated[
    str | None,
    Field(
        description="When new work may begin, such as 22:00-06:00 or mon-fri 20:00-06:00, sat-sun Europe/Berlin; "
        "outside of that the run waits"
    ),
    AfterValidator(lambda hours: hours if hours is None or Hours.parse(hours) else None),
]
LimitsFrom = Annotated[
    str | None,
    Field(
        description="Where to look for other limits while the run goes on: a YAML file, or variable:NAME of Prefect "
        "(flows look at variable:layoutlift_limits if this is empty)"
    ),
]


class RateParameters(BaseModel):
    """How fast a run may work."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit_rate: LimitRate = None

    @property
    def rate(self) -> float | None:
        """The bytes a second, as a value of the engine."""
        return None if self.limit_rate is None else bytes_per_second(self.limit_rate)


class PaceParameters(RateParameters):
    """How fast and when a run may work, and what may change that while it goes on."""

    hours: AllowedHours = None
    limits_from: LimitsFrom = None

    def paced(self, options: RunOptions) -> RunOptions:
        """The options of a run that keeps to this."""
        return replace(options, limit_rate=self.rate, hours=self.hours, limits_from=self.limits_from)
