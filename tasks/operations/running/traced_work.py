"""Work on a repository that somebody follows: the same work, with a span around each of its units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tasks.operations.work.repository_work import WrappedWork

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from tasks.operations.reports.results import TagResult
    from tasks.operations.work.repository_work import BeginWork, RepositoryWork, Unit

SHOWN_TAGS = 20
"""Most tags that a span names: thousands may share a digest."""


class Span(Protocol):
    """A part of a run that is being done."""

    def note(self, attributes: Mapping[str, str | int | list[str]], problem: str | None = None) -> None:
        """Say what came of it; with a `problem`, that it went wrong, and how."""
        ...


class Tracer(Protocol):
    """Keeps spans of a run, and sends them to where people look at them."""

    def span(self, name: str, attributes: Mapping[str, str | int | list[str]]) -> AbstractContextManager[Span]:
        """A part of the run, from the start of the block to its end; called by many threads."""
        ...


class TracedWork(WrappedWork):
    """Does what `work` does, each unit in a span."""

    def __init__(self, work: RepositoryWork, tracer: Tracer) -> None:
        super().__init__(work)
        self._tracer = tracer

    def execute(self, unit: Unit) -> list[TagResult]:
        """See `RepositoryWork.execute`."""
        described: dict[str, str | int | list[str]] = {
            "layoutlift.repository": self.inventory.path,
            "layoutlift.tags": list(unit.tags[:SHOWN_TAGS]),
            "layoutlift.digest": str(unit.descriptor.digest),
            "layoutlift.media_type": unit.descriptor.media_type,
        }
        with self._tracer.span("unit", described) as span:
            results = self._work.execute(unit)
            problem = next((f"{r.code}: {r.message}" for r in results if r.is_problem), None)
            outcomes = sorted({str(result.outcome) for result in results})
            span.note({"layoutlift.outcomes": outcomes}, problem)
            return results


def traced(begin: BeginWork, tracer: Tracer) -> BeginWork:
    """The function that begins work on a repository, with spans around that work."""
    return lambda inventory, repository, units: TracedWork(begin(inventory, repository, units), tracer)
