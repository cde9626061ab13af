"""A run in short, for Prefect's dashboard: a summary in Markdown, and rows of a table of its failures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.operations.reports.advice import advice_on
from tasks.operations.reports.counts import counted
from tasks.operations.reports.findings import RUN_WIDE
from tasks.operations.reports.report_rows import OUTCOMES
from tasks.operations.reports.results import Outcome
from tasks.operations.reports.run_log import MOST_TOLD
from tasks.operations.reports.shown_text import escape_markdown, human_bytes, table_cell

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tasks.operations.reports.results import TagResult, Totals
    from tasks.ports import Finding

_FINDINGS_SHOWN = 50
_VERIFY = "verify"
"""What the header calls the flow of a verification."""


def failure_rows(results: Iterable[TagResult], limit: int = MOST_TOLD) -> list[dict[str, str]]:
    """A row for each of the first `limit` tags that keep the run from being complete, for a table.

    Those that the run did not get to come last.
    """
    wrong: list[TagResult] = []
    left: list[TagResult] = []
    for result in filter(lambda each: each.is_problem, results):
        kept = left if result.code in RUN_WIDE else wrong
        if len(kept) < limit:
            kept.append(result)
    return [_failure_row(result) for result in (*wrong, *left)[:limit]]


def _failure_row(result: TagResult) -> dict[str, str]:
    code = result.code or "error"
    return {
        "repository": table_cell(result.repository),
        "tag": table_cell(result.tag or f"(untagged) {result.digest or ''}".strip()),
        "code": code,
        "what to do": advice_on(code),  # before the message, which may be wider than a screen
        "what happened": table_cell(result.message or ""),
    }


def summary_markdown(
    header: Mapping[str, object],
    totals: Totals,
    closing: str | None,
    findings: Iterable[Finding],
    places: Sequence[str] = (),
) -> str:
    """The run in short, as Markdown: its verdict, from where to where, the counts, the first findings.

    `header` is the report's `run` object, `closing` the line that ends a run which is not complete, and `places` are
    where the report is.
    """
    lines = [
        f"# {_complete(totals) if closing is None else f'Incomplete: {closing}'}",
        "",
        *_table("", "", _run_rows(header)),
        "",
        *_report_lines(places),
        *_table("tags", "number", _tag_rows(header, totals)),
        *([] if header.get("flow") == _VERIFY else ["", _traffic_line(totals)]),
        *_finding_lines(list(findings)),
    ]
    return "\n".join(lines) + "\n"


def _run_rows(header: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for name in ("source", "target", "started", "finished", "id"):
        yield name, _text(header.get(name))
    if "equal_at" in header:
        equal = header["equal_at"] or f"not known: {header.get('not_equal_because')}"
        of_part = header.get("chosen") == "part"
        yield "what was chosen was equal on both sides" if of_part else "both sides were equal", _text(equal)


def _report_lines(places: Sequence[str]) -> Iterator[str]:
    """Where the report is: below the table, as the dashboard cuts off what is wider than a cell."""
    if places:
        yield from (f"Report: {_text(', '.join(places))}", "")


def _tag_rows(header: Mapping[str, object], totals: Totals) -> list[tuple[str, str]]:
    """The counts of tags; a verification copies nothing, and what it finds equal is verified."""
    if header.get("flow") == _VERIFY:
        verified = totals.outcomes[Outcome.UP_TO_DATE]
        return [("verified", f"{verified}"), ("with problems", f"{totals.problems}")]
    return [(str(o).replace("_", " "), f"{totals.outcomes.get(o, 0)}") for o in OUTCOMES]


def _complete(totals: Totals) -> str:
    equal = totals.outcomes[Outcome.COPIED] + totals.outcomes[Outcome.UP_TO_DATE]
    skipped = f", {totals.tags - equal} were skipped" if equal < totals.tags else ""
    return f"Complete: {counted(equal, 'tag', 'are')} at the target and verified{skipped}"


def _text(value: object) -> str:
    return "" if value is None else escape_markdown(str(value))


def _table(left: str, right: str, rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield f"| {left} | {right} |"
    yield "|---|---|"
    yield from (f"| {name} | {value} |" for name, value in rows)


def _traffic_line(totals: Totals) -> str:
    traffic = totals.traffic
    return (
        f"{human_bytes(traffic.bytes_pushed)} sent in {counted(traffic.blobs_pushed, 'blob')}; "
        f"{traffic.blobs_mounted} were mounted from other repositories, {traffic.blobs_present} were there already."
    )


def _finding_lines(findings: list[Finding]) -> Iterator[str]:
    if not findings:
        return
    yield from ("", f"## {counted(len(findings), 'finding')}", "", "| path | code | what | what to do |")
    yield "|---|---|---|---|"
    for finding in findings[:_FINDINGS_SHOWN]:
        cells = (finding.path, finding.code, finding.message, advice_on(finding.code))
        yield f"| {' | '.join(map(escape_markdown, cells))} |"
    if len(findings) > _FINDINGS_SHOWN:
        yield from ("", f"{len(findings) - _FINDINGS_SHOWN} more are in the report.")
