"""What a user writes down of whom to tell, and of what: the file that `layoutlift alerts apply` reads."""

from __future__ import annotations

import os
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from flows.files.empty_fields import LeftOut  # noqa: TC001 - pydantic reads annotations
from flows.files.yaml_files import load_model
from flows.forms.quantities import seconds

if TYPE_CHECKING:
    from pathlib import Path

SHORTEST = timedelta(seconds=10)
"""Prefect takes no shorter one for what did not happen."""
LONGEST = timedelta(days=3650)


class ChannelKind(StrEnum):
    """How a channel's messages are written and sent."""

    WEBHOOK = "webhook"
    SLACK = "slack"
    MAIL = "mail"


SCHEMES = {
    ChannelKind.WEBHOOK: ("http://", "https://"),
    ChannelKind.SLACK: ("http://", "https://"),
    ChannelKind.MAIL: ("mailto://", "mailtos://"),
}


def period(text: object) -> timedelta:
    """Read a duration that Prefect can wait for."""
    try:
        found = timedelta(seconds=seconds(text))
    except OverflowError:
        found = timedelta.max
    if found < SHORTEST:
        raise ValueError(f"the server looks no more often than each {SHORTEST.seconds} s")
    if found > LONGEST:
        raise ValueError(f"a period has {LONGEST.days} days at most")
    return found


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Channel(_Part):
    """One place where messages go."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)]
    kind: ChannelKind
    url: SecretStr

    @field_validator("url")
    @classmethod
    def _has_its_scheme(cls, url: SecretStr, info: ValidationInfo) -> SecretStr:
        kind = info.data.get("kind")  # none where it is itself wrong
        if kind is not None and not url.get_secret_value().startswith(SCHEMES[kind]):
            raise ValueError(f"the url of a {kind} begins with {' or '.join(SCHEMES[kind])}")
        return url


Names = Annotated[list[str], Field(min_length=1, description="Names of channels")]


class NoSuccess(_Part):
    """Told of when nothing has ended complete for a while."""

    within: Annotated[timedelta, BeforeValidator(period)]
    channels: Names


class Alerts(_Part):
    """What to tell of; what is left out is not told."""

    failed: LeftOut[Names] = None
    conflict: LeftOut[Names] = None
    approval: LeftOut[Names] = None
    no_success: LeftOut[NoSuccess] = None

    @property
    def channels(self) -> set[str]:
        """All names of channels that are used."""
        told = [self.failed, self.conflict, self.approval, self.no_success.channels if self.no_success else None]
        return {name for names in told for name in names or ()}


class AlertsFile(_Part):
    """The file as a whole."""

    version: Literal[1]
    channels: list[Channel]
    alerts: Alerts

    @model_validator(mode="after")
    def _channels_are_there(self) -> Self:
        known = [channel.name for channel in self.channels]
        if repeated := sorted({name for name in known if known.count(name) > 1}):
            raise ValueError(f"two channels are named {', '.join(repeated)}")
        if unknown := sorted(self.alerts.channels - set(known)):
            raise ValueError(f"no channel is named {', '.join(unknown)}")
        return self


def load_alerts(path: Path) -> AlertsFile:
    """Read an alerts file, with the values of the environment where it names variables.

    Raises:
        ConfigurationError: it can't be read or used; each mistake with its line and field.
    """
    return load_model(path, AlertsFile, os.environ)
