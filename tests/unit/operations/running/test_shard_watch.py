"""A shard is waited for as long as it lives, and done again, a few times, when it does not."""

from pathlib import Path

import pytest
import yaml

from tasks.operations.running.shard_watch import (
    BEAT_SECONDS,
    BEGIN_SECONDS,
    FENCE_SECONDS,
    GONE,
    NODE_SECONDS,
    RESTART_DELAYS,
    SILENCE_SECONDS,
    ShardStep,
    ShardWatch,
)
from tasks.stores.state.lock_holder import EXPIRY_SECONDS

AUTOMATIONS = Path(__file__).parents[4] / "deployments" / "automations.yaml"


@pytest.mark.parametrize(
    ("state", "step"),
    [
        ("COMPLETED", ShardStep.GATHER),
        ("FAILED", ShardStep.GATHER),
        ("CRASHED", ShardStep.AGAIN),
        ("CANCELLED", ShardStep.AGAIN),
        ("RUNNING", ShardStep.WAIT),
        ("PENDING", ShardStep.WAIT),
        ("SCHEDULED", ShardStep.WAIT),
        ("PAUSED", ShardStep.WAIT),
        ("CANCELLING", ShardStep.WAIT),
    ],
)
def test_what_a_state_asks_for(state: str, step: ShardStep) -> None:
    assert ShardWatch().next_step(state, None, 10.0) is step


def test_one_that_shows_life_is_waited_for_and_one_that_falls_silent_is_not() -> None:
    watch, now = ShardWatch(), 0.0
    for beat in range(1000):
        now = beat * (SILENCE_SECONDS - 1)
        assert watch.next_step("RUNNING", f"beat {beat}", now) is ShardStep.WAIT
    assert watch.next_step("RUNNING", "beat 999", now + SILENCE_SECONDS) is ShardStep.WAIT
    assert watch.next_step("RUNNING", "beat 999", now + SILENCE_SECONDS + 1) is ShardStep.AGAIN


def test_one_that_is_cancelled_and_has_nobody_left_to_end_it_is_not_waited_for() -> None:
    watch = ShardWatch()
    assert watch.next_step("CANCELLING", "beat", 100.0) is ShardStep.WAIT
    assert watch.next_step("CANCELLING", "beat", 100.0 + SILENCE_SECONDS) is ShardStep.WAIT
    assert watch.next_step("CANCELLING", "beat", 101.0 + SILENCE_SECONDS) is ShardStep.AGAIN


def test_one_that_the_server_does_not_know_any_more_is_not_waited_for() -> None:
    watch = ShardWatch()
    assert watch.next_step(GONE, None, 1e6) is ShardStep.WAIT
    assert watch.next_step(GONE, None, 1e6 + SILENCE_SECONDS) is ShardStep.WAIT
    assert watch.next_step(GONE, None, 1e6 + SILENCE_SECONDS + 1) is ShardStep.AGAIN


@pytest.mark.parametrize("state", ["RUNNING", "CANCELLING"])
def test_a_process_may_take_a_while_to_begin_and_no_longer(state: str) -> None:
    watch = ShardWatch()
    assert watch.next_step(state, None, 0.0) is ShardStep.WAIT
    assert watch.next_step(state, None, BEGIN_SECONDS) is ShardStep.WAIT
    assert watch.next_step(state, None, BEGIN_SECONDS + 1) is ShardStep.AGAIN


def test_a_pod_may_wait_for_a_node_for_nearly_as_long_as_the_server_gives_it() -> None:
    """The server's automation calls it crashed then, which does not keep a pod that comes later from beginning."""
    assert NODE_SECONDS > BEGIN_SECONDS
    watch = ShardWatch()
    assert watch.next_step("PENDING", None, 0.0) is ShardStep.WAIT
    assert watch.next_step("PENDING", None, BEGIN_SECONDS + 1) is ShardStep.WAIT
    assert watch.next_step("PENDING", None, NODE_SECONDS) is ShardStep.WAIT
    assert watch.next_step("PENDING", None, NODE_SECONDS + 1) is ShardStep.AGAIN
    rules = yaml.safe_load(AUTOMATIONS.read_text())["automations"]
    (given,) = [each["trigger"]["within"] for each in rules if each["name"] == "layoutlift runs: never begun"]
    assert given - 600 <= NODE_SECONDS <= given - 60


@pytest.mark.parametrize("state", ["SCHEDULED", "PAUSED"])
def test_waiting_for_a_worker_or_paused_it_may_be_for_days(state: str) -> None:
    watch = ShardWatch()
    watch.next_step(state, "beat", 0.0)
    assert watch.next_step(state, "beat", 1e6) is ShardStep.WAIT


def test_how_long_it_waited_for_a_worker_is_not_counted_to_how_long_its_process_takes_to_begin() -> None:
    watch = ShardWatch()
    watch.next_step("SCHEDULED", None, 0.0)
    assert watch.next_step("PENDING", None, 1e6) is ShardStep.WAIT
    assert watch.next_step("PENDING", None, 1e6 + NODE_SECONDS) is ShardStep.WAIT
    assert watch.next_step("RUNNING", None, 1e6 + NODE_SECONDS + 1) is ShardStep.WAIT


def test_who_lost_its_server_ends_before_another_begins() -> None:
    assert BEAT_SECONDS * 3 < FENCE_SECONDS < SILENCE_SECONDS
    assert sum(RESTART_DELAYS) > EXPIRY_SECONDS
