"""What a run announces is read again as it was, repository by repository and in order, or nothing depends on it."""

import json
from typing import Any

import pytest

from tasks.file_ports import StoredFile
from tasks.oci.digest import Digest
from tasks.oci.errors import StateError
from tasks.operations.cleanup.records.journal import RUNS, Journal, Record, Step, list_records, read_record
from tests.support.memory_files import MemoryFiles

DIGEST = Digest.of(b"blob")


def record(repository: str = "team/app", *, step: Step = Step.INDEX, time: float = 7.5) -> Record:
    folder = "" if repository == "." else f"{repository}/"
    return Record(
        step,
        repository,
        time,
        removed=({"digest": "sha256:a"},),
        added=({"digest": "sha256:b"},),
        files=(StoredFile(f"{folder}blobs/{DIGEST.replace(':', '/')}", 3, 5.0, "etag"),),
        trash=".layoutlift/trash/run",
        contents=((f"{folder}oci-layout", "{}"),),
        etag="mark",
        withdraws=step is Step.INDEX,
        back=step is Step.SETTLED,
    )


@pytest.fixture
def files() -> MemoryFiles:
    return MemoryFiles(lambda: 9.0)


@pytest.mark.parametrize("repository", ["team/app", "app", "."])
@pytest.mark.parametrize("step", Step)
def test_a_record_is_read_as_it_was_written(files: MemoryFiles, repository: str, step: Step) -> None:
    written = record(repository, step=step)
    Journal(files, "run").announce(written)
    (place,) = list_records(files)
    assert (place.run, place.repository, place.number, place.step) == ("run", repository, 1, step)
    assert read_record(files, place) == written
    assert list_records(files, "run") == [place]
    assert list_records(files, "another") == []


def test_records_of_a_repository_follow_each_other_whichever_process_writes_them(files: MemoryFiles) -> None:
    for time in (1.0, 2.0):
        journal = Journal(files, "run")
        for repository in (".", "team/app", "team/app"):
            journal.announce(record(repository, time=time))
    Journal(files, "later").settle("run", record(time=3.0))
    files.put(f"{RUNS}/run/team/app/a note", b"of nobody's")
    found = [(place.repository, place.number, read_record(files, place).time) for place in list_records(files)]
    assert found == [
        *((".", number, float(number)) for number in (1, 2)),
        *(("team/app", number, time) for number, time in enumerate((1.0, 1.0, 2.0, 2.0, 3.0), start=1)),
    ]


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b"{}", {"time": "soon"}, {"files": [{}]}, {"files": None}, {"contents": ["x"]}, {"etag": ...}],
)
def test_nothing_depends_on_a_record_that_is_damaged_or_gone(files: MemoryFiles, damage: Any) -> None:
    Journal(files, "run").announce(record())
    (place,) = list_records(files)
    if isinstance(damage, dict):
        body = {**json.loads(files.contents()[place.path]), **damage}
        damage = json.dumps({name: value for name, value in body.items() if value is not ...}).encode()
    files.put(place.path, damage)
    with pytest.raises(StateError, match="damaged"):
        read_record(files, place)
    files._files.pop(place.path)
    with pytest.raises(StateError, match="damaged"):
        read_record(files, place)


def test_a_record_of_another_version_s_form_is_named_as_that_and_nothing_depends_on_it(files: MemoryFiles) -> None:
    """Its fields may have the same names and mean something else."""
    Journal(files, "run").announce(record())
    (place,) = list_records(files)
    files.put(place.path, files.contents()[place.path].replace(b'"schema":1', b'"schema":2'))
    with pytest.raises(StateError, match="is of form 2, this version reads form 1: use the layoutlift that wrote it"):
        read_record(files, place)
