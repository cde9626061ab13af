"""The model of migrations would see what it is for: it is tried on engines that were broken on purpose."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tasks import run_works
from tasks.ledger.ledger import Ledger
from tasks.operations.copying import copy_work, tag_planner
from tasks.operations.copying.copy_graph import RepositoryCopy
from tasks.operations.copying.plan_work import PlanWork
from tasks.operations.in_step.lost_tags import Lost, LostTags
from tasks.operations.in_step.vanished import VanishedRemoval
from tasks.operations.reports.results import RepositoryInventory, TagResult
from tasks.operations.work.planning import OnConflict
from tests.faults.test_migration_model import TRIALS
from tests.support import migration_machine
from tests.support.cleanup_world import image
from tests.support.migration_choice import Choice
from tests.support.migration_machine import Migrations
from tests.support.migration_world import entry_of

HUNT = settings(TRIALS, max_examples=3000, phases=[Phase.generate], report_multiple_bugs=False)
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


def deletes_what_the_source_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LostTags, "among", lambda *_: Lost())


def spares_what_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    def has_note(inventory: RepositoryInventory, _: str, ledger: Ledger, *__: object) -> bool:
        noted = ledger.layout(inventory.path)
        return noted is not None and noted.etag != ""

    monkeypatch.setattr(run_works, "is_unchanged", has_note)


def spares_whatever_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_works, "settings_mark", lambda *_: "all the same")


def plans_without_conflicts(monkeypatch: pytest.MonkeyPatch) -> None:
    execute = PlanWork._execute

    def without(work: PlanWork, unit: Any) -> list[TagResult]:
        return [each for each in execute(work, unit) if each.code != "conflict"]

    monkeypatch.setattr(PlanWork, "_execute", without)


@pytest.mark.parametrize(
    ("broken", "seen"),
    [
        (overwrites_whatever_is_there, "others' tag|another word|a plan"),
        (deletes_what_others_moved, "not vanished|not what|Write"),
        (deletes_what_the_source_lost, "not vanished"),
        (spares_what_changed, "last done otherwise|another word"),
        (spares_whatever_is_asked_for, "last done otherwise|another word"),
        (plans_without_conflicts, "a plan left out tags|a plan's exit code"),
    ],
)
def test_an_engine_that_breaks_a_promise_would_be_seen(
    broken: Callable[[pytest.MonkeyPatch], None], seen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch)
    with pytest.raises(AssertionError, match=seen):
        run_state_machine_as_test(Migrations, settings=HUNT)


def test_an_engine_that_sends_what_is_not_asked_for_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chance would have it after a thousand examples."""

    def copy(*given: Any, **named: Any) -> RepositoryCopy:
        return RepositoryCopy(*given, **{**named, "referrers": True})

    monkeypatch.setattr(copy_work, "RepositoryCopy", copy)
    monkeypatch.setattr(migration_machine, "note", print)  # which hypothesis takes within its own trials only
    trial = Migrations()
    trial.begin(lax=False, referrers_api=True, deletes_tags=True, no_deletes=False)
    subject = trial.model.content[trial.world.layouts["app"].tags["v1"]]
    trial.push("app", image([4], subject=entry_of(subject)), None)
    with pytest.raises(AssertionError, match="nothing chosen needs it"):
        trial.run(Choice(referrers=False))
    trial.teardown()
