"""Draws results: throughput by size, cold against warm, multis against singles, two runs, and many over time.

Colours are those of Okabe and Ito, which people with any kind of colour vision tell apart; each path has a marker of
its own besides, so that a plot can be read without colour.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from tasks.benchmark_values.cases import MIB, parse_case
from tasks.benchmark_values.facts import Phase

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from tasks.benchmark_values.summary import Summary

FORMATS = ("svg", "png")
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
MARKERS = "osD^vP*X"
KNOWN = ("s3fs", "goofys", "rclone", "native", "aws-cli", "registry", "directory", "geesefs", "mount-s3", "s5cmd")
"""Paths in the order in which they get colours, so that each has the same one in every plot."""
RATE = "throughput (MiB/s)"
_DOTS_PER_INCH = 110
_DATES = 7
"""Dates that have room beside each other."""


@dataclass(frozen=True, slots=True)
class Style:
    """How a path looks in all plots."""

    colour: str
    marker: str


@dataclass(frozen=True, slots=True)
class Named:
    """The figures of one run, and what it is called in a plot."""

    name: str
    summaries: Sequence[Summary]


@dataclass(frozen=True, slots=True)
class Moment:
    """The best rates of one run of several, in bytes a second by path, case and phase."""

    started: str
    rates: Mapping[str, float]


def draw_results(results: Named, folder: Path) -> list[str]:
    """All plots of one run that there are figures for; the names of the PNG files."""
    summaries = [each for each in results.summaries if each.key.phase is not Phase.PUSH]
    styles = _styles(each.key.path for each in summaries)
    drawn: list[str] = []
    singles = [each for each in summaries if not each.is_multi]
    if singles:
        drawn += _saved(_throughput(singles, styles, results.name), folder, "throughput")
    both = _cold_and_warm(summaries)
    if both:
        drawn += _saved(_pairs(both, "cold", "warm", "Cold and warm pulls"), folder, "cold-warm")
    several = _single_and_multi(summaries)
    if several:
        title = "One blob, and several of the same total (warm)"
        drawn += _saved(_pairs(several, "one blob", "several", title), folder, "single-multi")
    return drawn


def draw_comparison(first: Named, second: Named, folder: Path) -> list[str]:
    """Two runs in one plot: the same path has the same colour, the second run dashed lines."""
    of_both = [(run, _singles_of(run)) for run in (first, second)]
    styles = _styles(each.key.path for _, found in of_both for each in found)
    figure, axes = _figure(1, 1, 9, 5.4)
    for (_, found), line in zip(of_both, ("-", "--"), strict=True):
        _lines(axes[0], found, styles, line, labelled=False)
    _size_axis(axes[0], [each for _, found in of_both for each in found])
    axes[0].set_title(f"{first.name} (solid) and {second.name} (dashed)")
    _path_legend(axes[0], styles)
    return _saved(figure, folder, "comparison")


def draw_trend(runs: Sequence[Moment], folder: Path, most: int = 8) -> list[str]:
    """How the best rates changed over runs; nothing where there is only one. The largest case of each path."""
    if len(runs) < 2:  # noqa: PLR2004 - a change needs two
        return []
    shown = _largest_warm(runs[-1].rates)[:most]
    styles = _styles(name.partition(" ")[0] for name in shown)
    figure, axes = _figure(1, 1, 9, 4.8)
    for name in shown:
        points = [(index, run.rates[name] / MIB) for index, run in enumerate(runs) if name in run.rates]
        style = styles[name.partition(" ")[0]]
        axes[0].plot(*zip(*points, strict=True), color=style.colour, marker=style.marker, label=name)
    told = range(0, len(runs), math.ceil(len(runs) / _DATES))
    axes[0].set_xticks(told, [runs[index].started[:16].replace("T", "\n") for index in told], fontsize=8)
    axes[0].set_xlabel("start of the run (UTC)")
    axes[0].set_ylabel(f"best {RATE}")
    axes[0].set_ylim(bottom=0)
    axes[0].set_title("Change over runs on the same machine and bucket")
    axes[0].grid(visible=True, alpha=0.3)
    axes[0].legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return _saved(figure, folder, "trend")


def _throughput(singles: Sequence[Summary], styles: Mapping[str, Style], name: str) -> Figure:
    phases = [phase for phase in (Phase.COLD, Phase.WARM) if any(each.key.phase is phase for each in singles)]
    figure, axes = _figure(1, len(phases), 4.6 * len(phases) + 2.2, 4.8)
    for axis, phase in zip(axes, phases, strict=True):
        found = [each for each in singles if each.key.phase is phase]
        _lines(axis, found, styles, "-", labelled=True)
        _size_axis(axis, found)
        axis.set_title(f"{phase} pulls")
    for axis in axes[1:]:
        axis.set_ylabel("")
    figure.suptitle(f"Pulling one blob: {name}")
    _path_legend(axes[-1], styles)
    return figure


def _lines(axis: Axes, found: Sequence[Summary], styles: Mapping[str, Style], line: str, *, labelled: bool) -> None:
    """A line a path: the median, with a bar from the slowest to the fastest of its pulls."""
    for path, style in styles.items():
        points = sorted((each for each in found if each.key.path == path), key=lambda each: each.total)
        if not points:
            continue
        rates = [each.rate / MIB for each in points]
        slowest = [each.total / (each.minimum + each.spread * each.median) / MIB for each in points]
        fastest = [each.total / each.minimum / MIB for each in points]
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
            label=path if labelled else None,
        )


def _size_axis(axis: Axes, found: Sequence[Summary]) -> None:
    sizes = sorted({each.total for each in found})
    axis.set_xscale("log", base=2)
    axis.set_xticks(sizes, [size_label(size) for size in sizes], rotation=45, ha="right")
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_xlabel("size of the blob")
    axis.set_ylabel(RATE)
    axis.grid(visible=True, which="both", alpha=0.25)


def _pairs(rows: Sequence[tuple[str, float, float]], first: str, second: str, title: str) -> Figure:
    """Two bars beside each other for each row, with their figures written at their ends."""
    figure, axes = _figure(1, 1, 8.4, 1.4 + 0.5 * len(rows))
    axis, height = axes[0], 0.38
    sides = ((-1, [row[1] for row in rows], first, COLOURS[0]), (1, [row[2] for row in rows], second, COLOURS[4]))
    for offset, rates, name, colour in sides:
        places = [number + offset * height / 2 for number in range(len(rows))]
        bars = axis.barh(places, rates, height, color=colour, label=name)
        axis.bar_label(bars, [_shown(rate) for rate in rates], padding=3, fontsize=8)
    axis.set_yticks(range(len(rows)), [row[0] for row in rows])
    axis.invert_yaxis()
    axis.set_xlabel(RATE)
    axis.margins(x=0.1)
    axis.set_title(title)
    axis.grid(visible=True, axis="x", alpha=0.25)
    axis.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    return figure


def _shown(rate: float) -> str:
    return f"{rate:.0f}" if rate >= 10 else f"{rate:.1f}"  # noqa: PLR2004 - two digits that count


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


def _singles_of(run: Named) -> list[Summary]:
    """The warm singles, or the cold ones where nothing was pulled warm."""
    singles = [each for each in run.summaries if not each.is_multi]
    warm = [each for each in singles if each.key.phase is Phase.WARM]
    return warm or [each for each in singles if each.key.phase is Phase.COLD]


def _largest_warm(rates: Mapping[str, float]) -> list[str]:
    """Of each path the name of its largest case that was pulled warm."""
    largest: dict[str, tuple[int, str]] = {}
    for name in rates:
        path, label, phase = name.rsplit(" ", 2)
        if phase == Phase.WARM:
            largest[path] = max(largest.get(path, (0, "")), (parse_case(label).total, name))
    return [name for _, name in largest.values()]


def _styles(paths: Iterable[str]) -> dict[str, Style]:
    found = list(dict.fromkeys(paths))
    looks = {name: Style(colour, marker) for name, colour, marker in zip(KNOWN, cycle(COLOURS), cycle(MARKERS))}
    ordered = [name for name in KNOWN if name in found] + [name for name in found if name not in KNOWN]
    spare = cycle(Style(colour, marker) for colour, marker in zip(COLOURS, reversed(MARKERS), strict=True))
    return {name: looks.get(name) or next(spare) for name in ordered}


def _path_legend(axis: Axes, styles: Mapping[str, Style]) -> None:
    handles = [
        axis.plot([], [], color=style.colour, marker=style.marker, label=name)[0] for name, style in styles.items()
    ]
    axis.legend(handles=handles, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)


def _figure(rows: int, columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True)
    return figure, list(axes.flat)


def _saved(figure: Figure, folder: Path, name: str) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    unchanging: dict[str, Any] = {"svg": {"Date": None}, "png": {}}
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "layoutlift"}):  # text stays text, and ids the same
        for kind in FORMATS:
            figure.savefig(folder / f"{name}.{kind}", dpi=_DOTS_PER_INCH, metadata=unchanging[kind])
    return [f"{name}.png"]


def size_label(size: int) -> str:
    """A size as the cases have it."""
    for unit, bytes_of_it in (("GiB", 1024 * MIB), ("MiB", MIB), ("KiB", 1024)):
        if size >= bytes_of_it and size % bytes_of_it == 0:
            return f"{size // bytes_of_it} {unit}"
    return f"{size} B"
