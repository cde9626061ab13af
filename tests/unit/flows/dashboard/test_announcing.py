"""Events say of a pair of source and target how its runs ended, and nothing that a part of a run can't know."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from prefect.events.schemas.automations import EventTrigger
from prefect.server.events.schemas.automations import EventTrigger as ServersTrigger
from prefect.server.events.schemas.events import ReceivedEvent

from flows.dashboard import alert_automations, announcing
from flows.dashboard.announcing import BEGUN, COMPLETE, CONFLICTS, INCOMPLETE
from flows.files.alerts_file import NoSuccess
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


def run(*results: TagResult, shard: Shard | None = None, since_last: bool = False) -> Any:
    def found() -> Iterator[TagResult]:
        return iter(results)

    return SimpleNamespace(
        kind="migrate",
        options=SimpleNamespace(shard=shard, since_last=since_last, title="bucket → registry.example"),
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


def test_a_success_since_the_last_run_is_none_of_the_run_that_looks_at_the_target_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both are scheduled for one pair: one that succeeds each few minutes would put off the wait for the other."""
    sent: list[ReceivedEvent] = []

    def send(event: str, **said: Any) -> None:
        sent.append(ReceivedEvent(event=event, occurred=datetime.now(UTC), id=uuid4(), **said))

    monkeypatch.setattr(announcing, "emit_event", send)
    for since_last in (False, True):
        announced(run(CONFLICT, since_last=since_last))
    full, since = sent[:3], sent[3:]
    waits = of_the_server(alert_automations._no_success(NoSuccess(within="26h", channels=["team"])))
    assert waits.within == timedelta(hours=26)
    assert all(waits.covers(event) for event in (full[0], since[0]))
    (key_of_full,), (key_of_since,) = ({waits.bucketing_key(event) for event in events} for events in (full, since))
    assert key_of_full != key_of_since
    told = of_the_server(alert_automations._conflict())
    assert [told.covers(event) for event in sent] == [False, False, True] * 2
    assert [event.resource.name for event in (full[0], since[0])] == [
        "bucket → registry.example",
        "bucket → registry.example (--since-last)",
    ]


def of_the_server(trigger: EventTrigger) -> ServersTrigger:
    """The trigger as the server reads it, which is who decides what it covers."""
    return ServersTrigger.model_validate(trigger.model_dump(mode="json") | {"within": trigger.within})
