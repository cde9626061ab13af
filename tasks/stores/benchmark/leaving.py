"""Removes what a run wrote when it ends, without hiding why it ends."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from tasks.oci.errors import LayoutliftError

if TYPE_CHECKING:
    from contextlib import ExitStack

logger = logging.getLogger(__name__)


class Area(Protocol):
    """What was claimed for a run."""

    def release(self) -> None:
        """Remove what the run put there.

        Raises:
            LayoutliftError: something stays; the message names it.
        """


def release_with(stack: ExitStack, area: Area) -> None:
    """Release an area when the stack is closed.

    What can't be removed is an error; where the run ends for another reason, that one is what the user is told at
    last, and this a warning.
    """

    def release(_: object, why: BaseException | None, __: object) -> None:
        try:
            area.release()
        except LayoutliftError as error:
            if why is None:
                raise
            logger.warning("%s", error)

    stack.push(release)
