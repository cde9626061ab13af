"""Keeps what comes of a run as it comes, and knows when the rest is not worth trying."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Protocol

from tasks.oci.errors import (
    AuthenticationError,
    InterruptedRunError,
    LayoutliftError,
    SourceUnavailableError,
    StateError,
    TargetUnavailableError,
)
from tasks.operations.choosing.newest import NOT_ORDERED
from tasks.operations.reports.shown_text import printable
from tasks.operations.source.writers_notes import SEVERAL_IMAGES, SIGNATURE_WITHOUT_TAG
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from tasks.operations.choosing.selection import Selection
    from tasks.operations.reports.progress import Progress
    from tasks.operations.reports.results import TagResult
    from tasks.ports import StopSign

logger = logging.getLogger(__name__)

MOST_TOLD = 200
"""Problems that are logged one by one, as many as the dashboard's table shows."""
INDEX_CHANGED = "index_changed"
RENAME_UNUSED = "rename_unused"
INCLUDE_UNUSED = "include_unused"
NO_TAGS = "no_tags"
POLICY_UNUSED = "policy_unused"
HARMLESS_FINDINGS = frozenset(
    {
        "not_a_layout",
        "empty_folder",
        "not_a_manifest",
        "link_not_followed",
        "extra_at_target",
        "changed_by_defaults",
        "not_in_catalog",
        "to_create",
        "tag_moved",
        "tag_vanished",
        "layout_vanished",
        "shard_restarted",
        "to_delete",
        "tag_deleted",
        "tag_kept",
        "not_deleted",
        INDEX_CHANGED,
        RENAME_UNUSED,
        INCLUDE_UNUSED,
        NO_TAGS,
        SEVERAL_IMAGES,
        SIGNATURE_WITHOUT_TAG,
        NOT_ORDERED,
        POLICY_UNUSED,
    }
)
"""Findings that are worth a line in the report and no more."""
FITTED_BEFORE = frozenset({"tag_vanished", "layout_vanished", "tag_deleted", "tag_kept"})
"""Findings of what patterns may have chosen in an earlier run; that it is gone may well be meant."""


def is_harmful(finding: Finding) -> bool:
    """Whether a finding keeps a run from being complete."""
    return finding.code not in HARMLESS_FINDINGS


def harmful_first(findings: Iterable[Finding]) -> list[Finding]:
    """Findings for a list that shows the first ones only."""
    return sorted(findings, key=lambda finding: not is_harmful(finding))


FATAL = (SourceUnavailableError, StateError, AuthenticationError, TargetUnavailableError)
"""Errors that every other tag would meet too: the rest is not tried."""


NO_LAYOUTS = Finding(".", "no_layouts", "there is no image layout below the source; is the bucket mounted?")
"""What an unmounted directory looks like, so that a schedule on it must not end well."""
NOTHING_CHOSEN = Finding(".", "nothing_chosen", "no layout or tag of the source fits the patterns")
"""What a mistyped pattern looks like: a success with nothing done would hide it."""


def tagless(path: str, entries: int) -> Finding:
    """What is said of a layout of which nothing is taken, as it has no tag; it has no row that would be seen."""
    message = f"no entry of its index.json has a tag ({entries} have none): nothing of it is taken without --untagged"
    return Finding(path, NO_TAGS, message)


def unused_patterns(
    selection: Selection, fitting: Collection[str], findings: Iterable[Finding]
) -> tuple[Finding, ...]:
    """Name each include pattern that fits nothing; one that may fit what has a problem, or vanished, is left open."""
    unread = {finding.path for finding in findings if is_harmful(finding) or finding.code in FITTED_BEFORE}
    unused = selection.unused(fitting, unread)
    return tuple(Finding(p, INCLUDE_UNUSED, "--include has it, and it fits nothing of the source") for p in unused)


class Recorder(Protocol):
    """Keeps results where they outlive the process."""

    def record(self, result: TagResult) -> None:
        """Keep a result; called by many threads."""
        ...


class RunLog:
    """Results, findings and counters of one run; shared by all workers."""

    def __init__(self, recorder: Recorder, progress: Progress, stop: StopSign, *, fail_fast: bool) -> None:
        self._recorder = recorder
        self.progress = progress
        self._stop = stop
        self._fail_fast = fail_fast
        self._lock = threading.Lock()
        self._fatal: LayoutliftError | None = None
        self._told = 0
        self.findings: list[Finding] = []
        self.unasked = False
        """Whether layouts were taken from the ledger, without a question to the target."""
        self.indexes: dict[str, str] = {}
        """The mark of each layout's index as it was read last."""
        self.fitting: set[str] = set()
        """The include patterns that fit something."""

    def keep(self, result: TagResult) -> None:
        """Keep the result of a tag."""
        self._recorder.record(result)
        self.progress.note(result)
        if not result.is_problem:
            return
        self._tell(result)
        for kind in FATAL:
            if result.code == kind.code:
                self.give_up(kind(f"not tried, since before it: {result.message}"))
        if self._fail_fast:
            self._stop.set()

    def _tell(self, result: TagResult) -> None:
        """Log a problem, unless there were many: each line costs as much as a tag where Prefect keeps them."""
        with self._lock:
            self._told += 1
            number = self._told
        if number <= MOST_TOLD:
            place, message = result.target or result.repository, result.message or ""
            logger.warning("%s %s: %s", result.outcome, printable(place), printable(message))
        elif number == MOST_TOLD + 1:
            logger.warning("more than %d tags have a problem: the report has them all", MOST_TOLD)

    def note(self, finding: Finding) -> None:
        """Keep a finding, and count it where it is more than a remark."""
        with self._lock:
            self.findings.append(finding)
        if is_harmful(finding):
            self.progress.note_problem()

    def note_all(self, findings: Iterable[Finding]) -> None:
        """Keep each of these."""
        for finding in findings:
            self.note(finding)

    def note_index(self, path: str, etag: str) -> None:
        """Keep the mark of an index that was read; one that is another than before tells of a writer at work."""
        with self._lock:
            before, self.indexes[path] = self.indexes.get(path, etag), etag
        if before != etag:
            self.note(
                Finding(path, INDEX_CHANGED, f"index.json was written to during the run: {before}, then {etag}")
            )

    def note_fitting(self, patterns: Iterable[str]) -> None:
        """Keep that these include patterns fit something."""
        with self._lock:
            self.fitting.update(patterns)

    def note_unasked(self) -> None:
        """Keep that a layout was taken from the ledger."""
        self.unasked = True

    def give_up(self, error: LayoutliftError) -> None:
        """Have the rest of the run not tried, for the reason that `error` gives."""
        with self._lock:
            self._fatal = self._fatal or error

    def reason_to_skip(self) -> LayoutliftError | None:
        """Why what is not begun yet should not be, None when it should."""
        if self._stop.requested:
            return InterruptedRunError("the run ended before this was begun")
        return self._fatal
