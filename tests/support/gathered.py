"""Stands for what takes the reports of a run's parts over into the run."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from flows.scale.gathering import Gathering
from tasks.oci.errors import ShardLostError
from tasks.ports import Shard
from tasks.run_options import RunKind
from tasks.stop import Stop


class Gathered(Gathering):
    """Only notes what came of the parts; the next reports are `refused` for these errors."""

    def __init__(self, *refused: ShardLostError) -> None:
        options, tree = SimpleNamespace(title="a run"), SimpleNamespace(stop=Stop())
        run: Any = SimpleNamespace(kind=RunKind.VERIFY, options=options, tree=tree)
        super().__init__(run)
        self.refused = list(refused)
        self.taken: list[Sequence[str]] = []
        self.why_again: list[str] = []
        self.given_up: list[ShardLostError] = []

    def take(self, _: Shard, pages: Sequence[str]) -> None:
        if self.refused:
            raise self.refused.pop(0)
        self.taken.append(pages)

    def note_bytes(self, _: Shard, bytes_read: int) -> None:
        """Nobody watches."""

    def give_up(self, _: Shard, error: ShardLostError) -> None:
        self.given_up.append(error)

    def _note_restart(self, _: Shard, why: str) -> None:
        self.why_again.append(why)
