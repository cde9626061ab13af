"""What is asked of a plan, given what the run directly after it did."""

from dataclasses import dataclass

from tests.support.migration_choice import Choice
from tests.support.migration_model import Model
from tests.support.migration_world import Told


@dataclass
class PlanCheck:
    """Made before a plan and a run directly after it."""

    model: Model
    choice: Choice

    def __post_init__(self) -> None:
        self.expected, self.hurt = self.model.expected(self.choice), self.model.is_hurt(self.choice)

    def compare(self, plan: Told, told: Told) -> None:
        """The run did what the plan said, as far as nothing is damaged."""
        if told.code == 3:
            assert plan.of("too_many_vanished") or (self.choice.on_conflict == "fail" and plan.code == 1)
            return
        assert not plan.of("too_many_vanished")
        if not self.hurt:
            assert plan.rows.keys() == told.rows.keys(), "a plan left out tags"
            assert plan.code == told.code or told.of("deletion_unsupported"), "a plan's exit code was another"
        for place, word in plan.rows.items():
            assert place in told.rows
            if len(self.expected.get(place, ())) == 1:
                assert told.rows[place] == ("copied" if word == "to_copy" else word)
        if told.code == 0 and not self.hurt:
            assert plan.code == 0
            for there, here in (("to_overwrite", ("tag_overwritten",)), ("to_delete", ("tag_deleted", "tag_kept"))):
                planned, done = (
                    {(path, message.split()[0]) for path, message in each}
                    for each in (plan.of(there), told.of(*here))
                )
                assert planned == done, there
