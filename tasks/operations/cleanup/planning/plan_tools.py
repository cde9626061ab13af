"""What the planning of all repositories shares."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from tasks.oci.errors import InterruptedRunError, LayoutliftError
from tasks.operations.cleanup.layout.shared_content import SharedContent
from tasks.operations.cleanup.values import RepositoryPlan
from tasks.ports import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tasks.file_ports import FileReader
    from tasks.oci.digest import Digest
    from tasks.operations.cleanup.deciding.blob_decisions import BlobRules
    from tasks.operations.cleanup.planning.gate import Gate
    from tasks.operations.cleanup.records.holdings import Holdings
    from tasks.operations.work.concurrency import MapConcurrently
    from tasks.ports import LayoutReader

_Plan = TypeVar("_Plan")


@dataclass(frozen=True, slots=True)
class PlanTools:
    """What planning reads with, and the rules that hold for every repository."""

    source: LayoutReader
    files: FileReader
    holdings: Holdings
    rules: BlobRules
    map_concurrently: MapConcurrently
    protected: frozenset[Digest] = frozenset()
    gate: Gate | None = None
    old_indexes: Callable[[str, float], Iterable[bytes]] = lambda _path, _since: ()
    """What the index of the layout at a path was before, the newest first, as far as its store keeps that, and back
    to a time by the store's clock."""
    shared: SharedContent = field(init=False)

    def __post_init__(self) -> None:
        """Look for what is shared where all else is read."""
        object.__setattr__(self, "shared", SharedContent(self.files))


def or_left_alone(path: str, plan: Callable[[], _Plan]) -> _Plan | RepositoryPlan:
    """What `plan` makes of a layout, or a plan to leave it alone, with the reason why it can't be judged.

    Raises:
        InterruptedRunError: the run was told to end.
    """
    try:
        return plan()
    except InterruptedRunError:
        raise
    except LayoutliftError as error:
        return RepositoryPlan(path, "", refused=Refusal(error.code, str(error)))
