"""What must be reached, and whether it was."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.benchmarks import contenders as who
from tests.benchmarks.campaign import THREE
from tests.benchmarks.contenders import CONTENDERS
from tests.benchmarks.statistics_of import Results, Rounds
from tests.benchmarks.targets import REGISTRIES
from tests.benchmarks.workloads import WORKLOADS

FLOOR_MARGIN = 1.15
ACCESS_CHECK = 1  # the request that every run begins with, whatever it finds to do
CORES = os.cpu_count() or 1
MB = 1_000_000
SMALL_TAGS, WIDE_TAGS = WORKLOADS["small"].tag_count, WORKLOADS["wide"].tag_count
MORE_TAGS = WIDE_TAGS - SMALL_TAGS


@dataclass(frozen=True)
class Verdict:
    """One goal; a floor is what no client could beat, and reaching it counts."""

    goal: str
    reached: float
    limit: float
    unit: str = "times"
    at_least: bool = False
    note: str = ""
    at_floor: bool = False
    met_beyond: bool | None = None
    """Whether it would be met without the fixed cost of a command; None where that is no question."""

    @property
    def passes(self) -> bool:
        """Whether the goal is met."""
        if self.at_floor:
            return True
        return self.reached >= self.limit if self.at_least else self.reached <= self.limit

    def __str__(self) -> str:
        relation = "≥" if self.at_least else "≤"
        verdict = "pass" if self.passes else "falls short"
        note = f" ({self.note})" if self.note else ""
        return f"{verdict:<11} {self.goal}: {self.reached:.3g} {self.unit}, goal {relation} {self.limit:g}{note}"


def told_beyond(verdicts: Sequence[Verdict]) -> str:
    """How many of the comparisons would be met without the fixed cost of a command."""
    asked = [verdict.met_beyond for verdict in verdicts if verdict.met_beyond is not None]
    return f"beyond the fixed cost: {asked.count(True)} of {len(asked)} comparisons met"


def judge(results: Results) -> list[Verdict]:
    """Every goal that the measurements allow to judge."""
    judges: tuple[Callable[[Results], Iterator[Verdict]], ...] = (
        _small,
        _best_peer,
        _far,
        _again,
        _completeness,
        _throttled,
        _enumeration,
        _memory,
        _fixed_cost,
        _slopes,
    )
    return [verdict for each in judges for verdict in each(results)]


def _small(results: Results) -> Iterator[Verdict]:
    for registry in REGISTRIES:
        limit = 1.0 if registry == "zot" else 0.75
        yield from _ratio(results, "small", registry, who.REGSYNC, limit)
        yield from _ratio(results, "small", registry, who.ORAS, 0.5)


def _far(results: Results) -> Iterator[Verdict]:
    for name in ("small", "mixed"):
        yield from _ratio(results, f"far, {name}", THREE, who.REGSYNC, 0.75)
        yield from _ratio(results, f"far, {name}", THREE, who.ORAS_FAR, 0.6)  # at as many connections


def _best_peer(results: Results) -> Iterator[Verdict]:
    for name, limit in (("mixed", 0.85), ("big", 1.0)):
        for registry in REGISTRIES:
            peers = {
                peer: rounds.wall
                for peer, rounds in results.contenders(name, registry).items()
                if CONTENDERS[peer].judged and not peer.startswith("layoutlift") and rounds.complete
            }
            if peers:
                yield from _ratio(results, name, registry, min(peers, key=peers.__getitem__), limit)


def _ratio(results: Results, group: str, registry: str, peer: str, limit: float) -> Iterator[Verdict]:
    """The whole command's time against a peer's; the time beyond the fixed cost is told and decides nothing."""
    ours, theirs = results.of(group, registry, who.LAYOUTLIFT), results.of(group, registry, peer)
    if ours is None or theirs is None:
        return
    floor = max(ours.registry_cpu / CORES, _nothing_else_to_do(results, group, registry))
    fixed = results.of(_tiny_like(group), registry, who.LAYOUTLIFT)
    beyond = ours.wall - (fixed.wall if fixed is not None else 0.0)
    at_floor, beyond_at_floor = (each <= FLOOR_MARGIN * floor for each in (ours.wall, beyond))
    yield Verdict(
        f"{group}, {registry}: wall time against {peer}",
        ours.wall / theirs.wall,
        limit,
        note=f"{ours.wall:.1f} s against {theirs.wall:.1f} s; floor {floor:.1f} s{_reached(at_floor)}; "
        f"beyond the fixed cost {beyond:.1f} s, {beyond / theirs.wall:.2f} times{_reached(beyond_at_floor)}",
        at_floor=at_floor,
        met_beyond=beyond / theirs.wall <= limit or beyond_at_floor,
    )


def _reached(at_floor: bool) -> str:
    return f" (the floor within {FLOOR_MARGIN})" if at_floor else ""


def _tiny_like(group: str) -> str:
    """The group that shows the fixed cost under the same circumstances."""
    return group.rpartition(", ")[0] + ", tiny" if ", " in group else "tiny"


def _nothing_else_to_do(results: Results, group: str, registry: str) -> float:
    """What unjudged contenders reached, who do nothing but send."""
    walls = [
        rounds.wall
        for name, rounds in results.contenders(group, registry).items()
        if name in CONTENDERS and not CONTENDERS[name].judged
    ]
    return min(walls, default=0.0)


def _completeness(results: Results) -> Iterator[Verdict]:
    for made in results.measurements:
        if made.case.contender.startswith("layoutlift") and (made.verified < made.tags or made.exit_code != 0):
            yield Verdict(f"{made.case}: tags", made.verified, made.tags, "tags", at_least=True, note=made.output)


def _again(results: Results) -> Iterator[Verdict]:
    for registry in REGISTRIES:
        rounds, fixed = results.of("again, small", registry, who.LAYOUTLIFT), _fixed(results, registry)
        if rounds is None or fixed is None:
            continue
        if rounds.requests is not None:
            per_tag = (rounds.requests - ACCESS_CHECK) / SMALL_TAGS
            yield Verdict(f"again, {registry}: requests", per_tag, 1.0, "a tag")
            pulls = rounds.median(lambda made: made.pulls or 0)
            yield Verdict(f"again, {registry}: requests that count as a pull", pulls, 0, "")
        rate = SMALL_TAGS / max(rounds.wall - fixed.wall, 1e-9)
        yield Verdict(f"again, {registry}: beyond the fixed cost", rate, 500, "tags/s", at_least=True)


def _fixed(results: Results, registry: str) -> Rounds | None:
    return results.of("tiny", registry, who.LAYOUTLIFT)


def _fixed_cost(results: Results) -> Iterator[Verdict]:
    for registry in REGISTRIES:
        if (fixed := _fixed(results, registry)) is not None:
            yield Verdict(f"fixed cost of a command, {registry}", fixed.wall, 5, "s")


def _throttled(results: Results) -> Iterator[Verdict]:
    for group, registry in results.groups():
        rounds = results.of(group, registry, who.LAYOUTLIFT)
        if group.startswith("throttled") and rounds is not None:
            seen = rounds.first.observed
            permitted = seen["rate"] * (seen["seconds"] + 1)  # the bucket was full at the start
            share = seen["passed"] / permitted
            yield Verdict(f"{group}: share of the permitted rate", share, 0.9, "", at_least=True)


def _enumeration(results: Results) -> Iterator[Verdict]:
    index, tiny = (results.of(name, "none", "layoutlift ls") for name in ("index", "tiny"))
    if index is None or tiny is None:
        return
    yield Verdict("wide: enumeration of 100,000 entries", index.wall - tiny.wall, 2, "s beyond the fixed cost")
    size = index.first.observed["index_size"]
    yield Verdict("wide: memory for 100,000 entries", (index.peak - tiny.peak) / size, 3, "times the file")


def _memory(results: Results) -> Iterator[Verdict]:
    for group, registry in results.groups():
        rounds = results.of(group, registry, who.LAYOUTLIFT)
        if rounds is not None and group in {"small", "mixed", "big"}:
            yield Verdict(f"{group}, {registry}: peak memory", rounds.peak / MB, 250, "MB")


def _slopes(results: Results) -> Iterator[Verdict]:
    """What a tag costs beyond what the command costs: from 1,000 to 20,000 tags."""
    alone = _between(results, who.STANDALONE)
    if alone is None:
        return
    small, wide = alone
    yield Verdict("the engine's CPU", 1000 * (wide.cpu - small.cpu) / MORE_TAGS, 4, "ms a tag")
    per_tag, first = (wide.wall - small.wall) / MORE_TAGS, small.wall / SMALL_TAGS
    yield Verdict("wide: never quadratic, time a tag against that of small", per_tag / first, 1.3)
    index = wide.first.observed.get("index_size", 0.0)
    yield Verdict("wide: memory beyond the index", (wide.peak - small.peak - index) / MORE_TAGS, 1024, "bytes a tag")
    if (flow := _between(results, who.LAYOUTLIFT)) is not None:
        whole = flow[1].wall - flow[0].wall
        yield Verdict("Prefect's share of a tag's time", 1 - (wide.wall - small.wall) / whole, 0.1, "")


def _between(results: Results, contender: str) -> tuple[Rounds, Rounds] | None:
    small, wide = (results.of(name, THREE, contender) for name in ("small", "wide"))
    return None if small is None or wide is None else (small, wide)
