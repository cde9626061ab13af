"""A run's report gets to where it can, never into the source, and what does not get there is told after all else."""

import json
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flows.forms.parameters import MigrateParameters
from tasks.choosing_options import ChoosingOptions
from tasks.endpoints import TargetOptions
from tasks.ledger.ledger import Ledger
from tasks.ledger.ledger_memory import LedgerPart
from tasks.oci.errors import ConfigurationError, PermissionDeniedError, StateError
from tasks.oci.registry_profiles import RegistryKind, profile_of
from tasks.operations.choosing.exact_list import ExactList
from tasks.operations.choosing.newest import Newest
from tasks.operations.copying.repository_preparation import Preparation
from tasks.operations.reports.results import Outcome, TagResult
from tasks.operations.work.planning import CopyPolicy, Untagged
from tasks.ports import IndexFile, Shard
from tasks.run_options import RunKind, RunOptions
from tasks.run_parts import job_at_target, job_of, known_part, state_of
from tasks.runs import Run, open_run
from tasks.stop import Stop
from tasks.stores.directory.layout_directory import LayoutDirectory
from tasks.stores.source_checks import refuse_within
from tasks.stores.state import json_lines
from tasks.stores.state.ledger_folder import LedgerFolder
from tasks.stores.state.state_directory import StateDirectory
from tests.support.checks import check_of_one_tag
from tests.support.layouts import LayoutBuilder


@pytest.fixture
def options(tmp_path: Path) -> RunOptions:
    return check_of_one_tag(tmp_path)


@pytest.fixture
def run(options: RunOptions) -> Iterator[Run]:
    with open_run(RunKind.CHECK, options, Stop()) as opened:
        opened.tree.execute_all(opened.survey().batches)
        yield opened


def test_a_state_that_does_not_take_the_report_costs_neither_the_user_s_nor_the_outcome(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    def away(*_: object) -> str:
        raise StateError("the bucket does not answer")

    monkeypatch.setattr(StateDirectory, "keep_report", away)
    assert run.write_report().exists()
    assert (tmp_path / "report.json").exists()
    assert run.report_places == [str(tmp_path / "report.json")]
    assert run.report_path is not None
    assert "the bucket does not answer" in caplog.text
    with pytest.raises(StateError, match="its report is not everywhere"):
        run.raise_if_incomplete()


def test_a_full_disk_of_the_state_does_not_keep_the_user_s_report_from_another(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Else yesterday's would still be there, and say that all is well."""
    write = Run._write_report

    def full(run: Run, path: Path | None) -> Path:
        if path is None:
            raise StateError("No space left on device")
        return write(run, path)

    monkeypatch.setattr(Run, "_write_report", full)
    with pytest.raises(StateError, match="No space left"):
        run.write_report()
    assert (tmp_path / "report.json").exists()
    assert run.report_places == [str(tmp_path / "report.json")]


@pytest.mark.parametrize("when", ["at the end", "in the work"])
def test_results_that_a_full_disk_lost_do_not_keep_the_user_s_report_from_another(
    options: RunOptions, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, when: str
) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with open_run(RunKind.CHECK, options, Stop()) as run:
        survey = run.survey()
        if when == "in the work":
            monkeypatch.setattr(json_lines.os, "write", full)
            run._spool._writer._lines._most_bytes = 1
            with pytest.raises(StateError):
                run.tree.execute_all(survey.batches)
        else:
            run.tree.execute_all(survey.batches)
            run.ends.equality.at = "now"
            monkeypatch.setattr(json_lines.os, "write", full)
        with pytest.raises(StateError, match=r"results.jsonl can't be written or read: No space left"):
            run.write_report()
        assert list(run.results()) == []
        assert run.ends.equality.at is None
        assert run.ends.equality.reason
        report = json.loads((tmp_path / "report.json").read_text())
        assert run.report_places[0] == str(tmp_path / "report.json")
        assert [each["code"] for each in report["findings"] if each["path"] == "."] == ["state"]


def test_results_that_were_removed_while_a_run_was_at_work_are_no_empty_report_of_success(
    run: Run, tmp_path: Path
) -> None:
    run.ends.equality.at = "now"
    run._spool.flush()
    shutil.rmtree(run._spool.folder)
    with pytest.raises(StateError, match=r"results\.jsonl was removed while the run was at work"):
        run.write_report()
    assert run.ends.equality.at is None
    report = json.loads((tmp_path / "report.json").read_text())
    assert [each["code"] for each in report["findings"] if each["path"] == "."] == ["state"]


def test_a_report_that_got_everywhere_is_named_where_the_user_and_the_state_have_it(run: Run, tmp_path: Path) -> None:
    report = run.write_report()
    assert run.report_places == [str(tmp_path / "report.json"), str(report)]
    run.raise_if_incomplete()


@pytest.mark.parametrize(
    ("chosen", "left"),
    [
        ({}, "20 tags were"),
        ({"choosing": ChoosingOptions(include=("*:v1",))}, "up to 20 tags were"),
        ({"choosing": ChoosingOptions(newest=Newest(1))}, "up to 20 tags were"),
        ({"policy": CopyPolicy(untagged=Untagged.ALL)}, "up to 20 tags were"),
    ],
    ids=["all", "patterns", "newest", "untagged"],
)
def test_of_a_layout_that_nobody_could_open_no_more_tags_are_missed_than_may_be_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chosen: dict[str, Any], left: str
) -> None:
    read_index = LayoutDirectory.read_index

    def refuse(source: LayoutDirectory, path: str) -> IndexFile:
        if path == "closed":
            raise PermissionDeniedError("for this one", status=403)
        return read_index(source, path)

    options = check_of_one_tag(tmp_path)
    for name in ("open", "closed"):
        layout = LayoutBuilder(tmp_path / "source" / name)
        for number in range(20):
            layout.image(f"v{number}", layers=[b"layer"])
        layout.write()
    with open_run(RunKind.CHECK, replace(options, **chosen), Stop()) as run:
        survey = run.survey()
        monkeypatch.setattr(LayoutDirectory, "read_index", refuse)
        run.tree.execute_all(survey.batches)
        assert run.closing() == (
            f"1 thing has a problem, and {left} not looked at; the report names each with its reason"
        )


def test_a_run_is_at_its_end_as_soon_as_its_report_is_begun(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was told to stop it waits for the report."""
    seen: list[bool] = []
    monkeypatch.setattr(run.tree, "abandon", lambda: seen.append(run.is_ending))
    assert not run.is_ending
    run.write_report()
    assert seen == [True]


def test_the_time_of_a_run_begins_once_it_has_its_lock(options: RunOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what it still needs would be reckoned with the hours that it waited for another."""
    gone_on: list[float] = []

    @contextmanager
    def waited(*_: object) -> Iterator[None]:
        gone_on.append(time.monotonic())
        yield

    monkeypatch.setattr("tasks.run_parts.held_within", waited)
    with open_run(RunKind.MIGRATE, options, Stop()) as run:
        assert run.progress.started >= gone_on[0]


def test_the_rate_of_a_run_leaves_out_when_it_was_held(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    now = run.progress.started
    monkeypatch.setattr(time, "monotonic", lambda: now)
    run.progress.note_bytes(1000)
    now += 10
    assert run.progress.rate == 100
    run.controls.hold.change("paused")
    now += 3600
    run.controls.hold.change("outside the allowed hours")
    now += 3600
    assert run.progress.rate == 100
    run.controls.hold.change(None)
    now += 10
    assert (run.progress.rate, run.progress.seconds) == (50, pytest.approx(7220))


@pytest.mark.parametrize("last", ["bytes", "tag"])
def test_the_rate_of_a_run_counts_the_time_in_which_it_finishes_while_held_what_it_has_begun(
    run: Run, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    now = run.progress.started
    monkeypatch.setattr(time, "monotonic", lambda: now)
    run.controls.hold.change("paused")
    now += 1000
    run.progress.note_bytes(100_000)
    now += 1000
    if last == "bytes":
        run.progress.note_bytes(100_000)
    else:
        run.progress.note(TagResult("app", "v1", None, None, None, Outcome.COPIED))
    for _ in range(2):
        now += 3600
        run.controls.hold.change("paused")
    assert run.progress.seconds_at_work == pytest.approx(2000)
    run.controls.hold.change(None)
    now += 10
    run.progress.note_bytes(1)
    assert run.progress.seconds_at_work == pytest.approx(2010)


def test_a_ledger_that_can_not_be_read_is_found_before_anything_is_done(
    options: RunOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(*_: object) -> None:
        raise StateError("ledger-r1.jsonl can't be written or read: Permission denied")

    monkeypatch.setattr(LedgerFolder, "read", unreadable)
    with pytest.raises(ConfigurationError, match="--state: ledger-r1"), open_run(RunKind.CHECK, options, Stop()):
        pytest.fail("it was opened")


@pytest.mark.parametrize("option", ["state", "report", "metrics"])
@pytest.mark.parametrize("place", ["", "state", "app/index.json", "../link/new/file"])
def test_nothing_of_a_run_is_written_in_its_source(
    options: RunOptions, tmp_path: Path, option: str, place: str
) -> None:
    source = tmp_path / "source"
    (tmp_path / "link").symlink_to(source)
    before = {path: path.stat().st_mtime_ns for path in source.rglob("*")}
    named = replace(options, **{option: f"{source}/{place}"})
    message = re.escape(f"--{option} {source}/{place}: it is in the source, where nothing is written")
    with pytest.raises(ConfigurationError, match=message), open_run(RunKind.CHECK, named, Stop()):
        pytest.fail("it was opened")
    assert {path: path.stat().st_mtime_ns for path in source.rglob("*")} == before


def test_a_state_beside_the_source_in_one_bucket_is_not_in_it() -> None:
    for place in ("s3://bucket/team/state", "s3://bucket/team"):
        with pytest.raises(ConfigurationError, match="it is in the source"):
            refuse_within("s3://bucket/team/", "--state", place)
    for place in ("s3://bucket/team-state", "s3://bucket", "s3://other/team", "/bucket/team", None):
        refuse_within("s3://bucket/team", "--state", place)


def test_a_report_and_metrics_that_are_one_file_are_refused(options: RunOptions, tmp_path: Path) -> None:
    """The one would be written over the other."""
    (tmp_path / "linked").symlink_to(tmp_path)
    same = replace(options, metrics=str(tmp_path / "linked" / "report.json"))
    with (
        pytest.raises(ConfigurationError, match="--report and --metrics are one file"),
        open_run(RunKind.CHECK, same, Stop()),
    ):
        pass
    assert not (tmp_path / "report.json").exists()


def test_a_part_of_a_run_that_finds_another_list_does_nothing(options: RunOptions, tmp_path: Path) -> None:
    """As on a machine with an older file, or where the file was made anew: what it lacks would be done by nobody."""
    images = tmp_path / "images.txt"

    def opened(text: str, whole: ExactList | None) -> None:
        images.write_text(text)
        part = Shard("run", 1, ("app",), listed=None if whole is None else whole.mark_of(["app"]))
        choosing = ChoosingOptions(tags_from=str(images))
        with open_run(RunKind.CHECK, replace(options, choosing=choosing, shard=part), Stop()):
            pass

    whole = ExactList.parse(["app:v1", "app:v2", "other:v1"], "images.txt")
    opened("# in another order\nother:v7\napp:v2\napp:v1\n", whole)
    opened("other:v1\n", None)
    for text in ("app:v1\n", "app:v1\napp:v2\napp:v3\n", "other:v1\n"):
        with pytest.raises(ConfigurationError, match=r"--tags-from .*images.txt: it says something else"):
            opened(text, whole)


@pytest.mark.parametrize(("flatten", "most"), [(1, "give 3 or more"), (2, "TARGET has 2 components itself")])
def test_names_are_never_joined_to_the_prefix_of_the_target(options: RunOptions, flatten: int, most: str) -> None:
    target = TargetOptions("registry.example/team/mirror")
    with pytest.raises(ConfigurationError, match=rf"--flatten {flatten}: .*{most}"):
        job_of(replace(options, target=target, flatten=flatten))
    assert job_of(replace(options, target=target, flatten=3)).flatten == 3


def test_a_part_of_a_run_reads_of_earlier_runs_what_concerns_its_own_repositories(
    options: RunOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it may be millions of tags, and each part would have them in memory once more."""
    asked: list[LedgerPart | None] = []
    ledger = StateDirectory.ledger

    def watched(state: StateDirectory, run_id: str, only: LedgerPart | None = None) -> Ledger:
        asked.append(only)
        return ledger(state, run_id, only)

    monkeypatch.setattr(StateDirectory, "ledger", watched)
    for shard in (None, Shard("run", 1, ("app",))):
        with open_run(RunKind.CHECK, replace(options, shard=shard), Stop()):
            pass
    assert asked == [None, LedgerPart(frozenset({"app"}), frozenset({"app"}))]


def test_what_concerns_a_part_is_known_by_the_names_that_its_repositories_have_at_the_target() -> None:
    renames = ["Team/Old=team/new"]
    whole = MigrateParameters(source="/mnt/bucket", target="docker.io", rename=renames).to_options()
    job = job_of(replace(whole, shard=Shard("run", 1, ("App", "Team/Old", "Team/Other"))))
    target: Any = SimpleNamespace(profile=profile_of(RegistryKind.DOCKER_HUB, "docker.io"))
    part = known_part(RunKind.MIGRATE, job, target)
    assert part is not None
    assert part.layouts == {"App", "Team/Old", "Team/Other"}
    assert part.repositories == {"library/app", "team/new", "team/other"}
    assert known_part(RunKind.MIGRATE, job_of(whole), target) is None
    assert known_part(RunKind.VERIFY, job, target) == LedgerPart(part.layouts, frozenset())


@pytest.mark.parametrize("kind", [RunKind.VERIFY, RunKind.MIGRATE])
def test_a_verification_has_no_tags_of_earlier_runs_in_memory(
    kind: RunKind, options: RunOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks for none, and a gigabyte or more of them would be there for nothing."""
    before = state_of(kind, options, Stop()).ledger("before")
    for layout in ("app", "gone", "other"):
        before.note_layout(layout, layout, "etag", "settings")
        before.note_tag(layout, "v1", f"sha256:{0:064x}", "manifest", 0, layout=layout)
    before.forget_layout("gone")
    before.close()
    read, known = StateDirectory.ledger, list[Ledger]()

    def ledger(state: StateDirectory, run_id: str, only: LedgerPart | None) -> Ledger:
        known.append(read(state, run_id, only))
        return known[-1]

    monkeypatch.setattr(StateDirectory, "ledger", ledger)
    with open_run(kind, options, Stop()):
        assert sorted(known[0].layouts()) == ["app", "other"]
        assert (known[0].entry("app", "v1") is None) is (kind is RunKind.VERIFY)


def test_a_target_that_is_itself_too_deep_for_its_registry_is_said_to_be_so(options: RunOptions) -> None:
    """Without --flatten the registry's names are told of, which would lead to it, and with it back here."""
    deep = replace(options, target=TargetOptions("docker.io/ns/sub"))
    names = replace(job_of(deep), profile=profile_of(RegistryKind.AUTO, "docker.io")).names(["app"])
    assert "use --flatten 2 and a TARGET of fewer than 2 components, or use --rename" in names.refused["app"].message
    with pytest.raises(ConfigurationError, match="give 3 or more, or a TARGET of fewer components"):
        job_of(replace(deep, flatten=2))


@pytest.mark.parametrize("kind", [RunKind.PLAN, RunKind.MIGRATE, RunKind.VERIFY])
def test_every_run_at_a_target_knows_the_layouts_of_earlier_runs_but_a_verification_names_none_as_vanished(
    kind: RunKind, tmp_path: Path
) -> None:
    ledger = Ledger(LedgerFolder(tmp_path, "run"))
    ledger.note_layout("app", "app", "", "")
    job = job_at_target(job_of(RunOptions("/source", None)), kind, None, ledger, Preparation())
    assert (list(job.known_layouts()), job.names_vanished) == (["app"], kind is not RunKind.VERIFY)
