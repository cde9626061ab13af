"""A peer is judged by what it moves while we wait for it."""

import contextlib

import pytest

from tasks.stores.registry.transport.watched_connections import LEAST_BYTES_A_SECOND, ProgressFloor


def outlasts(deadline: float, steps: list[tuple[float, int]]) -> bool:
    floor = ProgressFloor(deadline)
    with contextlib.suppress(TimeoutError):
        for seconds, moved in steps:
            floor.note(seconds, moved)
        return True
    return False


@pytest.mark.parametrize(
    ("seconds", "moved", "good"),
    [(1.0, 1, False), (1.0, LEAST_BYTES_A_SECOND, True), (0.001, 1, True), (59.0, 60 * LEAST_BYTES_A_SECOND, True)],
)
def test_a_peer_must_keep_up_with_the_floor(seconds: float, moved: int, good: bool) -> None:
    assert outlasts(60.0, [(seconds, moved)] * 200) is good


def test_time_that_is_ours_does_not_count() -> None:
    assert outlasts(60.0, [(0.0, 1)] * 100_000)


def test_a_good_start_does_not_excuse_a_stall() -> None:
    assert not outlasts(10.0, [(0.1, 10**9)] + [(1.0, 1)] * 30)
