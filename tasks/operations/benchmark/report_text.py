"""A run's results as text: tables for people, in the terminal and in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.benchmark_values.cases import MIB
from tasks.benchmark_values.facts import Phase
from tasks.benchmark_values.summary import FEWEST, summarize
from tasks.operations.benchmark.rate_table import rate_table
from tasks.operations.reports.counts import counted
from tasks.operations.reports.shown_text import escape_markdown, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tasks.benchmark_values.facts import About, Failure, Results
    from tasks.benchmark_values.summary import Summary
    from tasks.operations.benchmark.history import Comparison, Regression

TERMINAL_COLUMNS = ("case", "path", "phase", "n", "median", "min", "p95", "spread", "MiB/s")
COLUMNS = (*TERMINAL_COLUMNS, "first byte", "CPU", "FUSE CPU", "FUSE memory", "requests", "from S3")
NOISY = "noisy"
ONCE = "once"
"""What was measured a single time says nothing of noise, good or bad."""


def table_rows(results: Results) -> list[dict[str, str]]:
    """A row a path, case and phase, as text; what could not be seen is a dash."""
    summaries = summarize(results.measurements)
    ordered = sorted(summaries, key=lambda each: (each.is_multi, each.total, each.key.case, -each.rate))
    return [_row(each) for each in ordered]


def _row(each: Summary) -> dict[str, str]:
    values = (
        each.key.case,
        each.key.path,
        each.key.phase,
        str(each.count),
        seconds(each.median),
        seconds(each.minimum),
        seconds(each.p95),
        ONCE if each.count == 1 else f"{100 * each.spread:.0f} %" + (f" ({NOISY})" if each.is_noisy else ""),
        f"{each.rate / MIB:.1f}",
        seconds(each.first_byte),
        seconds(each.user + each.system),
        seconds(each.fuse_cpu),
        mebibytes(each.fuse_peak),
        "-" if each.requests is None else f"{each.requests:.0f}",
        mebibytes(each.sent),
    )
    return dict(zip(COLUMNS, values, strict=True))


def seconds(value: float | None) -> str:
    """A time, to the millisecond."""
    return "-" if value is None else f"{value:.3f} s"


def mebibytes(value: float | None) -> str:
    """A size."""
    return "-" if value is None else f"{value / MIB:.1f} MiB"


def terminal_table(results: Results) -> Iterable[str]:
    """The table as lines of aligned columns."""
    rows = [{name: name for name in TERMINAL_COLUMNS}, *table_rows(results)]
    widths = {name: max(len(row[name]) for row in rows) for name in TERMINAL_COLUMNS}
    for row in rows:
        cells = (row[name].ljust(width) for name, width in widths.items())
        yield "  ".join(cells).rstrip()


def markdown_table(results: Results) -> list[str]:
    """The table as lines of Markdown."""
    head = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    rows = [row | {"path": escape_markdown(row["path"])} for row in table_rows(results)]
    return [*head, *(f"| {' | '.join(row.values())} |" for row in rows)]


def markdown_report(results: Results, comparison: Comparison, plots: Sequence[str]) -> str:
    """The whole report; `plots` are the names of pictures beside it."""
    lines = ["# Benchmark", ""]
    if results.about is not None:
        lines += [*_about_lines(results.about), ""]
    lines += _verdict(results, comparison)
    lines += ["", *(line for table in (rate_table(results), markdown_table(results)) for line in (*table, ""))]
    lines += [line for name in plots for line in (f"![{name.partition('.')[0]}]({name})", "")]
    if results.about is not None:
        lines += ["## Paths", "", *_path_lines(results.about)]
    return "\n".join(lines).rstrip() + "\n"


def _about_lines(about: About) -> list[str]:
    where = escape_markdown(f"{about.location} ({about.endpoint})")
    machine = escape_markdown(f"{about.host}, {about.processors} processors, {about.system}")
    return [
        f"Run `{about.run}` of {about.started} on {where}.",
        f"Content: {about.content}; {counted(about.repeats, 'repeat')}, in random order{_pause(about)}.",
        f"Machine: {machine}; load average at the start {about.load_before:.1f}.",
        *([f"Programs: {escape_markdown(about.programs)}."] if about.programs else []),
        f"Cold: {about.cold}.",
        *([f"Requests were counted {about.counted}."] if about.counted else []),
        "What each pull brought was hashed; what was wrong has no figure.",
    ]


def _pause(about: About) -> str:
    return "" if about.pause is None else f", {about.pause:g} s apart"


def _verdict(results: Results, comparison: Comparison) -> list[str]:
    lines = [f"- slower than before: {escape_markdown(str(each))}" for each in comparison.regressions]
    lines += [f"- failed: {escape_markdown(_failure(each))}" for each in results.failures]
    lines += _noise_lines([each for each in summarize(results.measurements) if each.key.phase is not Phase.PUSH])
    lines += [f"- {escape_markdown(warning)}" for warning in results.warnings]
    lines += _comparison_lines(comparison)
    return ["Findings:", "", *lines] if lines else ["No failure, nothing noisy."]


def _noise_lines(pulls: Sequence[Summary]) -> Iterable[str]:
    """What can't be believed; a push is made once, and is not meant."""
    if noisy := sum(each.is_noisy for each in pulls):
        are_noisy = f"{counted(noisy, 'result', 'are')} noisy"
        yield f"- {are_noisy}: measure again on a quiet machine, or with more repeats"
    if once := sum(each.count == 1 for each in pulls):
        are_of_one = f"{counted(once, 'result', 'are')} of one pull"
        yield f"- {are_of_one}, which says nothing of noise: measure with more repeats"


def _comparison_lines(comparison: Comparison) -> Iterable[str]:
    if comparison.regressions:
        return
    if comparison.results:
        compared = counted(comparison.results, "result", "were")
        yield f"- nothing is slower than allowed; {compared} compared with earlier runs"
    elif len(comparison.runs) > 1:
        yield f"- nothing was compared with earlier runs: both must have pulled the same {FEWEST} times"


def _path_lines(about: About) -> Iterable[str]:
    for path in about.paths:
        if path.left_out:
            yield f"- **{escape_markdown(path.name)}** was left out: {escape_markdown(path.left_out)}"
            continue
        yield f"- **{escape_markdown(path.name)}** {escape_markdown(path.version)}"
        for what, command in (("mount", path.mount), ("unmount", path.unmount), ("pull", path.pull)):
            if command:
                yield f"  - {what}: `{printable(command).replace('`', chr(39))}`"


def problem_lines(results: Results, regressions: Sequence[Regression]) -> Iterable[str]:
    """What went wrong, a line each."""
    yield from (f"slower: {each}" for each in regressions)
    yield from (f"failed: {_failure(each)}" for each in results.failures)
    yield from results.warnings


def _failure(each: Failure) -> str:
    return f"{each.path} {each.case} {each.phase} {each.repeat}: {each.message} ({each.code})"
