"""Draws results: throughput by size, cold against warm, multis against singles, and two runs beside each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from tasks.benchmark_values.cases import MIB
from tasks.benchmark_values.facts import Phase
from tasks.stores.benchmark.plot_basics import COLOURS, RATE, figure_of, path_legend, saved, shown_rate, styles_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from tasks.benchmark_values.summary import Summary
    from tasks.stores.benchmark.plot_basics import Style

PULLS = (Phase.COLD, Phase.WARM)


@dataclass(frozen=True, slots=True)
class Named:
    """The figures of one run, and what it is called in a plot."""

    name: str
    summaries: Sequence[Summary]

    @property
    def singles(self) -> list[Summary]:
        """Pulls of one blob."""
        return [each for each in self.summaries if not each.is_multi and each.key.phase in PULLS]


def draw_results(results: Named, folder: Path) -> list[str]:
    """All plots of one run that there are figures for; the names of the PNG files."""
    summaries = [each for each in results.summaries if each.key.phase in PULLS]
    drawn: list[str] = []
    if results.singles:
        drawn += saved(_throughput([(results, "-")], f"Pulling one blob: {results.name}"), folder, "throughput")
    both = _cold_and_warm(summaries)
    if both:
        drawn += saved(_pairs(both, "cold", "warm", "Cold and warm pulls"), folder, "cold-warm")
    several = _single_and_multi(summaries)
    if several:
        title = "One blob, and several of the same total (warm)"
        drawn += saved(_pairs(several, "one blob", "several", title), folder, "single-multi")
    return drawn


def draw_comparison(first: Named, second: Named, folder: Path) -> list[str]:
    """Two runs beside each other: a path has one colour, the second run dashed lines; several blobs have bars.

    Where both runs pulled cold, or warm, only that is drawn: the article's files have no cold pulls, for example.

    The names of the PNG files; none where there is nothing of both that could be drawn.
    """
    drawn: list[str] = []
    if first.singles and second.singles:
        title = f"{first.name} (solid) and {second.name} (dashed)"
        both = _phases(first.singles) & _phases(second.singles)
        runs = [
            (replace(run, summaries=_of_phases(run, both or PULLS)), line)
            for run, line in ((first, "-"), (second, "--"))
        ]
        drawn += saved(_throughput(runs, title), folder, "comparison")
    several = _multis_of_both(first, second)
    if several:
        drawn += saved(_pairs(several, first.name, second.name, "Several blobs"), folder, "comparison-multi")
    return drawn


def _phases(summaries: Iterable[Summary]) -> set[Phase]:
    return {each.key.phase for each in summaries}


def _of_phases(run: Named, phases: Container[Phase]) -> list[Summary]:
    return [each for each in run.summaries if each.key.phase in phases]


def _throughput(runs: Sequence[tuple[Named, str]], title: str) -> Figure:
    """A plot for cold and one for warm pulls, as far as there are any; each run comes with its style of line."""
    singles = [each for run, _ in runs for each in run.singles]
    styles = styles_of(each.key.path for each in singles)
    phases = [phase for phase in PULLS if phase in _phases(singles)]
    figure, axes = figure_of(len(phases), 4.6 * len(phases) + 2.2, 4.8)
    for axis, phase in zip(axes, phases, strict=True):
        for run, line in runs:
            _lines(axis, [each for each in run.singles if each.key.phase is phase], styles, line)
        _size_axis(axis, [each for each in singles if each.key.phase is phase])
        axis.set_title(f"{phase} pulls")
    for axis in axes[1:]:
        axis.set_ylabel("")
    figure.suptitle(title)
    path_legend(axes[-1], styles)
    return figure


def _lines(axis: Axes, found: Sequence[Summary], styles: Mapping[str, Style], line: str) -> None:
    """A line a path: the median, with a bar from the slowest to the fastest of its pulls."""
    for path, style in styles.items():
        points = sorted((each for each in found if each.key.path == path), key=lambda each: each.total)
        if not points:
            continue
        rates = [each.rate / MIB for each in points]
        slowest = [each.worst / MIB for each in points]
        fastest = [each.best / MIB for each in points]
        axis.errorbar(
            [each.total for each in points],
            rates,
            yerr=[
                [max(0.0, rate - low) for rate, low in zip(rates, slowest, strict=True)],
                [max(0.0, high - rate) for rate, high in zip(rates, fastest, strict=True)],
            ],
            color=style.colour,
            marker=style.marker,
            markersize=5,
            linestyle=line,
            elinewidth=1,
            capsize=2,
        )


def _size_axis(axis: Axes, found: Sequence[Summary]) -> None:
    sizes = sorted({each.total for each in found})
    axis.set_xscale("log", base=2)
    axis.set_xticks(sizes, [size_label(size) for size in sizes], rotation=45, ha="right")
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(FuncFormatter(shown_rate))
    axis.set_xlabel("size of the blob")
    axis.set_ylabel(RATE)
    axis.grid(visible=True, which="both", alpha=0.25)


def _pairs(rows: Sequence[tuple[str, float, float]], first: str, second: str, title: str) -> Figure:
    """Two bars beside each other for each row, with their figures written at their ends."""
    figure, (axis,) = figure_of(1, 8.4, 1.4 + 0.5 * len(rows))
    height = 0.38
    sides = ((-1, [row[1] for row in rows], first, COLOURS[0]), (1, [row[2] for row in rows], second, COLOURS[4]))
    for offset, rates, name, colour in sides:
        places = [number + offset * height / 2 for number in range(len(rows))]
        bars = axis.barh(places, rates, height, color=colour, label=name)
        axis.bar_label(bars, [shown_rate(rate) for rate in rates], padding=3, fontsize=8)
    axis.set_yticks(range(len(rows)), [row[0] for row in rows])
    axis.invert_yaxis()
    axis.set_xlabel(RATE)
    axis.margins(x=0.1)
    axis.set_title(title)
    axis.grid(visible=True, axis="x", alpha=0.25)
    axis.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return figure


def _cold_and_warm(summaries: Sequence[Summary]) -> list[tuple[str, float, float]]:
    """For each path, the largest single that was pulled both ways."""
    rates = {(each.key.path, each.total, each.key.phase): each.rate / MIB for each in summaries if not each.is_multi}
    rows = []
    for path in dict.fromkeys(each.key.path for each in summaries):
        totals = [t for p, t, phase in rates if p == path and phase is Phase.COLD and (p, t, Phase.WARM) in rates]
        if totals:
            size = max(totals)
            rows.append((f"{path} {size_label(size)}", rates[path, size, Phase.COLD], rates[path, size, Phase.WARM]))
    return sorted(rows, key=lambda row: -row[2])


def _single_and_multi(summaries: Sequence[Summary]) -> list[tuple[str, float, float]]:
    """For each multi and path, the single of the same total."""
    warm = [each for each in summaries if each.key.phase is Phase.WARM]
    singles = {(each.key.path, each.total): each.rate / MIB for each in warm if not each.is_multi}
    multis = sorted(
        (each for each in warm if each.is_multi), key=lambda each: (each.total, each.key.case, -each.rate)
    )
    return [
        (f"{each.key.path} {each.key.case}", singles[each.key.path, each.total], each.rate / MIB)
        for each in multis
        if (each.key.path, each.total) in singles
    ]


def _multis_of_both(first: Named, second: Named) -> list[tuple[str, float, float]]:
    """Each pull of several blobs that both runs made, the largest first."""
    of_first, of_second = (
        {each.key: each for each in run.summaries if each.is_multi and each.key.phase in PULLS}
        for run in (first, second)
    )
    both = sorted((key for key in of_first if key in of_second), key=lambda key: -of_first[key].total)
    return [
        (f"{key.path} {key.case} {key.phase}", of_first[key].rate / MIB, of_second[key].rate / MIB) for key in both
    ]


def size_label(size: int) -> str:
    """A size as the cases have it."""
    for unit, bytes_of_it in (("GiB", 1024 * MIB), ("MiB", MIB), ("KiB", 1024)):
        if size >= bytes_of_it and size % bytes_of_it == 0:
            return f"{size // bytes_of_it} {unit}"
    return f"{size} B"
