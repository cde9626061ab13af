"""What came of shards is told once, whoever did them."""

from types import SimpleNamespace
from typing import Any

import pytest

from flows.scale import gathering as module
from flows.scale.gathering import Gathering
from tasks.operations.reports.progress import Progress
from tasks.operations.running.shard_watch import RESTART_DELAYS
from tasks.ports import Shard
from tests.support.gathered import Gathered


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


def test_a_shard_is_done_again_a_few_times_only_however_often_others_are() -> None:
    gathered, shard = Gathered(), Shard("run", 1, ("app",))
    gathered.again(Shard("run", 2, ("lib",)), "it died")
    attempts = len(RESTART_DELAYS) + 1
    assert [gathered.again(shard, f"death {number}") for number in range(attempts)] == [*RESTART_DELAYS, None]
    assert gathered.why_again == ["it died", *(f"death {number}" for number in range(attempts - 1))]
    assert [str(error) for error in gathered.given_up] == ["4 attempts failed, the last: death 3"]
