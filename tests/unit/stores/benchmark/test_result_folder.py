"""The results of one run are its own, whatever was in the folder before."""

from pathlib import Path

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
