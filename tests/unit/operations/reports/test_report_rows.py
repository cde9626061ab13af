from __future__ import annotations

from tasks.operations.reports.report_rows import result_of_row, tag_row, totals_json
from tasks.operations.reports.results import Depth, Outcome, TagResult, Totals, Traffic

DIGEST = "sha256:" + "0" * 64


def test_rows_have_the_reports_fields_in_order_and_come_back():
    results = [
        TagResult("app", "v1", DIGEST, "m", None, Outcome.FAILED, code="digest_mismatch", message="altered"),
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
