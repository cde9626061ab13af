"""What a benchmark keeps of a run that it goes on with, and where it was measured."""

import logging
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from flows.course.benchmark_course import told_how_to_go_on
from tasks.benchmark_about import own_place
from tasks.benchmark_runs import BenchmarkRun, open_benchmark
from tasks.benchmark_values.cases import MIB, parse_cases
from tasks.benchmark_values.facts import Cost, Phase
from tasks.benchmark_values.options import BenchmarkOptions
from tasks.benchmark_values.paths import Origin, PathSpec, Visit, altered
from tasks.benchmark_values.summary import FEWEST
from tasks.oci.errors import (
    InterruptedRunError,
    LayoutliftError,
    ProgramFailedError,
    RefusedError,
    SourceError,
    SourceUnavailableError,
    StateError,
)
from tasks.operations.benchmark.catalogue import CATALOGUE
from tasks.operations.benchmark.data_files import json_lines
from tasks.operations.benchmark.history import Entry
from tasks.stop import Stop
from tasks.stores.benchmark.result_folder import History, ResultFolder
from tests.support.benchmark_facts import about, measured, results


def options(*sizes: str, **more: Any) -> BenchmarkOptions:
    return BenchmarkOptions(location=None, cases=parse_cases(sizes, []), paths=(), resume=True, **more)


def resumed(tmp_path: Path, *sizes: str) -> BenchmarkRun:
    """A run that goes on where one that had measured 8 MiB to its end had come."""
    lines = json_lines(results(measured(1.0), about=about("old"), ended=("8MiB",), warnings=("w",)))
    (tmp_path / "benchmark.jsonl").write_text(lines)
    return begun(tmp_path, options(*sizes), None)


def begun(
    tmp_path: Path, given: BenchmarkOptions, course: Any, paths: tuple[PathSpec, ...] = (), **more: Any
) -> BenchmarkRun:
    run = BenchmarkRun(
        options=given,
        about=about(**{"run": "new", **more}),
        paths=paths,
        bench=course or Course(),
        stop=course,
        folder=ResultFolder(tmp_path),
        history=History(tmp_path / "history.jsonl"),
    )
    run.begin()
    return run


def test_a_run_that_was_finished_keeps_its_figures_and_is_in_the_history_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    run = resumed(tmp_path, "8MiB")
    assert run.cases_left == []
    assert run.results.measurements == (measured(1.0),)
    assert run.warnings == ["w"]
    assert run.about == about("old")
    assert "measured already, by the run old" in caplog.text
    run.finish()
    lines = run.folder.rows()
    begun(tmp_path, options("8MiB"), None).finish()
    assert [row["run"] for row in run.history.rows()] == ["old"]
    assert [row["kind"] for row in lines] == ["about", "measurement", "case", "warning"]
    assert run.folder.rows() == lines


def test_a_finished_run_is_compared_with_those_before_it_and_none_that_came_later(tmp_path: Path) -> None:
    often = [measured(1.0, repeat=repeat) for repeat in range(FEWEST)]
    (tmp_path / "benchmark.jsonl").write_text(json_lines(results(*often, about=about("old"), ended=("8MiB",))))
    begun(tmp_path, options("8MiB"), None).finish()
    later = Entry.of(about("later"), results(*(replace(each, cost=replace(each.cost, wall=0.1)) for each in often)))
    History(tmp_path / "history.jsonl").append(later.to_json())
    again = begun(tmp_path, options("8MiB"), None)
    again.finish()
    assert again.regressions == ()
    assert [row["run"] for row in again.history.rows()] == ["old", "later"]


def test_a_finished_run_can_be_given_more_sizes(tmp_path: Path) -> None:
    run = resumed(tmp_path, "8MiB", "16MiB")
    assert [case.label for case in run.cases_left] == ["16MiB"]
    assert run.results.measurements == (measured(1.0),)
    assert run.about == about("new")


def test_a_run_that_finds_nothing_to_go_on_with_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = begun(tmp_path / "typo", options("8MiB"), None)
    assert len(run.cases_left) == 1
    assert f"nothing to go on with in {tmp_path}/typo" in caplog.text


def test_sizes_that_are_not_asked_for_again_stay_measured(tmp_path: Path) -> None:
    run = resumed(tmp_path, "16MiB")
    (tmp_path / "benchmark.jsonl").write_text(json_lines(run.results))
    assert begun(tmp_path, options("8MiB"), None).cases_left == []


class Course:
    """A bench, and a sign to stop, that only note what is done."""

    drop_caches = True

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.venue = self

    def begin(self, *_: object) -> None: ...

    def end(self, *_: object) -> None: ...

    def push(self, *_: object) -> None: ...

    def needs_counting(self, _: object) -> bool:
        return True

    def count(self, path: PathSpec, _: object) -> dict[Phase, Cost]:
        self.steps.append(f"{path.name} counted")
        return {Phase.COLD: Cost(wall=9.0, user=0.0, system=0.0, s3_requests={"GET": 7})}

    def leave_registry(self, _: object) -> list[str]:
        return []

    def wait(self, seconds: float) -> None:
        self.steps.append(f"{seconds} s")

    def visit(self, visit: Visit) -> Iterator[tuple[Phase, Cost]]:
        self.steps.append(f"{visit.path.name} {visit.repeat}")
        yield Phase.COLD, Cost(wall=1.0, user=0.0, system=0.0)


def test_between_two_visits_there_is_a_pause(tmp_path: Path) -> None:
    course: Any = Course()
    run = begun(
        tmp_path, options("8MiB", repeats=3, pause=1.3, uncounted=True), course, paths=(CATALOGUE["directory"],)
    )
    (case,) = run.cases_left
    run.measure(case)
    assert course.steps == ["directory 1", "1.3 s", "directory 2", "1.3 s", "directory 3"]


def test_pushes_are_made_in_an_order_of_each_run(tmp_path: Path) -> None:
    """Else one path always has the first, behind the writing of the content."""
    orders = set()
    paths = tuple(CATALOGUE[name] for name in ("s3fs", "goofys", "rclone", "geesefs"))
    for number in range(6):
        course: Any = Course()
        course.push = Mock(return_value=None)
        run = begun(tmp_path / str(number), options("8MiB", repeats=1), course, paths, run=f"run {number}")
        run.measure(run.cases_left[0])
        orders.add(tuple(call.args[0].name for call in course.push.call_args_list))
    assert len(orders) > 1


@pytest.mark.parametrize(("uncounted", "steps", "counted"), [(False, 1, {"GET": 7}), (True, 0, None)])
def test_requests_are_counted_by_a_pull_of_its_own_whose_time_is_not_kept_unless_that_is_not_wanted(
    tmp_path: Path, *, uncounted: bool, steps: int, counted: dict[str, int] | None
) -> None:
    course: Any = Course()
    run = begun(tmp_path, options("8MiB", repeats=1, uncounted=uncounted), course, paths=(CATALOGUE["native"],))
    run.measure(run.cases_left[0])
    assert course.steps == [*["native counted"][:steps], "native 1"]
    assert [(each.cost.wall, each.cost.s3_requests) for each in run.measurements] == [(1.0, counted)]


@pytest.mark.parametrize(("error", "ends"), [(StateError, True), (ProgramFailedError, False)])
def test_a_full_disk_ends_the_run_and_a_failing_program_does_not(
    tmp_path: Path, error: type[LayoutliftError], *, ends: bool
) -> None:
    course: Any = Course()
    course.visit = Mock(side_effect=error("why"))
    run = begun(tmp_path, options("8MiB", repeats=2), course, paths=(CATALOGUE["directory"],))
    with pytest.raises(error, match="why") if ends else nullcontext():
        run.measure(run.cases_left[0])
    assert (course.visit.call_count, len(run.failures)) == ((1, 0) if ends else (2, 2))


def test_a_run_that_ends_early_says_how_to_go_on_behind_what_it_measured(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "tasks")
    course: Any = Course()
    course.end = Mock(side_effect=SourceError("it can't be deleted"))
    run = begun(tmp_path, options("8MiB", "16MiB"), course, paths=(CATALOGUE["directory"],))
    with pytest.raises(SourceError, match="can't be deleted"), told_how_to_go_on(run):
        run.measure(run.cases_left[0])
    assert caplog.messages[1:] == [f"1 size is measured: go on by --resume --out {tmp_path}"]
    assert begun(tmp_path, options("8MiB", "16MiB"), course).cases_left == list(parse_cases(["16MiB"], []))


@pytest.mark.parametrize(("measured_before", "said"), [(1, ["figures so far: {out}"]), (0, [])])
def test_a_run_that_ends_within_its_first_size_says_where_its_figures_are(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, measured_before: int, said: list[str]
) -> None:
    course: Any = Course()
    course.wait = Mock(side_effect=InterruptedRunError("told to stop"))
    if not measured_before:
        course.visit = Mock(side_effect=InterruptedRunError("told to stop"))
    run = begun(tmp_path, options("8MiB", repeats=2, uncounted=True), course, paths=(CATALOGUE["directory"],))
    caplog.clear()
    caplog.set_level(logging.WARNING, "tasks")
    with pytest.raises(InterruptedRunError), told_how_to_go_on(run):
        run.measure(run.cases_left[0])
    assert len(run.measurements) == measured_before
    assert caplog.messages == [line.format(out=tmp_path) for line in said]


@pytest.mark.parametrize(("free", "refused"), [(3.5, False), (2.5, True)])
def test_only_paths_that_are_measured_need_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: float, *, refused: bool
) -> None:
    """A mount needs four times the largest size, and what needs none three times."""
    stand_in_for_oras(tmp_path, monkeypatch)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=int(free * 8 * MIB)))
    missing = PathSpec(name="missing", origin=Origin.PUSHED, mount=("none-such-program",))
    asked = replace(
        options("8MiB", out=str(tmp_path / "out"), state=str(tmp_path / "state")),
        location="s3://none-that-is-read",
        paths=(CATALOGUE["directory"], missing),
    )
    with (
        pytest.raises(RefusedError, match="24 MiB") if refused else nullcontext(),
        open_benchmark(asked, Stop()) as run,
    ):
        assert [path.name for path in run.paths] == ["directory"]


def test_a_run_works_in_its_folder_from_whatever_folder_a_command_is_run_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in_for_oras(tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    asked = replace(options("1kB", state="state"), location="s3://none", paths=(CATALOGUE["directory"],), out="out")
    with open_benchmark(asked, Stop()) as run:
        assert run.bench.work.path.parent == tmp_path / "state" / "benchmark" / "work"


def stand_in_for_oras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    oras = tmp_path / "bin" / "oras"
    oras.parent.mkdir()
    oras.write_text("#!/bin/sh\n")
    oras.chmod(0o755)
    monkeypatch.setenv("LAYOUTLIFT_TOOLS", str(oras.parent))


def test_the_place_of_a_path_is_what_the_user_named_for_it_alone() -> None:
    known = altered(CATALOGUE, buckets=["goofys=other"], mounts=["mine=/mnt/mine"])
    own = options("8MiB", registry="host:5000", plain_http=True)
    places = {name: own_place(known[name], own) for name in ("s3fs", "goofys", "mine", "registry", "directory")}
    assert places == {
        "s3fs": "",
        "goofys": "other",
        "mine": "/mnt/mine",
        "registry": "http://host:5000",
        "directory": "",
    }
    assert own_place(known["registry"], options("8MiB", registry="host")) == "https://host"
    assert own_place(known["registry"], options("8MiB")) == ""


def test_what_will_be_written_and_read_is_said_before_of_a_bucket_of_the_users(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    given = replace(options("8MiB", "16MiB", repeats=3), location="s3://bucket")
    begun(tmp_path, given, Course(), paths=(CATALOGUE["s3fs"], CATALOGUE["directory"]))
    begun(tmp_path, options("8MiB"), Course(), paths=(CATALOGUE["s3fs"],))
    begun(tmp_path, replace(options("8MiB"), location="s3://bucket"), Course(), paths=(CATALOGUE["s3fs"],))
    said, of_one = (line for line in caplog.messages if "are written" in line)
    assert said == (
        "2 sizes by 2 paths: 24.0 MiB are written to s3://bucket and deleted again, and at most about 192.0 MiB read"
    )
    assert of_one.startswith("1 size by 1 path: 8.0 MiB are written to s3://bucket")


def test_so_it_is_of_a_registry_of_the_users(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    paths = (CATALOGUE["registry"], CATALOGUE["directory"])
    own = options("8MiB", "16MiB", repeats=3, registry="host:5000")
    for given, of_run in ((own, paths), (options("8MiB", repeats=3), paths), (own, paths[1:])):
        begun(tmp_path, given, Course(), paths=of_run)
    (said,) = (line for line in caplog.messages if "are written" in line)
    assert said == (
        "2 sizes: 24.0 MiB are written to host:5000 and, where it allows that, deleted again, "
        "and about 144.0 MiB read"
    )


def test_an_own_mount_that_is_none_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = tuple(PathSpec(name=name, origin=Origin.PUSHED, mounted_at=f"/mnt/{name}") for name in ("here", "gone"))
    monkeypatch.setattr("tasks.benchmark_about.hanging_mounts", lambda: frozenset({"/mnt/here"}))
    run: Any = None
    for _ in range(2):
        run = begun(tmp_path, options("8MiB", repeats=1, uncounted=True), Course(), paths=paths)
        said = "gone: nothing is mounted at /mnt/gone, so that this machine's own disk is measured"
        assert [line for line in run.warnings if "is mounted" in line] == [said]
    (case,) = run.cases_left
    run.measure(case)
    assert len(run.measurements) == 2


def test_an_own_mount_that_is_not_there_any_more_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the disk below it would be measured under its name, and be in its history."""
    mounts = {"/mnt/here"}
    path = PathSpec(name="here", origin=Origin.PUSHED, mounted_at="/mnt/here")
    monkeypatch.setattr("tasks.benchmark_about.hanging_mounts", lambda: frozenset(mounts))
    course: Any = Course()
    course.end = Mock()
    course.visit = Mock(side_effect=lambda _: mounts.clear() or iter(()))
    run = begun(tmp_path, options("8MiB", "16MiB", repeats=1, uncounted=True), course, paths=(path,))
    for case in run.cases_left:
        with pytest.raises(SourceUnavailableError, match="here: nothing is mounted at /mnt/here"):
            run.measure(case)
    assert (course.visit.call_count, course.end.call_count, list(run.ended)) == (1, 0, [])


def test_an_own_mount_that_comes_while_it_is_measured_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is measured to its end then; so the next run may go on with the mount, and says no more of the disk."""
    mounts: set[str] = set()
    path = PathSpec(name="here", origin=Origin.PUSHED, mounted_at="/mnt/here")
    monkeypatch.setattr("tasks.benchmark_about.hanging_mounts", lambda: frozenset(mounts))
    given = options("8MiB", "16MiB", repeats=1, uncounted=True)
    course: Any = Course()
    course.visit = Mock(side_effect=lambda _: mounts.add("/mnt/here") or iter(()))
    run = begun(tmp_path, given, course, paths=(path,))
    for case in run.cases_left:
        with pytest.raises(SourceUnavailableError, match="here: there is a mount at /mnt/here"):
            run.measure(case)
    assert (course.visit.call_count, list(run.ended)) == (1, [])
    run = begun(tmp_path, given, Course(), paths=(path,))
    run.measure(run.cases_left[0])
    assert not [line for line in run.warnings if "is mounted" in line]


def test_a_path_with_two_blanks_that_is_no_mount_is_measured_to_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = PathSpec(name="here", origin=Origin.PUSHED, mounted_at="/mnt/a  b")
    monkeypatch.setattr("tasks.benchmark_about.hanging_mounts", frozenset)
    for left in (2, 1):
        given = options("8MiB", "16MiB", repeats=1, uncounted=True)
        run = begun(tmp_path, given, Course(), paths=(path,))
        assert len(run.cases_left) == left
        run.measure(run.cases_left[0])
    assert not run.cases_left


def test_a_run_of_which_all_is_measured_needs_its_mounts_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = {"/mnt/here"}
    monkeypatch.setattr("tasks.benchmark_about.hanging_mounts", lambda: frozenset(mounts))
    paths = (PathSpec(name="here", origin=Origin.PUSHED, mounted_at="/mnt/here"),)
    given = options("8MiB", repeats=1, uncounted=True)
    run = begun(tmp_path, given, Course(), paths=paths)
    run.measure(run.cases_left[0])
    mounts.clear()
    again = begun(tmp_path, given, Course(), paths=paths)
    assert again.cases_left == []
    assert again.warnings == run.warnings


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            {"/mnt/here"},
            set(),
            "here: nothing is mounted at /mnt/here, where what is kept was measured through a mount",
        ),
        (
            set(),
            {"/mnt/here"},
            "here: there is a mount at /mnt/here, where what is kept was measured on this machine's",
        ),
        ({"/mnt/here"}, {"/mnt/here", "/mnt/other"}, ""),
        (set(), {"/mnt/other"}, ""),
    ],
    ids=["gone", "come", "there", "never there"],
)
def test_a_run_does_not_go_on_where_a_mount_went_or_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: set[str], after: set[str], said: str
) -> None:
    """Else figures of this machine's own disk and of the mount would be one result."""
    mounts = set(before)
    monkeypatch.setattr("tasks.benchmark_about.hanging_mounts", lambda: frozenset(mounts))
    paths = (PathSpec(name="here", origin=Origin.PUSHED, mounted_at="/mnt/here"),)
    given = options("8MiB", "16MiB", repeats=1, uncounted=True)
    run = begun(tmp_path, given, Course(), paths=paths)
    run.measure(run.cases_left[0])
    lines = run.folder.rows()
    mounts.clear()
    mounts.update(after)
    with pytest.raises(SourceUnavailableError, match=said) if said else nullcontext():
        begun(tmp_path, given, Course(), paths=paths)
    assert len(run.folder.rows()) == len(lines)


OWN = (
    "mine: its cold pulls may be warm: your mount stays, with what it has cached; "
    "and its pushes end with oras, whatever it has still to upload"
)
KEPT = "native, directory, registry: nothing makes a cold pull colder than a warm one: the kernel's caches are kept"
ELSEWHERE = "nothing makes a cold pull colder than a warm one: only this machine's caches are dropped"


@pytest.mark.parametrize(
    ("drops", "location", "endpoint", "registry", "told"),
    [
        (False, None, "a port of its own", None, [KEPT]),
        (True, None, "a port of its own", None, []),
        (False, "s3://bucket", "https://s3.example", "host:5000", [KEPT]),
        (True, "s3://bucket", "https://s3.example", "host:5000", [f"native, registry: {ELSEWHERE}"]),
        (True, "s3://bucket", "the SDK's default", "localhost:5000/x", [f"native: {ELSEWHERE}"]),
        (True, "s3://bucket", "http://127.0.0.1:8333", "[::1]:5000", []),
        (True, None, "a port of its own", "host", [f"registry: {ELSEWHERE}"]),
    ],
)
def test_what_nothing_makes_cold_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    drops: bool,
    location: str | None,
    endpoint: str,
    registry: str | None,
    told: list[str],
) -> None:
    """Whose server is elsewhere has its content in that one's memory, also when this one's is empty."""
    monkeypatch.setattr("tasks.benchmark_about.hanging_mounts", lambda: frozenset({"/mnt/mine"}))
    mine = PathSpec(name="mine", origin=Origin.PUSHED, mounted_at="/mnt/mine")
    paths = (mine, *(CATALOGUE[name] for name in ("s3fs", "native", "directory", "registry")))
    given = replace(options("8MiB", registry=registry), location=location)
    course: Any = Course()
    course.drop_caches = drops
    for _ in range(2):
        run = begun(tmp_path, given, course, paths=paths, endpoint=endpoint)
        assert run.warnings == [OWN, *told]
    run.finish()
    assert ("nothing makes a cold pull colder" in (tmp_path / "benchmark.md").read_text()) is bool(told)
