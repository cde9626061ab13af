"""Events say of a pair of source and target how its runs ended, and nothing that a part of a run can't know."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from flows.dashboard import announcing
from flows.dashboard.announcing import BEGUN, COMPLETE, CONFLICTS, INCOMPLETE
from tasks.operations.reports.results import Outcome, TagResult
from tasks.ports import Shard

CONFLICT = TagResult("app", "v1", None, None, "registry.example/app", Outcome.REFUSED, code="conflict")
PART = Shard("run", 1, ("app",))


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The events that were sent."""
    sent: list[str] = []
    monkeypatch.setattr(announcing, "emit_event", lambda event, **_: sent.append(event))
    return sent


def run(*results: TagResult, shard: Shard | None = None) -> Any:
    def found() -> Iterator[TagResult]:
        return iter(results)

    return SimpleNamespace(
        kind="migrate",
        options=SimpleNamespace(shard=shard, title="bucket → registry.example"),
        progress=SimpleNamespace(expected=2),
        tree=SimpleNamespace(complete=not results),
        totals=SimpleNamespace(problems=len(results)),
        totals_json=dict,
        results=found,
    )


def announced(of: Any) -> None:
    announcing.announce_begun(of)
    announcing.announce_ended(of)


def test_a_run_says_that_it_began_how_it_ended_and_what_conflicts_there_are(told: list[str]) -> None:
    announced(run())
    announced(run(CONFLICT))
    assert told == [BEGUN, COMPLETE, BEGUN, INCOMPLETE, CONFLICTS]


def test_a_part_of_a_run_says_nothing_in_the_name_of_the_pair(told: list[str]) -> None:
    """Its success is none of the pair's: an alert that waits for one would be put off by it."""
    announced(run(shard=PART))
    announced(run(CONFLICT, shard=PART))
    assert told == []
