"""A change of a source that is ended early: what it had begun is done to its end, and others may come after it."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from mypy_boto3_s3 import S3Client

import tasks.cleanup_applies
import tasks.cleanup_plans
from flows.cli import main
from flows.course.cleanup_applying import apply_plan, undo
from flows.course.cleanup_planning import plan_cleanup
from flows.forms.cleanup_parameters import ApplyParameters, CleanupPlanParameters, UndoParameters
from tasks.oci.errors import InterruptedRunError, LockHeldError
from tasks.stop import Stop
from tasks.stores.bucket.writable_bucket import BucketWriter
from tasks.stores.directory.writable_directory import WritableDirectory
from tasks.stores.source_lease import PATH, SourceLease
from tests.support.buckets import moto_bucket
from tests.support.layouts import LayoutBuilder
from tests.support.policies import newest_by_name

RELEASED = b"{}"
ALONE = ApplyParameters(i_am_the_only_writer=True)
DONE = "what it had begun is done"


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Client]:
    with moto_bucket("bucket", monkeypatch) as client:
        yield client


def put_layout(root: Path, name: str = "app") -> dict[str, bytes]:
    """A repository with two tags, and what all files of the source are."""
    layout = LayoutBuilder(root / name)
    for tag in ("v1", "v2"):
        layout.image(tag, layers=[tag.encode()])
    layout.write()
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def planned(source: str, folder: Path) -> Path:
    policy, plan = folder / "policy.yaml", folder / "plan.jsonl"
    policy.write_text(newest_by_name(1, 100))
    given = CleanupPlanParameters(source=source, policy=str(policy), output=str(plan))
    plan_cleanup(given, Stop(), lambda _, plans, *rest: list(plans) and None)
    return plan


def shown(_: str, outcomes: Any) -> bool:
    return not any(outcome.problems for outcome in outcomes)


def test_a_bucket_is_looked_at_again_after_blobs_were_hidden_though_the_run_is_to_end(
    bucket: S3Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer names just then what was hidden; and the lease is let go of, so that another run may come."""
    files = put_layout(tmp_path / "source")
    for key, raw in files.items():
        bucket.put_object(Bucket="bucket", Key=key, Body=raw)
    assert apply_plan(ALONE, planned("s3://bucket", tmp_path), Stop(), shown)
    stop, hide = Stop(), BucketWriter.hide_files

    def hide_and_end(*given: Any) -> Any:
        hidden = hide(*given)
        assert hidden
        bucket.put_object(Bucket="bucket", Key="app/index.json", Body=files["app/index.json"])
        stop.set()
        return hidden

    monkeypatch.setattr(BucketWriter, "hide_files", hide_and_end)
    with pytest.raises(InterruptedRunError, match=DONE):
        apply_plan(ALONE, planned("s3://bucket", tmp_path), stop, shown)
    keys = {found["Key"] for found in bucket.list_objects_v2(Bucket="bucket")["Contents"]}
    assert files.keys() <= keys
    assert bucket.get_object(Bucket="bucket", Key=PATH)["Body"].read() == RELEASED


class TwoAtOnce:
    """Does of two repositories the first at once, and the second only after something was let go of, or too late."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self._begun, self._let_go = threading.Event(), threading.Event()
        self.order: list[str] = []

    def work(self, module: Any, name: str) -> None:
        act = getattr(module, name)

        def acted(*given: Any) -> Any:
            if all(getattr(each, "path", each) != "b" for each in given):
                assert self._begun.wait(10)
                return act(*given)
            self._begun.set()
            self._let_go.wait(0.5)
            self.order.append("done")
            return act(*given)

        self._monkeypatch.setattr(module, name, acted)

    def ending(self, owner: Any, name: str) -> None:
        end = getattr(owner, name)

        def ended(*given: Any) -> Any:
            self.order.append("let go")
            self._let_go.set()
            return end(*given)

        self._monkeypatch.setattr(owner, name, ended)


def unprintable(_: Any, items: Iterator[Any], *__: Any) -> bool:
    """As where nobody reads what is printed any more."""
    next(items)
    raise BrokenPipeError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        put_layout(tmp_path / "source", name)
    return tmp_path / "source"


def test_the_lease_is_kept_until_all_that_was_begun_is_done_though_nothing_can_be_printed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, two = planned(str(folder), tmp_path), TwoAtOnce(monkeypatch)
    two.work(tasks.cleanup_applies, "apply_repository")
    two.ending(SourceLease, "__exit__")
    with pytest.raises(BrokenPipeError):
        apply_plan(ALONE, plan, Stop(), unprintable)
    assert two.order == ["done", "let go"]


def test_a_source_is_let_go_of_only_when_no_repository_is_planned_any_more_though_nothing_can_be_printed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = TwoAtOnce(monkeypatch)
    two.work(tasks.cleanup_plans, "plan_repository")
    two.ending(tasks.cleanup_plans, "close_source")
    policy = tmp_path / "policy.yaml"
    policy.write_text(newest_by_name(1, 100))
    given = CleanupPlanParameters(source=str(folder), policy=str(policy), output=str(tmp_path / "plan.jsonl"))
    with pytest.raises(BrokenPipeError):
        plan_cleanup(given, Stop(), unprintable)
    assert two.order == ["done", "let go"]


def test_an_undo_that_is_told_to_end_does_so_between_two_repositories(folder: Path, tmp_path: Path) -> None:
    runs: list[str] = []
    apply_plan(ALONE, planned(str(folder), tmp_path), Stop(), lambda run, made: bool(runs.append(run) or list(made)))
    stop, seen = Stop(), []

    def ended(_: str, outcomes: Iterator[Any]) -> bool:
        for outcome in outcomes:
            seen.append(outcome.path)
            stop.set()
        return True

    alone = UndoParameters(i_am_the_only_writer=True)
    with pytest.raises(InterruptedRunError, match=DONE):
        undo(alone, runs[0], str(folder), stop, ended)
    assert seen == ["a"]
    is_back = {name: b'"v1"' in (folder / name / "index.json").read_bytes() for name in ("a", "b")}
    assert is_back == {"a": True, "b": False}
    assert (folder / PATH).read_bytes() == RELEASED


@pytest.mark.parametrize("command", ["apply", "undo"])
def test_a_lease_that_is_lost_on_the_way_is_told_by_another_code_than_one_that_is_not_had(
    folder: Path, tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script takes 3 for a source that is as it was."""
    runs, index = list[str](), folder / "a" / "index.json"
    plan = planned(str(folder), tmp_path)
    if command == "undo":
        apply_plan(ALONE, plan, Stop(), lambda run, made: bool(runs.append(run) or list(made)))
    named = str(plan) if command == "apply" else runs[0]
    before = index.read_bytes()

    def lost_later(_: SourceLease) -> None:
        if index.read_bytes() != before:
            raise LockHeldError("another run took the lease")

    def ended() -> int:
        return CliRunner().invoke(main, ["cleanup", command, named, "--i-am-the-only-writer"]).exit_code

    with SourceLease(WritableDirectory(folder).files, "other", str(folder), Stop()):
        assert (ended(), index.read_bytes()) == (3, before)
    monkeypatch.setattr(SourceLease, "check", lost_later)
    assert ended() == 1
    assert index.read_bytes() != before
