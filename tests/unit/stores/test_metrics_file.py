"""What a run tells a monitoring system is read back as it was written."""

import os
from pathlib import Path

import pytest

from tasks.ports import Metric, MetricKind
from tasks.stores.metrics_file import MetricsFile


@pytest.mark.parametrize("name", [b"/mnt/b", b"/b\xff", b"/two\nlines", rb"/back\slash", b'/"b"', "/bücher".encode()])
def test_any_path_can_be_a_source_of_metrics(tmp_path: Path, name: bytes) -> None:
    path, labels = tmp_path / "file.prom", {"source": os.fsdecode(name)}
    MetricsFile(path, labels).write([Metric("a", "About a.", MetricKind.GAUGE, {"": 3.0})])
    path.read_text(encoding="utf-8")
    assert MetricsFile(path, labels).value("a") == 3
    assert MetricsFile(path, {"source": "/other"}).value("a") is None
