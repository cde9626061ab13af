"""Looks at layouts, and once more at those that can't be read for the moment."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeVar

from tasks.oci.errors import is_transient
from tasks.operations.reports.counts import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tasks.oci.errors import LayoutliftError
    from tasks.stop import Stop

    Value = TypeVar("Value")

RETRY_DELAYS = (5.0, 20.0)
"""Seconds before what failed for the moment is tried again: to read a layout, or to do a batch."""

logger = logging.getLogger(__name__)


def look_again(
    look: Callable[[list[str]], dict[str, Value | LayoutliftError]],
    paths: list[str],
    stop: Stop,
    pauses: Sequence[float],
) -> dict[str, Value | LayoutliftError]:
    """What `look` finds at each path, in their order.

    After each of `pauses`, in seconds, it looks again where something failed that may pass.
    """
    found = look(paths)
    for pause in pauses:
        again = [path for path, each in found.items() if isinstance(each, Exception) and is_transient(each)]
        if not again:
            break
        logger.warning("%s can't be read for the moment; once more in %.0f s", counted(len(again), "layout"), pause)
        stop.pause(pause)
        found |= look(again)
    return found
