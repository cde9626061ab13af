"""Stands for what takes the reports of a run's parts over into the run."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from tasks.oci.errors import ShardLostError
from tasks.ports import Shard
from tasks.run_options import RunKind
from tasks.stop import Stop


@dataclass
class Gathered:
    """What came of the parts, in the place of a `Gathering`."""

    run: Any = field(
        default_factory=lambda: SimpleNamespace(
            kind=RunKind.VERIFY, options=SimpleNamespace(title="a run"), tree=SimpleNamespace(stop=Stop())
        )
    )
    taken: list[Sequence[str]] = field(default_factory=list)
    restarts: list[str] = field(default_factory=list)
    given_up: list[ShardLostError] = field(default_factory=list)
    refused: list[ShardLostError] = field(default_factory=list)
    """What the next reports are refused for."""

    def take(self, _: Shard, pages: Sequence[str]) -> None:
        if self.refused:
            raise self.refused.pop(0)
        self.taken.append(pages)

    def note_bytes(self, _: Shard, bytes_read: int) -> None:
        """Nobody watches."""

    def note_restart(self, _: Shard, why: str) -> None:
        self.restarts.append(why)

    def give_up(self, _: Shard, error: ShardLostError) -> None:
        self.given_up.append(error)
