"""What tells a run to end, of which no test waits for the pauses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.stop import Stop

if TYPE_CHECKING:
    from collections.abc import Callable


class Unhurried(Stop):
    """Pauses take no time; in each of them something happens."""

    def __init__(self, happens: Callable[[], object] = lambda: None) -> None:
        super().__init__()
        self._happens = happens
        self.paused: list[float] = []

    def pause(self, seconds: float) -> None:
        self.paused.append(seconds)
        self._happens()
