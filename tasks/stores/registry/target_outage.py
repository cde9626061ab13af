"""Waits for a target that is away as a whole, as while it is started anew: one worker asks for it, for all of them.

What fails at a target that is there fails by itself, and is none of this module's.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from tasks.oci.errors import RegistryError, RegistryUnavailableError, TargetUnavailableError, TransportError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.stop import Stop

logger = logging.getLogger(__name__)

AWAY_SECONDS = 300.0
"""How long a target that was there may be away: registries are upgraded, and machines started anew, in less."""
KNOCK_SECONDS = 2.0
"""Between two looks whether it is there again; what answers for it may wish for more (`Retry-After`)."""


class TargetOutage:
    """Knows whether the target is away, and since when; shared by all workers of a run."""

    def __init__(self, knock: Callable[[], object], stop: Stop, seconds: float) -> None:
        """`knock` asks the target once to let us in; the target may be away for `seconds`."""
        self._knock = knock
        self._stop = stop
        self._seconds = seconds
        self._lock = threading.Lock()
        self._since: float | None = None
        self._told_at = 0.0
        self._was_away = False
        self._gone: str | None = None

    def sit_out(self) -> bool:
        """Wait until the target is there; False where it was all the time, so that what failed failed by itself.

        Raises:
            TargetUnavailableError: it stays away.
            InterruptedRunError: the run ended meanwhile.
        """
        came = time.monotonic()
        with self._lock:
            self._stop.check()  # else each would ask once more, and who hands out a password takes its time
            if self._told_at < came:  # else who was here before asked for us, too
                self._look()
                self._told_at = time.monotonic()
            if self._gone is not None:
                raise TargetUnavailableError(self._gone)
            return self._was_away

    def _look(self) -> None:
        self._was_away, self._gone = False, None
        while (failure := self._failure()) is not None:
            self._was_away = True
            self._note_away(failure)
            left = self._seconds - self._away_seconds()
            if left <= 0:
                self._gone = f"the target has not been there for {self._away_seconds():.0f} s: {failure}"
                return
            self._stop.wait(min(left, max(KNOCK_SECONDS, _wished(failure))))
        if self._was_away:
            logger.warning("the target is there again, after %.0f s", self._away_seconds())
        self._since = None

    def _failure(self) -> TransportError | RegistryUnavailableError | None:
        """Why the target is away, None where it answers, be it with a refusal."""
        try:
            self._knock()
        except (TransportError, RegistryUnavailableError) as error:
            return error if error.transient else None
        except RegistryError:
            return None
        return None

    def _note_away(self, failure: Exception) -> None:
        if self._since is None:
            self._since = time.monotonic()
            logger.warning("the target is away, and waited for, %.0f s at most: %s", self._seconds, failure)

    def _away_seconds(self) -> float:
        return 0.0 if self._since is None else time.monotonic() - self._since


def _wished(failure: TransportError | RegistryUnavailableError) -> float:
    return (failure.retry_after or 0.0) if isinstance(failure, RegistryUnavailableError) else 0.0
