"""Nothing goes that the target does not hold under the same digest: not while planning, and not while applying."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace

import pytest

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import ContentError, DamagedAtTargetError, RegistryUnavailableError, TargetLacksError
from tasks.oci.media_types import IMAGE_INDEX
from tasks.oci.reference import TargetAddress
from tasks.operations.cleanup.layout.graph import Graph, Node
from tasks.operations.cleanup.planning.gate import Gate
from tasks.operations.cleanup.records.journal import Journal, Record, Step
from tasks.operations.cleanup.records.marks import Mark, write_marks
from tasks.operations.cleanup.values import (
    BlobDecision,
    CleanupAction,
    IndexEntry,
    QuarantineDecision,
    RepositoryPlan,
    TagDecision,
)
from tests.support.memory_stores import MemorySource
from tests.support.planned_layout import APP, DAY, NOW, REF_NAME, PlannedLayout


class HoldingTarget:
    """A target that holds what it was told, and answers nothing where it is broken."""

    def __init__(self, layout: PlannedLayout) -> None:
        self.tags = {entry["annotations"][REF_NAME]: entry["digest"] for entry in layout.entries}
        self.content = {
            path.rsplit("/", 1)[1]: len(raw) for path, raw in layout.files.contents().items() if "sha256" in path
        }
        self.referrers: dict[str, frozenset[Digest]] | None = None
        self.is_broken = False

        self.only_manifests: set[str] = set()
        """What it does not show as a blob, as zot does not."""

    def list_tags(self, repository: str) -> frozenset[str]:
        return frozenset(self._asked(repository).tags)

    def resolve_manifest(self, repository: str, reference: str) -> Digest | None:
        self._asked(repository)
        if reference.startswith("sha256:"):
            return Digest(reference) if reference[7:] in self.content else None
        return Digest(self.tags[reference]) if reference in self.tags else None

    def has_blob(self, repository: str, descriptor: Descriptor) -> bool:
        size = self._asked(repository).content.get(descriptor.digest[7:])
        if descriptor.digest in self.only_manifests:
            return False
        if size is not None and size != descriptor.size:
            raise DamagedAtTargetError(f"{descriptor.digest} has another size there")
        return size is not None

    def list_referrers(self, repository: str, subject: Digest) -> frozenset[Digest] | None:
        referrers = self._asked(repository).referrers
        return None if referrers is None else referrers.get(subject, frozenset())

    def forget(self, digest: str) -> None:
        del self.content[digest[7:]]

    def _asked(self, repository: str) -> HoldingTarget:
        assert repository == f"mirror/{APP}"
        if self.is_broken:
            raise RegistryUnavailableError("503")
        return self


@pytest.fixture
def layout() -> PlannedLayout:
    found = PlannedLayout()
    found.image("v1")
    found.image("v2")
    return found


@pytest.fixture
def target(layout: PlannedLayout) -> HoldingTarget:
    found = HoldingTarget(layout)
    layout.gate = Gate(found, TargetAddress("registry.example", "mirror"), "app", map)
    return found


def kept(layout: PlannedLayout) -> bool:
    plan = layout.plan()
    assert plan.refused is None
    return {tag.tag: tag.action for tag in plan.tags}["v1"] is CleanupAction.KEEP


def test_what_the_target_holds_goes(layout: PlannedLayout, target: HoldingTarget) -> None:
    assert target.tags
    assert not kept(layout)


def test_a_tag_that_the_target_lacks_stays(layout: PlannedLayout, target: HoldingTarget) -> None:
    del target.tags["v1"]
    assert kept(layout)


def test_a_tag_that_has_another_digest_there_stays(layout: PlannedLayout, target: HoldingTarget) -> None:
    target.tags["v1"] = target.tags["v2"]
    assert kept(layout)


@pytest.mark.parametrize("what", ["manifest", "layer"])
def test_a_tag_of_which_the_target_lacks_content_stays(
    layout: PlannedLayout, target: HoldingTarget, what: str
) -> None:
    target.forget(layout.entries[0]["digest"] if what == "manifest" else Digest.of(b"layer v1"))
    assert kept(layout)


def test_a_blob_of_another_size_there_is_not_held(layout: PlannedLayout, target: HoldingTarget) -> None:
    target.content[Digest.of(b"layer v1")[7:]] += 1
    assert kept(layout)


def test_a_target_that_can_not_say_has_the_repository_left_alone(
    layout: PlannedLayout, target: HoldingTarget
) -> None:
    target.is_broken = True
    plan = layout.plan()
    assert plan.refused is not None
    assert plan.refused.code == RegistryUnavailableError.code


@pytest.mark.parametrize("lacks", [None, "tag", "layer"])
def test_the_target_is_asked_again_when_a_plan_is_applied(
    layout: PlannedLayout, target: HoldingTarget, lacks: str | None
) -> None:
    plan, gate = layout.plan(), layout.gate
    assert gate is not None
    if lacks == "tag":
        del target.tags["v1"]
    elif lacks == "layer":
        target.forget(Digest.of(b"layer v1"))
    source = MemorySource(layout.files.contents())
    with pytest.raises(TargetLacksError, match="does not have") if lacks else nullcontext():
        gate.require_plan(source, plan)


@pytest.mark.parametrize("damage", [b"{}", None])
def test_what_can_not_be_read_any_more_when_a_plan_is_applied_counts_as_not_asked_for(
    layout: PlannedLayout, target: HoldingTarget, damage: bytes | None
) -> None:
    plan = layout.plan()
    target.forget(Digest.of(b"layer v1"))
    manifest = layout.place(layout.entries[0]["digest"])
    if damage is None:
        layout.files.purge_files([manifest.removeprefix("team/")], "team")
    else:
        layout.files.put(manifest, damage)
    with pytest.raises(ContentError):
        require(layout, plan)


def require(layout: PlannedLayout, plan: RepositoryPlan) -> None:
    assert layout.gate is not None
    layout.gate.require_plan(MemorySource(layout.files.contents()), plan)


def test_a_tag_that_has_moved_there_since_the_plan_is_named_with_what_it_has(
    layout: PlannedLayout, target: HoldingTarget
) -> None:
    plan = layout.plan()
    target.tags["v1"] = target.tags["v2"]
    with pytest.raises(TargetLacksError, match=f"v1: the target has {target.tags['v2']} under it"):
        require(layout, plan)


def test_nothing_is_asked_for_what_stays(layout: PlannedLayout, target: HoldingTarget) -> None:
    plan = layout.plan()
    del target.tags["v2"]
    target.forget(layout.entries[1]["digest"])
    target.forget(Digest.of(b"layer v2"))
    require(layout, plan)


def test_a_manifest_that_the_target_shows_as_no_blob_is_held_all_the_same(
    layout: PlannedLayout, target: HoldingTarget
) -> None:
    target.only_manifests = {entry["digest"] for entry in layout.entries}
    assert not kept(layout)
    require(layout, layout.plan())


@pytest.mark.parametrize("held", [True, False])
def test_blobs_that_leave_the_layout_or_the_quarantine_are_asked_for(
    layout: PlannedLayout, target: HoldingTarget, *, held: bool
) -> None:
    size, digest = 4, Digest.of(b"lone")
    quarantined = QuarantineDecision("run-0", digest, size, NOW, CleanupAction.PURGE, "")
    blob = BlobDecision(digest, size, NOW, "e", CleanupAction.QUARANTINE, "")
    going = [RepositoryPlan(APP, "e", blobs=(blob,)), RepositoryPlan(APP, "e", quarantined=(quarantined,))]
    staying = [
        RepositoryPlan(APP, "e", blobs=(replace(blob, action=CleanupAction.MARK),)),
        RepositoryPlan(APP, "e", quarantined=(replace(quarantined, action=CleanupAction.KEEP),)),
    ]
    if held:
        target.content[digest[7:]] = size
    for plan in staying:
        require(layout, plan)
    for plan in going:
        with nullcontext() if held else pytest.raises(TargetLacksError, match=digest):
            require(layout, plan)


@pytest.mark.parametrize("held", [True, False])
def test_what_nothing_names_stays_where_it_is_while_the_target_lacks_it(
    layout: PlannedLayout, target: HoldingTarget, *, held: bool
) -> None:
    waits, hidden = layout.blob(b"waits"), layout.blob(b"hidden")
    files = {each["digest"]: layout.files.stat_file(layout.place(each["digest"])) for each in (waits, hidden)}
    write_marks(layout.files, APP, {Digest(waits["digest"]): Mark.of(files[waits["digest"]], NOW - 9 * DAY)})
    layout.files.hide_files([files[hidden["digest"]]], ".layoutlift/trash/run")
    record = Record(Step.HIDE, APP, NOW - 9 * DAY, files=(files[hidden["digest"]],), trash=".layoutlift/trash/run")
    Journal(layout.files, "run").announce(record)
    if held:
        target.content |= {each["digest"][7:]: each["size"] for each in (waits, hidden)}
    plan = layout.plan()
    (of_the_mark,) = [blob for blob in plan.blobs if blob.digest == waits["digest"]]
    (of_the_quarantine,) = plan.quarantined
    assert (of_the_mark.action, of_the_quarantine.action) == (
        (CleanupAction.QUARANTINE, CleanupAction.PURGE) if held else (CleanupAction.MARK, CleanupAction.KEEP)
    )
    assert all("target" in each.reason for each in (of_the_mark, of_the_quarantine)) is not held


def test_a_tag_that_registries_do_not_take_is_judged_by_its_content(
    layout: PlannedLayout, target: HoldingTarget
) -> None:
    plan = layout.plan()
    [entry] = plan.removals
    tags = tuple(replace(tag, tag="no tag!") if tag.tag == "v1" else tag for tag in plan.tags)
    odd = replace(plan, tags=tags, removals=(replace(entry, tag="no tag!"),))
    require(layout, odd)
    target.forget(Digest.of(b"layer v1"))
    with pytest.raises(TargetLacksError):
        require(layout, odd)


def test_a_layout_that_is_itself_the_source_has_a_name_of_its_own_there() -> None:
    asked: list[str] = []

    class Asked(HoldingTarget):
        def __init__(self) -> None:
            pass

        def resolve_manifest(self, repository: str, reference: str) -> Digest | None:
            asked.append(repository)
            return Digest.of(b"")

    gate = Gate(Asked(), TargetAddress("registry.example", "mirror"), "own name", map)
    assert gate.ask_for_tags(".", [("v1", Digest.of(b""))], [], Graph({}), {}) == ({}, {})
    assert asked == ["mirror/own-name"]


def test_a_tag_inside_a_whole_reference_is_asked_for_by_its_own_name(
    layout: PlannedLayout, target: HoldingTarget
) -> None:
    """As containerd and skopeo write it."""
    layout.entries[0]["annotations"][REF_NAME] = "docker.io/team/app:v1"
    layout.write_index()
    plan, gate = layout.plan(), layout.gate
    assert [entry.tag for entry in plan.removals] == ["docker.io/team/app:v1"]
    assert gate is not None
    gate.require_plan(MemorySource(layout.files.contents()), plan)
    del target.tags["v1"]
    with pytest.raises(TargetLacksError):
        gate.require_plan(MemorySource(layout.files.contents()), plan)


def test_a_tag_with_a_digest_behind_it_is_asked_for_by_itself() -> None:
    layout = PlannedLayout()
    image = layout.pinned("1.25")
    layout.image("v2")
    target = HoldingTarget(layout)
    layout.gate = Gate(target, TargetAddress("registry.example", "mirror"), "app", map)
    assert layout.plan().removals == ()
    target.tags["1.25"] = image["digest"]
    plan = layout.plan()
    assert [entry.tag for entry in plan.removals] == [f"1.25@{image['digest']}"]
    require(layout, plan)
    del target.tags["1.25"]
    with pytest.raises(TargetLacksError, match=r"1\.25: the target does not have it"):
        require(layout, plan)


def test_of_two_images_with_one_tag_only_that_goes_which_the_target_has_under_it(
    layout: PlannedLayout, target: HoldingTarget
) -> None:
    """Their content is all there, but under the tag there can be only one of them."""
    layout.entries.clear()
    for name in ("one", "two"):
        for tag in ("v1", "v2"):
            layout.image(f"registry.example/{name}:{tag}", f"{name} {tag}")
    layout.gate = Gate(HoldingTarget(layout), TargetAddress("registry.example", "mirror"), "app", map)
    layout.gate.target.tags = {"v1": layout.entries[0]["digest"]}
    plan = layout.plan()
    assert [entry.tag for entry in plan.removals] == ["registry.example/one:v1"]
    other = IndexEntry("registry.example/two:v1", Descriptor.from_json(layout.entries[2]))
    both = TagDecision(other.tag or "", other.descriptor.digest, CleanupAction.DELETE, "")
    plan = replace(plan, removals=(*plan.removals, other), tags=(both, *plan.tags))
    with pytest.raises(TargetLacksError, match="v1: the target has sha256"):
        layout.gate.require_plan(MemorySource(layout.files.contents()), plan)


@pytest.fixture
def listed(layout: PlannedLayout) -> HoldingTarget:
    """v1 has an SBOM, listed under the tag that clients keep; the target lists it itself and has no such tag."""
    subject = layout.entries[0]
    named = {name: subject[name] for name in ("mediaType", "digest", "size")}
    sbom = layout.image("sbom", subject=named)
    layout.entries.pop()
    body = {"schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": [sbom]}
    index = layout.blob(json.dumps(body).encode(), IMAGE_INDEX)
    layout.entries.append({**index, "annotations": {REF_NAME: f"sha256-{subject['digest'][7:]}"}})
    layout.write_index()
    target = HoldingTarget(layout)
    layout.gate = Gate(target, TargetAddress("registry.example", "mirror"), "app", map)
    del target.tags[layout.entries[-1]["annotations"][REF_NAME]]
    target.forget(index["digest"])
    target.referrers = {subject["digest"]: frozenset({Digest(sbom["digest"])})}
    return target


def test_a_list_of_referrers_goes_where_the_target_lists_them_itself(
    layout: PlannedLayout, listed: HoldingTarget
) -> None:
    plan, gate = layout.plan(), layout.gate
    assert len(plan.removals) == 2
    assert gate is not None
    gate.require_plan(MemorySource(layout.files.contents()), plan)
    listed.referrers = {}
    with pytest.raises(TargetLacksError):
        gate.require_plan(MemorySource(layout.files.contents()), plan)


@pytest.mark.parametrize("lacks", ["an api", "the referrer in its list", "the layer of the referrer"])
def test_a_list_of_referrers_stays_with_its_subject_where_the_target_lacks(
    layout: PlannedLayout, listed: HoldingTarget, lacks: str
) -> None:
    if lacks == "an api":
        listed.referrers = None
    elif lacks == "the referrer in its list":
        listed.referrers = {}
    else:
        listed.forget(Digest.of(b"layer sbom"))
    tags = {tag.tag[:6]: tag.action for tag in layout.plan().tags}
    assert tags["sha256"] is CleanupAction.KEEP


SUBJECT, LIST, ONE, TWO = (Digest.of(raw) for raw in (b"subject", b"list", b"one", b"two"))
BOTH = Node((ONE, TWO), is_index=True)


@pytest.mark.parametrize(
    ("suffix", "node", "listed", "is_list"),
    [
        ("", BOTH, {ONE, TWO}, True),
        ("", BOTH, {ONE}, False),
        (".sig", BOTH, {ONE, TWO}, False),
        ("", replace(BOTH, is_index=False), {ONE, TWO}, False),
        ("", replace(BOTH, subject=SUBJECT), {ONE, TWO}, False),
    ],
    ids=["all is listed", "one is not listed", "a tag of cosign", "an image", "a referrer itself"],
)
def test_only_a_list_of_what_the_target_lists_itself_needs_no_tag_there(
    layout: PlannedLayout, target: HoldingTarget, suffix: str, node: Node, listed: set[Digest], *, is_list: bool
) -> None:
    assert layout.gate is not None
    target.referrers = {SUBJECT: frozenset(listed)}
    tag = f"sha256-{SUBJECT.encoded}{suffix}"
    lacking, content = layout.gate.ask_for_tags(APP, [(tag, LIST)], [LIST], Graph({LIST: node}), {LIST: 1})
    assert lacking.keys() == (set() if is_list else {(tag, LIST)})
    assert content.keys() == (set() if is_list else {LIST})


def test_an_index_with_its_own_digest_for_a_tag_is_no_list_that_needs_none(
    layout: PlannedLayout, target: HoldingTarget
) -> None:
    assert layout.gate is not None
    target.referrers = {LIST: frozenset({ONE, TWO})}
    tag = f"sha256-{LIST.encoded}"
    lacking, content = layout.gate.ask_for_tags(APP, [(tag, LIST)], [LIST], Graph({LIST: BOTH}), {LIST: 1})
    assert (lacking.keys(), content.keys()) == ({(tag, LIST)}, {LIST})


@pytest.mark.parametrize("damage", [b"{}", None])
def test_only_what_was_plainly_gone_when_planned_need_not_be_read(
    layout: PlannedLayout, target: HoldingTarget, damage: bytes | None
) -> None:
    assert target.tags
    plan = replace(layout.plan(), blobs=())
    manifest = layout.place(layout.entries[0]["digest"])
    layout.files.purge_files([manifest.removeprefix("team/")], "team")
    if damage is not None:
        layout.files.put(manifest, damage)
    with nullcontext() if damage is None else pytest.raises(ContentError):
        require(layout, plan)
