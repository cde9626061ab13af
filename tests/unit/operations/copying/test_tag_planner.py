"""What becomes of each tag follows from what the target has, and of what can't be there nothing is asked."""

import pytest

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.media_types import IMAGE_INDEX
from tasks.operations.copying import tag_planner
from tasks.operations.copying.planning import Action, CopyPolicy
from tasks.operations.copying.tag_planner import TagPlanner, open_planner
from tasks.operations.reports.results import CONFLICT, IMMUTABLE_TAG
from tasks.operations.running.repository_work import Unit
from tasks.ports import RemoteManifest
from tasks.stores.memory import MemoryTarget
from tasks.stores.state.ledger import Ledger
from tests.support.engine import MemoryLines

OLD, NEW = (b'{"schemaVersion":2,"manifests":[]}' + space for space in (b"", b" "))
UNIT = Unit(Descriptor(IMAGE_INDEX, Digest.of(NEW), len(NEW)), ("v1",))


class Noting(MemoryTarget):
    """A target that notes what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def list_tags(self, repository: str) -> frozenset[str]:
        self.asked.append("tags")
        return super().list_tags(repository)

    def resolve_manifest(self, repository: str, reference: str) -> Digest | None:
        self.asked.append(reference)
        return super().resolve_manifest(repository, reference)


def planner(target: Noting, *tags: str, started: bool = False, immutable: bool = False) -> TagPlanner:
    """One for a repository that has these tags, and that an earlier run may have begun."""
    for tag in tags:
        target.push_manifest("app", tag, RemoteManifest(OLD, IMAGE_INDEX))
    ledger = Ledger(MemoryLines())
    if started:
        ledger.note_started("app")
        ledger.note_tag("app", "v1", Digest.of(OLD), None, 0, layout="app")
    return open_planner(target, "app", CopyPolicy(), ledger, immutable=immutable)


@pytest.mark.parametrize(
    ("tags", "started", "is_new"), [((), False, True), (("v0",), False, False), ((), True, False)]
)
def test_a_repository_is_new_where_it_has_no_tag_and_no_run_has_begun_it(
    tags: tuple[str, ...], started: bool, is_new: bool
) -> None:
    target = Noting()
    made = planner(target, *tags, started=started)
    assert made.is_new is is_new
    assert target.asked == ([] if started else ["tags"])
    assert made.plan_untagged(UNIT).action is Action.COPY
    assert (UNIT.descriptor.digest in target.asked) is not is_new
    target.push_manifest("app", UNIT.descriptor.digest, RemoteManifest(NEW, IMAGE_INDEX))
    assert made.plan_untagged(UNIT).action is (Action.COPY if is_new else Action.UP_TO_DATE)


def test_a_repository_that_a_run_begins_in_between_is_new_no_more() -> None:
    ledger = Ledger(MemoryLines())
    made = open_planner(Noting(), "app", CopyPolicy(), ledger)
    assert made.is_new
    ledger.note_started("app")
    assert not made.is_new


def test_a_target_that_lists_no_tags_may_have_any() -> None:
    target, ledger = Noting(), Ledger(MemoryLines())
    made = TagPlanner(target, "app", policy=CopyPolicy(), ledger=ledger, known_tags=None)
    assert not made.is_new


@pytest.mark.parametrize(("immutable", "action"), [(False, Action.OVERWRITE), (True, Action.REFUSE)])
def test_a_target_that_moves_no_tags_is_not_asked_to(*, immutable: bool, action: Action) -> None:
    plan = planner(Noting(), "v1", started=True, immutable=immutable).plans(UNIT)["v1"]
    assert (plan.action, plan.code) == (action, IMMUTABLE_TAG if immutable else None)


def test_what_a_list_of_tags_says_is_as_old_as_the_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody may push a tag while the target still lists, which takes minutes where it wants few requests."""
    now = 100.0
    monkeypatch.setattr(tag_planner, "monotonic", lambda: now)

    class Slow(Noting):
        def list_tags(self, repository: str) -> frozenset[str]:
            nonlocal now
            listed = super().list_tags(repository)
            now += tag_planner.FRESH_SECONDS
            self.push_manifest(repository, "v1", RemoteManifest(OLD, IMAGE_INDEX))
            return listed

    made = planner(Slow())
    plan = made.plans(UNIT)["v1"]
    assert plan.action is Action.COPY
    assert made.renewed(UNIT, "v1", plan).code == CONFLICT


def test_a_target_that_moves_no_tags_takes_new_ones_and_keeps_equal_ones() -> None:
    target = Noting()
    made = planner(target, "v0", immutable=True)
    assert made.plans(UNIT)["v1"].action is Action.COPY
    target.push_manifest("app", "v1", RemoteManifest(NEW, IMAGE_INDEX))
    assert planner(target, started=True, immutable=True).plans(UNIT)["v1"].action is Action.UP_TO_DATE
