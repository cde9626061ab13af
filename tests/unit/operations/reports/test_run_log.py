"""What a run notes of its source while it goes on."""

from dataclasses import replace

import pytest

from tasks.oci.codes import Problem, Refused
from tasks.oci.errors import (
    AuthenticationError,
    ConnectionFailedError,
    InterruptedRunError,
    LayoutliftError,
    RegistryUnavailableError,
    SourceReadError,
    SourceUnavailableError,
    StateError,
    TargetUnavailableError,
)
from tasks.operations.reports.progress import Progress
from tasks.operations.reports.results import Outcome, TagResult, Traffic
from tasks.operations.reports.run_log import MOST_TOLD, RunLog
from tasks.operations.reports.shard_report import ShardSummary
from tasks.ports import Finding
from tasks.stop import Stop


class Forgetful:
    """A recorder of nothing."""

    def record(self, result: TagResult) -> None:
        del result


@pytest.fixture
def log() -> RunLog:
    return RunLog(Forgetful(), Progress(), Stop(), fail_fast=False)


def test_an_index_that_stays_as_it_is_is_no_news(log: RunLog) -> None:
    for _ in range(2):
        log.note_index("app", "1")
    log.note_index("other", "2")
    assert log.findings == []
    assert log.indexes == {"app": "1", "other": "2"}


def test_an_index_that_is_another_one_by_now_tells_of_a_writer_and_costs_no_tag(log: RunLog) -> None:
    log.note_index("app", "1")
    log.note_index("app", "2")
    (finding,) = log.findings
    assert (finding.path, finding.code) == ("app", "index_changed")
    assert finding.message == "index.json was written to during the run: 1, then 2"
    assert log.indexes == {"app": "2"}
    assert log.progress.totals.complete


def test_a_name_from_the_source_makes_no_line_of_its_own_in_any_log(
    log: RunLog, caplog: pytest.LogCaptureFixture
) -> None:
    """Workers print what flows log, on terminals and for programs that go by lines."""
    result = TagResult(
        "a\nERROR: b", "v\x1b[2J", None, None, None, Outcome.REFUSED, code="c", message="no\x1b]0;x\x07"
    )
    log.keep(result)
    (record,) = caplog.records
    assert record.getMessage() == r"refused a\nERROR: b:v\x1b[2J: no\x1b]0;x\x07"


def failed(tag: str, message: str = "it is damaged", code: str = "digest_mismatch") -> TagResult:
    return TagResult("app\x1b[2J", tag, "sha256:0", "", None, Outcome.FAILED, code=code, message=message)


@pytest.mark.parametrize(("tag", "place"), [("v1", "app:v1"), (None, "app@sha256:0")])
def test_what_goes_to_no_target_is_named_by_its_tag(
    log: RunLog, caplog: pytest.LogCaptureFixture, tag: str | None, place: str
) -> None:
    """As in a check: a line for each tag of a repository, and not the same one twice."""
    log.keep(TagResult("app", tag, "sha256:0", "", None, Outcome.FAILED, code="c", message="it is damaged"))
    assert caplog.messages == [f"failed {place}: it is damaged"]


def test_very_many_problems_are_counted_and_not_all_logged(log: RunLog, caplog: pytest.LogCaptureFixture) -> None:
    """A cancelled run has seconds to say of each of its tags that it was not done."""
    for number in range(MOST_TOLD + 100):
        log.keep(failed(f"v{number}"))
    assert len(caplog.records) == MOST_TOLD + 1
    assert caplog.messages[-1] == f"more than {MOST_TOLD} tags have a problem: the report has them all"
    assert log.progress.totals.problems == MOST_TOLD + 100


@pytest.mark.parametrize("kind", [AuthenticationError, SourceUnavailableError, TargetUnavailableError])
def test_what_every_other_tag_would_meet_too_ends_the_run(log: RunLog, kind: type[LayoutliftError]) -> None:
    log.keep(failed("v1", "nobody is there", kind.code))
    reason = log.reason_to_skip()
    assert isinstance(reason, kind)
    assert str(reason) == "not tried, since before it: nobody is there"


def test_what_an_interruption_left_is_counted_and_not_told_tag_by_tag(
    log: RunLog, caplog: pytest.LogCaptureFixture
) -> None:
    log.keep(failed("v1"))
    for number in range(3):
        log.keep(failed(f"left-{number}", "the run ended before this was begun", "interrupted"))
    assert caplog.messages == [r"failed app\x1b[2J:v1: it is damaged"]
    assert log.progress.totals.problems == 4


def test_what_ends_a_run_is_told_once_and_not_of_each_tag_that_is_left(
    log: RunLog, caplog: pytest.LogCaptureFixture
) -> None:
    log.keep(failed("v1", "nobody is there", TargetUnavailableError.code))
    for number in range(3):
        log.keep(failed(f"left-{number}", str(log.reason_to_skip()), TargetUnavailableError.code))
    log.keep(failed("v2", "gone while it was read", SourceUnavailableError.code))
    assert caplog.messages == [
        r"failed app\x1b[2J:v1: nobody is there",
        "the rest is not tried: nobody is there",
        r"failed app\x1b[2J:v2: gone while it was read",
    ]
    assert log.progress.totals.problems == 5


def test_why_the_rest_is_not_tried_is_told_where_no_tag_was_looked_at(
    log: RunLog, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        log.give_up(TargetUnavailableError("the target has not been there for 5 s"))
    assert caplog.messages == ["the rest is not tried: the target has not been there for 5 s"]


@pytest.mark.parametrize("kind", [ConnectionFailedError, RegistryUnavailableError, SourceReadError])
def test_what_one_tag_meets_ends_no_run(log: RunLog, kind: type[LayoutliftError]) -> None:
    log.keep(failed("v1", "it broke", kind.code))
    assert log.reason_to_skip() is None


def test_one_that_goes_to_a_target_is_named_by_that(log: RunLog, caplog: pytest.LogCaptureFixture) -> None:
    place = "host/team/app:v1"
    log.keep(TagResult("App", "v1", "sha256:0", "", place, Outcome.REFUSED, code="c", message="it is too large"))
    assert caplog.messages == ["refused host/team/app:v1: it is too large"]


def test_what_could_not_be_kept_is_not_counted(log: RunLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report will not have it either."""

    def full(*_: object) -> None:
        raise StateError("no room")

    monkeypatch.setattr(Forgetful, "record", full)
    with pytest.raises(StateError):
        log.keep(failed("v1"))
    assert log.progress.totals.problems == 0


COPIED = TagResult("app", "v1", "sha256:0", "", "host/app:v1", Outcome.COPIED)
SKIPPED = replace(COPIED, outcome=Outcome.REFUSED, code=Refused.CONFLICT_SKIPPED, message="it is another's")


@pytest.mark.parametrize("result", [COPIED, SKIPPED])
def test_what_is_no_problem_is_not_told_and_ends_nothing(result: TagResult, caplog: pytest.LogCaptureFixture) -> None:
    log = RunLog(Forgetful(), Progress(), Stop(), fail_fast=True)
    log.keep(result)
    assert log.reason_to_skip() is None
    assert caplog.messages == []
    assert log.progress.totals.tags == 1


def test_the_first_problem_ends_a_run_that_is_to_fail_fast() -> None:
    log = RunLog(Forgetful(), Progress(), Stop(), fail_fast=True)
    log.keep(failed("v1"))
    assert isinstance(log.reason_to_skip(), InterruptedRunError)
    assert str(log.reason_to_skip()) == "--fail-fast ended the run before this was begun"
    assert log.how_it_ended == "--fail-fast ended the run"


def test_a_run_that_was_interrupted_before_its_first_problem_is_said_to_be_that() -> None:
    stop = Stop()
    log = RunLog(Forgetful(), Progress(), stop, fail_fast=True)
    stop.set()
    log.keep(failed("v1"))
    assert str(log.reason_to_skip()) == "the run ended before this was begun"
    assert log.how_it_ended == "the run was interrupted"


def test_the_first_reason_to_give_up_is_the_one_that_is_told(log: RunLog, caplog: pytest.LogCaptureFixture) -> None:
    """What follows from it may look like another, and what it says is anybody's text."""
    first = TargetUnavailableError("nobody\nis there")
    log.give_up(first)
    log.give_up(SourceUnavailableError("it was read through what is gone"))
    assert log.reason_to_skip() is first
    assert caplog.messages == [r"the rest is not tried: nobody\nis there"]


@pytest.mark.parametrize(("before", "after"), [(False, True), (True, False)])
def test_what_a_part_of_a_run_did_is_told_as_the_run_s_own(log: RunLog, before: bool, after: bool) -> None:
    if before:
        log.note_unasked()
    log.note_index("app", "1")
    missing = Finding("lib", Problem.MISSING_AT_SOURCE, "it is not there")
    part = ShardSummary(1, 1, Traffic(1, 2, 3, 4), 50, 6, after, {"app": "2", "lib": "3"}, (missing,))
    log.absorb(part, [failed("v1")])
    assert log.unasked
    assert log.indexes == {"app": "2", "lib": "3"}
    assert {(each.path, each.code) for each in log.findings} == {
        ("app", "index_changed"),
        ("lib", "missing_at_source"),
    }
    assert (log.progress.totals.traffic, log.progress.bytes_read) == (Traffic(1, 2, 3, 4), 50)
    assert (log.progress.totals.problems, log.progress.totals.other_problems) == (1, 1)
