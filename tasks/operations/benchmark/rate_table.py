"""The rates of all pulls at a glance: a row a path and phase, a column a size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.benchmark_values.cases import MIB
from tasks.benchmark_values.facts import Phase
from tasks.benchmark_values.summary import summarize
from tasks.operations.reports.shown_text import escape_markdown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.benchmark_values.facts import Results
    from tasks.benchmark_values.summary import Summary

MISSING = "-"
WHOLE = 100.0
"""From how many MiB a second on nobody asks for a tenth."""


def rate_table(results: Results) -> list[str]:
    """The table as lines of Markdown; none where nothing was pulled."""
    pulls = [each for each in summarize(results.measurements) if each.key.phase is not Phase.PUSH]
    if not pulls:
        return []
    ordered = sorted(pulls, key=lambda each: (each.is_multi, each.total, each.key.case))
    cases = list(dict.fromkeys(each.key.case for each in ordered))
    rows = [_row(*of, pulls, cases) for of in sorted({(each.key.path, each.key.phase) for each in pulls})]
    return [
        "MiB/s, by the median; `*` is noisy.",
        "",
        f"| | {' | '.join(cases)} |",
        "|---|" + "---|" * len(cases),
        *rows,
    ]


def _row(path: str, phase: Phase, pulls: Sequence[Summary], cases: Sequence[str]) -> str:
    rates = {each.key.case: _rate(each) for each in pulls if (each.key.path, each.key.phase) == (path, phase)}
    return f"| {escape_markdown(path)}, {phase} | {' | '.join(rates.get(case, MISSING) for case in cases)} |"


def _rate(each: Summary) -> str:
    rate = each.rate / MIB
    return f"{rate:,.{0 if rate >= WHOLE else 1}f}{'*' if each.is_noisy else ''}"
