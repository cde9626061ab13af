"""The sign that a run is to end, which every worker of it looks at."""

from __future__ import annotations

import threading

from tasks.oci.errors import InterruptedRunError


class Stop:
    """Tells every worker of a run that it is over; waits through it end early."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Ask all workers to leave."""
        self._event.set()

    @property
    def requested(self) -> bool:
        """Whether the run is to end."""
        return self._event.is_set()

    def check(self) -> None:
        """Leave here if the run is to end.

        Raises:
            InterruptedRunError: the run is to end.
        """
        if self._event.is_set():
            raise InterruptedRunError("the run was interrupted before this was done")

    def pause(self, seconds: float) -> None:
        """Wait so long, or until the run is to end."""
        self._event.wait(seconds)

    def wait(self, seconds: float) -> None:
        """Wait, or leave as soon as the run is to end.

        Raises:
            InterruptedRunError: the run is to end.
        """
        self._event.wait(seconds)
        self.check()
