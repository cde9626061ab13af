"""What an alerts file may say of time, and which automations are replaced; people are told in tests/flows."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from flows import alert_automations
from flows.alerts import period

A_PAGE = 2


@pytest.mark.parametrize("text", ["3651d", "9999999999d", "9" * 400 + "s"])
def test_a_period_that_no_clock_can_hold_is_a_mistake_and_no_traceback(text: str) -> None:
    with pytest.raises(ValueError, match="3650 days at most"):
        period(text)
    assert period("3650d").days == 3650


def test_alerts_beyond_the_first_page_of_automations_are_removed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    named = [f"another's {number}" for number in range(5)] + ["layoutlift: no success"]
    deleted: list[str] = []

    def read_automations(offset: int = 0) -> list[SimpleNamespace]:
        return [SimpleNamespace(id=name, name=name) for name in named[offset : offset + A_PAGE]]

    @contextmanager
    def get_client(**_: object) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(read_automations=read_automations, delete_automation=deleted.append)

    monkeypatch.setattr(alert_automations, "get_client", get_client)
    assert alert_automations.remove() == deleted == ["layoutlift: no success"]
