"""How a run went on over time, in as many moments as a plot can show, however long it takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.operations.reports.results import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.operations.reports.progress import Progress

MOST_MOMENTS = 600
RATE_SECONDS = 15.0
"""Over how much of the past the present rate is told."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The counters of a run so many seconds after its start; `held` says that it was waiting just then."""

    seconds: float
    bytes_read: int
    outcomes: Mapping[Outcome, int]
    held: bool = False


@dataclass(slots=True)
class Timeline:
    """Moments of a run in order; when there are too many, every other one goes."""

    moments: list[Moment] = field(default_factory=list)
    _every: float = 0.0

    def note(self, progress: Progress, *, held: bool, is_last: bool = False) -> None:
        """Keep the present moment, unless there will be others and the last one that was kept is too near."""
        now = progress.seconds
        if self.moments and not is_last and now - self.moments[-1].seconds < self._every:
            return
        outcomes = {outcome: progress.totals.outcomes[outcome] for outcome in Outcome}
        self.moments.append(Moment(now, progress.bytes_read, outcomes, held))
        if len(self.moments) > MOST_MOMENTS and not is_last:
            self.moments = self.moments[::2]
            self._every = 1.5 * self.moments[-1].seconds / len(self.moments)

    @property
    def rate(self) -> float:
        """Bytes a second over the last seconds; 0 before there is anything to tell it from."""
        if len(self.moments) < 2:  # noqa: PLR2004 - a rate lies between two moments
            return 0.0
        last = self.moments[-1]
        since = next(m for m in self.moments if m is last or last.seconds - m.seconds <= RATE_SECONDS)
        if since is last:
            since = self.moments[-2]
        return (last.bytes_read - since.bytes_read) / max(last.seconds - since.seconds, 0.001)
