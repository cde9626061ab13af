"""The trend of weeks and of years can be read."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from tasks.stores.benchmark.plot_basics import styles_of
from tasks.stores.benchmark.plot_trend import Moment, draw_trend, trend_of
from tests.unit.stores.benchmark.test_plots import words


def test_a_trend_needs_two_runs(tmp_path: Path) -> None:
    first = Moment("2026-01-01T00:00:00+00:00", {"s3fs 8MiB warm": 1e6, "s3fs 16MiB warm": 2e6})
    assert draw_trend([first], tmp_path) == []
    second = Moment("2026-01-08T00:00:00+00:00", {"s3fs 16MiB warm": 3e6, "goofys 8MiB warm": 1e6})
    assert draw_trend([first, second], tmp_path) == ["trend.png"]
    shown = words(tmp_path / "trend.svg")
    assert {"s3fs 16MiB warm", "goofys 8MiB warm"} <= shown
    assert "s3fs 8MiB warm" not in shown


def test_runs_that_pulled_nothing_in_common_have_no_trend(tmp_path: Path) -> None:
    first = Moment("2026-01-01T00:00:00+00:00", {"s3fs 8MiB warm": 1e6})
    others = ({}, {"goofys 8MiB warm": 1e6}, {"s3fs 8MiB push": 1e6})
    assert [draw_trend([first, Moment("2026-01-08T00:00:00+00:00", rates)], tmp_path) for rates in others] == [[]] * 3


@pytest.mark.parametrize("days", [range(1, 3), range(1, 13), range(1, 360, 7)], ids=["two", "twelve", "a year"])
def test_the_dates_of_a_trend_have_room(days: range) -> None:
    runs = [
        Moment(f"2026-{1 + day // 30:02d}-{1 + day % 28:02d}T04:00:00+00:00", {"s3fs 8MiB warm": 1e6}) for day in days
    ]
    figure = trend_of(sorted(runs, key=lambda run: run.started))
    FigureCanvasAgg(figure)
    figure.draw_without_rendering()  # type: ignore[no-untyped-call]
    labels = [label for label in figure.axes[0].get_xticklabels() if label.get_text()]
    assert len(labels) >= 2
    places = sorted((label.get_window_extent().x0, label.get_window_extent().x1) for label in labels)
    assert all(one[1] < other[0] for one, other in pairwise(places))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("hours", [0.001, 4 / 60, 4, 4 * 24, 120 * 24], ids=lambda value: f"{value:.3g} h")
def test_any_time_between_two_runs_can_be_drawn(hours: float) -> None:
    """Without a warning: there were spans for which no distance of dates fitted."""
    first = datetime(2026, 1, 1, tzinfo=UTC)
    figure = trend_of(
        [Moment((first + timedelta(hours=gap)).isoformat(), {"s3fs 8MiB warm": 1e6}) for gap in (0, hours)]
    )
    FigureCanvasAgg(figure)
    figure.draw_without_rendering()  # type: ignore[no-untyped-call]


def test_runs_are_as_far_apart_as_they_were() -> None:
    runs = [Moment(f"2026-01-{day:02d}T04:00:00+00:00", {"s3fs 8MiB warm": 1e6}) for day in (1, 2, 31)]
    (line,) = trend_of(runs).axes[0].lines
    first, second, last = line.get_xdata(orig=False)  # type: ignore[misc]
    assert (second - first, last - first) == (1, 30)  # in days


def test_a_path_that_the_last_run_did_not_have_stays_and_none_is_left_out() -> None:
    names = [f"path-{number} 8MiB warm" for number in range(10)]
    runs = [
        Moment("2026-01-01T00:00:00+00:00", dict.fromkeys(names, 1e6)),
        Moment("2026-01-08T00:00:00+00:00", dict.fromkeys(names[1:], 1e6)),
    ]
    assert [line.get_label() for line in trend_of(runs).axes[0].lines] == names


def test_a_path_with_other_options_has_another_look_and_a_plain_one_that_of_all_plots() -> None:
    names = ["s3fs 8MiB warm", "s3fs [use_cache={cache}] 8MiB warm", "s3fs [other-bucket] 8MiB warm"]
    runs = [Moment(f"2026-01-0{day}T00:00:00+00:00", dict.fromkeys(names, 1e6)) for day in (1, 2)]
    lines = trend_of(runs).axes[0].lines
    looks = {(line.get_color(), line.get_marker()) for line in lines}
    assert len(looks) == len(names)
    known = styles_of(["s3fs"])["s3fs"]
    assert (lines[0].get_color(), lines[0].get_marker()) == (known.colour, known.marker)
