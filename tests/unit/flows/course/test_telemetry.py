"""What keeps a run's metrics from their file is noted while the run goes on."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from flows.course import telemetry
from flows.course.telemetry import told_by_metrics
from infra.real_parts import wait_until
from tasks.operations.reports.progress import Progress
from tasks.operations.reports.report_rows import totals_json
from tasks.run_options import RunKind


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """Of a run, what has to do with metrics."""
    folder = tmp_path / "metrics"
    folder.mkdir()
    progress = Progress()
    places = {"source": "/mnt/bucket", "target": None}
    options = SimpleNamespace(metrics=str(folder / "layoutlift.prom"), since_last=False, **places)
    counts = totals_json(progress.totals, 0)
    return SimpleNamespace(kind=RunKind.MIGRATE, options=options, progress=progress, totals_json=lambda: counts)


def test_a_file_that_can_not_be_written_for_a_while_is_told_once_each_time(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A run of weeks writes it each ten seconds, and a full disk may stay for a weekend."""
    tried: list[Path] = []
    write = telemetry._Writer.write
    monkeypatch.setattr(telemetry, "METRICS_EVERY", 0.01)
    monkeypatch.setattr(
        telemetry._Writer, "write", lambda self, *, complete: (tried.append(tmp_path), write(self, complete=complete))
    )

    def tried_often() -> None:
        many = len(tried) + 5
        wait_until(lambda: len(tried) > many, what="the metrics are tried to be written", deadline_seconds=10)

    with told_by_metrics(run):
        for _ in range(2):
            (tmp_path / "metrics").rename(tmp_path / "away")
            tried_often()
            (tmp_path / "away").rename(tmp_path / "metrics")
            tried_often()
    assert [record.message.rpartition(": ")[2] for record in caplog.records] == ["No such file or directory"] * 2


def test_a_success_since_the_last_run_is_none_of_the_run_that_looks_at_the_target_too(run: Any) -> None:
    """Both are scheduled for one pair; an alarm looks at each flow, and a collector takes no series twice."""
    path = Path(run.options.metrics)
    with told_by_metrics(run):
        pass
    full = series(path)
    run.options.since_last = True
    with told_by_metrics(run):
        pass
    assert {labels["flow"] for labels in full.values()} == {"migrate"}
    assert {labels["flow"] for labels in series(path).values()} == {"migrate --since-last"}
    assert "layoutlift_last_success_timestamp_seconds" in full


def series(path: Path) -> dict[str, dict[str, str]]:
    """The labels of each value of a metrics file."""
    families = text_string_to_metric_families(path.read_text())
    return {sample.name: sample.labels for family in families for sample in family.samples}
