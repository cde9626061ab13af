"""The report's rows and totals, as its JSON has them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tasks.operations.reports.results import Depth, Outcome, TagResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.operations.reports.results import Totals

OUTCOMES = (Outcome.COPIED, Outcome.UP_TO_DATE, Outcome.REFUSED, Outcome.FAILED)
"""The outcomes that a report counts, in its order."""


def tag_row(result: TagResult) -> dict[str, Any]:
    """The report's object for a tag, fields in the report's order; see `result_of_row`."""
    row = {name: getattr(result, name) for name in ("repository", "tag", "digest", "media_type", "target")}
    error = None if result.code is None else {"code": result.code, "message": result.message or ""}
    return {
        **row,
        "outcome": result.outcome.value,
        "verified": result.verified and result.verified.value,
        "referrers": result.referrers,
        "error": error,
    }


def result_of_row(row: Mapping[str, Any]) -> TagResult:
    """The result that `tag_row` made a row of."""
    error = row["error"] or {}
    return TagResult(
        **{name: row[name] for name in ("repository", "tag", "digest", "media_type", "target", "referrers")},
        outcome=Outcome(row["outcome"]),
        verified=Depth(row["verified"]) if row["verified"] else None,
        code=error.get("code"),
        message=error.get("message"),
    )


def totals_json(totals: Totals, requests: int) -> dict[str, int]:
    """The report's totals; `requests` is how many HTTP requests went to the target."""
    outcomes = {outcome.value: totals.outcomes.get(outcome, 0) for outcome in OUTCOMES}
    return {"tags": totals.tags, **outcomes, **asdict(totals.traffic), "requests": requests}
