"""Draws how the rates of benchmarks changed over weeks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.ticker import FuncFormatter

from tasks.benchmark_values.cases import MIB, parse_case
from tasks.benchmark_values.facts import Phase
from tasks.stores.benchmark.plot_basics import RATE, figure_of, saved, shown_rate, styles_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Moment:
    """The best rates of one run of several, in bytes a second by path, case and phase; `started` is in ISO 8601."""

    started: str
    rates: Mapping[str, float]


def draw_trend(runs: Sequence[Moment], folder: Path) -> list[str]:
    """How the best rates changed over runs, by the largest case of each path; nothing where none was pulled twice."""
    has_any = any(sum(name in run.rates for run in runs) > 1 for name in _largest_warm(runs))
    return saved(trend_of(runs), folder, "trend") if has_any else []


def trend_of(runs: Sequence[Moment]) -> Figure:
    """The plot itself, on an axis of time."""
    shown = _largest_warm(runs)
    styles = styles_of(_path_of(name) for name in shown)
    figure, (axis,) = figure_of(1, 9, 4.8)
    for name in shown:
        of_path = [run for run in runs if name in run.rates]
        dates = [datetime.fromisoformat(run.started) for run in of_path]
        style = styles[_path_of(name)]
        rates = [run.rates[name] / MIB for run in of_path]
        axis.plot(dates, rates, color=style.colour, marker=style.marker, markersize=5, label=name)  # type: ignore[arg-type] # dates, too
    # with five at least, its default, there are spans that no distance of its own divides
    locator = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call] # no annotations there
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call] # nor here
    axis.yaxis.set_major_formatter(FuncFormatter(shown_rate))
    axis.set_xlabel("start of the run (UTC)")
    axis.set_ylabel(f"best {RATE}")
    axis.set_ylim(bottom=0)
    axis.set_title("Change over runs on the same machine and bucket")
    axis.grid(visible=True, alpha=0.3)
    axis.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return figure


def _path_of(name: str) -> str:
    """A path as a result names it: with its options and its place, where it has its own."""
    return name.rsplit(" ", 2)[0]


def _largest_warm(runs: Sequence[Moment]) -> list[str]:
    """Of each path the name of its largest case that was pulled warm in the last run that had the path."""
    largest: dict[str, str] = {}
    for run in runs:
        of_run: dict[str, tuple[int, str]] = {}
        for name in run.rates:
            path, label, phase = name.rsplit(" ", 2)
            if phase == Phase.WARM:
                of_run[path] = max(of_run.get(path, (0, "")), (parse_case(label).total, name))
        largest |= {path: name for path, (_, name) in of_run.items()}
    return list(largest.values())
