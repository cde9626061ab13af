"""Compares a run with earlier ones, and finds what became slower."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Self

from tasks.benchmark_values.cases import MIB
from tasks.operations.benchmark.summaries import summarize

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tasks.benchmark_values.facts import About, Results, UsedPath
    from tasks.benchmark_values.summary import Key

RECENT = 5
"""How many earlier runs a new one is compared with: by their median, so that one odd run decides nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One run in the history: the best rate of each path, case and phase, in bytes a second.

    The best and not the median, because what else runs on a machine can only slow a pull down. `settings` is what a
    run must have in common with another to be compared with it: the repeats, too, because of more the best is better.
    """

    run: str
    started: str
    settings: tuple[str, ...]
    rates: Mapping[str, float]

    @classmethod
    def of(cls, about: About, results: Results) -> Self:
        """The entry of a run that has just ended."""
        shown = {path.name: _shown(path) for path in about.paths}
        rates = {_name(s.key, shown): s.total / max(s.minimum, 1e-9) for s in summarize(results.measurements)}
        settings = (about.host, about.location, about.endpoint, about.content, about.cold, str(about.repeats))
        return cls(run=about.run, started=about.started, settings=settings, rates=rates)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Self:
        """What `to_json` made.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        rates = {str(name): float(rate) for name, rate in dict(row["rates"]).items()}
        return cls(run=row["run"], started=row["started"], settings=tuple(row["settings"]), rates=rates)


@dataclass(frozen=True, slots=True)
class Regression:
    """Something that became slower than is allowed; rates in bytes a second."""

    name: str
    now: float
    before: float

    def __str__(self) -> str:
        change = 100 * (self.now / self.before - 1)
        return f"{self.name}: {self.now / MIB:.1f} MiB/s, before {self.before / MIB:.1f} MiB/s ({change:+.0f} %)"


def entries_of(rows: Iterable[Mapping[str, Any]]) -> list[Entry]:
    """The entries among the lines of a history; what is none is passed over, as torn lines are."""
    return [Entry.from_json(row) for row in rows if row.keys() >= {"run", "started", "settings", "rates"}]


def comparable(entry: Entry, earlier: Iterable[Entry]) -> list[Entry]:
    """The earlier runs with the same settings, the oldest first."""
    return [each for each in earlier if each.settings == entry.settings and each.run != entry.run]


def find_regressions(entry: Entry, earlier: Sequence[Entry], allowed: float) -> tuple[Regression, ...]:
    """What is slower than the median of its last runs by more than the part `allowed` of it (0.3 is 30 %)."""
    found = []
    for name, rate in entry.rates.items():
        before = [each.rates[name] for each in comparable(entry, earlier) if name in each.rates][-RECENT:]
        if before and rate < median(before) * (1 - allowed):
            found.append(Regression(name, rate, median(before)))
    return tuple(found)


def _name(key: Key, shown: Mapping[str, str]) -> str:
    return f"{shown.get(key.path, key.path)} {key.case} {key.phase}"


def _shown(path: UsedPath) -> str:
    """A path's name with its mount options and its own bucket, mount or registry: with others, it is another."""
    own = [*path.options, *([path.place] if path.place else [])]
    return f"{path.name} [{', '.join(own)}]" if own else path.name
