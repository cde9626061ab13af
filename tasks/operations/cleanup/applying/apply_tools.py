"""What applying works with, and what it says it did."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tasks.oci.errors import LayoutliftError
from tasks.operations.cleanup.applying.fresh_view import FreshLook
from tasks.operations.cleanup.layout.shared_content import SharedContent
from tasks.ports import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tasks.file_ports import WritableSource
    from tasks.operations.cleanup.records.holdings import Holdings
    from tasks.operations.cleanup.records.journal import Journal
    from tasks.operations.cleanup.values import IndexEntry, RepositoryPlan, Timing
    from tasks.operations.work.concurrency import MapConcurrently


def no_gate(_: RepositoryPlan) -> None:
    """Let everything pass."""


@dataclass(frozen=True, slots=True)
class ApplyTools:
    """What every repository of a run is changed with.

    `guard` raises `LockHeldError` once the lease is another run's; it is asked before each destructive step.
    `require` raises `TargetLacksError` where a target has to hold what goes, and does not.
    """

    source: WritableSource
    holdings: Holdings
    journal: Journal
    timing: Timing
    map_concurrently: MapConcurrently
    guard: Callable[[], None]
    require: Callable[[RepositoryPlan], None] = no_gate
    shared: SharedContent = field(init=False)
    look: FreshLook = field(init=False)

    def __post_init__(self) -> None:
        """Look at layouts, and for what they share, at the source that is changed."""
        object.__setattr__(self, "shared", SharedContent(self.source.files))
        object.__setattr__(self, "look", FreshLook(self.source, self.map_concurrently))


@dataclass(slots=True)
class RepositoryOutcome:
    """What became of one repository; sizes are bytes.

    `skipped` are entries that were to leave or come and were not touched, because somebody changed the index
    since the plan. `marked` counts the marks that are new. `restored` names blobs that the index needs and that came
    back from the quarantine. `dropped` says that the empty layout went, `remade` that it came back, `left_alone` that
    the plan could not judge the repository. `problems` says what was not done and why, and what the check at the end
    found.
    """

    path: str
    removed: list[IndexEntry] = field(default_factory=list)
    added: list[IndexEntry] = field(default_factory=list)
    skipped: list[IndexEntry] = field(default_factory=list)
    marked: int = 0
    hidden: int = 0
    bytes_hidden: int = 0
    restored: list[str] = field(default_factory=list)
    purged: int = 0
    files_deleted: int = 0
    bytes_freed: int = 0
    dropped: bool = False
    remade: bool = False
    left_alone: bool = False
    problems: list[Finding] = field(default_factory=list)

    def note(self, error: LayoutliftError) -> None:
        """Keep what something could not be done for."""
        self.problems.append(Finding(self.path, error.code, str(error)))

    @contextmanager
    def noting(self, *raised: type[LayoutliftError]) -> Iterator[None]:
        """Keep what the block could not be done for; what is of `raised` ends more than the block."""
        try:
            yield
        except raised:
            raise
        except LayoutliftError as error:
            self.note(error)

    def to_json(self) -> dict[str, Any]:
        """What became of it, for other programs: entries as a plan has them, without what only a plan is for."""
        entries = {"removed": self.removed, "added": self.added, "skipped": self.skipped}
        body = asdict(replace(self, removed=[], added=[], skipped=[]))
        return body | {name: [_entry_json(entry) for entry in some] for name, some in entries.items()}

    @property
    def may_be_undone(self) -> bool:
        """Whether `undo` may find something to put back, and not only marks and what is gone for good."""
        came_or_went = self.removed, self.added, self.hidden, self.restored, self.dropped, self.remade
        return any(came_or_went) or bool(self.problems)


def _entry_json(entry: IndexEntry) -> dict[str, Any]:
    return {"tag": entry.tag, "descriptor": entry.descriptor.to_json()}
