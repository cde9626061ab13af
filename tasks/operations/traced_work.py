"""Work on a repository that somebody follows: the same work, with a span around each of its units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tasks.operations.repository_work import RepositoryWork

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from tasks.oci.errors import LayoutliftError
    from tasks.operations.repository_work import BeginWork, Unit
    from tasks.operations.results import RefusedEntry, TagResult, Traffic
    from tasks.ports import Finding

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
        """A part of the run, from the begin of the block to its end; called by many threads."""
        ...


class TracedWork(RepositoryWork):
    """Does what `work` does."""

    def __init__(self, work: RepositoryWork, tracer: Tracer) -> None:
        super().__init__(work.inventory, None)
        self.asks_target = work.asks_target
        self._work = work
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

    def _execute(self, unit: Unit) -> list[TagResult]:
        return self._work.execute(unit)

    def skip(self, unit: Unit, error: LayoutliftError) -> list[TagResult]:
        """See `RepositoryWork.skip`."""
        return self._work.skip(unit, error)

    def refuse(self, entry: RefusedEntry) -> TagResult:
        """See `RepositoryWork.refuse`."""
        return self._work.refuse(entry)

    def take_traffic(self) -> Traffic:
        """See `RepositoryWork.take_traffic`."""
        return self._work.take_traffic()

    def finish(self) -> list[Finding]:
        """See `RepositoryWork.finish`."""
        return self._work.finish()


def traced(begin: BeginWork, tracer: Tracer) -> BeginWork:
    """The function that begins work on a repository, with spans around that work."""
    return lambda inventory, repository: TracedWork(begin(inventory, repository), tracer)
