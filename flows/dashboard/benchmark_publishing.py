"""Measures the cases of a benchmark as Prefect tasks, and leaves its results as artifacts."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from prefect.artifacts import create_image_artifact, create_markdown_artifact, create_table_artifact

from flows.dashboard.shown_progress import only_noted
from flows.server.settings_of_run import logged_to_run
from tasks.benchmark_case import benchmark_case, shared_benchmark
from tasks.operations.benchmark.report_text import table_rows

if TYPE_CHECKING:
    from tasks.benchmark_runs import BenchmarkRun

MOST_CHARACTERS = 200_000
"""Of a file that is shown in the dashboard; the whole one is in the run's folder."""


def measure_as_tasks(run: BenchmarkRun) -> None:
    """Measure each case as a task of the flow that this is called from, one after another."""
    with logged_to_run(), shared_benchmark(run):
        for case in run.cases_left:
            benchmark_case(run.about.run, case.label)


def publish_benchmark(run: BenchmarkRun) -> None:
    """Leave report, table, plots and data files as artifacts."""
    with only_noted():
        create_markdown_artifact(run.report, key="benchmark-report", description="What was measured")
        create_table_artifact(table_rows(run.results), key="benchmark-table", description="All figures")
        for plot in run.folder.plots:
            address = f"data:image/png;base64,{base64.b64encode(plot.read_bytes()).decode()}"
            create_image_artifact(address, key=f"benchmark-{plot.stem}", description=plot.stem)
        for path in run.folder.data_files:
            text = shortened(path.read_text(encoding="utf-8"))
            create_markdown_artifact(f"```\n{text}```", key=f"benchmark-{path.suffix[1:]}", description=path.name)


def shortened(text: str, most: int = MOST_CHARACTERS) -> str:
    """Whole lines of a text, no more than `most` characters of them, and how many are left out."""
    end = len(text) if len(text) <= most else text.rfind("\n", 0, most) + 1
    left_out = text.count("\n", end)
    return text[:end] + (f"… {left_out} more lines are in the run's folder\n" if left_out else "")
