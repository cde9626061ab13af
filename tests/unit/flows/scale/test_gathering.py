"""What came of shards is told once, whoever did them."""

from types import SimpleNamespace
from typing import Any

import pytest

from flows.scale import gathering as module
from flows.scale.gathering import Gathering
from tasks.operations.reports.progress import Progress
from tasks.ports import Shard


def test_what_a_shard_at_work_has_read_counts_once_whoever_takes_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    run: Any = SimpleNamespace(progress=Progress())
    gathering, shard, other = Gathering(run), Shard("run", 1, ("app",)), Shard("run", 2, ("lib",))
    counted = []
    for told in (0, 10, 10, 25, 0, 5):  # the first process died after 25
        gathering.note_bytes(shard, told)
        gathering.note_bytes(other, 100)
        counted.append(run.progress.bytes_read - 100)
    assert counted == [0, 10, 10, 25, 25, 30]

    def absorb(*_: object, bytes_told: int) -> int:
        counted.append(bytes_told)
        return 0

    monkeypatch.setattr(module, "absorb", absorb)
    gathering.take(shard, [])
    assert counted[-1] == 5, "so many of the bytes that its report tells of are counted already"
