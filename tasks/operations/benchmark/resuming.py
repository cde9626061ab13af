"""What an interrupted run has measured already, for the one that goes on with it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tasks.benchmark_values.facts import Results
from tasks.oci.errors import ConfigurationError
from tasks.operations.benchmark.data_files import results_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tasks.benchmark_values.facts import About

SAME = (
    "location",
    "endpoint",
    "content",
    "host",
    "processors",
    "system",
    "cold",
    "repeats",
    "pause",
    "counted",
    "programs",
)
"""What two runs must have in common to be one; which programs, only where the older says it."""


def kept_of(rows: Iterable[Mapping[str, Any]], now: About) -> Results:
    """What can be kept of the lines that an interrupted run wrote; a case that it had not ended is measured again.

    Warnings all are: what is still in a registry of the user's, say, is so whatever is measured again.

    Raises:
        ConfigurationError: it measured something else, or otherwise.
    """
    try:
        found = results_of(rows, now.run)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError("the results that are to be resumed can't be read") from error
    if found.about is None:
        return Results(name=now.run, measurements=())
    _refuse_other(found.about, now)
    return replace(
        found,
        measurements=tuple(each for each in found.measurements if each.case in found.ended),
        failures=tuple(each for each in found.failures if each.case in found.ended),
        warnings=tuple(dict.fromkeys(found.warnings)),
    )


def _refuse_other(before: About, now: About) -> None:
    for name in SAME:
        was, is_now = getattr(before, name), getattr(now, name)
        if was != is_now and not (name == "programs" and not was):
            raise ConfigurationError(f"the run can't be resumed: its {name} was {was!r}, and is {is_now!r} now")
    if _paths(before) != _paths(now):
        raise ConfigurationError(
            "the run can't be resumed: its paths, their versions, commands, options or places differ"
        )


def _paths(about: About) -> list[tuple[object, ...]]:
    return [
        (path.name, path.version, path.recipe, path.options, path.place, bool(path.left_out)) for path in about.paths
    ]
