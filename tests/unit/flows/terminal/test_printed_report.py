"""A report is printed as it is, however large."""

import sys
import tracemalloc
from pathlib import Path

import pytest

from flows.terminal.printed_report import print_report


def test_a_report_is_printed_whole_and_in_its_turn_and_not_kept_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report, output = tmp_path / "report.json", tmp_path / "output"
    report.write_bytes(b'{"a line": "for a tag"}\n' * 400_000)
    with output.open("w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        stdout.write("before\n")
        tracemalloc.start()
        try:
            print_report(report)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        stdout.write("after\n")
    assert output.read_bytes() == b"before\n" + report.read_bytes() + b"after\n"
    assert peak < 1_000_000
