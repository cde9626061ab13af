"""What a run tells a monitoring system, as named values: made of its counters, and of nothing about single tags.

Names and units follow Prometheus: base units, `_total` for what only grows during a run (a new run begins at
zero, which is what a counter's reset means). The labels that vary have a fixed set of values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.operations.reports.results import Outcome
from tasks.ports import BlobArrival, Metric, MetricKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.operations.reports.progress import Progress


@dataclass(frozen=True, slots=True)
class RunMoment:
    """Where a run is: times in seconds since the epoch; `complete` is None while it goes on."""

    started: float
    now: float
    complete: bool | None
    last_success: float | None

    @property
    def last_complete(self) -> float | None:
        """When this run or the last one before it ended with everything where it should be."""
        return self.now if self.complete else self.last_success


LAST_SUCCESS = "layoutlift_last_success_timestamp_seconds"


def run_metrics(totals: Mapping[str, int], progress: Progress, moment: RunMoment) -> tuple[Metric, ...]:
    """All metrics of a run; `totals` are the report's."""
    return (*_state(moment), *_counts(totals, progress))


def _state(moment: RunMoment) -> list[Metric]:
    found = [
        _gauge("layoutlift_run_started_timestamp_seconds", "When the run began", moment.started),
        _gauge("layoutlift_run_updated_timestamp_seconds", "When these values were taken", moment.now),
        _gauge("layoutlift_run_running", "1 while the run goes on", moment.complete is None),
    ]
    if moment.complete is not None:
        found.append(_gauge("layoutlift_run_complete", "1 if the ended run left nothing to do", moment.complete))
    if moment.last_complete is not None:
        found.append(_gauge(LAST_SUCCESS, "When a run last ended complete", moment.last_complete))
    return found


def _counts(totals: Mapping[str, int], progress: Progress) -> tuple[Metric, ...]:
    tags = {outcome.value: float(totals.get(outcome, 0)) for outcome in Outcome}
    blobs = {result.value: float(totals[f"blobs_{result}"]) for result in BlobArrival}
    return (
        _gauge("layoutlift_tags_expected", "Tags that the run will have an outcome for", progress.expected),
        Metric("layoutlift_tags_total", "Tags by what became of them", MetricKind.COUNTER, tags, "outcome"),
        _counter("layoutlift_problems_total", "Tags that keep the run from being complete", progress.totals.problems),
        _counter("layoutlift_broken_layouts_total", "Broken things that are no tag", progress.totals.other_problems),
        Metric("layoutlift_blobs_total", "Blobs by how they got there", MetricKind.COUNTER, blobs, "result"),
        _counter("layoutlift_read_bytes_total", "Bytes read on their way to the target", progress.bytes_read),
        _counter("layoutlift_pushed_bytes_total", "Bytes of blobs that the target took", totals["bytes_pushed"]),
        _counter("layoutlift_requests_total", "HTTP requests to the target", totals["requests"]),
    )


def _gauge(name: str, text: str, value: float) -> Metric:
    return Metric(name, text, MetricKind.GAUGE, {"": float(value)})


def _counter(name: str, text: str, value: float) -> Metric:
    return Metric(name, text, MetricKind.COUNTER, {"": float(value)})
