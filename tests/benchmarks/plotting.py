"""A plot of the wall times: a row of plots for each workload, with one for each target."""

from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.contenders import CONTENDERS, LAYOUTLIFT
from tests.benchmarks.statistics_of import Results, Rounds

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OURS, PEERS, FLOOR, LOST = "#0072b2", "#9a9a9a", "#e0e0e0", "#d55e00"  # told apart by colour-blind people, too
WIDTH, BAR, HEADS = 14.0, 0.24, 0.85  # inches


def write_plot(results: Results, path: Path, date: str) -> None:
    """Bars of seconds, each plot with a scale of its own; workloads that were measured at one target share a row."""
    import matplotlib as mpl  # noqa: PLC0415 - takes a while
    from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    rows = _rows(results)
    heights = [HEADS + BAR * max(len(results.contenders(*cell)) for cell in row) for row in rows]
    figure = Figure(figsize=(WIDTH, sum(heights) + 0.6), layout="constrained")
    FigureCanvasSVG(figure)
    figure.suptitle(f"Seconds by workload, target and tool, {date}: shorter is better", fontweight="bold")
    columns = max(map(len, rows))
    grid = figure.add_gridspec(len(rows), columns, height_ratios=heights)
    for number, row in enumerate(rows):
        for column, (group, registry) in enumerate(row):
            _draw(figure.add_subplot(grid[number, column]), group, registry, results.contenders(group, registry))
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "layoutlift"}):  # text stays text, and ids the same
        figure.savefig(path, format="svg", metadata={"Date": None})


def _rows(results: Results) -> list[list[tuple[str, str]]]:
    """The cells of the plot: groups that were measured at several targets have a row each, the others three a row.

    What layoutlift did alone has nothing to be compared with.
    """
    targets: dict[str, list[tuple[str, str]]] = {}
    for group, registry in results.groups():
        if not all(name.startswith(LAYOUTLIFT) for name in results.contenders(group, registry)):
            targets.setdefault(group, []).append((group, registry))
    alone = [cells[0] for cells in targets.values() if len(cells) == 1]
    rows = [cells for cells in targets.values() if len(cells) > 1]
    return rows + [alone[start : start + 3] for start in range(0, len(alone), 3)]


def _draw(axes: "Axes", group: str, registry: str, found: dict[str, Rounds]) -> None:
    names = sorted(found, key=lambda name: found[name].wall, reverse=True)
    walls = [found[name].wall for name in names]
    bars = axes.barh(names, walls, color=[_colour(name, found[name]) for name in names])
    axes.bar_label(bars, [_told(name, found[name]) for name in names], padding=3, fontsize=8)
    axes.set_title(f"{group}, {registry}", fontsize=10, loc="left")
    axes.set_xlabel("seconds", fontsize=8)
    axes.set_xlim(0, 1.3 * max(walls))
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _colour(name: str, rounds: Rounds) -> str:
    if not CONTENDERS[name].judged:
        return FLOOR
    if not rounds.complete:
        return LOST
    return OURS if name.startswith(LAYOUTLIFT) else PEERS


def _told(name: str, rounds: Rounds) -> str:
    lost = CONTENDERS[name].judged and not rounds.complete
    return f"{rounds.wall:.1f}, lost tags" if lost else f"{rounds.wall:.1f}"
