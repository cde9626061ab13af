"""A run that others did in parts says of itself what it would say had it done all by itself."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flows.driving import drive, work_here
from flows.parameters import MigrateParameters
from flows.watching import NoWatcher
from infra.real_parts import Registry
from tasks.operations.source_survey import Survey
from tasks.ports import Shard
from tasks.runs import Run, RunKind, RunOptions
from tasks.shard_results import absorb, pages_of
from tests.support.layouts import LayoutBuilder

NAMES = ("one", "two", "three")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Three repositories, each with two tags and a manifest whose tag has moved on, with no blob in common."""
    for name in NAMES:
        layout = LayoutBuilder(tmp_path / "source" / name)
        for tag in ("v1", "v2", None):
            layout.image(tag, config={"of": f"{name} {tag}"}, layers=[f"{name} {tag}".encode() * 1000])
        layout.write()
    return tmp_path / "source"


def in_parts(run: Run, survey: Survey) -> None:
    """Do each repository as a part of the run, which is told of the last bytes of each by its report only."""
    shards = [Shard(run.run_id, number, (path,)) for number, path in enumerate(survey.sizes, start=1)]
    parts = {shard: done(replace(run.options, shard=shard, report=None)) for shard in shards}
    for shard, (pages, read) in parts.items():
        run.progress.note_bytes(read // 2)
        absorb(run, shard, pages, bytes_told=read // 2)
    assert run.progress.bytes_read == sum(read for _, read in parts.values())


def done(options: RunOptions) -> tuple[list[str], int]:
    """The pages of a part's report, and how many bytes it read."""
    pages: list[str] = []
    read = []

    def hand_in(part: Run) -> None:
        pages.extend(pages_of(part))
        read.append(part.progress.bytes_read)

    drive(RunKind.MIGRATE, options, NoWatcher(), work_here, hand_in)
    return pages, read[0]


def numbers(options: RunOptions, work: Any) -> dict[str, Any]:
    """What a run says of itself in its report and its metrics, and to whoever watches."""
    said: dict[str, Any] = {}

    def note(run: Run) -> None:
        totals = dict(run.totals_json())
        assert totals.pop("requests") >= totals["blobs_pushed"]
        assert run.progress.bytes_read >= totals["bytes_pushed"]  # some more where a registry wants a blob twice
        said.update(totals, expected=run.progress.expected, equal=run.ends.equality.reason, indexes=dict(run.indexes))

    drive(RunKind.MIGRATE, options, NoWatcher(), work, note)
    return said


@pytest.mark.parametrize("since_last", [False, True])
def test_a_run_in_parts_has_the_numbers_of_a_run_in_one(
    docker_registry: Registry, prefix: str, source: Path, tmp_path: Path, since_last: bool
) -> None:
    whole, parts = (
        MigrateParameters(
            source=str(source),
            target=f"{docker_registry.host}/{prefix}/{name}",
            plain_http=True,
            since_last=since_last,
            state=str(tmp_path / "state"),
        ).to_options()
        for name in ("whole", "parts")
    )
    first = numbers(parts, in_parts)
    assert first == numbers(whole, work_here)
    assert (first["expected"], first["copied"], first["equal"]) == (6, 6, None)
    again = numbers(parts, in_parts)
    assert again == numbers(whole, work_here)
    assert (again["expected"], again["up_to_date"], again["bytes_pushed"]) == (6, 6, 0)
    assert (again["equal"] is None) is not since_last
