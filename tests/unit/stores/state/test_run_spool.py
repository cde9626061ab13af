from __future__ import annotations

import json
import os
import shutil
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tasks.oci.errors import StateError
from tasks.operations.reports.report_rows import result_of_row, tag_row
from tasks.operations.reports.results import Depth, Outcome, TagResult
from tasks.ports import Finding
from tasks.stores.state import json_lines, run_spool
from tasks.stores.state.json_lines import read_json_lines
from tasks.stores.state.run_spool import RunSpool, check_report_place

DIGEST = "sha256:" + "ab" * 32
HEADER = {"id": "r1", "flow": "migrate"}
TOTALS = {"tags": 1}


def result(repository="app", tag="v1", **changes):
    values = {"digest": DIGEST, "media_type": "m", "target": "h/app:v1", "outcome": Outcome.COPIED}
    return TagResult(repository, tag, **{**values, "verified": Depth.MANIFEST, **changes})


@pytest.fixture
def spool(tmp_path):
    with RunSpool(tmp_path / "run", tag_row, result_of_row) as spool:
        yield spool


def names(report):
    return [(tag["repository"], tag["tag"]) for tag in json.loads(report.read_text())["tags"]]


def test_an_empty_run_has_a_report(spool):
    report = spool.write_report(None, HEADER, TOTALS, [])
    assert report == spool.folder / "report.json"
    expected = {"schema": 1, "run": HEADER, "totals": TOTALS, "indexes": [], "tags": [], "findings": []}
    assert list(json.loads(report.read_text()).items()) == list(expected.items())


def test_the_report_holds_the_mark_of_each_index(spool):
    report = spool.write_report(None, HEADER, TOTALS, [], {"b": '"2"@v', "a": "1"})
    marks = json.loads(report.read_text())["indexes"]
    assert marks == [{"repository": "a", "etag": "1"}, {"repository": "b", "etag": '"2"@v'}]


def test_the_report_is_as_designed(spool, tmp_path):
    spool.record(
        result(verified=None, outcome=Outcome.FAILED, target=None, code="digest_mismatch", message="altered")
    )
    report = spool.write_report(tmp_path / "out" / "r.json", HEADER, TOTALS, [Finding("p", "not_a_layout", "m")])
    content = json.loads(report.read_text())
    expected = {
        "repository": "app",
        "tag": "v1",
        "digest": DIGEST,
        "media_type": "m",
        "target": None,
        "outcome": "failed",
        "verified": None,
        "referrers": 0,
        "error": {"code": "digest_mismatch", "message": "altered"},
    }
    assert list(content["tags"][0].items()) == list(expected.items())
    assert content["findings"] == [{"path": "p", "code": "not_a_layout", "message": "m"}]


@pytest.mark.parametrize("at_once", [1, 2, 3, 7, 100])
def test_tags_are_in_order_whatever_the_size_of_runs(spool, monkeypatch, at_once):
    monkeypatch.setattr(run_spool, "SORTED_AT_ONCE", at_once)
    pairs = [("b", "v1"), ("a", "v2"), ("a/x", None), ("a", None), ("a", "v10"), ("a", "v2"), ("é", "v1")]
    for pair in pairs:
        spool.record(result(*pair))
    report = spool.write_report(None, HEADER, TOTALS, [])
    assert names(report) == sorted(pairs, key=lambda pair: (pair[0], pair[1] or ""))
    assert sorted(path.name for path in spool.folder.iterdir()) == ["report.json", "results.jsonl"]


def test_what_is_discarded_leaves_no_folder(tmp_path):
    with RunSpool(tmp_path / "run", tag_row, result_of_row) as spool:
        spool.record(result())
        assert list(spool.iter_results()) == [result()]
        spool.record(result(tag="v2"))
        spool.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_found_nothing_and_has_no_report_leaves_no_folder(tmp_path):
    """As one that the target does not let in: a schedule would leave one each time."""
    with RunSpool(tmp_path / "run", tag_row, result_of_row):
        assert (tmp_path / "run").is_dir()
    assert list(tmp_path.iterdir()) == []


def test_results_come_back_as_recorded(spool):
    results = [result("b"), result("a", None, verified=None), result("c", code="conflict", message="m")]
    for each in results:
        spool.record(each)
    assert list(spool.iter_results()) == results
    assert list(spool.iter_results()) == results


def test_no_results_yet(spool):
    assert list(spool.iter_results()) == []


def test_names_that_are_not_utf8_are_escaped(spool):
    name = os.fsdecode(b"caf\xe9")
    spool.record(result(name, "v\ud800"))
    report = spool.write_report(None, {**HEADER, "source": name}, TOTALS, [Finding(name, "c", name)])
    assert b"caf\\udce9" in report.read_bytes()
    assert names(report) == [(name, "v\ud800")]
    assert next(spool.iter_results()).repository == name


def test_a_run_begins_empty_in_a_folder_of_an_earlier_one(spool):
    spool.record(result("old"))
    spool.close()
    with RunSpool(spool.folder, tag_row, result_of_row) as again:
        again.record(result("new"))
        assert [r.repository for r in again.iter_results()] == ["new"]
        again.close()
        again.record(result("newer"))
        assert [r.repository for r in again.iter_results()] == ["new", "newer"]


@pytest.mark.parametrize("gone", ["file", "folder"])
def test_results_that_were_removed_are_told_and_not_taken_for_none(spool, gone):
    spool.record(result())
    spool.flush()
    shutil.rmtree(spool.folder) if gone == "folder" else (spool.folder / "results.jsonl").unlink()
    with pytest.raises(StateError, match=r"results\.jsonl was removed while the run was at work"):
        list(spool.iter_results())
    with pytest.raises(StateError, match="was removed"):
        spool.write_report(None, HEADER, TOTALS, [])
    with pytest.raises(StateError, match="was removed"):
        spool.flush()
    assert list(spool.iter_results()) == []
    assert names(spool.write_report(None, HEADER, TOTALS, [])) == []


def test_threads_record_together(spool):
    threads = [
        threading.Thread(target=lambda n=n: [spool.record(result(f"app{n}", f"v{i}")) for i in range(200)])
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({(r.repository, r.tag) for r in spool.iter_results()}) == 1600


def test_a_report_that_can_not_be_finished_leaves_the_old_one(spool, tmp_path, monkeypatch):
    report = tmp_path / "report.json"
    report.write_text("old")

    def no_room(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_spool.os, "fsync", no_room)
    with pytest.raises(StateError, match="No space left on device"):
        spool.write_report(report, HEADER, TOTALS, [])
    assert report.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.json", "run"]


def test_a_report_in_a_place_that_is_no_folder(spool, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="report"):
        spool.write_report(tmp_path / "file" / "r.json", HEADER, TOTALS, [])


def test_the_place_of_a_report_is_judged_before_and_left_as_it_is(tmp_path):
    for name in ("file/report.json", ".", "link"):
        (tmp_path / "file").write_text("old")
        (tmp_path / "link").unlink(missing_ok=True)
        (tmp_path / "link").symlink_to(tmp_path)
        with pytest.raises(StateError, match=r"the report .* can't be written: "):
            check_report_place(tmp_path / name)
    os.mkfifo(tmp_path / "pipe")
    for name in ("file", "pipe", "new/report.json"):
        check_report_place(tmp_path / name)
    assert (tmp_path / "file").read_text() == "old"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "link", "new", "pipe"]


def test_a_report_goes_to_what_standard_output_is(spool):
    """Where that is a pipe, its real name (`/proc/…/fd/pipe:[…]`) is none that can be opened."""
    reader, writer = os.pipe()
    place = Path(f"/proc/self/fd/{writer}")
    check_report_place(place)
    spool.write_report(place, HEADER, TOTALS, [])
    os.close(writer)
    with os.fdopen(reader) as read:
        assert json.load(read)["schema"] == 1


def test_links_and_devices_stay_what_they_are(spool, tmp_path):
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    spool.write_report(tmp_path / "link.json", HEADER, TOTALS, [])
    assert (tmp_path / "link.json").is_symlink()
    assert names(tmp_path / "real.json") == []
    os.mkfifo(tmp_path / "pipe")
    read = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_text()))
    reader.start()
    spool.write_report(tmp_path / "pipe", HEADER, TOTALS, [])
    reader.join()
    assert json.loads(read[0])["schema"] == 1
    assert (tmp_path / "pipe").is_fifo()


def test_a_full_disk_is_a_state_error(tmp_path):
    spool = RunSpool(tmp_path, tag_row, result_of_row)
    (tmp_path / "results.jsonl").symlink_to("/dev/full")
    spool.record(result())
    with pytest.raises(StateError, match="No space left on device"):
        spool.write_report(None, HEADER, TOTALS, [])


@pytest.mark.parametrize("room_for", ["no folder", "no file"])
def test_a_full_disk_of_the_spool_keeps_nothing_that_was_written_before_from_another(
    spool, tmp_path, monkeypatch, room_for
):
    def no_room(*_):
        raise OSError(28, "No space left on device")

    def new_folder(**place):
        return no_room() if place["dir"] == spool.folder and room_for == "no folder" else TemporaryDirectory(**place)

    def write_bytes(path, raw):
        return no_room() if path.is_relative_to(spool.folder) else path.write_text(raw.decode())

    monkeypatch.setattr(run_spool, "TemporaryDirectory", new_folder)
    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    monkeypatch.setattr(run_spool, "SORTED_AT_ONCE", 2)
    tags = [f"v{number}" for number in range(7)]
    for tag in tags:
        spool.record(result(tag=tag))
    spool.flush()
    monkeypatch.setattr(json_lines.os, "write", no_room)
    spool.record(result(tag="lost"))
    with pytest.raises(StateError, match="No space left on device"):
        list(spool.iter_results())
    with pytest.raises(StateError, match="No space left on device"):
        spool.flush()
    elsewhere = tmp_path / "other" / "report.json"
    assert names(spool.write_report(elsewhere, HEADER, TOTALS, [])) == [("app", tag) for tag in tags]
    assert [path.name for path in elsewhere.parent.iterdir()] == ["report.json"]
    assert [each.tag for each in spool.iter_results()] == tags
    with pytest.raises(StateError, match="No space left on device"):
        spool.write_report(None, HEADER, TOTALS, [])
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit((tmp_path / "pipe").read_text)
        spool.write_report(tmp_path / "pipe", HEADER, TOTALS, [])
        assert len(json.loads(read.result())["tags"]) == len(tags)


def test_very_many_tags_need_no_more_open_files_than_the_most(spool, monkeypatch):
    opened = []
    monkeypatch.setattr(run_spool, "SORTED_AT_ONCE", 2)
    monkeypatch.setattr(run_spool, "MOST_RUNS", 5)
    monkeypatch.setattr(run_spool, "read_json_lines", lambda path: opened.append(path) or read_json_lines(path))
    tags = [f"v{number:03}" for number in range(100)]
    for tag in reversed(tags):
        spool.record(result(tag=tag))
    report = spool.write_report(None, HEADER, TOTALS, [])
    assert names(report) == [("app", tag) for tag in tags]
    assert len(opened) == 1 + 5


def test_memory_does_not_grow_with_the_number_of_tags(spool):
    def peak(count):
        for i in range(count):
            spool.record(result(f"team/app{i * 7919 % 1000:04}", f"v{i}"))
        tracemalloc.start()
        spool.write_report(None, HEADER, TOTALS, [])
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    small, large = peak(1_000), peak(11_000)
    assert (large - small) / 11_000 < 100
