"""What `--on-conflict fail` asks for before a run: that nothing is written while there may be a conflict."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from flows.course import driving
from tasks.endpoints import TargetOptions
from tasks.oci.errors import AuthenticationError, ConflictsError, SourceUnavailableError, StateError
from tasks.operations.reports.results import Outcome, TagResult
from tasks.operations.running.hold import Hold
from tasks.operations.work.planning import CopyPolicy
from tasks.ports import Finding
from tasks.run_options import RunKind, RunOptions
from tasks.stop import Stop


def planned(monkeypatch: pytest.MonkeyPatch, *found: TagResult | Finding, lost: Exception | None = None) -> None:
    """Have the plan come to these; `lost` is what its results meet when they are to be removed."""
    tree = SimpleNamespace(survey=lambda: SimpleNamespace(batches=()), execute_all=lambda _: None)
    results = [each for each in found if isinstance(each, TagResult)]
    findings = [each for each in found if isinstance(each, Finding)]

    @contextmanager
    def plan(_kind: RunKind, asked: Any, _stop: Stop) -> Iterator[Any]:
        assert not asked.policy.fail_fast, "what is no conflict would end the look, and with it the run"
        assert not asked.policy.prove_again, "the run itself looks for what was lost, which is no conflict"
        options = SimpleNamespace(hours=None)
        log, discarded = SimpleNamespace(findings=findings), list[bool]()

        def discard() -> None:
            discarded.append(True)
            if lost is not None:
                raise lost

        yield SimpleNamespace(
            tree=tree,
            results=lambda: iter(results),
            log=log,
            options=options,
            discard=discard,
        )
        assert discarded, "nobody reads it again"

    monkeypatch.setattr(driving, "open_run", plan)


def tag(outcome: Outcome, code: str | None) -> TagResult:
    return TagResult("app", "v1", None, None, "registry.example/app", outcome, code=code)


def refuse() -> None:
    address = TargetOptions("registry.example")
    options = RunOptions(source="/bucket", target=address, policy=CopyPolicy(fail_fast=True, prove_again=True))
    driving.refuse_conflicts(options, Stop(), None)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (tag(Outcome.REFUSED, "conflict"), "other content under 1 tag "),
        (tag(Outcome.REFUSED, "referrer_conflict"), "other content under 1 tag "),
        (tag(Outcome.FAILED, "registry_unavailable"), "conflicts in app:v1 can't be said now"),
        (tag(Outcome.FAILED, AuthenticationError.code), "conflicts in app:v1 can't be said now"),
        (Finding("app", SourceUnavailableError.code, "not tried"), "conflicts in app can't be said now"),
        (Finding("app", "rate_limited", "busy"), "conflicts in app can't be said now"),
    ],
)
def test_a_run_does_not_begin_where_there_is_or_may_be_a_conflict(
    monkeypatch: pytest.MonkeyPatch, found: TagResult | Finding, said: str
) -> None:
    planned(monkeypatch, found)
    with pytest.raises(ConflictsError, match=said) as raised:
        refuse()
    assert raised.value.tags == ("other content" in said), "who is told of conflicts is not told of what nobody knows"


def test_what_has_nothing_to_do_with_conflicts_does_not_keep_a_run_from_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    planned(monkeypatch, tag(Outcome.REFUSED, "invalid_manifest"), Finding("x", "not_a_layout", "files"))
    refuse()


def test_results_of_the_look_that_can_not_be_removed_hide_nothing_of_what_it_found(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    planned(monkeypatch, tag(Outcome.REFUSED, "conflict"), lost=StateError("the disk is gone"))
    with pytest.raises(ConflictsError, match="other content under 1 tag "):
        refuse()
    assert [record.getMessage() for record in caplog.records] == ["the plan's results stay: the disk is gone"]
    monkeypatch.setattr(driving, "_found_by", raising(SourceUnavailableError("no source")))
    with pytest.raises(SourceUnavailableError):
        refuse()


def raising(error: Exception) -> Callable[..., Any]:
    def act(*_: object) -> Any:
        raise error

    return act


@pytest.mark.parametrize(("deletes", "held"), [(True, None), (False, "paused")])
def test_a_run_that_holds_deletes_nothing_until_it_goes_on(deletes: bool, held: str | None) -> None:
    """A run that has nothing to delete ends all the same: what it had begun is done."""
    hold, settled, stop = Hold(), [], Stop()
    hold.change("paused")
    ends = SimpleNamespace(begin=lambda *_: None, deletes=deletes, settle=lambda **_: settled.append(hold.reason))
    survey = SimpleNamespace(names=SimpleNamespace(repositories={}), untagged=frozenset())
    run: Any = SimpleNamespace(
        options=SimpleNamespace(hours=None, metrics=None),
        controls=SimpleNamespace(hold=hold),
        tree=SimpleNamespace(complete=True, stop=stop),
        ends=ends,
        survey=lambda: survey,
        wait_for_head_start=lambda: None,
        write_report=lambda: None,
        raise_if_incomplete=lambda: None,
    )
    watcher: Any = SimpleNamespace(stop=stop, open=lambda *_: nullcontext(run), watch=lambda _: nullcontext())
    going_on = threading.Timer(0.1, hold.change, [None])
    policy = SimpleNamespace(on_conflict=None)
    options: Any = SimpleNamespace(limits_from=None, policy=policy)
    driving.drive(RunKind.MIGRATE, options, watcher, lambda *_: going_on.start())
    going_on.cancel()
    assert settled == [held]
