"""A plot of the wall times, written as SVG by hand."""

from pathlib import Path
from xml.sax.saxutils import escape

from tests.benchmarks.statistics_of import Results, Rounds

WIDTH, LEFT, BAR, GAP = 860, 300, 16, 14
OURS, THEIRS = "#2166ac", "#b0b0b0"


def write_plot(results: Results, path: Path, date: str) -> None:
    """Bars by group and registry; a bar's length is relative to the slowest of its group."""
    parts: list[str] = []
    y = 40
    for group, registry in results.groups():
        found = results.contenders(group, registry)
        parts.append(_text(10, y + 12, f"{group}, {registry}", bold=True))
        slowest = max(rounds.wall for rounds in found.values())
        for name, rounds in found.items():
            y += BAR + 3
            parts.append(_bar(y, name, rounds, slowest))
        y += BAR + GAP
    title = _text(10, 20, f"Wall time by workload, target and tool, {date}: shorter is better", bold=True)
    style = 'xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="12"'
    body = "\n".join([title, *parts])
    ground = '<rect width="100%" height="100%" fill="white"/>'
    path.write_text(f'<svg {style} width="{WIDTH}" height="{y}">\n{ground}\n{body}\n</svg>\n')


def _bar(y: int, name: str, rounds: Rounds, slowest: float) -> str:
    length = max(1, round((WIDTH - LEFT - 170) * rounds.wall / slowest))
    colour = OURS if name.startswith("layoutlift") else THEIRS
    lost = "" if rounds.complete else ", lost tags"
    return "\n".join(
        (
            _text(30, y + 12, name),
            f'<rect x="{LEFT}" y="{y}" width="{length}" height="{BAR}" fill="{colour}"/>',
            _text(LEFT + length + 6, y + 12, f"{rounds.wall:.1f} s{lost}"),
        )
    )


def _text(x: int, y: int, text: str, *, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x}" y="{y}"{weight}>{escape(text)}</text>'
