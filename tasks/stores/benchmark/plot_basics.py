"""What all plots have in common: the look of each path, the figure, how it is saved.

Colours are those of Okabe and Ito, which people with any kind of colour vision tell apart; each path has a marker of
its own besides, so that a plot can be read without colour.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from matplotlib.axes import Axes

FORMATS = ("svg", "png")
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
MARKERS = "osD^vP*<dph>XH8"
KNOWN = ("s3fs", "goofys", "rclone", "native", "aws-cli", "registry", "directory", "geesefs", "mount-s3", "s5cmd")
"""Paths in the order in which they get colours and markers, so that each has the same ones in every plot."""
RATE = "throughput (MiB/s)"
_DOTS_PER_INCH = 110


@dataclass(frozen=True, slots=True)
class Style:
    """How a path looks in all plots."""

    colour: str
    marker: str


def styles_of(paths: Iterable[str]) -> dict[str, Style]:
    """A look for each path, no two with the same marker; a path of the user's gets what no other one here has."""
    found = list(dict.fromkeys(paths))
    looks = {name: Style(*look) for name, *look in zip(KNOWN, cycle(COLOURS), MARKERS)}
    ordered = {name: looks[name] for name in KNOWN if name in found}
    used = {style.colour for style in ordered.values()}
    colours = cycle(sorted(COLOURS, key=used.__contains__))
    spare = cycle(zip(colours, MARKERS[len(KNOWN) :], strict=False))
    return ordered | {name: Style(*next(spare)) for name in found if name not in looks}


def path_legend(axis: Axes, styles: Mapping[str, Style]) -> None:
    """A legend of paths, right of the plot."""
    handles = [
        axis.plot([], [], color=style.colour, marker=style.marker, label=name)[0] for name, style in styles.items()
    ]
    axis.legend(handles=handles, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)


def figure_of(columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A figure, in inches, with plots beside each other on one scale."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False, sharey=True)
    return figure, list(axes.flat)


def saved(figure: Figure, folder: Path, name: str) -> list[str]:
    """Write a figure in both formats; the name of the PNG file."""
    folder.mkdir(parents=True, exist_ok=True)
    for text in figure.findobj(Text):
        text.set_parse_math(False)  # what a path or file is called may hold dollars
    unchanging: dict[str, Any] = {"svg": {"Date": None}, "png": {}}
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "layoutlift"}):  # text stays text, and ids the same
        for kind in FORMATS:
            figure.savefig(folder / f"{name}.{kind}", dpi=_DOTS_PER_INCH, metadata=unchanging[kind])
    return [f"{name}.png"]


def shown_rate(rate: float, _: object = None) -> str:
    """A rate with the digits that count."""
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"  # noqa: PLR2004 - two digits that count
