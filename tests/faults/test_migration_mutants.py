"""The model of migrations would see what it is for: it is tried on engines that were broken on purpose."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tasks import run_works
from tasks.ledger.ledger import Ledger
from tasks.operations.copying import tag_planner
from tasks.operations.in_step.vanished import VanishedRemoval
from tasks.operations.reports.results import RepositoryInventory
from tasks.operations.work.planning import OnConflict
from tests.faults.test_migration_model import TRIALS
from tests.support.migration_machine import Migrations

HUNT = settings(TRIALS, max_examples=3000, derandomize=True, phases=[Phase.generate], report_multiple_bugs=False)
"""For engines known to be broken: the first failure will do, after some ten examples, now and then after 150."""


def overwrites_whatever_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = tag_planner.plan_tag
    monkeypatch.setattr(
        tag_planner,
        "plan_tag",
        lambda entry, present, ours, policy: plan(
            entry, present, ours, replace(policy, on_conflict=OnConflict.OVERWRITE)
        ),
    )


def deletes_what_others_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VanishedRemoval, "_is_theirs", lambda *_: False)


def spares_what_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    def has_note(inventory: RepositoryInventory, _: str, ledger: Ledger, *__: object) -> bool:
        noted = ledger.layout(inventory.path)
        return noted is not None and noted.etag != ""

    monkeypatch.setattr(run_works, "is_unchanged", has_note)


@pytest.mark.parametrize("broken", [overwrites_whatever_is_there, deletes_what_others_moved, spares_what_changed])
def test_an_engine_that_breaks_a_promise_would_be_seen(
    broken: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Migrations, settings=HUNT)
