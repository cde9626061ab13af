"""How long a run waits for a source or target that does not answer, as the environment says."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

from tasks.oci.errors import ConfigurationError
from tasks.stores.directory.mount_patience import Patience
from tasks.stores.registry.target_outage import AWAY_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

_Time = TypeVar("_Time")

SOURCE_TIMEOUT = "LAYOUTLIFT_SOURCE_TIMEOUT"
"""Variable with the seconds after which a mount that does not answer counts as hung; the default is 30."""
TARGET_TIMEOUT = "LAYOUTLIFT_TARGET_TIMEOUT"
"""Variable with the seconds that a target may be away in mid-run; the default is 300."""


def patience_with_source() -> Patience:
    """How long to wait for a mount.

    Raises:
        ConfigurationError: the variable for that holds no time.
    """
    return _given(SOURCE_TIMEOUT, Patience.of) or Patience()


def patience_with_target() -> float:
    """How many seconds to wait for a target that went away in mid-run; with 0, not at all.

    Raises:
        ConfigurationError: the variable for that holds no time.
    """
    given = _given(TARGET_TIMEOUT, _seconds)
    return AWAY_SECONDS if given is None else given


def _given(variable: str, read: Callable[[float], _Time]) -> _Time | None:
    given = os.environ.get(variable)
    if not given:
        return None
    try:
        return read(float(given))
    except ValueError as error:
        raise ConfigurationError(f"{variable} must be a number of seconds, not {given[:40]!r}") from error


def _seconds(given: float) -> float:
    if not 0 <= given < float("inf"):
        raise ValueError(given)
    return given
