"""A timeline keeps the course of a run, in bounded memory."""

from itertools import pairwise

import pytest

from tasks.operations.reports.progress import Progress
from tasks.operations.reports.timeline import MOST_MOMENTS, Timeline


class Clock(Progress):
    """Counters of a run whose time is told by the test."""

    now = 0.0

    @property
    def seconds(self) -> float:
        return self.now


def test_a_long_run_is_kept_whole_in_few_moments() -> None:
    progress, timeline = Clock(), Timeline()
    for second in range(20_000):
        progress.now, progress.bytes_read = float(second), 100 * second
        timeline.note(progress, held=False)
    times = [moment.seconds for moment in timeline.moments]
    assert len(times) <= MOST_MOMENTS
    assert times[0] == 0
    assert times[-1] > 19_900
    assert max(after - before for before, after in pairwise(times)) < 20_000 / MOST_MOMENTS * 4
    assert timeline.rate == pytest.approx(100)


@pytest.mark.parametrize("seconds", [MOST_MOMENTS, 20_000])
def test_the_last_moment_is_kept_however_near_it_is(seconds: int) -> None:
    """A plot that ends before the run does lacks what was done in between."""
    progress, timeline = Clock(), Timeline()
    for second in range(seconds):
        progress.now = float(second)
        timeline.note(progress, held=False)
    progress.now, progress.bytes_read = seconds - 0.5, 1
    timeline.note(progress, held=False, is_last=True)
    last = timeline.moments[-1]
    assert (last.seconds, last.bytes_read) == (seconds - 0.5, 1)


def test_the_rate_is_that_of_the_last_seconds() -> None:
    progress, timeline = Clock(), Timeline()
    assert timeline.rate == 0
    for second in range(100):
        progress.now = float(second)
        progress.bytes_read += 1000 if second < 50 else 10
        timeline.note(progress, held=False)
    assert timeline.rate == pytest.approx(10)
