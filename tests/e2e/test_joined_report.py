"""A run that others did in parts says of itself what it would say had it done all by itself."""

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flows.course.driving import drive, work_here
from flows.course.watching import NoWatcher
from flows.forms.parameters import MigrateParameters, VerifyParameters
from infra.real_parts import Registry
from tasks.oci.errors import IncompleteError
from tasks.operations.running.shards import shards_of
from tasks.operations.running.source_survey import Survey
from tasks.ports import IndexFile
from tasks.run_options import RunKind, RunOptions
from tasks.runs import Run
from tasks.shard_results import absorb, pages_of
from tasks.stores.directory.layout_directory import LayoutDirectory
from tests.support.layouts import LayoutBuilder
from tests.support.registry_view import RepositoryView

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
    shards = shards_of(survey, run.run_id, len(survey.sizes))
    parts = {shard: done(run.kind, replace(run.options, shard=shard, report=None)) for shard in shards}
    for shard, (pages, read) in parts.items():
        run.progress.note_bytes(read // 2)
        absorb(run, shard, pages, bytes_told=read // 2)
    assert run.progress.bytes_read == sum(read for _, read in parts.values())


def done(kind: RunKind, options: RunOptions) -> tuple[list[str], int]:
    """The pages of a part's report, and how many bytes it read."""
    pages: list[str] = []
    read = []

    def hand_in(part: Run) -> None:
        pages.extend(pages_of(part))
        read.append(part.progress.bytes_read)

    with suppress(IncompleteError):
        drive(kind, options, NoWatcher(), work_here, hand_in)
    return pages, read[0]


def numbers(options: RunOptions, work: Any, kind: RunKind = RunKind.MIGRATE) -> dict[str, Any]:
    """What a run says of itself in its report and its metrics, and to whoever watches."""
    said: dict[str, Any] = {}

    def note(run: Run) -> None:
        totals = dict(run.totals_json())
        assert totals.pop("requests") >= totals["blobs_pushed"]
        assert run.progress.bytes_read >= totals["bytes_pushed"]  # some more where a registry wants a blob twice
        said.update(
            totals, expected=run.progress.expected, equal=run.ends.equality.reason, indexes=dict(run.log.indexes)
        )
        rows = run.results()
        said["tags"] = {(row.repository, row.tag): (row.outcome, row.verified, row.code) for row in rows}
        said["findings"] = sorted(f"{each.path} {each.code}: {each.message}" for each in run.log.findings)

    with suppress(IncompleteError):
        drive(kind, options, NoWatcher(), work, note)
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


def test_what_patterns_fit_in_any_part_of_a_run_they_fit(
    docker_registry: Registry, prefix: str, source: Path, tmp_path: Path
) -> None:
    places = {"source": str(source), "target": f"{docker_registry.host}/{prefix}", "state": str(tmp_path / "state")}
    patterns = ["one:v1", "two:v9", "t*:v2", "taem"]
    options = VerifyParameters(**places, plain_http=True, include=patterns).to_options()
    in_one = numbers(options, work_here, RunKind.VERIFY)
    assert numbers(options, in_parts, RunKind.VERIFY) == in_one
    unused = [each for each in in_one["findings"] if "include_unused" in each]
    assert len(unused) == 2
    assert "taem" in unused[0]
    assert "two:v9" in unused[1]


def test_what_is_found_of_the_whole_source_is_said_once_of_a_run_in_parts(
    docker_registry: Registry, prefix: str, source: Path, tmp_path: Path
) -> None:
    """A layout without a tag is one whole part; a name that is renamed is not there in all parts but one."""
    layout = LayoutBuilder(source / "tagless")
    layout.image(layers=[b"tagless"])
    layout.write()
    places = {"source": str(source), "state": str(tmp_path / "state"), "rename": ["one=first", "never=nowhere"]}
    in_one, joined = (
        numbers(
            MigrateParameters(
                **places, target=f"{docker_registry.host}/{prefix}/{name}", plain_http=True
            ).to_options(),
            work,
        )
        for name, work in (("whole", work_here), ("parts", in_parts))
    )
    assert joined == in_one
    assert [each.split(":")[0] for each in joined["findings"]] == ["never rename_unused", "tagless no_tags"]


def test_each_line_of_a_list_that_finds_nothing_is_said_once_of_a_run_in_parts(
    docker_registry: Registry, prefix: str, source: Path, tmp_path: Path
) -> None:
    places = {"source": str(source), "target": f"{docker_registry.host}/{prefix}", "state": str(tmp_path / "state")}
    (tmp_path / "list").write_text("one:v1\none:v9\nthree:v2\nfour:v1\n")
    listed = places | {"plain_http": True, "tags_from": str(tmp_path / "list")}
    first = numbers(MigrateParameters(**listed).to_options(), in_parts)
    assert [finding.count("missing_at_source") for finding in first["findings"]] == [1, 1]
    assert first["tags"].keys() == {("one", "v1"), ("three", "v2")}
    in_one = numbers(VerifyParameters(**listed).to_options(), work_here, RunKind.VERIFY)
    assert numbers(VerifyParameters(**listed).to_options(), in_parts, RunKind.VERIFY) == in_one
    assert (in_one["up_to_date"], in_one["findings"]) == (2, first["findings"])


def test_the_parts_of_a_run_over_a_split_source_read_just_the_indexes_that_they_need(
    docker_registry: Registry, prefix: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for dump, names in {"dump": ("app", "lib"), "other": ("web",)}.items():
        layout = LayoutBuilder(source / dump)
        for name in names:
            layout.image(f"docker.io/{name}:v1", config={"of": name}, layers=[name.encode() * 1000])
        layout.write()
    read: Counter[str] = Counter()
    read_index = LayoutDirectory.read_index

    def count(self: LayoutDirectory, path: str) -> IndexFile:
        read[path] += 1
        return read_index(self, path)

    monkeypatch.setattr(LayoutDirectory, "read_index", count)
    places = {"source": str(source), "plain_http": True, "split_by_name": True, "state": str(tmp_path / "state")}
    whole, parts = (f"{docker_registry.host}/{prefix}/{name}" for name in ("whole", "parts"))
    in_one = numbers(MigrateParameters(**places, target=whole).to_options(), work_here)
    read_by_one = Counter(read)
    read.clear()
    assert numbers(MigrateParameters(**places, target=parts).to_options(), in_parts) == in_one
    assert (in_one["copied"], in_one["findings"]) == (9, [])
    each_part = {"dump": 2, "other": 1, "one": 2, "two": 2, "three": 2}  # what is one repository is read once more
    assert read - read_by_one == Counter(each_part)


def test_a_part_of_a_run_over_a_split_source_leaves_alone_what_came_from_a_layout_that_it_was_not_told_of(
    docker_registry: Registry, prefix: str, source: Path, tmp_path: Path
) -> None:
    for name in ("app", "web"):
        layout = LayoutBuilder(source / f"dump-{name}")
        layout.image(f"docker.io/{name}:v1", layers=[name.encode()])
        layout.write()
    places = {"source": str(source), "target": f"{docker_registry.host}/{prefix}", "state": str(tmp_path / "state")}
    given = places | {"plain_http": True, "split_by_name": True}
    numbers(MigrateParameters(**given, include=["app"], rename=["app=x"]).to_options(), work_here)
    before = RepositoryView(docker_registry, f"{prefix}/x").digest("v1")
    of_web = MigrateParameters(**given, include=["web"], rename=["web=x"]).to_options()
    joined = numbers(of_web, in_parts)
    assert joined["tags"] == {("web", "v1"): ("refused", None, "conflict")}
    assert RepositoryView(docker_registry, f"{prefix}/x").digest("v1") == before
    assert joined == numbers(of_web, work_here)


@pytest.mark.parametrize("damaged", [False, True])
def test_a_verification_in_parts_says_what_one_in_one_says(
    docker_registry: Registry, prefix: str, source: Path, tmp_path: Path, damaged: bool
) -> None:
    places = {"source": str(source), "target": f"{docker_registry.host}/{prefix}", "state": str(tmp_path / "state")}
    numbers(MigrateParameters(**places, plain_http=True).to_options(), work_here)
    if damaged:
        RepositoryView(docker_registry, f"{prefix}/one").push_image("v1")
        RepositoryView(docker_registry, f"{prefix}/three").push_image("of-others")
    options = VerifyParameters(**places, plain_http=True, depth="content").to_options()
    in_one = numbers(options, work_here, RunKind.VERIFY)
    assert numbers(options, in_parts, RunKind.VERIFY) == in_one
    assert (in_one["expected"], in_one["failed"], in_one["equal"] is None) == (6, int(damaged), not damaged)
    assert any("of-others" in finding for finding in in_one["findings"]) is damaged
