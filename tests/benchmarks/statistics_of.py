"""Medians over rounds."""

from collections.abc import Callable, Sequence
from statistics import median

from tests.benchmarks.measuring import Measurement


class Results:
    """All measurements of a campaign, to be asked for medians."""

    def __init__(self, measurements: Sequence[Measurement]) -> None:
        self.measurements = measurements

    def of(self, group: str, registry: str, contender: str) -> "Rounds | None":
        """The rounds of one case; None where it was not measured."""
        found = [
            made
            for made in self.measurements
            if (made.case.group, made.case.registry, made.case.contender) == (group, registry, contender)
        ]
        return Rounds(found) if found else None

    def groups(self) -> list[tuple[str, str]]:
        """Every group with its registry, in the order of measurement."""
        return list(dict.fromkeys((made.case.group, made.case.registry) for made in self.measurements))

    def contenders(self, group: str, registry: str) -> dict[str, "Rounds"]:
        """Who was measured in a group."""
        names = dict.fromkeys(made.case.contender for made in self.measurements)
        found = {name: self.of(group, registry, name) for name in names}
        return {name: rounds for name, rounds in found.items() if rounds is not None}


class Rounds:
    """The measurements of one case."""

    def __init__(self, measurements: Sequence[Measurement]) -> None:
        self.measurements = measurements
        self.first = measurements[0]

    def median(self, what: Callable[[Measurement], float]) -> float:
        """The median over the rounds."""
        return median(what(made) for made in self.measurements)

    @property
    def wall(self) -> float:
        """Median seconds."""
        return self.median(lambda made: made.wall)

    @property
    def cpu(self) -> float:
        """Median seconds of the client's processor time."""
        return self.median(lambda made: made.cpu)

    @property
    def registry_cpu(self) -> float:
        """Median seconds of the registry's processor time."""
        return self.median(lambda made: made.registry_cpu)

    @property
    def peak(self) -> float:
        """Median bytes."""
        return self.median(lambda made: made.peak)

    @property
    def requests(self) -> float | None:
        """Median number of requests, where the registry tells."""
        counted = [made.requests for made in self.measurements if made.requests is not None]
        return median(counted) if counted else None

    @property
    def complete(self) -> bool:
        """Whether every tag arrived with all its blobs, in every round."""
        return all(made.verified == made.tags for made in self.measurements)
