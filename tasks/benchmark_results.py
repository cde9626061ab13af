"""Joins what is measured with what is written of it: texts, plots, the history. No Prefect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.benchmark_values.summary import summarize
from tasks.oci.errors import ConfigurationError
from tasks.operations.benchmark.data_files import csv_text, dat_text, json_lines, parse
from tasks.operations.benchmark.history import Entry, compare, entries_of
from tasks.operations.benchmark.report_text import markdown_report
from tasks.operations.reports.shown_text import printable
from tasks.stores.benchmark.plot_trend import Moment
from tasks.stores.benchmark.plots import Named, draw_comparison, draw_results
from tasks.stores.benchmark.result_folder import read_text

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tasks.benchmark_values.facts import About, Results
    from tasks.benchmark_values.paths import PathSpec
    from tasks.operations.benchmark.history import Comparison
    from tasks.stores.benchmark.result_folder import History, ResultFolder


def compare_and_keep(results: Results, about: About, history: History, allowed: float) -> Comparison:
    """Compare a run with those in the history, and put it there.

    A run that was resumed after its end is in the history already.

    Raises:
        StateError: the history can't be read or written.
    """
    entry = Entry.of(about, results)
    entries = entries_of(history.rows())
    if all(each.run != entry.run for each in entries):
        history.append(entry.to_json())
    return compare(entry, entries, allowed)


def write_results(
    results: Results,
    paths: Sequence[PathSpec],
    comparison: Comparison,
    folder: ResultFolder,
) -> str:
    """Write all files of a run, and return its report.

    Raises:
        StateError: they can't be written.
    """
    moments = [Moment(run.started, run.rates) for run in comparison.runs]
    plots = folder.draw(Named(results.name, summarize(results.measurements)), moments)
    report = markdown_report(results, comparison, plots)
    types = {path.name: path.shown_type for path in paths}
    texts = {".dat": dat_text(results, types), ".csv": csv_text(results), ".md": report}
    folder.write(texts | {".jsonl": json_lines(results, comparison.regressions)})
    return report


def draw_files(files: Sequence[Path], folder: Path) -> list[Path]:
    """Plots of one file of results, or of two beside each other.

    Raises:
        ConfigurationError: a file can't be read, there is nothing to draw, or the folder can't be written.
    """
    read = [parse(read_text(path), path.name) for path in files]
    named = [Named(n, summarize(each.measurements)) for n, each in zip(_names(files, read), read, strict=True)]
    try:
        drawn = draw_results(named[0], folder) if len(named) == 1 else draw_comparison(named[0], named[1], folder)
    except OSError as error:
        raise ConfigurationError(f"--out: {folder} can't be written: {error.strerror or error}") from error
    if not drawn:
        names = " and ".join(str(path) for path in files)
        raise ConfigurationError(f"{names}: there are no pulls {'of both ' if len(named) > 1 else ''}to draw")
    return [folder / name for name in drawn]


def _names(files: Sequence[Path], read: Sequence[Results]) -> list[str]:
    """What each is called in plots: its run or file; of files of one name, as each run writes them, their folders."""
    own = [each.about.run if each.about else each.name for each in read]
    ways = (own, [path.absolute().parent.name for path in files], [str(path) for path in files])
    found = next((names for names in ways if len(set(names)) == len(names)), own)
    return [printable(name) for name in found]
