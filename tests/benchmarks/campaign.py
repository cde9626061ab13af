"""Which cases are measured, in which order; what is finished is kept, so that a campaign can be resumed."""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks import contenders as who
from tests.benchmarks.measuring import Bench, Case, Measurement
from tests.benchmarks.targets import LINKS, REGISTRIES
from tests.benchmarks.workloads import WORKLOADS, read_once, ready

MOST_MINUTES = 85
FAR_CONNECTIONS = 32
OURS = (who.LAYOUTLIFT, who.STANDALONE)
MAIN = (*OURS, who.REGSYNC, who.ORAS)
ALL_BUT_CRANE = (*MAIN, who.ORAS_UNBOUNDED, who.REGCTL, who.SKOPEO)
THREE = "distribution 3"


@dataclass(frozen=True, kw_only=True)
class Group:
    """Cases that compete: everybody copies the same to the same, one after another, `rounds` times.

    `once` are contenders that are slow and of whom nothing is asked but how far behind they are.
    """

    workload: str
    registry: str
    contenders: tuple[str, ...]
    rounds: int = 3
    once: tuple[str, ...] = ()
    link: str = ""
    jobs: int = 8
    again: bool = False

    def cases(self, round_number: int) -> list[Case]:
        """The cases of a round, each round beginning with another contender."""
        if round_number > self.rounds:
            return []
        names = [name for name in self.contenders if round_number == 1 or name not in self.once]
        turn = (round_number - 1) % len(names)
        return [
            Case(
                workload=self.workload,
                registry=self.registry,
                contender=name,
                link=self.link,
                jobs=self.jobs,
                again=self.again,
            )
            for name in names[turn:] + names[:turn]
        ]


def full_plan() -> list[Group]:
    """Everything that the goals are about."""
    slow = (who.ORAS_UNBOUNDED, who.REGCTL, who.SKOPEO)
    everywhere = [
        group
        for registry in REGISTRIES
        for group in (
            Group(workload="tiny", registry=registry, contenders=OURS),
            Group(workload="small", registry=registry, contenders=(*ALL_BUT_CRANE, who.BARE), once=slow),
            Group(workload="mixed", registry=registry, contenders=(*ALL_BUT_CRANE, who.BARE)),
            Group(workload="big", registry=registry, contenders=(*ALL_BUT_CRANE, who.CRANE, who.CURL)),
            Group(workload="small", registry=registry, contenders=OURS, again=True),
        )
    ]
    far = [
        Group(
            workload=name,
            registry=THREE,
            contenders=(*MAIN, who.ORAS_FAR),
            once=(who.ORAS,),
            link="far",
            jobs=FAR_CONNECTIONS,
            rounds=2,
        )
        for name in ("tiny", "small", "mixed")
    ]
    throttled = [
        Group(workload="few", registry=THREE, contenders=OURS, link=link, rounds=1)
        for link in LINKS
        if link.startswith("throttled")
    ]
    wide = [
        Group(workload="wide", registry=THREE, contenders=OURS, rounds=2),
        Group(workload="wide", registry=THREE, contenders=(who.STANDALONE,), rounds=1, again=True),
    ]
    return [*everywhere, *far, *throttled, *wide]


def quick_plan() -> list[Group]:
    """What a developer can wait for."""
    return [
        Group(workload=name, registry=THREE, contenders=OURS if name == "tiny" else (*MAIN, who.BARE), rounds=1)
        for name in ("tiny", "small", "mixed")
    ]


class Kept:
    """Finished measurements, a file each, in a folder that is named after everything that could change them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)

    def find(self, case: Case, round_number: int) -> Measurement | None:
        """A measurement made earlier."""
        path = self._path(case, round_number)
        return Measurement.from_json(json.loads(path.read_text())) if path.exists() else None

    def keep(self, measurement: Measurement) -> None:
        """Keep one, whole or not at all."""
        path = self._path(measurement.case, measurement.round)
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(measurement.to_json()))
        fresh.replace(path)

    def forget(self) -> None:
        """Remove all of them."""
        for path in self.folder.glob("*.json"):
            path.unlink()

    def _path(self, case: Case, round_number: int) -> Path:
        name = hashlib.sha256(f"{case!r} {round_number}".encode()).hexdigest()[:16]
        return self.folder / f"{name}.json"


def run(
    plan: Sequence[Group], bench: Bench, kept: Kept, *, listings: Sequence[str], minutes: float = MOST_MINUTES
) -> Iterator[Measurement]:
    """Measure the plan: the first round of everything, then the second, and so on; what is kept takes no time.

    After so many `minutes` nothing more is begun.
    """
    give_up_at = time.monotonic() + 60 * minutes
    warm_up(plan, bench)
    yield from (bench.listing(name) for name in listings)
    took: dict[Case, float] = {}
    for round_number in range(1, 1 + max(group.rounds for group in plan)):
        for case in (case for group in plan for case in group.cases(round_number)):
            is_kept = kept.find(case, round_number) is not None
            if not is_kept and time.monotonic() + took.get(case, 0.0) > give_up_at:
                print(f"bench: no time left for round {round_number} of {case}")
                continue
            began = time.monotonic()
            yield _measure(case, round_number, bench, kept)
            took[case] = max(took.get(case, 0.0), time.monotonic() - began)


def warm_up(plan: Sequence[Group], bench: Bench) -> None:
    """Read every tree once, and have everybody copy a tiny one, uncounted."""
    for name in {group.workload for group in plan}:
        read_once(ready(WORKLOADS[name]))
    for name in {name for group in plan for name in group.contenders}:
        bench.measure(Case(workload="tiny", registry=THREE, contender=name), 0)


def _measure(case: Case, round_number: int, bench: Bench, kept: Kept) -> Measurement:
    found = kept.find(case, round_number)
    if found is not None:
        return found
    made = bench.measure(case, round_number)
    kept.keep(made)
    print(
        f"bench: round {round_number} | {case} | {made.wall:.1f} s, client {made.cpu:.1f} s CPU, "
        f"registry {made.registry_cpu:.1f} s, {made.verified}/{made.tags} tags",
        flush=True,
    )
    return made
