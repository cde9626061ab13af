"""A run over a tree loses no tag, whatever repository can't be opened, and says what it did not come to."""

import contextvars
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.real_parts import wait_until
from tasks.oci.errors import (
    BatchUnfinishedError,
    PermissionDeniedError,
    RegistryUnavailableError,
    SourceReadError,
    StateError,
)
from tasks.operations.choosing.selection import Selection
from tasks.operations.copying.copy_work import CopyWork
from tasks.operations.in_step.since_last import RememberedWork
from tasks.operations.reports.findings import FATAL
from tasks.operations.running import tree_run
from tasks.operations.running.batches import Slice
from tasks.operations.work.planning import CopyPolicy, Untagged
from tasks.operations.work.repository_work import MOST_TAGS
from tasks.ports import Finding, IndexFile, RemoteManifest
from tasks.stop import Stop
from tasks.stores.directory.layout_directory import LayoutDirectory
from tests.support.engine import Engine
from tests.support.layouts import LayoutBuilder
from tests.support.memory_stores import MemoryTarget

TAGS = 6
SECONDS = 30


class FailsToOpen(LayoutDirectory):
    """A source whose index can't be read at the given look at it; the first look is the survey's."""

    def __init__(self, root: str, *at: int) -> None:
        super().__init__(root)
        self._at = at
        self.looks = 0

    def read_index(self, path: str) -> IndexFile:
        if path == "app":
            self.looks += 1
            if self.looks in self._at:
                raise SourceReadError("a read failed for the moment")
        return super().read_index(path)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(tree_run, "RETRY_DELAYS", (0.0, 0.0))
    return


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, tags in (("app", TAGS), ("other", 2)):
        layout = LayoutBuilder(tmp_path / name)
        for number in range(tags):
            layout.image(f"v{number}", layers=[f"{name} {number}".encode()])
        layout.write()
    return tmp_path


def opened(root: Path, *at: int, **more: object) -> Engine:
    return Engine(root, MemoryTarget(), wrap=lambda _: FailsToOpen(str(root), *at), **more)


@pytest.mark.parametrize("per_batch", [20, 2], ids=["whole", "in slices"])
def test_a_repository_that_can_not_be_opened_for_the_moment_loses_no_tag(
    root: Path, monkeypatch: pytest.MonkeyPatch, per_batch: int
) -> None:
    monkeypatch.setattr("tasks.operations.running.batches.MIN_BATCH", per_batch)
    outcomes, findings = opened(root, 2, 3).copy()
    assert outcomes == {f"app:v{n}": "copied" for n in range(TAGS)} | {f"other:v{n}": "copied" for n in range(2)}
    assert findings == set()


def test_a_repository_that_stays_closed_is_named_and_costs_no_other(root: Path) -> None:
    outcomes, findings = opened(root, *range(2, 99)).copy()
    assert outcomes == {"other:v0": "copied", "other:v1": "copied"}
    assert findings == {("app", "source_read")}


def test_a_large_repository_that_stays_closed_is_named_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.operations.running.batches.MIN_BATCH", 2)
    made = opened(root, *range(2, 99))
    made.copy()
    assert [(finding.path, finding.code) for finding in made.findings] == [("app", "source_read")]
    assert made.progress.totals.other_problems == 1
    assert made.progress.unreached == TAGS


@pytest.mark.parametrize("error", [PermissionDeniedError("for this one", status=403), ZeroDivisionError("a bug")])
def test_a_slice_that_could_not_be_opened_is_told_of_where_another_one_was_opened_later(
    root: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Nobody else comes to its tags, and a layout of which they are left is none that is done with."""
    monkeypatch.setattr("tasks.operations.running.batches.MIN_BATCH", 2)

    class RefusesOnce(MemoryTarget):
        refuses = True

        def list_tags(self, repository: str) -> frozenset[str]:
            if repository == "app" and self.refuses:
                self.refuses = False
                raise error
            return super().list_tags(repository)

    made = Engine(root, RefusesOnce())
    began = CopyWork

    def begin(*parts: Any, **more: Any) -> RememberedWork:
        return RememberedWork(began(*parts, **more), parts[2].repository, made.ledger, "settings", Selection())

    monkeypatch.setattr("tasks.run_works.CopyWork", begin)
    outcomes, findings = made.copy()
    assert sorted(outcomes) == sorted([f"app:v{n}" for n in range(TAGS)] + ["other:v0", "other:v1"])
    refused = {tag for tag, outcome in outcomes.items() if outcome != "copied"}
    assert len(refused) == 2, "the tags of one slice"
    assert [path for path, _ in findings] == ["app"]
    assert {path: made.ledger.layout(path).etag != "" for path in ("app", "other")} == {"app": False, "other": True}
    assert made.copy() == ({tag: "copied" if tag in refused else "up_to_date" for tag in outcomes}, set())


def test_a_repository_that_is_opened_after_all_has_each_tag_told_of_once(root: Path) -> None:
    """Its batch was taken up again for the sake of another one."""
    errors = {"app": PermissionDeniedError("for this once", status=403), "other": RegistryUnavailableError("away")}

    class FailsOnce(MemoryTarget):
        def list_tags(self, repository: str) -> frozenset[str]:
            if repository in errors:
                raise errors.pop(repository)
            return super().list_tags(repository)

    made = Engine(root, FailsOnce())
    outcomes, findings = made.copy()
    assert outcomes == {f"app:v{n}": "copied" for n in range(TAGS)} | {f"other:v{n}": "copied" for n in range(2)}
    assert findings == {("app", "permission_denied")}
    assert made.progress.unreached == 0


def test_a_rename_that_fits_no_repository_is_said(root: Path) -> None:
    outcomes, findings = opened(root, rename=("app=x", "othre=y")).copy()
    assert set(outcomes.values()) == {"copied"}
    assert findings == {("othre", "rename_unused")}


def test_patterns_that_fit_a_layout_or_a_tag_of_one_that_was_opened_are_known(root: Path) -> None:
    """One for tags of a layout that is left out is left open, as nobody looks at its tags."""
    made = opened(root, include=("app:v0", "app:v99", "taem", "other:v7", "other:v0"), exclude=("other",))
    assert made.copy() == ({"app:v0": "copied"}, set())
    assert made.fitting == {"app:v0", "other:v7", "other:v0", "--exclude other"}


def test_a_source_that_is_a_layout_itself_is_renamed_beside_one_of_its_own_name(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "root"):
        layout = LayoutBuilder(place)
        layout.image("v1", layers=[str(place).encode()])
        layout.write()
    assert set(Engine(tmp_path, MemoryTarget()).copy()[0].values()) == {"name_collision"}
    made = Engine(tmp_path, MemoryTarget(), rename=(".=main",))
    assert made.copy() == ({".:v1": "copied", "root:v1": "copied"}, set())
    assert made.target.list_tags("main") == {"v1"}


def test_a_source_that_is_a_layout_itself_can_be_renamed_by_its_own_name(tmp_path: Path) -> None:
    layout = LayoutBuilder(tmp_path)
    layout.image("v1", layers=[b"layer"])
    layout.write()
    made = Engine(tmp_path, MemoryTarget(), rename=("root=main",))
    assert made.copy() == ({".:v1": "copied"}, set())
    assert made.target.list_tags("main") == {"v1"}


def test_a_batch_with_one_closed_repository_is_taken_up_again_whole(root: Path) -> None:
    made = opened(root, 2)
    with made.run() as tree:
        tree.survey()
        batch = (Slice("other"), Slice("app"))
        with pytest.raises(BatchUnfinishedError, match="app"):
            tree.execute(batch, last_attempt=False)
        tree.execute(batch)
    assert len(made.outcomes) == TAGS + 2


def test_what_a_run_that_is_stopped_did_not_come_to_is_named(root: Path) -> None:
    made = opened(root)
    with made.run() as tree:
        tree.survey()
        made.stop.set()
        tree.abandon()
        tree.abandon()
    assert {(finding.path, finding.code) for finding in made.findings} == {
        ("app", "interrupted"),
        ("other", "interrupted"),
    }
    assert len(made.findings) == 2


def test_a_repository_beside_one_that_could_not_be_opened_is_named_when_the_run_is_stopped(root: Path) -> None:
    """Nothing of a batch is begun then, and nobody may come to take it up again."""
    made = opened(root, 2)
    with made.run() as tree:
        tree.survey()
        with pytest.raises(BatchUnfinishedError, match="app"):
            tree.execute((Slice("other"), Slice("app")), last_attempt=False)
        made.stop.set()
        tree.abandon()
        tree.abandon()
    assert made.outcomes == {"other:v0": "interrupted", "other:v1": "interrupted"}
    assert [(finding.path, finding.code) for finding in made.findings] == [("app", "interrupted")]


def test_slices_that_nobody_has_begun_are_named_when_the_run_is_stopped(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever hands out batches may have been ended itself, as where Prefect's server is lost."""
    monkeypatch.setattr("tasks.operations.running.batches.MIN_BATCH", 2)
    made = opened(root)
    with made.run() as tree:
        first = next(batch for batch in tree.survey().batches if batch[0].path == "app")
        tree.execute(first)
        made.stop.set()
        tree.abandon()
        tree.abandon()
    assert made.outcomes == {f"app:v{n}": "copied" if n < first[0].stop else "interrupted" for n in range(TAGS)}
    assert [(finding.path, finding.code) for finding in made.findings] == [("other", "interrupted")]


def test_a_repository_with_a_slice_that_was_not_begun_is_not_remembered_as_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tags are all in the first slice; the run ends while the other one opens it."""
    monkeypatch.setattr("tasks.operations.running.batches.MIN_BATCH", 2)
    layout = LayoutBuilder(tmp_path / "app")
    layout.image("v0", layers=[b"of v0"])
    for number in range(3):
        layout.image(layers=[f"untagged {number}".encode()])
    layout.write()
    made = Engine(tmp_path, MemoryTarget())
    began = CopyWork

    def begin(*parts: Any, **more: Any) -> RememberedWork:
        made.stop.set()
        tree.execute(batches[0])
        return RememberedWork(began(*parts, **more), parts[2].repository, made.ledger, "settings", Selection())

    monkeypatch.setattr("tasks.run_works.CopyWork", begin)
    with made.run() as tree:
        batches = tree.survey().batches
        assert len(batches) == 2
        tree.execute(batches[1])
        tree.abandon()
    assert made.ledger.layout("app") is None
    assert [(finding.path, finding.code) for finding in made.findings] == [("app", "interrupted")]


def test_what_was_found_in_a_repository_that_is_left_is_told_once(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its work is not ended then, as it is after its last slice."""
    monkeypatch.setattr("tasks.operations.running.batches.MIN_BATCH", 2)
    made = opened(root)
    began = CopyWork

    def begin(*parts: Any, **more: Any) -> RememberedWork:
        work = began(*parts, **more)
        work._copier.findings[Finding(parts[1].path, "found", "by its first slice")] = None
        return RememberedWork(work, parts[2].repository, made.ledger, "settings", Selection())

    monkeypatch.setattr("tasks.run_works.CopyWork", begin)
    with made.run() as tree:
        first, second, *_ = [batch for batch in tree.survey().batches if batch[0].path == "app"]
        tree.execute(first)
        made.stop.set()
        tree.abandon()
        tree.execute(second)
        tree.abandon()
    assert [finding.path for finding in made.findings if finding.code == "found"] == ["app"]
    assert made.ledger.layout("app") is None


def test_what_was_told_of_as_never_begun_is_not_begun_any_more(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever ends a run without waiting for it may write the report while a batch is being opened."""
    monkeypatch.setattr("tasks.operations.running.batches.MIN_BATCH", 2)

    class Ending(LayoutDirectory):
        def read_index(self, path: str) -> IndexFile:
            if path == "other" and trees:
                made.stop.set()
                trees[0].abandon()
            return super().read_index(path)

    made = Engine(root, MemoryTarget(), wrap=lambda _: Ending(str(root)))
    trees: list[tree_run.TreeRun] = []
    with made.run() as tree:
        of_app = [batch[0] for batch in tree.survey().batches if batch[0].path == "app"]
        tree.execute((of_app[0],))
        trees.append(tree)
        tree.execute((of_app[1], Slice("other")))
        tree.abandon()
    left = {f"app:v{number}": "interrupted" for number in range(of_app[1].start, TAGS)}
    assert made.outcomes == {f"app:v{number}": "copied" for number in range(of_app[1].start)} | left
    assert [(finding.path, finding.code) for finding in made.findings] == [("other", "interrupted")]


def test_very_many_tags_of_one_digest_do_not_keep_a_run_that_is_stopped(tmp_path: Path) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    image = layout.image(layers=[b"layer"], listed=False)
    for number in range(10 * MOST_TAGS):
        layout.entry(image, f"v{number}")
    layout.write()
    made = Engine(tmp_path, MemoryTarget())

    class StopsAtTheThird(MemoryTarget):
        def push_manifest(self, repository: str, reference: str, manifest: RemoteManifest) -> None:
            if len(self.list_tags(repository)) == 2:
                made.stop.set()
            super().push_manifest(repository, reference, manifest)

    made.target = StopsAtTheThird()
    outcomes, _ = made.copy()
    assert len(outcomes) == 10 * MOST_TAGS
    assert sum(outcome == "interrupted" for outcome in outcomes.values()) >= 7 * MOST_TAGS


def test_tags_put_off_are_named_when_the_run_is_stopped(root: Path) -> None:
    class Failing(MemoryTarget):
        def push_manifest(self, repository: str, *_: object) -> None:
            if repository == "app":
                raise SourceReadError("for the moment")
            raise AssertionError

    made = Engine(root, Failing())
    with made.run() as tree:
        tree.survey()
        with pytest.raises(BatchUnfinishedError):
            tree.execute((Slice("app"),), last_attempt=False)
        assert made.outcomes == {}
        made.stop.set()
        tree.abandon()
    assert made.outcomes == {f"app:v{number}": "interrupted" for number in range(TAGS)}


def test_workers_log_in_the_context_of_who_called_them(root: Path) -> None:
    """Prefect finds the flow that a log line belongs to in the context."""
    flow = contextvars.ContextVar("flow", default="none")
    seen: set[str] = set()

    class Noting(MemoryTarget):
        def push_manifest(self, *manifest: object) -> None:
            seen.add(flow.get())
            super().push_manifest(*manifest)

    made = Engine(root, Noting())
    with made.run() as tree:
        tree.survey()
        flow.set("ours")
        tree.execute((Slice("app"),))
    assert seen == {"ours"}


def test_the_repositories_of_a_batch_are_opened_beside_each_other(root: Path) -> None:
    """The target's list of tags takes a round trip each."""
    both = threading.Barrier(2)

    class Meeting(MemoryTarget):
        def list_tags(self, repository: str) -> frozenset[str]:
            both.wait(SECONDS)
            return super().list_tags(repository)

    made = Engine(root, Meeting())
    with made.run() as tree:
        tree.survey()
        tree.execute((Slice("app"), Slice("other")))
    assert len(made.outcomes) == TAGS + 2


def test_a_collision_with_a_repository_that_was_not_chosen_is_one(tmp_path: Path) -> None:
    for name in ("App", "app"):
        layout = LayoutBuilder(tmp_path / name)
        layout.image("v1", layers=[name.encode()])
        layout.write()
    made = Engine(tmp_path, MemoryTarget(), include=("App",))
    outcomes, findings = made.copy()
    assert outcomes == {"App:v1": "name_collision"}
    assert findings == {("App", "name_collision")}
    totals = made.progress.totals
    assert (totals.problems, totals.other_problems) == (1, 0), "an alert tells the sum"


@pytest.mark.parametrize("chosen", [("v1", "twice"), ("v1",), ("twice",)])
def test_every_chosen_tag_of_a_repository_without_a_name_is_refused_by_itself_broken_ones_too(
    tmp_path: Path, chosen: tuple[str, ...]
) -> None:
    layout = LayoutBuilder(tmp_path / "App")
    layout.image("v1", layers=[b"layer"])
    for content in (b"one", b"two"):
        layout.image("twice", layers=[content])
    layout.write()
    include = tuple(f"App:{tag}" for tag in chosen)
    made = Engine(tmp_path, MemoryTarget(), CopyPolicy(strict_names=True), include=include)
    with made.run() as tree:
        tree.execute_all(tree.survey().batches)
    refused = [(result.tag, result.code, str(result.outcome)) for result in made.results]
    assert set(refused) == {(tag, "invalid_reference", "refused") for tag in chosen}


def test_what_is_odd_in_a_repository_without_a_name_is_named_too(tmp_path: Path) -> None:
    layout = LayoutBuilder(tmp_path / "App")
    layout.image("v1", layers=[b"layer"])
    layout.entries.append({"digest": "odd"})
    layout.write()
    _, findings = Engine(tmp_path, MemoryTarget(), CopyPolicy(strict_names=True)).copy()
    assert findings == {("App", "invalid_reference"), ("App", "invalid_descriptor")}


class BreaksAt(MemoryTarget):
    """A target whose list of tags can't be had: once for the moment, or for a reason that nobody foresaw."""

    def __init__(self, *errors: Exception) -> None:
        super().__init__()
        self._errors = list(errors)

    def list_tags(self, repository: str) -> frozenset[str]:
        if repository == "app" and self._errors:
            raise self._errors.pop(0)
        return super().list_tags(repository)


def test_what_nobody_foresaw_in_one_repository_costs_no_other(root: Path) -> None:
    engine = Engine(root, BreaksAt(ValueError("odd")))
    outcomes, findings = engine.copy()
    assert findings == {("app", "internal_error")}
    assert outcomes == {"other:v0": "copied", "other:v1": "copied"}


def test_what_is_noted_of_a_repository_is_noted_once_however_often_it_is_opened(root: Path) -> None:
    index = root / "app" / "index.json"
    body = json.loads(index.read_bytes())
    index.write_text(json.dumps({**body, "manifests": [{"digest": "odd"}, *body["manifests"]]}))
    engine = Engine(root, BreaksAt(RegistryUnavailableError("busy"), RegistryUnavailableError("busy")))
    outcomes, _ = engine.copy()
    assert set(outcomes.values()) == {"copied"}
    assert len([finding for finding in engine.findings if finding.path == "app"]) == 1


def test_the_tags_that_are_expected_are_those_that_are_chosen_in_the_end(root: Path) -> None:
    layout = LayoutBuilder(root / "more")
    layout.image("chosen")
    layout.image("not")
    layout.image(None)
    layout.write()
    engine = Engine(root, MemoryTarget(), include=("more:chosen",))
    with engine.run() as tree:
        assert engine.progress.line == "looking through the source"
        batches = tree.survey().batches
        assert engine.progress.line == "0 of 2 tags"
        assert engine.progress.expected == 2, "nothing without a tag is taken"
        tree.execute_all(batches)
        assert engine.progress.expected == len(engine.results) == 1


class Noting(MemoryTarget):
    """A target that notes what is asked and pushed, and fails as often as a test says for the moment."""

    def __init__(self, **failures: int) -> None:
        super().__init__()
        self.listed: list[str] = []
        self.pushed: list[str] = []
        self.failures = failures
        self.at_push: list[Callable[[], object]] = []

    def list_tags(self, repository: str) -> frozenset[str]:
        self.listed.append(repository)
        return super().list_tags(repository)

    def push_manifest(self, repository: str, reference: str, manifest: RemoteManifest) -> None:
        name = "untagged" if ":" in reference else reference
        if self.failures.get(name, 0) > 0:
            self.failures[name] -= 1
            raise RegistryUnavailableError("for the moment", status=503)
        self.pushed.append(f"{repository}:{name}")
        if self.at_push:
            self.at_push.pop()()
        super().push_manifest(repository, reference, manifest)


def test_a_run_is_complete_where_nothing_failed_and_nobody_ended_it(root: Path) -> None:
    for failures, is_complete in (({}, True), ({"v0": 99}, False)):
        made = Engine(root, Noting(**failures))
        with made.run() as tree:
            tree.execute_all(tree.survey().batches)
            assert tree.complete is is_complete
            assert (tree.ended_early, tree.stop) == (False, made.stop)
            tree.end_early()
            assert (tree.ended_early, made.stop.requested, tree.complete) == (True, True, False)


def test_indexes_and_traffic_are_noted(root: Path) -> None:
    made = Engine(root, Noting())
    made.copy()
    source = LayoutDirectory(str(root))
    assert made._log.indexes == {path: source.read_index(path).etag for path in ("app", "other")}
    moved = made.progress.totals.traffic
    assert (moved.blobs_pushed, moved.blobs_mounted) == (TAGS + 2 + 1, 1), "a layer each, and the config of all"
    assert not made._log.unasked


def test_what_a_tag_in_work_has_sent_is_not_taken_for_that_of_one_that_is_done(tmp_path: Path) -> None:
    """Two workers have each sent the blobs of a tag when the first of these is done."""
    layout = LayoutBuilder(tmp_path / "source" / "app")
    for number in range(TAGS):
        layout.image(f"v{number}", layers=[b"%d" % number * 10_000])
    told, target = [], MemoryTarget()
    both_sent, made = threading.Barrier(2, timeout=10), Engine(layout.write().parent, target)
    push_tag = target.push_tag

    def push_after_the_other(repository: str, tag: str, *more: Any) -> bool:
        if tag in {"v0", "v1"}:
            both_sent.wait()
        if tag == "v1":
            wait_until(lambda: made.progress.totals.tags, what="the other tag is done", deadline_seconds=10)
            told.append(made.progress.bytes_expected)
        return push_tag(repository, tag, *more)

    target.push_tag = push_after_the_other
    made.copy()
    assert 0 < told[0] < made.progress.totals.traffic.bytes_pushed * 1.2


def test_work_that_asks_the_target_nothing_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CopyWork, "asks_target", False)
    made = Engine(root, Noting())
    made.copy()
    assert made._log.unasked


@pytest.mark.parametrize(("include", "refused"), [(("more",), True), (("more:v1",), False)])
def test_entries_that_can_not_be_migrated_are_told_of_where_they_are_chosen(
    tmp_path: Path, include: tuple[str, ...], *, refused: bool
) -> None:
    layout = LayoutBuilder(tmp_path / "more")
    for content in (b"one", b"two"):
        layout.image("twice", layers=[content])
    image = layout.image("v1")
    layout.entry(image, "v1-again")
    layout.write()
    made = Engine(tmp_path, Noting(), include=include)
    outcomes, _ = made.copy()
    assert outcomes == {"more:v1": "copied"} | (
        {"more:v1-again": "copied", "more:twice": "tag_collision"} if refused else {}
    )
    assert made.progress.expected == len(made.results)


def test_the_tags_of_a_layout_without_a_name_at_the_target_are_expected_too(root: Path) -> None:
    layout = LayoutBuilder(root / "No Name")
    layout.image("v1")
    layout.entry(layout.image("v2"), "no tag")
    layout.image(None)
    layout.write()
    made = Engine(root, Noting(), CopyPolicy(strict_names=True))
    outcomes, _ = made.copy()
    assert outcomes["No Name:v1"] == outcomes["No Name:no tag"] == "invalid_reference"
    assert made.progress.expected == len(made.results)


def test_an_untagged_entry_is_expected_and_taken_up_again_like_a_tag(tmp_path: Path) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    layout.image(None, layers=[b"layer"])
    layout.write()
    made = Engine(tmp_path, Noting(untagged=1), CopyPolicy(untagged=Untagged.ALL))
    assert made.copy() == ({"app:None": "copied"}, set())
    assert made.progress.expected == 1


def test_only_what_failed_for_the_moment_is_taken_up_again(root: Path) -> None:
    made = Engine(root, Noting(v0=1))
    with made.run() as tree:
        tree.survey()
        batch = (Slice("app"), Slice("other"))
        with pytest.raises(BatchUnfinishedError, match="1 part of"):
            tree.execute(batch, last_attempt=False)
        tree.execute(batch)
    assert isinstance(made.target, Noting)
    assert sorted(made.target.pushed) == sorted(
        [f"app:v{number}" for number in range(TAGS)] + [f"other:v{number}" for number in range(2)]
    )
    assert sorted(made.target.listed) == ["app", "other"]
    assert len(made.outcomes) == TAGS + 2


def test_between_attempts_it_waits_as_it_should(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(tree_run, "RETRY_DELAYS", (7.0, 9.0))
    made = Engine(root, Noting(v5=99), include=("app",))
    monkeypatch.setattr(made.stop, "pause", waited.append)
    outcomes, _ = made.copy()
    assert (outcomes["app:v5"], waited) == ("registry_unavailable", [7.0, 9.0])


def test_the_slices_of_a_repository_share_one_look_at_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.operations.running.batches.MIN_BATCH", 2)
    source = FailsToOpen(str(root))
    made = Engine(root, Noting(), wrap=lambda _: source)
    with made.run() as tree:
        batches = tree.survey().batches
        assert len(batches) > 2
        for batch in batches:
            tree.execute(batch)
    assert isinstance(made.target, Noting)
    assert sorted(made.target.listed) == ["app", "other"]
    assert source.looks == 2, "one of the survey"


def test_an_index_that_is_written_after_the_survey_is_told_of(root: Path) -> None:
    made = Engine(root, Noting())
    with made.run() as tree:
        batches = tree.survey().batches
        index = root / "app" / "index.json"
        index.write_bytes(index.read_bytes() + b" ")
        tree.execute_all(batches)
    assert [(finding.path, finding.code) for finding in made.findings] == [("app", "index_changed")]


def test_what_fails_for_the_moment_in_a_run_that_ends_is_not_put_off(root: Path) -> None:
    class Ending(MemoryTarget):
        def push_manifest(self, *_: object) -> None:
            made.stop.set()
            raise RegistryUnavailableError("for the moment", status=503)

    made = Engine(root, Ending())
    with made.run() as tree:
        tree.survey()
        tree.execute((Slice("app", 0, 1),), last_attempt=False)
    assert made.outcomes == {"app:v0": "registry_unavailable"}


def test_a_run_that_is_stopped_begins_nothing_more_and_names_what_it_left(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.operations.running.batches.MIN_BATCH", 1)
    made = Engine(root, Noting(), include=("app", "other"))
    assert isinstance(made.target, Noting)
    with made.run() as tree:
        tree.survey()
        first, second = Slice("app", 0, 1), Slice("app", 1, 2)
        made.target.at_push = [made.stop.set]
        tree.execute((first,), last_attempt=False)
        tree.execute((second,), last_attempt=False)
        tree.execute((Slice("other", 0, 1),), last_attempt=False)
        tree.abandon()
    assert made.target.listed == ["app"]
    assert made.outcomes == {f"app:v{n}": "interrupted" for n in range(TAGS)} | {"app:v0": "copied"}
    assert {(finding.path, finding.code) for finding in made.findings} == {("other", "interrupted")}


def test_what_was_not_chosen_or_was_seen_to_elsewhere_is_not_named_when_a_run_ends(root: Path) -> None:
    for include, settled, named in (
        (("app",), (), {"app"}),
        ((), ("app",), {"other"}),
        ((), (), {"app", "other"}),
    ):
        made = Engine(root, Noting(), include=include, stop=Stop())
        with made.run() as tree:
            tree.survey()
            tree.note_done_elsewhere(settled)
            tree.abandon()
            assert made.findings == [], "nobody has ended it"
            made.stop.set()
            tree.abandon()
        assert {finding.path for finding in made.findings} == named


def test_a_repository_that_is_refused_for_good_is_not_tried_again(root: Path) -> None:
    made = Engine(root, BreaksAt(PermissionDeniedError("forbidden", status=403)))
    with made.run() as tree:
        tree.survey()
        tree.execute((Slice("app"),), last_attempt=False)
        made.stop.set()
        tree.abandon()
    assert [(finding.path, finding.code) for finding in made.findings if finding.path == "app"] == [
        ("app", "permission_denied")
    ]


def test_a_reason_that_holds_for_all_ends_the_run_with_the_first_repository(root: Path) -> None:
    error = FATAL[0]("it is so for all")
    made = Engine(root, BreaksAt(error))
    with made.run() as tree:
        tree.survey()
        tree.execute((Slice("app"),))
        tree.execute((Slice("other"),))
        tree.abandon()
    assert made.outcomes == {}
    assert {(finding.path, finding.code) for finding in made.findings} == {("app", error.code), ("other", error.code)}


def test_a_result_that_can_not_be_kept_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be copied all the same, for hours, is in no report."""

    def full(_: object) -> None:
        raise StateError("no space is left")

    for name in range(10):
        layout = LayoutBuilder(tmp_path / f"r{name}")
        for tag in range(4):
            layout.image(f"v{tag}", layers=[f"{name} {tag}".encode()])
        layout.write()
    made = Engine(tmp_path, MemoryTarget())
    monkeypatch.setattr(made, "record", full)
    with made.run() as tree, pytest.raises(StateError):
        tree.execute_all(tree.survey().batches)
    there = [tag for name in range(10) for tag in made.target.list_tags(f"r{name}")]
    assert 0 < len(there) <= 2 * 2, "what the workers had begun when the first could not be kept"


def test_what_was_not_begun_is_named_where_no_result_can_be_kept_any_more(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.operations.running.batches.MIN_BATCH", 2)

    def full(_: object) -> None:
        raise StateError("no space is left")

    made = Engine(root, MemoryTarget())
    with made.run() as tree:
        batches = tree.survey().batches
        tree.execute(next(batch for batch in batches if batch[0].path == "app"))
        monkeypatch.setattr(made, "record", full)
        tree.stop.set()
        with pytest.raises(StateError):
            tree.abandon()
    assert [(finding.path, finding.code) for finding in made.findings] == [("other", "interrupted")]


def test_nothing_begins_while_the_run_is_held(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Engine(root, Noting())
    seen: list[int] = []
    with made.run() as tree:
        batches = tree.survey().batches
        begun = made.target.requests_made

        def look(_: float) -> None:
            seen.append(made.target.requests_made - begun)
            if len(seen) > 3:
                tree._hold.change(None)

        monkeypatch.setattr(made.stop, "pause", look)
        tree._hold.change("paused")
        tree.execute_all(batches)
    assert seen[:4] == [0, 0, 0, 0]
    assert set(made.outcomes.values()) == {"copied"}


def test_what_is_read_in_a_survey_belongs_to_the_flow_of_whoever_asks(root: Path) -> None:
    """So that Prefect shows there what these reads log, as that a bucket is away."""
    flow = contextvars.ContextVar("flow", default="none")
    seen: set[str] = set()

    class Asked(LayoutDirectory):
        def read_index(self, path: str) -> IndexFile:
            seen.add(flow.get())
            return super().read_index(path)

    flow.set("this")
    Engine(root, MemoryTarget(), wrap=lambda _: Asked(str(root))).copy()
    assert seen == {"this"}
