"""The form of limits that may change while a run goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from flows.forms.pace_parameters import AllowedHours, LimitRate, MaxRequests
from flows.forms.quantities import bytes_per_second
from tasks.operations.running.hours import Hours

if TYPE_CHECKING:
    from tasks.operations.running.hold import Limits


class LiveLimits(BaseModel):
    """What replaces the limits that a run was started with; what is left out stays, null lifts a limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit_rate: LimitRate = None
    max_requests: MaxRequests = None
    hours: AllowedHours = None
    paused: bool = Field(default=False, description="Begin nothing new")

    def over(self, given: Limits, parts: int = 1) -> Limits:
        """The limits of a run that was started with `given`, or of one of its so many parts, each with its share."""
        said: dict[str, Any] = {}
        if "limit_rate" in self.model_fields_set:
            said["bytes_per_second"] = None if self.limit_rate is None else bytes_per_second(self.limit_rate) / parts
        if "max_requests" in self.model_fields_set:
            said["requests_per_second"] = None if self.max_requests is None else self.max_requests / parts
        if "hours" in self.model_fields_set:
            said["hours"] = None if self.hours is None else Hours.parse(self.hours)
        return replace(given, paused=self.paused, **said)
