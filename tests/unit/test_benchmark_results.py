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


def test_two_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    """As each run names its own, and the page on benchmarks compares them."""
    figures = [tmp_path / run / "benchmark.dat" for run in ("A", "B")]
    for file in figures:
        file.parent.mkdir()
        file.write_text("s3fs\t8MiB\t0m1.0s\t0m0.1s\t0m0.1s\n")
    draw_files(figures, tmp_path)
    assert ">A (solid) and B (dashed)<" in (tmp_path / "comparison.svg").read_text()


def test_a_file_whose_name_is_not_utf_8_is_drawn(tmp_path: Path) -> None:
    figures = tmp_path / "\udcff.dat"
    figures.write_text("s3fs\t8MiB\t0m1.0s\t0m0.1s\t0m0.1s\n")
    assert draw_files([figures], tmp_path)
