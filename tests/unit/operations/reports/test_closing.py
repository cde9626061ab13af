"""The last line of a run that is not complete says what kept it from being so."""

from tasks.operations.reports.closing import closing_line
from tasks.operations.reports.progress import Progress
from tasks.operations.reports.results import Outcome, TagResult
from tasks.operations.reports.run_log import RunLog
from tasks.ports import Finding
from tasks.stop import Stop


def tag(name: str, outcome: Outcome = Outcome.REFUSED, code: str | None = "name_collision") -> TagResult:
    return TagResult(
        repository="app", tag=name, digest=None, media_type=None, target=None, outcome=outcome, code=code
    )


class Forgetful:
    def record(self, result: TagResult) -> None:
        pass


def line(
    *results: TagResult,
    findings: tuple[Finding, ...] = (),
    interrupted: bool = False,
    unreached: int = 0,
    takes_all: bool = True,
) -> str:
    stop = Stop()
    log = RunLog(Forgetful(), Progress(), stop, fail_fast=False)
    log.progress.expect(len(results) + unreached)
    for each in results:
        log.keep(each)
    log.note_all(findings)
    if interrupted:
        stop.set()
    return closing_line(log, results, takes_all=takes_all)


SEE = "the report names each with its reason"


def test_problems_of_tags_and_of_other_things_are_counted() -> None:
    good = tag("v2", Outcome.UP_TO_DATE, None)
    assert line(tag("v1"), good) == f"1 of 2 tags have a problem; {SEE}"
    broken = (Finding("a", "invalid_layout", "no index"), Finding("b", "invalid_layout", "no index"))
    assert line(good, findings=broken) == (f"no tag has a problem, but 2 other things have one; {SEE}")


def test_a_layout_whose_tags_are_refused_for_its_name_is_not_counted_again() -> None:
    collision = Finding("app", "name_collision", "2 layouts would have the name app")
    other = Finding("app", "invalid_layout", "no index")
    assert line(tag("v1"), tag("v2"), findings=(collision,)) == f"2 of 2 tags have a problem; {SEE}"
    assert "and 1 other thing has one;" in line(tag("v1"), findings=(collision, other))


def test_without_tags_none_is_counted() -> None:
    broken = (Finding(".", "no_layouts", "nothing there"), Finding("a", "invalid_layout", "no index"))
    assert line(findings=broken[:1]) == f"no tag was looked at, and 1 thing has a problem; {SEE}"
    assert line(findings=broken) == f"no tag was looked at, and 2 things have a problem; {SEE}"


def test_tags_of_which_nothing_is_known_are_not_told_as_having_no_problem() -> None:
    """As where the target lets nobody into a whole repository."""
    closed, good = (Finding("big", "permission_denied", "403"),), tag("v1", Outcome.UP_TO_DATE, None)
    assert line(good, findings=closed, unreached=5000) == (
        f"1 thing has a problem, and 5,000 tags were not looked at; {SEE}"
    )
    assert line(good, tag("v2"), findings=closed, unreached=1) == (
        f"1 of 2 tags have a problem, and 1 other thing has one, and 1 tag was not looked at; {SEE}"
    )
    assert line(findings=closed, unreached=5000) == f"no tag of 5,000 was looked at, and 1 thing has a problem; {SEE}"
    assert line(good, findings=closed, interrupted=True, unreached=7) == (
        "the run was interrupted: 0 of 1 tags and 1 other thing have a problem or were not begun, "
        f"and 7 tags were not looked at; {SEE}"
    )


def test_of_tags_that_may_not_be_chosen_the_most_is_told() -> None:
    closed = (Finding("big", "permission_denied", "403"),)
    assert line(tag("v1", Outcome.UP_TO_DATE, None), findings=closed, unreached=5000, takes_all=False) == (
        f"1 thing has a problem, and up to 5,000 tags were not looked at; {SEE}"
    )
    assert line(findings=closed, unreached=5000, takes_all=False) == (
        f"no tag of up to 5,000 was looked at, and 1 thing has a problem; {SEE}"
    )


def test_remarks_are_no_problems() -> None:
    assert "other" not in line(tag("v1"), findings=(Finding("app", "tag_moved", "has moved"),))


def test_an_interrupted_run_is_said_to_be_one() -> None:
    begun_never = Finding("app", "interrupted", "not begun")
    left = tag("v1", Outcome.FAILED, "interrupted")
    assert line(left, findings=(begun_never,), interrupted=True) == (
        f"the run was interrupted: 1 of 1 tags have a problem or were not begun; {SEE}"
    )


def test_repositories_that_an_interrupted_run_did_not_get_to_are_counted_where_their_tags_are_not() -> None:
    """As of a run in shards, which counts the tags of a shard when it ends."""
    left = (Finding("app", "interrupted", "not begun"), Finding("lib", "interrupted", "not begun"))
    good = tag("v2", Outcome.UP_TO_DATE, None)
    assert line(good, findings=left, interrupted=True) == (
        f"the run was interrupted: 0 of 1 tags and 2 other things have a problem or were not begun; {SEE}"
    )
