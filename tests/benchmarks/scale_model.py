"""A model of sharded migrations: no copies, only what each tag costs and how much of that there is in a second.

Workers take shards, made by the engine's own `plan_shards`, one after the other, and do the repositories of a
shard one after the other. Between two events (a worker ends a repository) every worker moves tags at the rate that
its own limits allow; where all of them together want more of a shared part than it has, all are slowed alike.
"""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from tasks.operations.running.shards import plan_shards

GB = 1e9


@dataclass(frozen=True)
class Costs:
    """What one tag costs, in requests and seconds of a core; `a_byte` are seconds of a core for a byte."""

    registry_requests: float
    source_gets: float
    engine_cpu: float
    registry_cpu: float
    engine_cpu_a_byte: float = 1 / (0.5 * GB)
    registry_cpu_a_byte: float = 1 / (0.6 * GB)


@dataclass(frozen=True)
class Place:
    """What there is of each: seconds, requests a second, bytes a second, cores."""

    round_trip: float = 0.002
    connections: int = 8
    stream_rate: float = 0.09 * GB
    worker_network: float = 1.25 * GB
    registry_cores: float = 16
    registry_requests: float = 5_000
    registry_network: float = 3.1 * GB
    source_gets: float = 5_500
    list_seconds: float = 0.1
    start_seconds: float = 8.0
    absorb_seconds: float = 60e-6


@dataclass(frozen=True)
class Repository:
    """How many tags, and how many bytes each of them brings that the target has not."""

    tags: int
    bytes_a_tag: float


@dataclass
class Outcome:
    """How long it took, all in seconds; `limits` has how long each part was what slowed the workers."""

    wall: float = 0.0
    listing: float = 0.0
    copying: float = 0.0
    gathering: float = 0.0
    tail: float = 0.0
    limits: Counter[str] = field(default_factory=Counter)

    @property
    def first_limit(self) -> str:
        """What slowed the workers for most of the time."""
        return self.limits.most_common(1)[0][0]


def source_of(repositories: int, tags: int, size: float, seed: int = 1) -> list[Repository]:
    """A source as they are: few repositories have most of the tags, and images differ in size."""
    chance = random.Random(seed)
    weights = [chance.lognormvariate(0, 1.6) for _ in range(repositories)]
    scale = tags / sum(weights)
    numbers = [max(1, round(weight * scale)) for weight in weights]
    sizes = [chance.lognormvariate(0, 1.0) for _ in range(repositories)]
    factor = size / sum(number * each for number, each in zip(numbers, sizes, strict=True))
    return [Repository(number, each * factor) for number, each in zip(numbers, sizes, strict=True)]


def simulate(
    source: Sequence[Repository],
    costs: Costs,
    place: Place,
    workers: int,
    *,
    objects: float,
    shards: int | None = None,
) -> Outcome:
    """Migrate `source`, in which there are so many objects to list, with so many workers."""
    tags = sum(each.tags for each in source)
    outcome = Outcome(listing=objects / 1_000 * place.list_seconds, gathering=tags * place.absorb_seconds)
    names = {f"{number:06}": each for number, each in enumerate(source)}
    plan = plan_shards({name: each.tags for name, each in names.items()}, shards or min(200, 4 * workers))
    queue = [[names[name] for name in shard] for shard in plan]
    _copy(queue, costs, place, workers, outcome)
    outcome.wall = outcome.listing + outcome.copying + outcome.gathering
    return outcome


@dataclass
class _Worker:
    shard: list[Repository]
    left: float = 0.0  # of the repository in work, in tags
    starting: float = 0.0  # seconds until the shard's process is at work


def _copy(queue: list[list[Repository]], costs: Costs, place: Place, workers: int, outcome: Outcome) -> None:
    waiting = queue[::-1]
    busy: list[_Worker] = []
    while waiting or busy:
        while waiting and len(busy) < workers:
            shard = waiting.pop()
            busy.append(_Worker(shard, shard[0].tags, place.start_seconds))
        rates, limit = _rates(busy, costs, place)
        step = min(_until_next(worker, rate) for worker, rate in zip(busy, rates, strict=True))
        outcome.copying += step
        outcome.limits[limit if len(busy) == workers or waiting else "the last repositories"] += step
        outcome.tail += step if len(busy) < workers else 0.0
        for worker, rate in zip(busy, rates, strict=True):
            _advance(worker, rate, step)
        busy = [worker for worker in busy if worker.shard]


def _until_next(worker: _Worker, rate: float) -> float:
    return worker.starting if worker.starting > 0 else worker.left / rate


def _advance(worker: _Worker, rate: float, step: float) -> None:
    if worker.starting > 0:
        worker.starting = max(0.0, worker.starting - step)
        return
    worker.left -= rate * step
    if worker.left <= 1e-6 * max(1, worker.shard[0].tags):
        worker.shard = worker.shard[1:]
        worker.left = worker.shard[0].tags if worker.shard else 0.0


def _rates(busy: Sequence[_Worker], costs: Costs, place: Place) -> tuple[list[float], str]:
    """Tags a second of each worker, and what slows them."""
    own: list[tuple[float, str]] = [
        min(_limits_of_one(worker.shard[0], costs, place)) if worker.starting <= 0 else (0.0, "starting")
        for worker in busy
    ]
    demand: Counter[str] = Counter()
    for worker, (rate, _) in zip(busy, own, strict=True):
        for part, amount in _shared_use(worker.shard[0], costs).items():
            demand[part] += rate * amount
    offered = {
        "registry requests": place.registry_requests,
        "registry CPU": place.registry_cores,
        "registry network": place.registry_network,
        "source requests": place.source_gets,
    }
    share, limit = min((offered[part] / wanted if wanted else 1.0, part) for part, wanted in demand.items())
    if share >= 1:
        return [rate for rate, _ in own], Counter(name for _, name in own).most_common(1)[0][0]
    return [rate * share for rate, _ in own], limit


def _limits_of_one(repository: Repository, costs: Costs, place: Place) -> list[tuple[float, str]]:
    size = repository.bytes_a_tag
    waiting = costs.registry_requests * place.round_trip + size / place.stream_rate
    return [
        (1 / (costs.engine_cpu + size * costs.engine_cpu_a_byte), "worker CPU"),
        (place.connections / waiting, "worker connections"),
        (place.worker_network / max(size, 1.0), "worker network"),
    ]


def _shared_use(repository: Repository, costs: Costs) -> dict[str, float]:
    size = repository.bytes_a_tag
    return {
        "registry requests": costs.registry_requests,
        "registry CPU": costs.registry_cpu + size * costs.registry_cpu_a_byte,
        "registry network": size,
        "source requests": costs.source_gets,
    }
