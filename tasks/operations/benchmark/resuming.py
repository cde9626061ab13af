"""What an interrupted run has measured already, for the one that goes on with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.benchmark_values.facts import About, Failure, Measurement
from tasks.oci.errors import ConfigurationError
from tasks.operations.benchmark.data_files import CASE_ENDED, WARNING, ended_row, warning_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SAME = ("location", "endpoint", "content", "host", "processors", "system", "cold", "repeats", "pause", "counted")
"""What two runs must have in common to be one."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The figures of the cases that were measured to their ends, in the order of measuring."""

    cases: tuple[str, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    failures: tuple[Failure, ...] = ()
    warnings: tuple[str, ...] = ()
    """All of them: what is still in a registry of the user's, say, is so whatever is measured again."""
    about: About | None = None
    """What the run said of itself."""

    def rows(self) -> list[dict[str, Any]]:
        """The same as lines of the results, but for what the run said of itself."""
        figures = [*(each.to_json() for each in self.measurements), *(each.to_json() for each in self.failures)]
        ended = map(ended_row, self.cases)
        return [*figures, *ended, *map(warning_row, self.warnings)]


def kept_of(rows: Sequence[Mapping[str, Any]], now: About) -> Kept:
    """What can be kept of the lines that an interrupted run wrote; a case that it had not ended is measured again.

    Raises:
        ConfigurationError: it measured something else, or otherwise.
    """
    try:
        before = next((About.from_json(row) for row in rows if row.get("kind") == "about"), None)
        if before is None:
            return Kept()
        _refuse_other(before, now)
        ended = tuple(row["case"] for row in rows if row["kind"] == CASE_ENDED)
        return Kept(
            ended,
            tuple(Measurement.from_json(row) for row in _of(rows, "measurement") if row["case"] in ended),
            tuple(Failure.from_json(row) for row in _of(rows, "failure") if row["case"] in ended),
            tuple(dict.fromkeys(str(row["message"]) for row in _of(rows, WARNING))),
            before,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError("the results that are to be resumed can't be read") from error


def _of(rows: Iterable[Mapping[str, Any]], kind: str) -> Iterable[Mapping[str, Any]]:
    return (row for row in rows if row["kind"] == kind)


def _refuse_other(before: About, now: About) -> None:
    for name in SAME:
        if getattr(before, name) != getattr(now, name):
            was, is_now = getattr(before, name), getattr(now, name)
            raise ConfigurationError(f"the run can't be resumed: its {name} was {was!r}, and is {is_now!r} now")
    if _paths(before) != _paths(now):
        raise ConfigurationError(
            "the run can't be resumed: its paths, their versions, commands, options or places differ"
        )


def _paths(about: About) -> list[tuple[object, ...]]:
    return [
        (path.name, path.version, path.recipe, path.options, path.place, bool(path.left_out)) for path in about.paths
    ]
