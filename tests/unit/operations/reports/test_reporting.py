from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tasks.oci import errors
from tasks.operations.reports.reporting import (
    ADVICE,
    escape_markdown,
    failure_rows,
    human_bytes,
    printable,
    result_of_row,
    summary_markdown,
    table_cell,
    tag_row,
    totals_json,
)
from tasks.operations.reports.results import CONFLICT_SKIPPED, Depth, Outcome, TagResult, Totals, Traffic
from tasks.ports import Finding

DIGEST = "sha256:" + "0" * 64
HEADER = {"id": "r1", "flow": "migrate", "source": "/mnt/b", "target": "host/p", "started": "s", "finished": "f"}


def failed(tag: str | None = "v1", **changes) -> TagResult:
    values = {"repository": "app", "digest": DIGEST, "media_type": "m", "target": None, "outcome": Outcome.FAILED}
    return TagResult(tag=tag, **{**values, "code": "digest_mismatch", "message": "altered", **changes})


def error_tree(root: type[errors.LayoutliftError]) -> list[type[errors.LayoutliftError]]:
    return [root, *itertools.chain.from_iterable(error_tree(below) for below in root.__subclasses__())]


def test_every_error_has_advice():
    codes = {error.code for error in error_tree(errors.LayoutliftError) if error.__module__ == errors.__name__}
    others = {
        "tag_collision", "name_collision", "conflict", "conflict_skipped", "referrer_lost", "not_a_layout",
        "outside_source", "unreadable_directory", "link_not_followed", "extra_at_target", "internal_error",
    }  # fmt: skip
    assert sorted((codes | others) - set(ADVICE)) == [], "say what to do in ADVICE of reporting.py"
    assert all(advice.endswith(".") for advice in ADVICE.values())


def test_printable_shows_what_steers_a_terminal_or_an_eye():
    assert printable("\x1b[31mred\x07 a\u202eb\u200bc\ufeff\x7f\x9b\r\n\t\u2028\udc80") == (
        r"\x1b[31mred\x07 a\u202eb\u200bc\ufeff\x7f\x9b\r\n\t\u2028\udc80"
    )
    assert printable("äpp/日本 v1") == "äpp/日本 v1"


@given(st.text(alphabet=st.characters(), max_size=30))
def test_printable_text_is_printable(text):
    assert printable(text).isprintable()
    printable(text).encode()


@pytest.mark.parametrize(
    "text",
    [
        "a|b", "[x](javascript:alert(1))", "![x](http://e/x.png)", "<img src=x onerror=y>", "`code`", "**bold**",
        "_a_", "~~gone~~", "\\|", "http://evil.example", "www.evil.example", "me@evil.example", "&lt;b&gt;",
        "<!-- x -->", "# title", "- item", "1. item", "a\n\n# b", "$x$", "[^1]", "team/app:v1.0-rc_2",
    ],
)  # fmt: skip
def test_nothing_in_a_name_takes_effect_in_a_table(text):
    table = f"| a | b |\n|---|---|\n| {escape_markdown(text)} | end |\n"
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(table)
    cells = [token for token in tokens if token.type == "inline"][2:]
    assert [{child.type for child in cell.children} <= {"text", "text_special"} for cell in cells] == [True, True]
    assert "".join(child.content for child in cells[0].children) == printable(text)


def test_bytes_for_people():
    shown = [human_bytes(n) for n in (0, 1023, 1024, 1536 * 1024**2, 5 * 1024**5)]
    assert shown == ["0 B", "1023 B", "1.0 KiB", "1.5 GiB", "5.0 PiB"]


def test_rows_have_the_reports_fields_in_order_and_come_back():
    results = [
        failed(),
        TagResult("a\udc80", None, None, None, None, Outcome.COPIED),
        TagResult("a", "v1", DIGEST, "m", "h/a:v1", Outcome.UP_TO_DATE, Depth.CONTENT, referrers=2),
    ]
    for result in results:
        row = tag_row(result)
        fields = "repository tag digest media_type target outcome verified referrers error"
        assert list(row) == fields.split()
        assert result_of_row(row) == result
    assert tag_row(results[0])["error"] == {"code": "digest_mismatch", "message": "altered"}
    assert tag_row(results[2])["error"] is None


def test_totals_have_the_reports_fields_in_order():
    totals = Totals(traffic=Traffic(1, 2, 3, 4))
    totals.outcomes[Outcome.COPIED] = 5
    expected = {
        "tags": 5, "copied": 5, "up_to_date": 0, "refused": 0, "failed": 0,
        "blobs_pushed": 1, "blobs_mounted": 2, "blobs_present": 3, "bytes_pushed": 4, "requests": 9,
    }  # fmt: skip
    assert list(totals_json(totals, 9).items()) == list(expected.items())


def test_failure_rows_are_the_problems_only_and_limited():
    results = [
        failed(outcome=Outcome.COPIED, code=None),
        failed(code=CONFLICT_SKIPPED),
        *(failed(f"v{i}") for i in range(5)),
    ]
    rows = failure_rows(results, limit=3)
    assert [row["tag"] for row in rows] == ["v0", "v1", "v2"]
    assert rows[0]["what to do"] == ADVICE["digest_mismatch"]
    assert rows[0]["what happened"] == "altered"


def test_failure_rows_take_what_they_do_not_know():
    (row,) = failure_rows([failed(None, code="new_code", message="\x1b[2J", repository="a\nb")])
    assert row == {
        "repository": r"a\nb",
        "tag": f"(untagged) {DIGEST}",
        "code": "new_code",
        "what happened": r"\x1b\[2J",
        "what to do": ADVICE["error"],
    }


@pytest.mark.parametrize("name", ["v1.2.3-rc_4", "team/app", "sha256:0a", "*.example", "a@b"])
def test_cells_show_usual_names_as_they_are_where_nothing_reads_markdown(name):
    assert table_cell(name) == name


@given(st.text(alphabet="[]()<>`!\\ab:/.\n"))
@example("![x](http://evil.example/pixel)")
@example("\\[x\\](http://evil.example)")
@example("<img src=//evil.example>")
def test_cells_hold_no_link_picture_or_html_where_something_reads_markdown(text):
    inline = MarkdownIt("commonmark").parseInline(table_cell(text))[0]
    kinds = {token.type for token in inline.children}
    assert kinds <= {"text", "text_special", "softbreak"}


def test_a_cell_that_is_not_escaped_would_be_noticed():
    (link, *_) = MarkdownIt("commonmark").parseInline(printable("[x](http://evil.example)"))[0].children
    assert link.type == "link_open"


def test_summary_says_complete_only_when_it_is():
    totals = Totals()
    totals.outcomes[Outcome.COPIED] = 2
    assert summary_markdown(HEADER, totals, []).startswith("# Complete: 2 tags")
    totals.problems = 1
    totals.other_problems = 3
    summary = summary_markdown(HEADER, totals, [])
    assert summary.startswith("# Incomplete: 1 of 2 tags are not at the target, 3 other problems")


def test_summary_does_not_call_verified_what_was_skipped():
    totals = Totals()
    totals.outcomes |= {Outcome.UP_TO_DATE: 2, Outcome.REFUSED: 3}
    summary = summary_markdown(HEADER, totals, [])
    assert summary.startswith("# Complete: 2 tags are at the target and verified, 3 were skipped\n")


def test_summary_lists_findings_up_to_a_limit():
    findings = [Finding(f"p{i}|x", "not_a_layout", "files") for i in range(60)]
    summary = summary_markdown(HEADER, Totals(), findings)
    assert "## 60 findings" in summary
    assert r"p49\|x" in summary
    assert "p50" not in summary
    assert "10 more are in the report" in summary
