"""Migrations among writers on both sides, killed between any two steps: each does what the documentation says."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from tests.support.migration_choice import Choice
from tests.support.migration_machine import Migrations
from tests.support.migration_strategies import choices, seldom
from tests.support.migration_world import harm


class MigrationsAmongDamage(Migrations):
    """Besides, blobs go or rot on either side, the ledger is lost, and the source shows nothing."""

    @precondition(lambda self: self.world.layouts)
    @rule(data=st.data(), how=st.sampled_from(["gone", "altered", "cut"]))
    def damage(self, data: st.DataObject, how: str) -> None:
        blobs = self.world.layouts[data.draw(st.sampled_from(sorted(self.world.layouts)))].blobs
        if blobs:
            harm(blobs, data.draw(st.sampled_from(sorted(blobs))), how)

    @rule()
    def restore(self) -> None:
        """All blobs of the source are whole again."""
        for layout in self.world.layouts.values():
            named = self.model.everything(each["digest"] for each in layout.entries)
            layout.blobs |= {digest: self.model.content[digest] for digest in named}

    @precondition(lambda self: self.at_target())
    @rule(data=st.data(), how=st.sampled_from(["gone", "altered"]))
    def others_harm(self, data: st.DataObject, how: str) -> None:
        """A blob or manifest of the target is gone, or a blob rotten."""
        repository, _ = data.draw(st.sampled_from(self.at_target()))
        stored = self.world.registry.stored(repository)
        if some := sorted([*stored.blobs, *(stored.manifests if how == "gone" else ())]):
            self.model.others_harm(repository, data.draw(st.sampled_from(some)), how)

    @rule(choice=choices)
    def migrate_from_nothing(self, choice: Choice) -> None:
        """A mount that is gone looks so."""
        self.world.is_hidden = True
        try:
            self.run(choice)
        finally:
            self.world.is_hidden = False

    @rule(yes=seldom)
    def lose_ledger(self, yes: bool) -> None:
        if yes:
            self.world.lines = []
            self.model.forget()


TRIALS = settings(
    max_examples=20,
    stateful_step_count=25,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
MACHINES = [Migrations, MigrationsAmongDamage]


@pytest.mark.parametrize("machine", MACHINES)
def test_whatever_writers_on_both_sides_do_runs_keep_what_is_promised(machine: type[RuleBasedStateMachine]) -> None:
    run_state_machine_as_test(machine, settings=TRIALS)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("machine", MACHINES)
def test_however_long_they_do_it(machine: type[RuleBasedStateMachine]) -> None:
    run_state_machine_as_test(
        machine, settings=settings(TRIALS, max_examples=1500, stateful_step_count=50, derandomize=False)
    )
