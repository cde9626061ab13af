"""Work that is followed is the same work."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from tasks.operations.reports.results import RepositoryInventory, TagResult
from tasks.operations.running.traced_work import Span, traced
from tasks.operations.work.repository_work import RepositoryWork, Unit


class NoTracer:
    """Follows nothing."""

    def note(self, attributes: Mapping[str, object], problem: str | None = None) -> None:
        """See `Span.note`."""

    @contextmanager
    def span(self, name: str, attributes: Mapping[str, object]) -> Iterator[Span]:
        """See `Tracer.span`."""
        yield self


class Work(RepositoryWork):
    """Does nothing, with or without the target."""

    def __init__(self, *, asks_target: bool) -> None:
        super().__init__(RepositoryInventory("app", ""), None)
        self.asks_target = asks_target

    def _execute(self, unit: Unit) -> list[TagResult]:
        del unit
        return []


@pytest.mark.parametrize("asks_target", [True, False])
def test_whether_the_target_was_asked_is_told_of_followed_work_too(asks_target: bool) -> None:
    """Otherwise a run names a moment at which both sides were equal without having asked the target."""
    work = Work(asks_target=asks_target)
    assert traced(lambda *_: work, NoTracer())(work.inventory, "app", ()).asks_target is asks_target
