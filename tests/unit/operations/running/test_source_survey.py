"""What is said of a source before the work on it begins."""

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tasks.operations.choosing.by_age import Ages
from tasks.operations.choosing.selection import Selection
from tasks.operations.copying.repository_preparation import Preparation
from tasks.operations.in_step.equality import Equality
from tasks.operations.work.planning import CopyPolicy, Untagged
from tasks.ports import Finding
from tasks.registry_ports import RepositoryState
from tasks.stores.directory.layout_directory import LayoutDirectory
from tests.support.engine import SOURCE_WAIT, Engine
from tests.support.layouts import LayoutBuilder, dated_image
from tests.support.memory_stores import MemorySource, MemoryTarget


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Layouts with a tag and without, and one with nothing in it at all."""
    for name, tags in (("tagged", ("v1", None)), ("tagless", (None,)), ("empty", ())):
        layout = LayoutBuilder(tmp_path / name)
        for number, tag in enumerate(tags):
            layout.image(tag, layers=[f"{name} {number}".encode()])
        layout.write()
    return tmp_path


@pytest.mark.parametrize("exclude", [(), ("tagless:v1",)])
def test_a_layout_of_which_nothing_is_taken_as_it_has_no_tag_is_named(root: Path, exclude: tuple[str, ...]) -> None:
    made = Engine(root, MemoryTarget(), exclude=exclude)
    assert made.copy() == ({"tagged:v1": "copied"}, {("tagless", "no_tags"), ("empty", "empty_index")})
    assert "(1 have none)" in next(each.message for each in made.findings if each.code == "no_tags")
    assert made.progress.totals.complete, "a remark is no problem"


@pytest.mark.parametrize("untagged", Untagged)
def test_a_layout_whose_index_names_nothing_is_named(root: Path, untagged: Untagged) -> None:
    """What a lost write leaves looks so."""
    made = Engine(root, MemoryTarget(), CopyPolicy(untagged=untagged), include=("empty",))
    assert made.copy() == ({}, {("empty", "empty_index")})
    assert made.progress.totals.complete, "all of it may have been deleted on purpose"


@pytest.mark.parametrize("untagged", [Untagged.MOVED, Untagged.ALL])
def test_a_layout_whose_entries_are_taken_without_a_tag_needs_no_word(root: Path, untagged: Untagged) -> None:
    outcomes, findings = Engine(root, MemoryTarget(), CopyPolicy(untagged=untagged), include=("tagless",)).copy()
    assert set(outcomes.values()) == {"copied"}
    assert findings == set()


def test_patterns_for_tags_ask_for_none_of_what_has_no_tag(root: Path) -> None:
    assert Engine(root, MemoryTarget(), include=("**:v1",)).copy() == ({"tagged:v1": "copied"}, set())


@pytest.mark.parametrize(
    ("include", "exclude"), [((), ("aside**",)), ((), ("aside", "aside/**")), (("tagged", "tagged/**"), ())]
)
def test_what_the_patterns_leave_out_may_as_well_be_no_part_of_the_source(
    root: Path, include: tuple[str, ...], exclude: tuple[str, ...]
) -> None:
    (root / "aside").symlink_to("/etc", target_is_directory=True)
    made = Engine(root, MemoryTarget(), include=include, exclude=(*exclude, "tagless", "empty"))
    assert made.copy() == ({"tagged:v1": "copied"}, set())


def test_a_folder_that_may_hold_something_chosen_has_to_be_read(root: Path) -> None:
    (root / "aside").symlink_to("/etc", target_is_directory=True)
    made = Engine(root, MemoryTarget(), include=("**:v1",), exclude=("aside", "aside/*", "tagless"))
    assert made.copy() == ({"tagged:v1": "copied"}, {("aside", "outside_source")})
    assert not made.progress.totals.complete


def test_patterns_that_leave_out_a_folder_which_is_no_layout_fit_something(root: Path) -> None:
    (root / "aside").symlink_to("/etc", target_is_directory=True)
    made = Engine(root, MemoryTarget(), exclude=("aside", "aside/**", "tagless", "empty", "teem"))
    made.copy()
    assert made.fitting == {f"--exclude {each}" for each in ("aside", "aside/**", "tagless", "empty")}


def test_a_pattern_that_leaves_out_what_has_vanished_fits_something(root: Path) -> None:
    made = Engine(root, MemoryTarget(), exclude=("gone", "teem"))
    with made.run() as tree:
        tree._surveyor._job = replace(tree._surveyor._job, known_layouts=lambda: ("gone",))
        tree.survey()
    assert made.fitting == {"--exclude gone"}


@pytest.mark.parametrize("names_vanished", [True, False])
def test_a_layout_of_an_earlier_run_that_is_not_listed_is_a_problem_where_it_is_there(
    root: Path, *, names_vanished: bool
) -> None:
    """Else a run that looks for nothing that vanished, as that of a cut-over, would call both sides equal."""

    class ListsOne(LayoutDirectory):
        def list_layouts(self) -> Iterator[str | Finding]:
            return iter(["tagged"])

    made = Engine(root, MemoryTarget(), wrap=lambda source: ListsOne(source._root, retry_wait=SOURCE_WAIT))
    with made.run() as tree:
        known = partial(tuple, ("gone", "tagged", "tagless"))
        tree._surveyor._job = replace(tree._surveyor._job, known_layouts=known, names_vanished=names_vanished)
        tree.execute_all(tree.survey().batches)
    found = [(each.path, each.code) for each in made.findings]
    assert found == [("gone", "layout_vanished")] * names_vanished + [("tagless", "layout_hidden")]
    assert not made.progress.totals.complete


def test_a_mistyped_tag_of_a_layout_that_earlier_runs_knew_fits_nothing(tmp_path: Path) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    layout.image("v1", layers=[b"app"])
    layout.write()
    made = Engine(tmp_path, MemoryTarget(), exclude=("app:v9", "gone"))
    with made.run() as tree:
        tree._surveyor._job = replace(tree._surveyor._job, known_layouts=lambda: ("app", "gone"))
        tree.execute_all(tree.survey().batches)
    assert made.fitting == {"--exclude gone"}


def test_a_name_that_is_refused_ends_a_run_that_is_to_fail_fast_once_all_is_surveyed(tmp_path: Path) -> None:
    """What is left is told of then, and the run has come to its own end, as nobody has interrupted it."""
    for name in ("App", "good"):
        layout = LayoutBuilder(tmp_path / name)
        layout.image("v1", layers=[name.encode()])
        layout.write()
    made = Engine(tmp_path, MemoryTarget(), CopyPolicy(strict_names=True, fail_fast=True))
    outcomes, findings = made.copy()
    assert outcomes == {"App:v1": "invalid_reference"}
    assert findings == {("App", "invalid_reference"), ("good", "interrupted")}


def test_repositories_that_are_refused_for_their_names_are_counted_if_a_tag_of_them_was_chosen(
    tmp_path: Path,
) -> None:
    for name, tag in (("App", "v1"), ("Web", "w1"), ("good", "v1")):
        layout = LayoutBuilder(tmp_path / name)
        layout.image(tag, layers=[name.encode()])
        layout.write()
    with Engine(tmp_path, MemoryTarget(), CopyPolicy(strict_names=True), include=("**:v*",)).run() as tree:
        assert tree.survey().refused == 1


HAS_NONE: Any = SimpleNamespace(state=lambda _: RepositoryState(exists=False, immutable_tags=False))
MISSING = Preparation(HAS_NONE).refusal


@pytest.mark.parametrize(
    ("untagged", "exclude", "expected"),
    [
        (Untagged.NONE, ("tagged:*",), {("tagless", "no_tags"), ("empty", "empty_index")}),
        (Untagged.NONE, ("tagless", "empty"), {("tagged", "repository_missing")}),
        (Untagged.ALL, (":*", "empty"), {("tagged", "repository_missing"), ("tagless", "repository_missing")}),
    ],
)
def test_a_repository_of_which_nothing_is_chosen_need_not_be_at_the_target(
    root: Path, untagged: Untagged, exclude: tuple[str, ...], expected: set[tuple[str, str]]
) -> None:
    made = Engine(root, MemoryTarget(), CopyPolicy(untagged=untagged), exclude=exclude, preflight=MISSING)
    outcomes, findings = made.copy()
    assert findings == expected
    assert outcomes == ({"tagged:v1": "repository_missing"} if "tagless" in exclude else {})


def test_a_layout_without_a_place_at_the_target_of_which_nothing_is_chosen_was_not_written_to(root: Path) -> None:
    made = Engine(root, MemoryTarget(), include=(":v*",), preflight=lambda r: MISSING(r) if r == "tagless" else None)
    assert made.copy() == ({"tagged:v1": "copied"}, set())
    equality = Equality(LayoutDirectory(str(root)), Selection.parse([":v*"]), made.log, lambda: ())
    equality.settle(complete=True)
    assert (equality.reason, equality.at is None) == (None, False)


def test_a_repository_that_has_nothing_of_the_age_need_not_be_at_the_target(tmp_path: Path) -> None:
    """Of hundreds that nobody pushes to any more, each would have the run end with a problem."""
    now = datetime.now(UTC)
    for name, age in {"dead": 900, "used": 20}.items():
        layout = LayoutBuilder(tmp_path / name)
        dated_image(layout, "v1", now - timedelta(days=age))
        layout.write()
    selection = Selection.parse(["**:v1"], ages=Ages(86_400.0 * 365, None, now.timestamp()))
    made = Engine(tmp_path, MemoryTarget(), selection=selection, preflight=MISSING)
    assert made.copy() == ({"used:v1": "repository_missing"}, {("used", "repository_missing")})
    made = Engine(tmp_path / "dead", MemoryTarget(), selection=selection, preflight=MISSING)
    assert made.copy() == ({}, set())
    assert made.fitting == {"**:v1", "--newer-than, --older-than"}, "the pattern fits, which is no mistyped one"


def test_what_an_age_holds_back_is_named_wherever_it_was_to_go(tmp_path: Path) -> None:
    """It would be a problem of the run, or a remark, if its repository were there."""
    layout, now = LayoutBuilder(tmp_path / "app"), datetime.now(UTC)
    dated_image(layout, "fresh", now)
    layout.image("undated", layers=[b"undated"])
    layout.write()
    selection = Selection.parse(ages=Ages(None, 3_600.0, now.timestamp()))
    for preflight in (MISSING, lambda _: None):
        made = Engine(tmp_path, MemoryTarget(), selection=selection, preflight=preflight)
        assert made.copy() == ({}, {("app", "too_new"), ("app", "age_unknown")})


def test_a_survey_takes_less_than_a_kilobyte_for_each_of_very_many_layouts(tmp_path: Path) -> None:
    many = 3_000
    files = {f"team{n}/oci-layout": b'{"imageLayoutVersion":"1.0.0"}' for n in range(many)}
    files |= {f"team{n}/index.json": b'{"schemaVersion":2,"manifests":[]}' for n in range(many)}
    with Engine(tmp_path, MemoryTarget(), wrap=lambda _: MemorySource(files)).run() as tree:
        tracemalloc.start()
        try:
            assert len(tree.survey().sizes) == many
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < many * 1024
