"""The folder below which users keep what is theirs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tasks.oci.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping


def home_of(environment: Mapping[str, str]) -> Path:
    """The user's home.

    Raises:
        ConfigurationError: there is none: no HOME, and no user of that number.
    """
    try:
        return Path(environment.get("HOME") or Path.home())
    except RuntimeError as error:
        raise ConfigurationError("this user has no home folder: set HOME to where state may be kept") from error
