"""What writers, others and runs may do in trials of migrations, and what is asked after each."""

import json
import logging
import shutil
import tempfile
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tasks.run_options import RunKind, RunOptions
from tests.support.cleanup_world import Artifact, image
from tests.support.migration_checks import Check
from tests.support.migration_choice import Choice
from tests.support.migration_learning import learn
from tests.support.migration_lives import Death, Life, Lines, Meanwhile, Stumble
from tests.support.migration_model import Model, Place
from tests.support.migration_plans import PlanCheck
from tests.support.migration_registry import Registry, digest_of
from tests.support.migration_strategies import (
    artifacts,
    choices,
    deaths,
    paths,
    pushes,
    seldom,
    shares,
    some,
    stumbles,
    tags,
    usual,
)
from tests.support.migration_verified import check_verified
from tests.support.migration_world import Told, World, entry_of

HOW_TAGS_LEAVE = ["brought", "found", "theirs", "lost"]


class Migrations(RuleBasedStateMachine):
    """Writers at the source, others at the target, and runs of every kind."""

    def __init__(self) -> None:
        super().__init__()
        logging.disable()  # thousands of tags with a problem are meant to have one
        self.folder = Path(tempfile.mkdtemp())
        (self.folder / "source").mkdir()

    def teardown(self) -> None:
        logging.disable(logging.NOTSET)
        shutil.rmtree(self.folder)

    @initialize(lax=st.booleans(), referrers_api=st.booleans(), deletes_tags=st.booleans(), no_deletes=seldom)
    def begin(self, no_deletes: bool, **kinds: bool) -> None:
        self.world = World(self.folder, Registry(deletes=not no_deletes, **kinds))
        self.model = Model(self.world)
        self.push("app", image([1]), "v1")

    # the source

    @rule(path=paths, artifact=artifacts, tag=tags)
    def push(self, path: str, artifact: Artifact, tag: str) -> None:
        self.model.content |= {digest_of(raw): raw for raw in artifact.blobs}
        self.world.push(path, artifact, tag)

    @precondition(lambda self: self.manifests())
    @rule(
        data=st.data(), layers=st.lists(st.integers(4, 6), max_size=1), tag=st.sampled_from([None, None, None, "v3"])
    )
    def attach(self, data: st.DataObject, layers: list[int], tag: str | None) -> None:
        """A referrer of anything in a layout."""
        path, digest = data.draw(st.sampled_from(self.manifests()))
        self.push(path, image(layers, subject=entry_of(self.model.content[digest])), tag)

    @precondition(lambda self: self.tagged())
    @rule(data=st.data(), to=tags)
    def retag(self, data: st.DataObject, to: str) -> None:
        path, tag = data.draw(st.sampled_from(self.tagged()))
        entry = entry_of(self.model.content[self.world.layouts[path].tags[tag]])
        self.world.push(path, Artifact((), json.dumps(entry)), to)

    @precondition(lambda self: self.tagged())
    @rule(data=st.data(), leave=st.booleans())
    def delete_tag(self, data: st.DataObject, leave: bool) -> None:
        path, tag = data.draw(st.sampled_from(self.tagged()))
        layout = self.world.layouts[path]
        (layout.untag if leave else layout.delete)(tag)

    @precondition(lambda self: self.world.layouts)
    @rule(data=st.data(), leave=seldom)
    def delete_layout(self, data: st.DataObject, leave: bool) -> None:
        self.world.delete_layout(data.draw(st.sampled_from(sorted(self.world.layouts))), leave=leave)

    # others at the target

    @rule(data=st.data(), artifact=artifacts, tag=tags)
    def others_push(self, data: st.DataObject, artifact: Artifact, tag: str) -> None:
        """Mostly to a tag that is there."""
        self.others_put(*data.draw(st.sampled_from([*self.at_target(), ("app", tag), ("app", "old-v1")])), artifact)

    @precondition(lambda self: self.tagged())
    @rule(data=st.data(), tag=st.one_of(st.none(), tags))
    def others_push_the_same(self, data: st.DataObject, tag: str | None) -> None:
        """What the source has, under its tag or another."""
        path, own = data.draw(st.sampled_from(self.tagged()))
        self.model.others_put(path.lower(), tag or own, self.world.layouts[path].tags[own])

    @precondition(lambda self: self.at_target())
    @rule(data=st.data())
    def others_delete(self, data: st.DataObject) -> None:
        repository, tag = data.draw(st.sampled_from(self.at_target()))
        del self.world.registry.stored(repository).tags[tag]
        self.model.moved_by_others.add((repository, tag))

    # runs

    @rule(choice=some)
    def migrate(self, choice: Choice) -> None:
        self.run(choice)

    @rule(choice=usual)
    def migrate_twice(self, choice: Choice) -> None:
        if self.run(choice).code == 0:
            told = self.run(choice)
            assert (told.code, told.writes, told.blobs_sent) == (0, [], 0)
            assert set(told.rows.values()) <= {"up_to_date", "conflict_skipped"}

    @rule(choice=some, busy=pushes)
    def migrate_beside_others(self, choice: Choice, busy: tuple[int, int, Artifact]) -> None:
        self.run(choice, busy=busy)

    @rule(choice=some, stumble=stumbles)
    def stumble(self, choice: Choice, stumble: Stumble) -> None:
        """A request that fails once is made again, and the end is the same."""
        wanted = self.trial(choice)
        self.run(choice, stumble=stumble)
        self.run(choice)
        assert self.world.registry.tags == wanted.tags

    @rule(choice=some, death=deaths)
    def die(self, choice: Choice, death: Death) -> None:
        self.run(choice, death)

    @rule(choice=some, death=deaths)
    def die_and_run_again(self, choice: Choice, death: Death) -> None:
        """The end is the same as without the death."""
        wanted = self.trial(choice).tags
        if self.run(choice, death).code is None:
            self.run(choice)
            assert self.world.registry.tags == wanted

    @rule(artifact=artifacts, choice=usual, left=st.integers(1, 12), kept=shares)
    def die_over_what_is_taken_back(self, artifact: Artifact, choice: Choice, left: int, kept: float) -> None:
        """A push, a run that dies over it near its end, and then the source is as it was."""
        self.run(choice)
        before = deepcopy(self.world.layouts)
        self.push("app", artifact, "v1")
        self.run(choice, Death(steps=max(0, self.trial(choice).steps - left), kept=kept))
        self.world.layouts = before
        self.run(choice)

    @precondition(lambda self: self.tagged())
    @rule(data=st.data(), choice=usual, how=st.sampled_from(HOW_TAGS_LEAVE), trouble=st.booleans())
    def vanish(self, data: st.DataObject, choice: Choice, how: str, trouble: bool) -> None:
        """A tag leaves the source that was brought, or only found, or that others have moved by then.

        Or two writers lose it, and its image stays.
        """
        path, tag = data.draw(st.sampled_from(self.tagged()))
        if how == "found":
            self.push(path, image([3]), "v3")
            self.model.others_put(path.lower(), tag := "v3", self.world.layouts[path].tags["v3"])
        self.run(replace(choice, limits=None))
        if how == "lost":
            self.world.layouts[path].delete(tag)
        else:
            self.model.take_away(path, tag)
        if how == "theirs":
            self.others_put(path, tag, image([4]))
        if trouble:
            self.others_put(*data.draw(st.sampled_from([*self.tagged(), (path, tag)])), image([5]))
        self.plan_and_migrate(choice)

    @precondition(lambda self: self.tagged())
    @rule(data=st.data(), choice=usual, taken=st.booleans())
    def lose_to_others(self, data: st.DataObject, choice: Choice, taken: bool) -> None:
        """Others have moved a tag, and perhaps have the name of its backup."""
        path, tag = data.draw(st.sampled_from(self.tagged()))
        self.others_put(path, tag, image([4]))
        if taken:
            self.others_put(path, f"old-{tag}", image([5]))
        self.plan_and_migrate(choice)

    @rule(choice=some)
    def plan_and_then_migrate(self, choice: Choice) -> None:
        self.plan_and_migrate(choice)

    @rule(choice=choices)
    def verify(self, choice: Choice) -> None:
        choice = replace(choice, since_last=False, limits=None, fail_fast=False)
        told = self.world.run(RunKind.VERIFY, self.options(choice))
        note(f"verify {choice} {told}")
        check_verified(self.model, choice, told)

    @rule()
    def compact(self) -> None:
        """As is done with a ledger of many files."""
        self.world.lines = list(Lines(self.world.lines, Life()).read().lines())

    # the rest

    def plan_and_migrate(self, choice: Choice) -> None:
        """A plan says what a migration does, and does nothing."""
        choice = replace(choice, since_last=False, fail_fast=False)
        before = self.world.snapshot()
        check = PlanCheck(self.model, choice)
        plan = self.world.run(RunKind.PLAN, self.options(choice))
        note(f"plan {plan}")
        assert (plan.writes, plan.blobs_sent) == ([], 0)
        assert self.world.snapshot() == before
        check.compare(plan, self.run(choice))

    def trial(self, choice: Choice) -> Told:
        """What a run would say, and leave."""
        before = self.world.snapshot()
        told = self.world.run(RunKind.MIGRATE, self.options(choice))
        self.world.restore(before)
        return told

    def run(
        self,
        choice: Choice,
        death: Death | None = None,
        busy: tuple[int, int, Artifact] | None = None,
        stumble: Stumble | None = None,
    ) -> Told:
        """Run and check; `busy` others push something, to one of the tags, before so many blobs are read."""
        check, meanwhile = Check(self.model, choice, stumbles=stumble is not None), None
        if busy is not None and check.wanted:
            reads, number, artifact = busy
            place = sorted(check.wanted)[number % len(check.wanted)]

            def push() -> None:
                self.others_put(*place, artifact)
                check.note_meanwhile(place)

            meanwhile = Meanwhile(reads, push)
        told = self.world.run(RunKind.MIGRATE, self.options(choice), death, meanwhile, stumble)
        note(f"{choice} {told}")
        check.ask(told)
        learn(check, told)
        return told

    def others_put(self, path: str, tag: str, artifact: Artifact) -> None:
        self.model.content |= {digest_of(raw): raw for raw in artifact.blobs}
        self.model.others_put(path.lower(), tag, artifact.entry["digest"])

    def options(self, choice: Choice) -> RunOptions:
        return choice.options(str(self.folder / "source"))

    def tagged(self) -> list[Place]:
        return [(path, tag) for path, layout in sorted(self.world.layouts.items()) for tag in sorted(layout.tags)]

    def manifests(self) -> list[Place]:
        return [
            (path, digest)
            for path, layout in sorted(self.world.layouts.items())
            for digest in sorted(self.model.below(*(each["digest"] for each in layout.entries)))
        ]

    def at_target(self) -> list[Place]:
        return sorted(place for place in self.world.registry.tags if not place[1].startswith("sha256-"))
