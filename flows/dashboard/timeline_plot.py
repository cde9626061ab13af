"""Draws how a run went on: bytes a second, and what became of the tags."""

from __future__ import annotations

from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tasks.operations.reports.results import Outcome
from tasks.operations.reports.shown_text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.operations.reports.timeline import Moment

FEWEST_MOMENTS = 60
"""One a second. Of a shorter run, there is little to see, and loading matplotlib takes most of a second."""
_COLOURS = {  # Okabe and Ito's, told apart by colour-blind readers, too
    Outcome.COPIED: "#0072B2",
    Outcome.UP_TO_DATE: "#56B4E9",
    Outcome.REFUSED: "#E69F00",
    Outcome.FAILED: "#D55E00",
}
_MIB = 1024**2
_MINUTE, _HOUR = 60.0, 3600.0


def draw(moments: Sequence[Moment], title: str, *, sends: bool) -> bytes:
    """A PNG of some ten kilobytes, of at least a few moments; bytes are shown only of a run that `sends` some."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - takes long to import
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(8, 4.5 if sends else 2.7), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2 if sends else 1, 1, sharex=True, squeeze=False)
    above, below = panels[0, 0], panels[-1, 0]
    unit, name = _unit(moments[-1].seconds)
    times = [moment.seconds / unit for moment in moments]
    if sends:
        _draw_rate(above, moments, times)
    _draw_outcomes(below, moments, times)
    _shade_waits(above, moments, times)
    above.set_title(printable(title), fontsize=9, parse_math=False)  # a path may hold dollars, or be no UTF-8
    below.set_xlabel(f"time since the start [{name}]")
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=80)
    return picture.getvalue()


def _unit(seconds: float) -> tuple[float, str]:
    if seconds < 3 * _MINUTE:
        return 1.0, "s"
    return (_MINUTE, "min") if seconds < 3 * _HOUR else (_HOUR, "h")


def _draw_rate(axes: Any, moments: Sequence[Moment], times: Sequence[float]) -> None:
    rates = [
        (after.bytes_read - before.bytes_read) / max(after.seconds - before.seconds, 0.001) / _MIB
        for before, after in pairwise(moments)
    ]
    axes.stairs(rates, times, fill=True, color="#009E73")
    axes.set_ylabel("sent [MiB/s]")
    axes.set_ylim(bottom=0)


def _draw_outcomes(axes: Any, moments: Sequence[Moment], times: Sequence[float]) -> None:
    shown = [outcome for outcome in _COLOURS if moments[-1].outcomes.get(outcome)] or [Outcome.COPIED]
    axes.stackplot(
        times,
        *[[moment.outcomes.get(outcome, 0) for moment in moments] for outcome in shown],
        colors=[_COLOURS[outcome] for outcome in shown],
        labels=[outcome.replace("_", " ") for outcome in shown],
    )
    axes.set_ylabel("tags")
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper left", fontsize=8)


def _shade_waits(axes: Any, moments: Sequence[Moment], times: Sequence[float]) -> None:
    """Grey where the run was held; once named in the legend."""
    held = [moment.held for moment in moments]
    if any(held):
        across = axes.get_xaxis_transform()
        axes.fill_between(times, 0, 1, where=held, transform=across, color="#BBBBBB", alpha=0.5, label="waiting")
        axes.legend(loc="upper left", fontsize=8)
