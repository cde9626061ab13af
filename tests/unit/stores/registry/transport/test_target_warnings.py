"""What a registry warns of with each answer costs next to nothing after the first."""

import logging

import pytest

from tasks.stores.registry.transport import target_warnings
from tasks.stores.registry.transport.target_warnings import LONGEST_HEADER, MOST_SEEN, MOST_WARNINGS, TargetWarnings

MOVES = '299 - "It moves."'


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that were taken from headers so far."""
    texts: list[str] = []

    def show(text: str) -> str:
        texts.append(text)
        return text

    monkeypatch.setattr(target_warnings, "_shown", show)
    return texts


def test_a_header_that_comes_with_every_answer_is_taken_apart_once(shown: list[str]) -> None:
    warnings = TargetWarnings()
    for _ in range(3):
        warnings.tell(MOVES)
    assert shown == ["It moves."]


def test_nothing_is_taken_apart_once_enough_was_told(shown: list[str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    warnings = TargetWarnings()
    for number in range(100):
        warnings.tell(f'299 - "{number} seconds are left"')
    assert len(shown) == len(caplog.records) == MOST_WARNINGS


def test_headers_are_kept_in_bounded_memory(shown: list[str]) -> None:
    """Those of caches are not told, and may be others each time."""
    warnings = TargetWarnings()
    headers = [f'110 - "Stale since {number}."' for number in range(MOST_SEEN + 1)]
    for header in headers * 2:
        warnings.tell(header)
    assert len(warnings._seen) == MOST_SEEN
    warnings.tell(MOVES)
    assert shown[-1] == "It moves."


def test_of_a_header_without_end_the_beginning_is_looked_at(shown: list[str]) -> None:
    TargetWarnings().tell(f'{MOVES}, 110 - "{"x" * LONGEST_HEADER}", 299 - "too far"')
    assert shown == ["It moves."]
