"""The results of one run are its own, whatever was in the folder before."""

from pathlib import Path

import pytest

from tasks.oci.errors import ConfigurationError
from tasks.stores.benchmark.result_folder import ResultFolder


def test_what_an_earlier_run_left_goes_and_what_is_another_s_stays_and_is_not_taken_for_ours(tmp_path: Path) -> None:
    for name in ("benchmark.dat", "benchmark.md", "trend.png", "trend.svg", "holiday.png", "notes.csv"):
        (tmp_path / name).write_text("old")
    folder = ResultFolder(tmp_path)
    folder.begin([{"kind": "about"}])
    assert {path.name for path in tmp_path.iterdir()} == {"benchmark.jsonl", "holiday.png", "notes.csv"}
    folder.write({".csv": "new"})
    (tmp_path / "throughput.png").write_bytes(b"new")
    assert [path.name for path in folder.data_files] == ["benchmark.csv", "benchmark.jsonl"]
    assert [path.name for path in folder.plots] == ["throughput.png"]


def test_a_run_that_goes_on_has_the_lines_of_the_one_before(tmp_path: Path) -> None:
    folder = ResultFolder(tmp_path)
    folder.begin([{"kind": "about"}])
    rows = folder.rows()
    ResultFolder(tmp_path).begin([*rows, {"kind": "case"}])
    assert folder.rows() == [{"kind": "about"}, {"kind": "case"}]


def test_results_that_cannot_be_written_are_found_before_anything_is_measured(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"--out: .*file can't be written"):
        ResultFolder(tmp_path / "file").begin([])
    (tmp_path / "benchmark.md").write_text("old")
    with pytest.raises(ConfigurationError, match=r"--dat-file: .*none/article\.dat can't be written"):
        ResultFolder(tmp_path, tmp_path / "none" / "article.dat").begin([])
    assert (tmp_path / "benchmark.md").exists()
