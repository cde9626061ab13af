"""Compares a run with earlier ones, and finds what became slower."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from itertools import takewhile
from statistics import median
from typing import TYPE_CHECKING, Any, Self

from tasks.benchmark_values.cases import MIB
from tasks.benchmark_values.summary import FEWEST, summarize

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tasks.benchmark_values.facts import About, Results, UsedPath
    from tasks.benchmark_values.summary import Key

RECENT = 5
"""How many earlier runs a new one is compared with."""


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
    slowest: Mapping[str, float] = field(default_factory=dict)
    """The worst rates, of what was measured often enough to have a spread; nothing else is compared."""
    recipes: Mapping[str, str] = field(default_factory=dict)
    """By which commands each was measured, in short: by others, it is another thing. Older entries don't say."""

    @classmethod
    def of(cls, about: About, results: Results) -> Self:
        """The entry of a run that has just ended."""
        shown = {path.name: _shown(path) for path in about.paths}
        found = {_name(each.key, shown): each for each in summarize(results.measurements)}
        rates = {name: each.best for name, each in found.items()}
        slowest = {name: each.worst for name, each in found.items() if each.count >= FEWEST}
        made = {path.name: path.recipe for path in about.paths}
        recipes = {name: made.get(each.key.path, "") for name, each in found.items()}
        machine = (about.host, str(about.processors))
        way = (about.content, about.cold, str(about.repeats), str(about.pause))
        settings = (*machine, about.location, about.endpoint, *way)
        return cls(
            run=about.run, started=about.started, settings=settings, rates=rates, slowest=slowest, recipes=recipes
        )

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Self:
        """What `to_json` made.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        rates, slowest = (
            {str(name): float(rate) for name, rate in dict(each).items()}
            for each in (row["rates"], row.get("slowest", {}))
        )
        settings = tuple(row["settings"])
        recipes = {str(name): str(recipe) for name, recipe in dict(row.get("recipes", {})).items()}
        return cls(
            run=row["run"], started=row["started"], settings=settings, rates=rates, slowest=slowest, recipes=recipes
        )

    def made_as(self, other: Self, name: str) -> bool:
        """Whether a result was measured by the same commands in both runs, as far as they say."""
        here, there = self.recipes.get(name), other.recipes.get(name)
        return here is None or there is None or here == there


@dataclass(frozen=True, slots=True)
class Regression:
    """Something that became slower than is allowed; rates in bytes a second."""

    name: str
    now: float
    before: float

    def __str__(self) -> str:
        change = 100 * (self.now / self.before - 1)
        return f"{self.name}: {self.now / MIB:.1f} MiB/s, before {self.before / MIB:.1f} MiB/s ({change:+.0f} %)"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of comparing a run with those before it."""

    regressions: tuple[Regression, ...] = ()
    runs: tuple[Entry, ...] = ()
    """Those with the same settings, itself the last."""
    results: int = 0
    """How many of its results could be compared."""


def entries_of(rows: Iterable[Mapping[str, Any]]) -> list[Entry]:
    """The entries among the lines of a history; what is none is passed over, as torn lines are."""
    return [Entry.from_json(row) for row in rows if row.keys() >= {"run", "started", "settings", "rates"}]


def compare(entry: Entry, history: Iterable[Entry], allowed: float) -> Comparison:
    """Compare a run with earlier ones, the oldest first; by how much it may be slower is a part (0.3 is 30 %).

    One that is in the history itself is compared with those before it.
    """
    earlier = takewhile(lambda each: each.run != entry.run, history)
    alike = [each for each in earlier if each.settings == entry.settings]
    before = _compared_with(entry, alike)
    return Comparison(_regressions(entry, before, allowed), (*alike, entry), len(before))


def _regressions(entry: Entry, before: Mapping[str, Sequence[Entry]], allowed: float) -> tuple[Regression, ...]:
    """What is slower than its last runs by more than is allowed, and than their spread.

    The best of now is compared with the best of each run before; and with the slowest, because pulls that differ
    among themselves by as much say nothing. Of several runs the median counts, so that one odd run decides nothing.
    """
    found = []
    for name, runs in before.items():
        rate, best = entry.rates[name], median(each.rates[name] for each in runs)
        if rate < best * (1 - allowed) and rate < median(each.slowest[name] for each in runs):
            found.append(Regression(name, rate, best))
    return tuple(found)


def _compared_with(entry: Entry, alike: Sequence[Entry]) -> Mapping[str, Sequence[Entry]]:
    """The last runs that each result can be compared with: those in which it was measured often enough, too."""
    found = {
        name: [each for each in alike if name in each.slowest and each.made_as(entry, name)][-RECENT:]
        for name in entry.slowest
    }
    return {name: before for name, before in found.items() if before}


def _name(key: Key, shown: Mapping[str, str]) -> str:
    return f"{shown.get(key.path, key.path)} {key.case} {key.phase}"


def _shown(path: UsedPath) -> str:
    """A path's name with its mount options and its own bucket, mount or registry: with others, it is another."""
    own = [*path.options, *([path.place] if path.place else [])]
    return f"{path.name} [{', '.join(own)}]" if own else path.name
