from pathlib import Path

import pytest

from tasks.benchmark_results import draw_files
from tasks.oci.errors import ConfigurationError
from tasks.operations.benchmark.data_files import json_lines
from tests.support.benchmark_facts import about, measured, results


def test_a_folder_for_plots_that_is_a_file_is_named(tmp_path: Path) -> None:
    figures, out = tmp_path / "benchmark.jsonl", tmp_path / "out"
    figures.write_text(json_lines(results(measured(1.0), about=about())))
    out.touch()
    for read in ([figures], [figures, figures]):
        with pytest.raises(ConfigurationError, match=r"--out: .*out can't be written: File exists"):
            draw_files(read, out)


def test_a_line_that_is_no_measurement_is_named(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.dat"
    wrong.write_text("s3fs 8MiB\n")
    with pytest.raises(ConfigurationError, match=r"wrong\.dat:1"):
        draw_files([wrong], tmp_path / "out")
