"""What a journal at the source may have done: nothing that no run of ours would have noted."""

import json
from typing import Any

import pytest

from tasks.oci.errors import StateError
from tasks.operations.cleanup.applying.dropping import remake_halves
from tasks.operations.cleanup.records import journal
from tasks.operations.cleanup.records.journal import RUNS, RecordPlace, read_record
from tests.support.cleanup_world import INDEX_PATH, LAYOUT, Push, World, blob_path, image

BLOB = blob_path(b"layer 1")
FILE = {"path": BLOB, "size": 7, "modified": 1.0, "etag": "mark"}
RECORD = {"time": 1.0, "removed": [], "added": [], "files": [], "trash": None, "contents": [], "etag": ""}


def noted(world: World, step: str, **fields: Any) -> RecordPlace:
    path = f"{RUNS}/evil/{LAYOUT}/000001-{step}.json"
    world.files.put(path, json.dumps({**RECORD, **fields}).encode())
    place = RecordPlace.parse(path)
    assert place is not None
    return place


def test_what_a_run_notes_is_read() -> None:
    world = World()
    place = noted(world, "hide", files=[FILE], trash=".layoutlift/trash/evil")
    [file] = read_record(world.files, place).files
    assert file.path == BLOB


@pytest.mark.parametrize(
    "fields",
    [
        {"files": [FILE], "trash": "victim"},
        {"files": [FILE], "trash": ".layoutlift/trash/another"},
        {"files": [FILE], "trash": "."},
        {"files": [FILE | {"path": BLOB.replace(LAYOUT, "victim")}]},
        {"files": [FILE | {"path": INDEX_PATH}]},
        {"files": [FILE | {"path": 7}]},
        {"files": [FILE | {"modified": 10**400}]},
        {"contents": [["victim/index.json", "{}"]]},
        {"contents": [[INDEX_PATH, 7]]},
        {"time": 10**400},
    ],
    ids=[
        "the quarantine is a layout",
        "another run's quarantine",
        "the quarantine is the source",
        "a blob of another repository",
        "no blob",
        "no path",
        "no time of a file",
        "a file of another repository",
        "no content",
        "no time",
    ],
)
def test_what_no_run_notes_counts_as_damaged(fields: dict[str, Any]) -> None:
    world = World()
    place = noted(world, "hide", **fields)
    with pytest.raises(StateError, match="damaged"):
        read_record(world.files, place)


def test_a_record_that_is_nested_without_end_counts_as_damaged() -> None:
    world = World()
    place = noted(world, "hide")
    world.files.put(place.path, b"[" * 200_000)
    with pytest.raises(StateError, match="damaged"):
        read_record(world.files, place)


def test_a_record_with_more_values_than_any_has_counts_as_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MOST_RECORD_VALUES", 1_000)
    world = World()
    assert read_record(world.files, noted(world, "hide", x=[[]] * 100))
    with pytest.raises(StateError, match="damaged"):
        read_record(world.files, noted(world, "hide", x=[[]] * 2_000))


def test_nothing_is_written_beside_a_dropped_layout_on_a_journal_s_word() -> None:
    world = World()
    world.finish(Push(image([1]), "v1", world.now))
    noted(world, "drop", contents=[[INDEX_PATH, "{}"], ["victim/index.json", "{}"]])
    [outcome] = remake_halves(world.files, is_alone=True)
    assert [problem.code for problem in outcome.problems] == ["state"]
    assert world.files.stat_file("victim/index.json") is None
