"""How a run may go: to its end or its death, with a request that has no answer, with others at work besides."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tasks.oci.errors import RegistryUnavailableError
from tests.support.cleanup_world import Json
from tests.support.engine import MemoryLines


class KilledError(BaseException):
    """The run's process ends here."""


@dataclass(frozen=True)
class Death:
    """After so many steps or manifests written; of the lines that wait then, this share reaches the ledger."""

    steps: int = -1
    writes: int = -1
    kept: float = 0.0


@dataclass(frozen=True)
class Stumble:
    """The registry does not answer the request of this number; what it pushes may arrive all the same."""

    requests: int
    arrives: bool


@dataclass
class Life:
    """A run's, until its death if there is one."""

    death: Death = Death()
    is_over: bool = False
    taken: int = 0
    written: int = 0
    stumble: Stumble | None = None
    asked: int = 0

    def ask(self) -> None:
        """A request to the registry, which may have no answer."""
        self.step()
        self.asked += 1
        if self.stumble is not None and self.asked == self.stumble.requests:
            raise RegistryUnavailableError("busy", status=503)

    def step(self) -> None:
        """Every question, every write and every line of the ledger is one."""
        self.is_over = self.is_over or self.death.steps == self.taken or self.death.writes == self.written
        if self.is_over:
            raise KilledError
        self.taken += 1


@dataclass
class Meanwhile:
    """What others do before the run reads so many blobs; it believes nothing that it asked before."""

    reads: int
    act: Callable[[], None]

    def note_read(self) -> None:
        self.reads -= 1
        if self.reads == 0:
            self.act()


class Lines(MemoryLines):
    """A ledger's lines: those that waited when their run died are kept as far as `kept` says."""

    def __init__(self, lines: list[Json], life: Life) -> None:
        super().__init__()
        self.lines = lines
        self._life = life
        self.waiting: list[Json] = []

    def append(self, line: Mapping[str, object], *, before_it_is_so: bool = False) -> None:
        self._life.step()
        self.waiting.append(json.loads(json.dumps(line)))
        if before_it_is_so:
            self.flush()

    def flush(self) -> None:
        if not self._life.is_over:
            self.lines += self.waiting
            self.waiting.clear()

    def close(self) -> None:
        self.flush()
