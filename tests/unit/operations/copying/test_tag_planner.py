"""What becomes of each tag follows from what the target has, and of what can't be there nothing is asked."""

import json
from contextlib import nullcontext
from dataclasses import replace

import pytest

from tasks.ledger.ledger import Ledger
from tasks.oci.codes import Refused
from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import InvalidLayoutError, RegistryUnavailableError, SourceReadError
from tasks.oci.image_layout import blob_path
from tasks.oci.media_types import IMAGE_INDEX
from tasks.oci.reference import REF_NAME, referrers_tag
from tasks.operations.copying import tag_planner
from tasks.operations.copying.noted_tags import NotedTags
from tasks.operations.copying.other_layouts import OtherLayouts
from tasks.operations.copying.tag_planner import UNLISTED, TagPlanner, listed_tags
from tasks.operations.work import freshness
from tasks.operations.work.planning import CopyPolicy, OnConflict, TagAction, TagPlan
from tasks.operations.work.repository_work import Unit
from tasks.ports import IndexFile, RemoteManifest
from tasks.registry_ports import MADE_BY_A_PUSH, RepositoryState
from tests.support.engine import MemoryLines
from tests.support.memory_stores import MemorySource, MemoryTarget
from tests.support.sleeping import sleep_of_machine

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


def noted_in(ledger: Ledger, policy: CopyPolicy | None = None) -> NotedTags:
    """What is known of the repository `app`, to which the layout of that name goes."""
    return NotedTags(ledger, "app", "app", policy or CopyPolicy())


def alone(noted: NotedTags) -> OtherLayouts:
    """No other layout is at the source."""
    return OtherLayouts(MemorySource({}), noted)


def planner(
    target: Noting, *tags: str, started: bool = False, immutable: bool = False, exceptions: tuple[str, ...] = ()
) -> TagPlanner:
    """One for a repository that has these tags, and that an earlier run may have begun."""
    for tag in tags:
        target.push_manifest("app", tag, RemoteManifest(OLD, IMAGE_INDEX))
    ledger = Ledger(MemoryLines())
    if started:
        ledger.note_started("app")
        ledger.note_tag("app", "v1", Digest.of(OLD), None, 0, layout="app")
    state = RepositoryState(immutable_tags=immutable, exceptions=exceptions)
    noted = noted_in(ledger)
    return TagPlanner(target, noted, alone(noted), listed=listed_tags(target, noted), state=state)


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
    assert made.ask_untagged(UNIT).action is TagAction.COPY
    assert (UNIT.descriptor.digest in target.asked) is not is_new
    target.push_manifest("app", UNIT.descriptor.digest, RemoteManifest(NEW, IMAGE_INDEX))
    assert made.ask_untagged(UNIT).action is (TagAction.COPY if is_new else TagAction.UP_TO_DATE)


def test_a_repository_that_a_run_begins_in_between_is_new_no_more() -> None:
    noted, target = noted_in(Ledger(MemoryLines())), Noting()
    made = TagPlanner(target, noted, alone(noted), listed=listed_tags(target, noted), state=MADE_BY_A_PUSH)
    assert made.is_new
    noted.note_started()
    assert not made.is_new


def test_a_target_that_lists_no_tags_may_have_any() -> None:
    class Silent(MemoryTarget):
        def list_tags(self, _: str) -> None:
            return None

    noted, target = noted_in(Ledger(MemoryLines())), Silent()
    made = TagPlanner(target, noted, alone(noted), listed=listed_tags(target, noted), state=MADE_BY_A_PUSH)
    assert not made.is_new


@pytest.mark.parametrize(("immutable", "action"), [(False, TagAction.OVERWRITE), (True, TagAction.REFUSE)])
def test_a_target_that_moves_no_tags_is_not_asked_to(*, immutable: bool, action: TagAction) -> None:
    plan = planner(Noting(), "v1", started=True, immutable=immutable).plans(UNIT)["v1"]
    assert (plan.action, plan.code) == (action, "immutable_tag" if immutable else None)
    excepted = planner(Noting(), "v1", started=True, immutable=not immutable, exceptions=("latest", "v*"))
    assert excepted.plans(UNIT)["v1"].action is action, "of an exception the contrary is true"
    besides = planner(Noting(), "v1", started=True, immutable=immutable, exceptions=("latest", "*-v1", "V1"))
    assert besides.plans(UNIT)["v1"].action is action


def test_what_a_list_of_tags_says_is_as_old_as_the_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody may push a tag while the target still lists, which takes minutes where it wants few requests."""
    now = 100.0
    for module in (tag_planner, freshness):
        monkeypatch.setattr(module, "uptime", lambda: now)

    class Slow(Noting):
        def list_tags(self, repository: str) -> frozenset[str]:
            nonlocal now
            listed = super().list_tags(repository)
            now += freshness.FRESH_SECONDS
            self.push_manifest(repository, "v1", RemoteManifest(OLD, IMAGE_INDEX))
            return listed

    made = planner(Slow())
    plan = made.plans(UNIT)["v1"]
    assert plan.action is TagAction.COPY
    assert made.renewed(UNIT, "v1", plan).code == Refused.CONFLICT


def test_what_was_asked_before_the_machine_slept_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    slept = sleep_of_machine(monkeypatch)
    target = Noting()
    made = planner(target)
    plan = made.plans(UNIT)["v1"]
    target.push_manifest("app", "v1", RemoteManifest(OLD, IMAGE_INDEX))
    assert made.renewed(UNIT, "v1", plan) == plan
    slept.seconds = 8 * 3600.0
    assert made.renewed(UNIT, "v1", plan).code == Refused.CONFLICT


def test_a_target_that_moves_no_tags_takes_new_ones_and_keeps_equal_ones() -> None:
    target = Noting()
    made = planner(target, "v0", immutable=True)
    assert made.plans(UNIT)["v1"].action is TagAction.COPY
    target.push_manifest("app", "v1", RemoteManifest(NEW, IMAGE_INDEX))
    assert planner(target, started=True, immutable=True).plans(UNIT)["v1"].action is TagAction.UP_TO_DATE


def index_of(*tags: str) -> bytes:
    entries = [
        {"mediaType": IMAGE_INDEX, "digest": Digest.of(OLD), "size": len(OLD), "annotations": {REF_NAME: tag}}
        for tag in tags
    ]
    return json.dumps({"schemaVersion": 2, "manifests": entries}).encode()


@pytest.mark.parametrize(
    ("files", "policy", "action", "code"),
    [
        ({"other": ("v1",)}, OnConflict.REFUSE, TagAction.REFUSE, Refused.CONFLICT),
        ({"other": ("v1",)}, OnConflict.SKIP, TagAction.REFUSE, Refused.CONFLICT_SKIPPED),
        ({"other": ("v1",)}, OnConflict.OVERWRITE, TagAction.OVERWRITE, None),
        ({"other": ("v2",)}, OnConflict.REFUSE, TagAction.OVERWRITE, None),
        ({}, OnConflict.REFUSE, TagAction.OVERWRITE, None),
    ],
    ids=["has it", "has it, skip", "has it, overwrite", "has it no more", "is gone"],
)
def test_a_tag_that_another_layout_brought_and_still_has_is_a_conflict(
    files: dict[str, tuple[str, ...]], policy: OnConflict, action: TagAction, code: str | None
) -> None:
    """A mistyped `--rename` leads one layout to where another one's tags are; the source has not moved then."""
    target, ledger = Noting(), Ledger(MemoryLines(), "team")
    target.push_manifest("team/app", "v1", RemoteManifest(OLD, IMAGE_INDEX))
    ledger.note_started("team/app")
    ledger.note_tag("team/app", "v1", Digest.of(OLD), None, 0, layout="other")
    layout = {f"{path}/oci-layout": b'{"imageLayoutVersion":"1.0.0"}' for path in files}
    source = MemorySource(layout | {f"{path}/index.json": index_of(*tags) for path, tags in files.items()})
    noted = NotedTags(ledger, "team/app", "app", CopyPolicy(on_conflict=policy))
    others, listed = OtherLayouts(source, noted), listed_tags(target, noted)
    made = TagPlanner(target, noted, others, listed=listed, state=MADE_BY_A_PUSH)
    plan = made.plans(UNIT)["v1"]
    assert (plan.action, plan.code) == (action, code)
    assert (code != Refused.CONFLICT) or "from the layout 'other'" in (plan.message or "")


def test_a_layout_of_the_repositorys_own_name_is_known_as_the_one_that_brought_a_tag() -> None:
    ledger = Ledger(MemoryLines(), "team")
    ledger.note_tag("team/app", "v1", Digest.of(OLD), None, 0, layout="app")
    files = {"app/oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "app/index.json": index_of("v1")}
    own, other = (NotedTags(ledger, "team/app", layout, CopyPolicy()) for layout in ("app", "other"))
    assert OtherLayouts(MemorySource(files), own).owner("v1") is None
    assert OtherLayouts(MemorySource(files), other).owner("v1") == "app"
    assert OtherLayouts(MemorySource(files), other).owner("v2") is None


MARKER = b'{"imageLayoutVersion":"1.0.0"}'


def brought_by(source: MemorySource, layout: str) -> OtherLayouts:
    """What is asked about app:v1, which came from another layout of the source."""
    ledger = Ledger(MemoryLines())
    ledger.note_tag("app", "v1", Digest.of(OLD), None, 0, layout=layout)
    return OtherLayouts(source, noted_in(ledger))


class Unreadable(MemorySource):
    def read_index(self, path: str) -> IndexFile:
        raise SourceReadError(f"{path}/index.json: Input/output error")


def test_a_layout_that_can_not_be_read_now_does_not_give_its_tags_away() -> None:
    with pytest.raises(SourceReadError):
        brought_by(Unreadable({}), "other").owner("v1")


@pytest.mark.parametrize("index", [b"", b"{"])
def test_nor_does_one_whose_index_is_damaged(index: bytes) -> None:
    source = MemorySource({"other/oci-layout": MARKER, "other/index.json": index})
    with pytest.raises(InvalidLayoutError):
        brought_by(source, "other").owner("v1")


@pytest.mark.parametrize("left", [{}, {"oci-layout": b""}, {"oci-layout": MARKER}, {"index.json": index_of("v1")}])
def test_nor_does_one_that_lost_a_file_and_has_what_the_tag_names(left: dict[str, bytes]) -> None:
    """Where its content is gone, too, it has moved: the layout that has the tag now is the one that is copied."""
    files = {f"other/{name}": raw for name, raw in left.items()}
    assert brought_by(MemorySource({}), "other").owner("v1") is None
    with pytest.raises(InvalidLayoutError, match="'other'"):
        brought_by(MemorySource(files | {f"other/{blob_path(Digest.of(OLD))}": OLD}), "other").owner("v1")


def test_nor_does_one_with_an_entry_that_hides_its_name() -> None:
    source = MemorySource({"other/oci-layout": MARKER, "other/index.json": b'{"schemaVersion":2,"manifests":[7]}'})
    assert brought_by(source, "other").owner("v1") == "other"


@pytest.mark.parametrize(
    ("noted", "present", "action", "said"),
    [
        (OLD, None, TagAction.COPY, ""),
        (OLD, NEW, TagAction.UP_TO_DATE, ""),
        (NEW, NEW, TagAction.UP_TO_DATE, ""),
        (
            OLD,
            NEW + b" ",
            TagAction.REFUSE,
            f"the target has {Digest.of(NEW + b' ')} under this tag, which this migration did",
        ),
    ],
    ids=["nothing", "equal", "equal ever since", "somebody else's"],
)
def test_another_layout_is_not_asked_where_the_target_has_what_it_should_or_nothing_of_that_layout(
    noted: bytes, present: bytes | None, action: TagAction, said: str
) -> None:
    target, ledger = Noting(), Ledger(MemoryLines())
    ledger.note_started("app")
    ledger.note_tag("app", "v1", Digest.of(noted), None, 0, layout="other")
    if present is not None:
        target.push_manifest("app", "v1", RemoteManifest(present, IMAGE_INDEX))
    unreadable = OtherLayouts(Unreadable({}), noted_in(ledger))
    made = TagPlanner(target, noted_in(ledger), unreadable, listed=UNLISTED, state=MADE_BY_A_PUSH)
    plan = made.plans(UNIT)["v1"]
    assert plan.action is action
    assert (plan.message or "").startswith(said)


def test_a_layout_that_is_gone_is_looked_for_once_whatever_tags_it_had() -> None:
    class Counting(MemorySource):
        reads = 0

        def read_index(self, path: str) -> IndexFile:
            self.reads += 1
            return super().read_index(path)

    source, ledger = Counting({}), Ledger(MemoryLines())
    for tag in ("v1", "v2"):
        ledger.note_tag("app", tag, Digest.of(OLD), None, 0, layout="other")
    others = OtherLayouts(source, noted_in(ledger))
    assert (others.owner("v1"), others.owner("v2"), source.reads) == (None, None, 1)


class Broken(Noting):
    """A target that answers this to every tag, as distribution 2.8 does for ever to those that a full disk left."""

    def __init__(self, status: int = 500) -> None:
        super().__init__()
        self._status = status

    def resolve_manifest(self, repository: str, reference: str) -> Digest | None:
        raise RegistryUnavailableError(f"HEAD {repository}:{reference}", status=self._status)


def planned_at(target: Broken, unit: Unit, policy: CopyPolicy) -> dict[str, TagPlan]:
    """What is planned for a unit where any tag may be there."""
    noted = noted_in(Ledger(MemoryLines()), policy)
    return TagPlanner(target, noted, alone(noted), listed=UNLISTED, state=MADE_BY_A_PUSH).plans(unit)


@pytest.mark.parametrize(
    ("policy", "status", "is_copied"),
    [
        (CopyPolicy(on_conflict=OnConflict.OVERWRITE), 500, True),
        (CopyPolicy(on_conflict=OnConflict.OVERWRITE), 503, False),
        (CopyPolicy(on_conflict=OnConflict.OVERWRITE, backup_tag="old-{tag}"), 500, False),
        (CopyPolicy(), 500, False),
    ],
)
def test_a_tag_that_the_target_can_not_read_for_good_is_overwritten_only_where_all_may_be(
    policy: CopyPolicy, status: int, *, is_copied: bool
) -> None:
    with nullcontext() if is_copied else pytest.raises(RegistryUnavailableError):
        assert planned_at(Broken(status), UNIT, policy)["v1"].action is TagAction.COPY


@pytest.mark.parametrize("suffix", ["", ".sig", ".att"])
def test_a_tag_of_referrers_that_can_not_be_read_is_overwritten_by_no_policy(suffix: str) -> None:
    """It may hold those of others, which stay whatever the policy."""
    unit = replace(UNIT, tags=(f"{referrers_tag(Digest.of(OLD))}{suffix}",))
    with pytest.raises(RegistryUnavailableError):
        planned_at(Broken(), unit, CopyPolicy(on_conflict=OnConflict.OVERWRITE))
