from __future__ import annotations

from tasks.oci.codes import Refused
from tasks.operations.reports.advice import ADVICE
from tasks.operations.reports.results import Outcome, TagResult, Totals
from tasks.operations.reports.summary import failure_rows, summary_markdown
from tasks.ports import Finding

DIGEST = "sha256:" + "0" * 64
HEADER = {"id": "r1", "flow": "migrate", "source": "/mnt/b", "target": "host/p", "started": "s", "finished": "f"}


def failed(tag: str | None = "v1", **changes) -> TagResult:
    values = {"repository": "app", "digest": DIGEST, "media_type": "m", "target": None, "outcome": Outcome.FAILED}
    return TagResult(tag=tag, **{**values, "code": "digest_mismatch", "message": "altered", **changes})


def test_failure_rows_are_the_problems_only_and_limited():
    results = [
        failed(outcome=Outcome.COPIED, code=None),
        failed(code=Refused.CONFLICT_SKIPPED),
        *(failed(f"v{i}") for i in range(5)),
    ]
    rows = failure_rows(results, limit=3)
    assert [row["tag"] for row in rows] == ["v0", "v1", "v2"]
    assert rows[0]["what to do"] == ADVICE["digest_mismatch"]
    assert rows[0]["what happened"] == "altered"


def test_failure_rows_have_what_the_run_did_not_get_to_behind_what_is_wrong():
    left = [failed(f"left-{number}", code="interrupted") for number in range(3)]
    rows = failure_rows([*left, failed("v1"), failed("v2")], limit=4)
    assert [row["tag"] for row in rows] == ["v1", "v2", "left-0", "left-1"]


def test_failure_rows_take_what_they_do_not_know():
    (row,) = failure_rows([failed(None, code="new_code", message="\x1b[2J", repository="a\nb")])
    assert row == {
        "repository": r"a\nb",
        "tag": f"(untagged) {DIGEST}",
        "code": "new_code",
        "what happened": r"\x1b\[2J",
        "what to do": ADVICE["error"],
    }


def test_summary_says_complete_only_when_it_is():
    totals = Totals()
    totals.outcomes[Outcome.COPIED] = 2
    assert summary_markdown(HEADER, totals, None, []).startswith("# Complete: 2 tags")


def test_summary_says_what_a_run_ends_with_that_is_not_complete():
    """Also where each tag is: somebody may have ended it while it deleted what had vanished."""
    totals = Totals()
    totals.outcomes[Outcome.COPIED] = 2
    summary = summary_markdown(HEADER, totals, "the run was interrupted: 0 of 2 tags", [])
    assert summary.startswith("# Incomplete: the run was interrupted: 0 of 2 tags\n")


def test_summary_does_not_call_verified_what_was_skipped():
    totals = Totals()
    totals.outcomes |= {Outcome.UP_TO_DATE: 2, Outcome.REFUSED: 3}
    summary = summary_markdown(HEADER, totals, None, [])
    assert summary.startswith("# Complete: 2 tags are at the target and verified, 3 were skipped\n")


def test_summary_says_where_the_report_is_and_when_both_sides_were_equal():
    header = {**HEADER, "equal_at": "noon", "not_equal_because": None}
    equal = summary_markdown(header, Totals(), None, [], ["/s/r", "/x"])
    assert "Report: /s/r, /x" in equal.splitlines()
    assert "| both sides were equal | noon |" in equal.splitlines()
    not_known = {**HEADER, "equal_at": None, "not_equal_because": "1 of 2 tags are not equal"}
    assert "| both sides were equal | not known\\: 1 of 2 tags are not equal |" in summary_markdown(
        not_known, Totals(), None, []
    )


def test_summary_does_not_call_both_sides_equal_where_only_a_part_was_chosen():
    """Who puts it into a ticket has nothing but these words."""
    header = {**HEADER, "chosen": "part", "equal_at": "noon", "not_equal_because": None}
    summary = summary_markdown(header, Totals(), None, [])
    assert "| what was chosen was equal on both sides | noon |" in summary.splitlines()
    assert "both sides were equal" not in summary


def test_summary_of_a_verification_counts_what_was_verified_and_not_what_was_sent():
    totals = Totals(problems=1)
    totals.outcomes |= {Outcome.UP_TO_DATE: 2_000, Outcome.FAILED: 1}
    lines = summary_markdown({**HEADER, "flow": "verify"}, totals, "1 of 2,001", []).splitlines()
    start = lines.index("| tags | number |")
    assert lines[start + 2 :] == ["| verified | 2000 |", "| with problems | 1 |"]


def test_summary_lists_findings_up_to_a_limit():
    findings = [Finding(f"p{i}|x", "not_a_layout", "files") for i in range(60)]
    summary = summary_markdown(HEADER, Totals(), None, findings)
    assert "## 60 findings" in summary
    assert r"p49\|x" in summary
    assert "p50" not in summary
    assert "10 more are in the report" in summary
