"""A cut-over answers for what was chosen, as it was verified, and knows beforehand that its files can be written."""

import json
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flows.course import cutover
from flows.course.cutover import cut_over
from flows.forms.cutover_parameters import CutoverParameters
from flows.terminal.console import Console
from tasks.oci.errors import ConfigurationError, RefusedError
from tasks.runs import Run
from tasks.stop import Stop
from tasks.stores.directory.layout_directory import LayoutDirectory
from tests.support.layouts import LayoutBuilder


def write(path: Path, *tags: str) -> None:
    layout = LayoutBuilder(path)
    for tag in tags:
        layout.image(tag, layers=[tag.encode()])
    layout.write()


class World:
    """A source of two teams; what happens during the verification, which finds everything equal, is for a test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "source"
        for team in ("ours", "theirs"):
            write(self.source / team, "v1")
        self.verified: dict[str, str] | None = None
        self.driven = False
        self.said: list[str] = []

    def meanwhile(self) -> None:
        """Nothing."""

    def drive(self, _kind: object, _options: object, console: Any, _work: object, **_: object) -> None:
        self.driven = True
        marks = {path: LayoutDirectory(self.source).read_index(path).etag for path in ("ours", "theirs")}
        ends = SimpleNamespace(equality=SimpleNamespace(at="2026-01-01T00:00:00+00:00", reason=None))
        log = SimpleNamespace(indexes=self.verified or marks)
        console.run = SimpleNamespace(ends=ends, log=log, results=list, report_path=self.folder / "report.json")
        self.meanwhile()

    def cut_over(self, *output: Path, **options: Any) -> None:
        given: dict[str, Any] = {"source": str(self.source), "target": "registry.example", **options}
        cut_over([CutoverParameters(output=list(map(str, output)), **given)], Console(), self)

    def begin(self, pair: CutoverParameters) -> None:
        """Nothing that matters here; so of the others."""

    def show(self, run: Run) -> None: ...

    def say(self, line: str) -> None:
        self.said.append(line)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(tmp_path)
    monkeypatch.setattr(cutover, "drive", world.drive)
    return world


@pytest.mark.parametrize(("chosen", "is_refused"), [(["ours"], False), ([], True)])
def test_who_writes_to_what_was_not_chosen_is_in_nobody_s_way(
    world: World, monkeypatch: pytest.MonkeyPatch, chosen: list[str], is_refused: bool
) -> None:
    monkeypatch.setattr(world, "meanwhile", lambda: write(world.source / "theirs", "v1", "v2"))
    if chosen:
        world.verified = {"ours": LayoutDirectory(world.source).read_index("ours").etag}
    refused = pytest.raises(RefusedError, match="still written to: theirs") if is_refused else nullcontext()
    with refused:
        world.cut_over(world.folder / "map.json", include=chosen)
    assert (world.folder / "map.json").exists() is not is_refused


def test_what_was_verified_between_two_equal_looks_is_not_what_is_there(world: World) -> None:
    world.verified = {"ours": "another index", "theirs": LayoutDirectory(world.source).read_index("theirs").etag}
    with pytest.raises(RefusedError, match="still written to: ours"):
        world.cut_over(world.folder / "map.json")
    assert not (world.folder / "map.json").exists()


def test_a_list_of_tags_that_changes_is_no_write_to_the_source(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = world.folder / "images.txt"
    wanted.write_text("ours:v1\n")
    world.verified = {"ours": LayoutDirectory(world.source).read_index("ours").etag}
    monkeypatch.setattr(world, "meanwhile", lambda: wanted.write_text("ours:v1\ntheirs:v1\n"))
    world.cut_over(world.folder / "map.json", tags_from=str(wanted))
    assert (world.folder / "map.json").exists()


def test_until_when_the_source_is_watched_is_said_before_the_wait(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half an hour of silence looks like a command that hangs."""
    monkeypatch.setattr(Stop, "pause", lambda _, seconds: world.said.append(f"waited {round(seconds / 60)} minutes"))
    begun = datetime.now(UTC).replace(microsecond=0)
    world.cut_over(frozen_for="30m")
    said, waited, *_ = world.said
    words, _, until = said.rpartition(" ")
    assert (words, waited) == ("all tags are verified; the indexes are watched until", "waited 30 minutes")
    assert begun <= datetime.fromisoformat(until) - timedelta(minutes=30) <= datetime.now(UTC)


def test_where_there_is_no_time_to_watch_nothing_is_said_of_it(world: World) -> None:
    world.cut_over()
    assert world.said
    assert not any("watched until" in line for line in world.said)


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        ({}, "{pair} were equal at {at}, and the source"),
        ({"newest": 1}, "{pair}: what was chosen was equal on both sides at {at}, and its indexes"),
    ],
    ids=["all", "a part"],
)
def test_what_was_left_out_is_not_said_to_be_equal(world: World, chosen: dict[str, Any], told: str) -> None:
    """Such a line goes into a ticket, as what a bucket is given up for."""
    world.cut_over(**chosen)
    line = told.format(pair=f"{world.source} and registry.example", at="2026-01-01T00:00:00+00:00")
    assert world.said == [f"{line} did not change until now"]


def test_a_list_says_which_program_made_it(world: World) -> None:
    world.cut_over(world.folder / "map.json")
    assert json.loads((world.folder / "map.json").read_bytes())["version"] == version("layoutlift")


def test_two_lists_in_one_file_are_refused_before_the_work(world: World) -> None:
    with pytest.raises(ConfigurationError, match="two lists"):
        world.cut_over(world.folder / "map.csv", way_back=str(world.folder / "source" / ".." / "map.csv"))
    assert not world.driven


def test_a_folder_in_place_of_a_file_is_refused_before_the_work(world: World) -> None:
    (world.folder / "map.csv").mkdir()
    with pytest.raises(ConfigurationError, match="Is a directory"):
        world.cut_over(world.folder / "map.csv")
    assert not world.driven
