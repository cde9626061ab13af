"""The results of one run are its own, whatever was in the folder before."""

import os
import resource
from pathlib import Path

import pytest

from tasks.oci.errors import ConfigurationError, StateError
from tasks.stores import whole_files
from tasks.stores.benchmark.result_folder import History, ResultFolder


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


def test_figures_that_are_written_outlive_a_disk_that_is_full_when_they_are_written_anew(tmp_path: Path) -> None:
    folder = ResultFolder(tmp_path)
    folder.begin([{"kind": "about"}])
    folder.keep({"kind": "measurement"})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(StateError, match="File too large"):
            folder.write({".jsonl": "x" * 20})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert folder.rows() == [{"kind": "about"}, {"kind": "measurement"}]
    assert [path.name for path in tmp_path.iterdir()] == ["benchmark.jsonl"]


def test_files_take_their_names_once_they_are_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a machine that goes leaves them empty, in place of lines that were there one by one."""
    synced: set[str] = set()
    named: list[str] = []
    replace = Path.replace

    def fsync(descriptor: int) -> None:
        if os.fstat(descriptor).st_size:
            synced.add(Path(f"/proc/self/fd/{descriptor}").readlink().name)

    def named_once_synced(unfinished: Path, target: Path) -> Path:
        assert unfinished.name in synced
        named.append(target.name)
        return replace(unfinished, target)

    monkeypatch.setattr(whole_files.os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", named_once_synced)
    folder = ResultFolder(tmp_path / "results")
    folder.begin([{"kind": "about"}])
    folder.write({".csv": "1", ".jsonl": "{}"})
    assert named == ["benchmark.jsonl", "benchmark.csv", "benchmark.jsonl"]


def test_the_run_after_one_whose_line_was_torn_is_in_the_history(tmp_path: Path) -> None:
    """As where the disk ran full at the end of a run."""
    history = History(tmp_path / "history.jsonl")
    history.append({"run": "1"})
    with (tmp_path / "history.jsonl").open("ab") as file:
        file.write(b'{"run":"2","sta')
    for run in ("3", "4"):
        history.append({"run": run})
    assert [row["run"] for row in history.rows()] == ["1", "3", "4"]
