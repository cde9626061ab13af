"""A plan and what came of it in Markdown, for whoever has to say yes to it. Pure.

Names of repositories and tags are anybody's text and pass `escape_markdown`. Rows are counted as they go by, so
that a plan of any size is summed up in little memory.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tasks.operations.cleanup.planning.plan_totals import totals_of
from tasks.operations.cleanup.values import CleanupAction
from tasks.operations.reports.counts import counted
from tasks.operations.reports.shown_text import escape_markdown, human_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tasks.operations.cleanup.values import PlanFooter, PlanHeader, PlanTotals, QuarantineMode, RepositoryPlan
    from tasks.ports import Finding

SHOWN_REPOSITORIES = 100
SHOWN_TAGS = 200
_SHOWN_REASONS = 3
_HEADINGS = (
    "repository",
    "tags that go",
    "tags that stay",
    "blobs marked",
    "into the quarantine",
    "gone for good",
    "bytes now",
    "bytes later",
    "why",
)


def what_goes(totals: PlanTotals) -> str:
    """What leaves the indexes and what writers left behind, in words; blobs apart."""
    parts = [f"{totals.tags_deleted:,} of {totals.tags_deleted + totals.tags_kept:,} tags go"]
    if untagged := totals.entries_removed - totals.tags_deleted:
        parts.append(f"{counted(untagged, 'entry')} without a tag")
    if totals.files_deleted:
        parts.append(f"{counted(totals.files_deleted, 'leftover')} of writers")
    if totals.layouts_dropped:
        parts.append(counted(totals.layouts_dropped, "empty layout"))
    return ", ".join(parts)


def in_short(totals: PlanTotals) -> str:
    """What goes and how much comes back, in one line."""
    return (
        f"{what_goes(totals)}, "
        f"{counted(totals.blobs_quarantined, 'blob')} into the quarantine, {totals.blobs_purged:,} for good; "
        f"{human_bytes(totals.bytes_now)} come back now, {human_bytes(totals.bytes_later)} later{also_held(totals)}"
    )


def also_held(totals: PlanTotals) -> str:
    """How much has waited long enough and does not go all the same, to be added to how much does; empty if none."""
    return f", {human_bytes(totals.bytes_held)} are held back" if totals.bytes_held else ""


@dataclass(slots=True)
class PlanSummary:
    """Sees the repositories of a plan go by, and keeps what is shown of them."""

    mode: QuarantineMode
    takes: bool = False
    rows: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    left_alone: list[str] = field(default_factory=list)
    noticed: list[str] = field(default_factory=list)
    more: Counter[str] = field(default_factory=Counter)

    def see(self, plan: RepositoryPlan) -> RepositoryPlan:
        """Count one repository in; the plan itself, unchanged."""
        if plan.refused is not None:
            self._add(self.left_alone, _row(plan.path, plan.refused.code, plan.refused.message), "left alone")
            return plan
        for each in plan.findings:
            self._add(self.noticed, _row(each.path, each.code, each.message), "noticed")
        if not plan.takes_something:
            return plan
        self.takes = True
        self._add(self.rows, self._repository(plan), "repositories")
        for tag in plan.tags:
            if tag.action is CleanupAction.DELETE:
                row = _row(f"{plan.path}:{tag.tag}", tag.digest, tag.reason)
                self._add(self.tags, row, "tags", SHOWN_TAGS)
        return plan

    def markdown(self, header: PlanHeader, footer: PlanFooter, findings: Sequence[Finding], place: str) -> str:
        """The whole plan; `place` is where its file is."""
        return "\n".join(self._lines(header, footer, findings, place)) + "\n"

    def _lines(
        self, header: PlanHeader, footer: PlanFooter, findings: Sequence[Finding], place: str
    ) -> Iterator[str]:
        totals = footer.totals
        yield f"# {'What goes' if self.takes else 'Nothing goes'}"
        yield ""
        yield f"Plan {escape_markdown(header.plan)} of {escape_markdown(header.source)}"
        yield f"in the file {escape_markdown(place)}:"
        yield (
            f"{what_goes(totals)}; "
            f"{human_bytes(totals.bytes_now)} come back now, {human_bytes(totals.bytes_later)} later, "
            f"{human_bytes(totals.bytes_kept)} stay{also_held(totals)}."
        )
        if header.gate is not None:
            yield f"Nothing goes that {escape_markdown(header.gate)} does not hold."
        if footer.beyond_limits:
            yield from ("", "## Beyond the limits", "")
            yield from (f"- {escape_markdown(line)}" for line in footer.beyond_limits)
        yield from self._part("Repositories", _HEADINGS, self.rows, "repositories")
        yield from self._part("Tags that go", ("tag", "digest", "why"), self.tags, "tags")
        yield from self._part("Left alone", ("repository", "code", "why"), self.left_alone, "left alone")
        yield from self._part("Noticed", ("repository", "code", "what"), self.noticed, "noticed")
        found = [_row(each.path, each.code, each.message) for each in findings[:SHOWN_REPOSITORIES]]
        self.more["findings"] = max(0, len(findings) - SHOWN_REPOSITORIES)
        yield from self._part("Findings", ("path", "code", "what"), found, "findings")

    def _part(self, title: str, headings: Sequence[str], rows: Sequence[str], more: str) -> Iterator[str]:
        if not rows:
            return
        yield from ("", f"## {title}", "", f"| {' | '.join(headings)} |", "|---" * len(headings) + "|", *rows)
        if self.more[more]:
            yield from ("", f"and {self.more[more]:,} more, in the plan's file")

    def _add(self, rows: list[str], row: str, kind: str, most: int = SHOWN_REPOSITORIES) -> None:
        if len(rows) < most:
            rows.append(row)
        else:
            self.more[kind] += 1

    def _repository(self, plan: RepositoryPlan) -> str:
        totals = totals_of(plan, self.mode)
        counts = (totals.tags_deleted, totals.tags_kept, totals.blobs_marked)
        gone = totals.blobs_purged + totals.files_deleted
        sizes = (human_bytes(totals.bytes_now), human_bytes(totals.bytes_later) + also_held(totals))
        numbers = [f"{count:,}" for count in (*counts, totals.blobs_quarantined, gone)]
        return _row(plan.path, *numbers, *sizes, "; ".join(_reasons(plan)))


def _reasons(plan: RepositoryPlan) -> Iterator[str]:
    """Why most of it goes: of entries if any go, else of their content."""
    tags = Counter(tag.reason for tag in plan.tags if tag.action is CleanupAction.DELETE)
    if untagged := len(plan.removals) - tags.total():
        tags["entries without a tag"] = untagged
    content = Counter(blob.reason for blob in plan.blobs if blob.action is CleanupAction.QUARANTINE)
    content.update(held.reason for held in plan.quarantined if held.action is CleanupAction.PURGE)
    content.update(file.reason for file in plan.files if file.action is CleanupAction.DELETE)
    found = tags or content or Counter({"the layout is empty": int(plan.drop_layout)})
    yield from (f"{reason} ({count:,})" for reason, count in found.most_common(_SHOWN_REASONS) if count)
    if len(found) > _SHOWN_REASONS:
        yield "and others"


def _row(*cells: str) -> str:
    return f"| {' | '.join(map(escape_markdown, cells))} |"
