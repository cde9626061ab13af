"""A run that was taken up and never began, or fell silent, is called crashed by the server; one that waits is not."""

from collections.abc import Iterator

import pytest

from infra.real_parts import wait_until
from tests.support.deployed_runs import impatient
from tests.support.lone_runs import give_a_sign_of_life, lone_run, put_into, state_of
from tests.support.prefect_history import PrefectHistory

pytestmark = pytest.mark.operations  # Prefect looks for what did not happen once in five seconds
WITHIN = 10
"""The shortest that Prefect takes."""


@pytest.fixture
def api(prefect_environment: dict[str, str]) -> Iterator[str]:
    api = f"{PrefectHistory.of(prefect_environment).url}/api"
    with impatient(api, "layoutlift runs: never begun", WITHIN):
        yield api


def wait_for_the_crash_of(api: str, run: str, why: str = "has not begun") -> None:
    wait_until(lambda: state_of(api, run)[0] == "Crashed", what=f"{run} is Crashed", deadline_seconds=60)
    assert why in state_of(api, run)[1]


@pytest.mark.parametrize("names", [(), ("Submitting", "InfrastructurePending")], ids=["at once", "on its way"])
def test_a_run_whose_worker_dies_before_it_begins_is_crashed_and_one_that_begins_is_not(
    api: str, names: tuple[str, ...]
) -> None:
    begun, lost = lone_run(api, "PENDING"), lone_run(api, "PENDING")
    for name in names:
        put_into(api, begun, "PENDING", name)
        put_into(api, lost, "PENDING", name)
    put_into(api, begun, "RUNNING")
    wait_for_the_crash_of(api, lost)
    assert state_of(api, begun)[0] == "Running"


def test_a_cleanup_that_waited_for_a_yes_and_is_lost_when_it_is_taken_up_again_is_crashed(api: str) -> None:
    """Within the time of the first beginning: what had been heard of that must not count for the second."""
    run = lone_run(api, "PENDING")
    put_into(api, run, "RUNNING")
    put_into(api, run, "PAUSED", "Suspended")
    put_into(api, run, "SCHEDULED", "Resuming")
    put_into(api, run, "PENDING")
    wait_for_the_crash_of(api, run)


def test_a_run_that_ended_in_order_and_waits_to_be_begun_again_is_not_called_crashed_for_its_silence(
    prefect_environment: dict[str, str],
) -> None:
    """As when a node is drained: no worker takes up a crashed run, so it would never go on."""
    api = f"{PrefectHistory.of(prefect_environment).url}/api"
    with impatient(api, "layoutlift runs: lost", WITHIN):
        waiting, lost = lone_run(api, "RUNNING"), lone_run(api, "RUNNING")
        give_a_sign_of_life(api, waiting)
        put_into(api, waiting, "SCHEDULED", "AwaitingRetry")
        give_a_sign_of_life(api, lost)
        wait_for_the_crash_of(api, lost, "No sign of life")
        assert state_of(api, waiting)[0] == "AwaitingRetry"
