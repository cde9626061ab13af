"""The one retry policy of requests to a registry."""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    retry_if_exception_type,
    retry_if_result,
    stop_after_attempt,
    stop_after_delay,
)

from tasks.oci.errors import (
    RateLimitedError,
    RegistryError,
    RegistryUnavailableError,
    SourceError,
    TargetUnavailableError,
    TransferStalledError,
    TransportError,
    is_transient,
)
from tasks.stores.first_try import first_tried
from tasks.stores.registry.target_outage import TargetOutage
from tasks.stores.shown_requests import show_repetition
from tasks.stores.silence import SILENT_SECONDS, Silence

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.oci.errors import LayoutliftError
    from tasks.stop import Stop
    from tasks.stores.pacing import RequestGate

_Value = TypeVar("_Value")

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 6
THROTTLED_SECONDS = 900.0
"""How long a request may be told to slow down before that counts as a failure."""
TOLD_SECONDS = 30.0
"""From how long on a pause is told of: nothing moves meanwhile, and it may be an hour."""
FIRST_WAIT, LONGEST_WAIT = 0.25, 30.0
MOST_LOOKS = 5
"""For what was written just now and does not show yet: the waits between them come to four seconds at most."""


@dataclass(slots=True)
class _Met:
    """What a request has met so far: since when it fails, which is not before its bytes went, and whether by 429."""

    failing_since: float = 0.0
    throttling: bool = False

    def note(self, error: LayoutliftError) -> None:
        self.failing_since = self.failing_since or time.monotonic()
        self.throttling |= isinstance(error, RateLimitedError)


class RequestRetry:
    """Calls again what failed for the moment; shared by all workers of a run.

    Waits grow from 0.25 s to 30 s with jitter and end with the run. When the registry says how long to
    wait, all workers do. Being throttled is no failure until it has lasted a quarter of an hour.
    A source that can't be read while its content is sent was asked again where it is read, and is not here.
    Where none of that helped and the target as a whole is away, it is waited for (`wait_for`), and asked once more.
    One that is there, and has for long given nothing but failures, or let nobody through whom it throttled, ends
    the run, too.
    """

    def __init__(self, gate: RequestGate, stop: Stop, *, first_wait: float = FIRST_WAIT) -> None:
        self._gate = gate
        self._stop = stop
        self._first_wait = first_wait
        self._outage: TargetOutage | None = None
        self._failing = Silence(SILENT_SECONDS)
        self._throttled = Silence(THROTTLED_SECONDS)
        self._patient = Retrying(
            stop=stop_after_delay(THROTTLED_SECONDS),
            wait=self._wait,
            sleep=stop.wait,
            before_sleep=show_repetition,
            retry=retry_if_exception_type(RateLimitedError),
            reraise=True,
        )
        self._retrying = Retrying(
            stop=stop_after_attempt(MAX_ATTEMPTS),
            wait=self._wait,
            sleep=stop.wait,
            before_sleep=self._before_again,
            retry=retry_if_exception(_is_for_requests),
            reraise=True,
        )

    def until(self, wanted: _Value, look: Callable[[], _Value | None], seconds: float | None = None) -> _Value | None:
        """What `look` sees: what is `wanted`, or else what it saw last in `seconds`, or of `MOST_LOOKS` times.

        Raises:
            LayoutliftError: what `look` raises; that is not tried again here.
        """
        seen = look()
        if seen == wanted or seconds == 0:
            return seen
        first = [seen]
        looking = Retrying(
            stop=stop_after_attempt(MOST_LOOKS) if seconds is None else stop_after_delay(seconds),
            wait=self._wait,
            sleep=self._stop.wait,
            retry=retry_if_result(lambda each: each != wanted),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome is not None else seen,
        )
        return looking(lambda: first.pop() if first else look())

    def wait_for(self, knock: Callable[[], object], seconds: float) -> None:
        """From now on wait so long for a target that is away; `knock` asks it once to let us in."""
        self._outage = TargetOutage(knock, self._stop, seconds)

    def __call__(self, attempt: Callable[[], _Value]) -> _Value:
        """Call `attempt` until it succeeds or fails for good; its last error is raised.

        Raises:
            TargetUnavailableError: the target stays away, or nothing has succeeded there for long.
        """
        met = _Met()

        def noted() -> _Value:
            try:
                return attempt()
            except (RegistryError, TransportError) as error:
                met.note(error)
                raise

        try:
            value = self._waited_for(noted)
        except (RegistryError, TransportError) as error:
            self._judge(error, met)
            raise
        self._note_answer(met)
        return value

    def _judge(self, error: RegistryError | TransportError, met: _Met) -> None:
        """Say whether a request that failed is the last of as many as tell that all will.

        Raises:
            TargetUnavailableError: all requests have failed for long enough.
        """
        if not error.transient:
            if isinstance(error, RegistryError):  # a refusal is an answer
                self._note_answer(met)
        elif isinstance(error, RateLimitedError):
            if self._throttled.lasts(met.failing_since):
                raise _nothing_let_through(error) from error
        elif self._failing.lasts(met.failing_since):
            raise _nothing_succeeded(error) from error

    def _note_answer(self, met: _Met) -> None:
        self._failing.end()
        if met.throttling:
            self._throttled.end()

    def _waited_for(self, attempt: Callable[[], _Value]) -> _Value:
        try:
            return self._tried(attempt)
        except (TransportError, RegistryUnavailableError) as error:
            if self._outage is None or not error.transient or not self._outage.sit_out():
                raise
        return self._tried(attempt)

    def _before_again(self, state: RetryCallState) -> None:
        """A target that says nothing would be given a minute six times: whether it is there is asked before."""
        show_repetition(state)
        error = state.outcome.exception() if state.outcome is not None else None
        if isinstance(error, TransferStalledError) and self._outage is not None:
            self._outage.sit_out()

    def _tried(self, attempt: Callable[[], _Value]) -> _Value:
        return first_tried(self._retrying, lambda: first_tried(self._patient, attempt))

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        grown = min(self._first_wait * 2.0 ** min(state.attempt_number - 1, 32), LONGEST_WAIT)
        wait = grown * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret
        asked = error.retry_after if isinstance(error, RegistryError) else None
        if asked or isinstance(error, RateLimitedError):
            seconds = asked or wait  # a wish of 0 seconds would make a storm
            if self._gate.pause(seconds) and seconds >= TOLD_SECONDS:
                logger.warning("the target wants a pause of %.0f s, and all workers wait: %s", seconds, error)
            return 0.0
        return wait


def _is_for_requests(error: BaseException) -> bool:
    return is_transient(error) and not isinstance(error, SourceError | RateLimitedError)


def _nothing_succeeded(error: Exception) -> TargetUnavailableError:
    return TargetUnavailableError(f"nothing succeeded at the target for more than {SILENT_SECONDS:.0f} s: {error}")


def _nothing_let_through(error: Exception) -> TargetUnavailableError:
    said = f"nothing that the target told to slow down got through for more than {THROTTLED_SECONDS:.0f} s: {error}"
    return TargetUnavailableError(f"{said}; try a lower --max-requests, or fewer --jobs")
