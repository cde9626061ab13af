"""What a plan takes away, and the layouts that it leaves alone because nobody could tell."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tasks.file_ports import UnfinishedUpload
from tasks.oci.codes import Problem
from tasks.oci.digest import Digest
from tasks.oci.errors import InterruptedRunError, SourceReadError
from tasks.oci.reference import IMAGE_NAME
from tasks.operations.choosing.tag_order import OrderBy
from tasks.operations.cleanup.deciding.choices import DeleteChoice
from tasks.operations.cleanup.deciding.policy import select_tags
from tasks.operations.cleanup.records.journal import Journal, Record, Step
from tasks.operations.cleanup.records.marks import Mark, write_marks
from tasks.operations.cleanup.values import CleanupAction, FileKind, Timing
from tests.support.cleanup_world import GRACE, HOLD, INDEX, Push, World, blob_path, image, keep_policy
from tests.support.memory_stores import MemorySource
from tests.support.planned_layout import APP, DAY, MANIFEST, NOW, REF_NAME, PlannedLayout, keep_last

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tasks.file_ports import StoredFile
    from tasks.oci.descriptor import Descriptor
    from tasks.operations.cleanup.values import RepositoryPlan


def two_images() -> PlannedLayout:
    layout = PlannedLayout()
    layout.image("v1")
    layout.image("v2")
    return layout


def fates(plan: RepositoryPlan) -> dict[str, CleanupAction]:
    assert plan.refused is None
    return {tag.tag: tag.action for tag in plan.tags}


def fate(plan: RepositoryPlan, descriptor: dict[str, Any]) -> CleanupAction:
    return {blob.digest: blob.action for blob in plan.blobs}[Digest(descriptor["digest"])]


def mark(layout: PlannedLayout, descriptor: dict[str, Any], since: float) -> StoredFile:
    """Note, as an earlier run did, that nothing names a blob."""
    stored = layout.files.stat_file(layout.place(descriptor["digest"]))
    assert stored is not None
    write_marks(layout.files, APP, {Digest(descriptor["digest"]): Mark.of(stored, since)})
    return stored


def test_entries_go_first_and_their_blobs_are_only_marked() -> None:
    plan = two_images().plan()
    assert fates(plan) == {"v1": CleanupAction.DELETE, "v2": CleanupAction.KEEP}
    assert [entry.tag for entry in plan.removals] == ["v1"]
    actions = [blob.action for blob in plan.blobs]
    marked, kept = actions.count(CleanupAction.MARK), actions.count(CleanupAction.KEEP)
    assert (marked, kept) == (2, 3)  # the config belongs to both


def test_a_blob_leaves_only_after_its_mark_waited_for_the_grace_time() -> None:
    layout = two_images()
    lone = layout.blob(b"nobody's")
    assert fate(layout.plan(), lone) is CleanupAction.MARK
    mark(layout, lone, NOW - DAY + 1)
    assert fate(layout.plan(), lone) is CleanupAction.MARK
    mark(layout, lone, NOW - DAY)
    assert fate(layout.plan(), lone) is CleanupAction.QUARANTINE


def test_a_mark_of_a_blob_that_was_written_anew_is_void() -> None:
    layout = two_images()
    lone = layout.blob(b"nobody's")
    mark(layout, lone, NOW - 50 * DAY)
    layout.time = NOW - 10 * DAY
    layout.blob(b"nobody's")
    assert fate(layout.plan(), lone) is CleanupAction.MARK


def test_a_mark_holds_for_the_very_file_that_was_marked() -> None:
    """A store may date a new file as the old one was, as clocks of whole seconds and restored backups do."""
    layout = two_images()
    lone = layout.blob(b"nobody's")
    marked = mark(layout, lone, NOW - 50 * DAY)
    layout.blob(b"nobody's")
    written = layout.files.stat_file(layout.place(lone["digest"]))
    assert written is not None
    assert (written.modified, written.etag == marked.etag) == (marked.modified, False)
    assert fate(layout.plan(), lone) is CleanupAction.MARK


def test_a_mark_of_a_blob_that_is_named_again_is_void() -> None:
    layout = two_images()
    lone = layout.blob(b"layer v3")
    mark(layout, lone, NOW - 50 * DAY)
    layout.image("v3")
    assert fate(layout.plan(), lone) is CleanupAction.KEEP


@pytest.mark.parametrize("when", [0.0, NOW + DAY])
def test_a_blob_of_unknown_or_future_age_stays(when: float) -> None:
    layout = two_images()
    layout.time = when
    lone = layout.blob(b"nobody's")
    mark(layout, lone, NOW - 50 * DAY)
    assert fate(layout.plan(), lone) is CleanupAction.KEEP


def test_a_tag_of_unknown_age_stays_where_age_decides() -> None:
    layout = PlannedLayout()
    layout.time = 0.0
    layout.image("of-1970")
    layout.time = NOW - 3 * DAY
    layout.image("old")
    layout.time = NOW - DAY
    layout.image("new")
    found = fates(layout.plan(keep_last(1, order_by=OrderBy.CREATED)))
    assert found == {"of-1970": CleanupAction.KEEP, "old": CleanupAction.DELETE, "new": CleanupAction.KEEP}


def test_referrers_stay_and_go_with_their_subject() -> None:
    layout = two_images()
    layout.image(None, "about v1", subject=layout.entries[0])
    layout.image(None, "about v2", subject=layout.entries[1])
    plan = layout.plan()
    removed = {entry.descriptor.digest for entry in plan.removals}
    assert removed == {layout.entries[0]["digest"], layout.entries[2]["digest"]}


def test_a_plan_says_how_the_entries_were_written_that_go() -> None:
    """Of two plans over the same tag and digest, the second is made after its writer noted another time."""
    layout = two_images()
    [before] = layout.plan().removals
    layout.entries[0]["annotations"]["org.opencontainers.image.created"] = "2026-01-01T00:00:00Z"
    layout.write_index()
    [after] = layout.plan().removals
    assert before == after
    assert None is not before.written != after.written is not None


def test_a_protected_digest_stays_with_all_that_it_needs() -> None:
    layout = two_images()
    old = layout.entries[0]
    layout.entries = layout.entries[1:]
    layout.write_index()
    mark(layout, old, NOW - 50 * DAY)
    assert fate(layout.plan(), old) is CleanupAction.QUARANTINE
    layout.protected = frozenset({Digest(old["digest"])})
    plan = layout.plan()
    assert {blob.action for blob in plan.blobs} == {CleanupAction.KEEP}


@pytest.mark.parametrize("part", ["manifests", "config", "layers"])
def test_an_image_stays_of_which_a_part_is_protected(part: str) -> None:
    """As lists of what is deployed have it: the manifest of a platform, or the config as the image's id."""
    layout = PlannedLayout()
    child = layout.image(None, "child", config=layout.blob(b'{"id": 1}'))
    body: dict[str, Any] = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [child]}
    layout.entries = [{**layout.blob(json.dumps(body).encode(), INDEX), "annotations": {REF_NAME: "v1"}}]
    layout.image("v2")
    assert fates(layout.plan())["v1"] is CleanupAction.DELETE
    body |= json.loads(layout.files.contents()[layout.place(child["digest"])])
    wanted = Digest((body[part] if part == "config" else body[part][0])["digest"])
    layout.protected = frozenset({wanted})
    plan = layout.plan()
    assert fates(plan) == {"v1": CleanupAction.KEEP, "v2": CleanupAction.KEEP}
    assert {tag.reason for tag in plan.tags if tag.tag == "v1"} == {f"{wanted} is protected, which it needs"}
    assert {blob.action for blob in plan.blobs} == {CleanupAction.KEEP}


@pytest.mark.parametrize(("has_tag", "by_tag"), [(False, False), (True, False), (True, True)])
def test_what_is_protected_stays_when_its_subject_goes(*, has_tag: bool, by_tag: bool) -> None:
    layout = two_images()
    subject = {name: layout.entries[0][name] for name in ("mediaType", "digest", "size")}
    tag = f"sha256-{subject['digest'][7:]}.sig" if has_tag else None
    referrer = layout.image(tag, "signature", **({} if has_tag else {"subject": subject}))
    assert fate(layout.plan(), referrer) is CleanupAction.MARK
    choice = keep_last(1, protected_tags=select_tags(["sha256-*"]))
    if not by_tag:
        layout.protected = frozenset({Digest(referrer["digest"])})
        choice = replace(keep_last(1), protected=layout.protected)
    plan = layout.plan(choice)
    assert fate(plan, referrer) is CleanupAction.KEEP
    assert referrer["digest"] not in {entry.descriptor.digest for entry in plan.removals}


def test_a_manifest_that_nothing_names_is_reported_once_and_stays_for_now() -> None:
    layout = two_images()
    lost = layout.entries.pop()
    layout.write_index()
    plan = layout.plan()
    assert [(found.code, found.message.split(": ")[0]) for found in plan.findings] == [
        (Problem.LOST_MANIFEST, lost["digest"])
    ]
    assert fate(plan, lost) is CleanupAction.MARK


def test_what_is_damaged_and_unnamed_is_named_once_and_goes_as_other_blobs_do() -> None:
    """A writer that died in the middle of a push leaves such files, which else would stay for ever."""
    layout = two_images()
    damaged = layout.blob(b"{" + b"x" * 100)
    layout.files.put(layout.place(damaged["digest"]), b"{" + b"y" * 100)
    plan = layout.plan()
    assert fate(plan, damaged) is CleanupAction.MARK
    [finding] = plan.findings
    assert (finding.code, damaged["digest"] in finding.message) == ("digest_mismatch", True)
    mark(layout, damaged, NOW - DAY)
    later = layout.plan()
    assert (fate(later, damaged), later.findings) == (CleanupAction.QUARANTINE, ())


def test_protected_content_that_is_damaged_leaves_nothing_to_be_judged() -> None:
    layout = two_images()
    damaged = layout.blob(b"{" + b"x" * 100)
    layout.files.put(layout.place(damaged["digest"]), b"{" + b"y" * 100)
    layout.protected = frozenset({Digest(damaged["digest"])})
    assert refusal(layout.plan()) == "digest_mismatch"


def test_deleting_one_tag_leaves_other_tags_of_its_digest() -> None:
    layout = two_images()
    layout.entries.append({**layout.entries[0], "annotations": {REF_NAME: "stable"}})
    layout.write_index()
    plan = layout.plan(DeleteChoice(tag="v1"))
    assert fates(plan) == {"v1": CleanupAction.DELETE, "v2": CleanupAction.KEEP, "stable": CleanupAction.KEEP}
    assert ([entry.is_demanded for entry in plan.removals], layout.plan().removals[0].is_demanded) == ([True], False)
    assert {blob.action for blob in plan.blobs} == {CleanupAction.KEEP}


def test_deleting_a_digest_takes_all_its_tags() -> None:
    layout = two_images()
    layout.entries.append({**layout.entries[0], "annotations": {REF_NAME: "stable"}})
    layout.write_index()
    plan = layout.plan(DeleteChoice(digest=Digest(layout.entries[0]["digest"])))
    assert fates(plan) == {"v1": CleanupAction.DELETE, "v2": CleanupAction.KEEP, "stable": CleanupAction.DELETE}


def hide(layout: PlannedLayout, descriptor: dict[str, Any], since: float) -> None:
    """Move a blob into the quarantine, as an earlier run did."""
    file = layout.files.stat_file(layout.place(descriptor["digest"]))
    assert file is not None
    trash = ".layoutlift/trash/run-0"
    Journal(layout.files, "run-0").announce(Record(Step.HIDE, APP, since, files=(file,), trash=trash))
    layout.files.hide_files([file], trash)


def test_what_waits_stays_where_it_is_unless_a_policy_says_for_how_long() -> None:
    layout = two_images()
    marked, hidden = layout.blob(b"nobody's"), layout.blob(b"nobody's either")
    layout.files.put(f"{APP}/ingest/left", b"half a blob")
    mark(layout, marked, NOW - 50 * DAY)
    hide(layout, hidden, NOW - 50 * DAY)
    swept, kept = layout.plan(), layout.plan(DeleteChoice(tag="v1"), sweeps=False)
    assert (fate(swept, marked), fate(kept, marked)) == (CleanupAction.QUARANTINE, CleanupAction.MARK)
    held = [each.action for plan in (swept, kept) for each in plan.quarantined]
    assert held == [CleanupAction.PURGE, CleanupAction.KEEP]
    assert CleanupAction.DELETE not in {file.action for file in kept.files}


def test_deleting_one_tag_marks_its_own_blobs_and_not_what_else_nothing_names() -> None:
    """A manifest among that is one that a writer lost, and no plan would say so once it is marked."""
    layout = two_images()
    layout.image("lost")
    layout.entries.pop()
    layout.write_index()
    lost, marked = layout.blob(b"layer lost"), layout.blob(b"nobody's")
    mark(layout, marked, NOW - DAY)
    for choice in (DeleteChoice(tag="v1"), DeleteChoice(digest=Digest(layout.entries[0]["digest"]))):
        plan = layout.plan(choice, sweeps=False)
        marks = {blob.digest: blob.since for blob in plan.blobs if blob.action is CleanupAction.MARK}
        own = {Digest(layout.entries[0]["digest"]), Digest(layout.blob(b"layer v1")["digest"])}
        assert marks == {**dict.fromkeys(own), Digest(marked["digest"]): NOW - DAY}
        assert fate(plan, lost) is CleanupAction.KEEP
        assert [finding.code for finding in plan.findings] == [Problem.LOST_MANIFEST]
    assert {blob.action for blob in layout.plan(DeleteChoice(), sweeps=False).blobs} == {CleanupAction.MARK}


def test_deleting_the_last_tag_marks_all_that_nothing_names_and_tells_what_of_it_a_writer_lost() -> None:
    """An index that names nothing over an unmarked manifest would keep the layout from being judged ever after."""
    world = World()
    world.finish(Push(image([1]), "v1", world.now))
    for raw in image([7]).blobs:
        world.files.put(blob_path(raw), raw)
    for choice in (DeleteChoice(tag="v1"), DeleteChoice(digest=Digest(world.entries[0]["digest"]))):
        plan = world.deletion(choice)
        assert [finding.code for finding in plan.findings] == [Problem.LOST_MANIFEST]
        assert {blob.action for blob in plan.blobs} == {CleanupAction.MARK}
    assert world.apply_plan(plan)
    for wait, action in ((GRACE - 1, CleanupAction.MARK), (1, CleanupAction.QUARANTINE)):
        world.now += wait
        plan = world.plan(keep_policy(1))
        assert (plan.refused, {blob.action for blob in plan.blobs}) == (None, {action})


def test_nothing_is_purged_while_something_protected_is_in_the_quarantine() -> None:
    layout = two_images()
    image, layer = layout.entries.pop(0), layout.blob(b"layer v1")
    layout.write_index()
    for descriptor in (image, layer):
        hide(layout, descriptor, NOW - 50 * DAY)
    assert {each.action for each in layout.plan().quarantined} == {CleanupAction.PURGE}
    layout.protected = frozenset({Digest(image["digest"])})
    plan = layout.plan()
    assert {each.action for each in plan.quarantined} == {CleanupAction.KEEP}
    [finding] = [found for found in plan.findings if found.code == Problem.PROTECTED_IS_HIDDEN]
    assert image["digest"] in finding.message
    assert "undo run-0" in finding.message


def _edit_manifest(layout: PlannedLayout) -> None:
    layout.files.put(layout.place(layout.entries[0]["digest"]), b'{"other": "bytes"}')


def _lose(layout: PlannedLayout, place: str) -> None:
    found = layout.files.stat_file(place)
    assert found is not None
    assert layout.files.delete_files([found]) == (found,)


def _fail_half_way(layout: PlannedLayout) -> None:
    """The second page of the blobs' listing does not come."""
    whole = layout.files.list_files

    def listed(folder: str) -> Iterator[StoredFile]:
        found = whole(folder)
        if folder.endswith("/blobs"):
            yield next(found)
            raise SourceReadError("the listing ended early")
        yield from found

    layout.files.list_files = listed  # type: ignore[method-assign]


def _list_as_before(layout: PlannedLayout, change: Callable[[StoredFile], StoredFile]) -> None:
    """The listing shows what was there, `change` made of it."""
    seen = [change(file) for file in layout.files.list_files(f"{APP}/blobs")]
    whole = layout.files.list_files
    layout.files.list_files = lambda folder: iter(seen) if folder.endswith("/blobs") else whole(folder)  # type: ignore[method-assign]


def _lose_what_was_listed(layout: PlannedLayout) -> None:
    _list_as_before(layout, lambda file: file)
    _lose(layout, layout.place(layout.entries[0]["digest"]))


BROKEN: dict[str, Callable[[PlannedLayout], object]] = {
    "an empty index": lambda layout: layout.put_index(b""),
    "an index that was cut": lambda layout: layout.put_index(b'{"schemaVersion":2,"manifests":['),
    "an index of another form": lambda layout: layout.put_index(b'{"schemaVersion":2,"manifests":{}}'),
    "an index without entries over blobs": lambda layout: layout.put_index(b'{"schemaVersion":2,"manifests":[]}'),
    "an entry that is none": lambda layout: layout.put_index(b'{"schemaVersion":2,"manifests":[{"digest":"x"}]}'),
    "a manifest of an unknown type": lambda layout: layout.put_index(
        json.dumps({"manifests": [*layout.entries, {**layout.entries[0], "mediaType": "x/unknown"}]}).encode()
    ),
    "a manifest with other bytes": _edit_manifest,
    "a kept manifest that is missing": lambda layout: _lose(layout, layout.place(layout.entries[1]["digest"])),
    "a manifest that goes and is listed and not found": _lose_what_was_listed,
    "a link among the blobs": lambda layout: _list_as_before(layout, lambda file: replace(file, etag="")),
    "a file of unknown use": lambda layout: layout.files.put(f"{APP}/blobs/sha256/notes.txt", b"what is this"),
    "a placeholder of zot": lambda layout: layout.files.put(layout.place(layout.entries[0]["digest"]), b""),
    "a listing that ends early": _fail_half_way,
    "no marker": lambda layout: _lose(layout, f"{APP}/oci-layout"),
    "a manifest without its layer": lambda layout: (
        layout.entries.append(layout.blob(json.dumps(_with_missing_layer()).encode(), MANIFEST))
        or layout.write_index()
    ),
}


def _with_missing_layer() -> dict[str, Any]:
    gone = {"mediaType": "x/y", "digest": Digest.of(b"gone"), "size": 4}
    return {"schemaVersion": 2, "mediaType": MANIFEST, "config": gone, "layers": []}


@pytest.mark.parametrize(
    "odd",
    [
        "an index without entries over blobs",
        "an entry that is none",
        "a link among the blobs",
        "a file of unknown use",
        "a placeholder of zot",
    ],
)
def test_a_layout_whose_index_is_there_and_whole_is_not_called_invalid(odd: str) -> None:
    """Its index need not be restored, and an older one would lose what was pushed since."""
    layout = two_images()
    BROKEN[odd](layout)
    refused = layout.plan().refused
    assert refused is not None
    assert refused.code == "not_judged"


@pytest.mark.parametrize("broken", BROKEN)
def test_a_layout_that_can_not_be_judged_is_left_alone_and_named(broken: str) -> None:
    layout = two_images()
    assert layout.plan().removals
    BROKEN[broken](layout)
    plan = layout.plan(keep_last(1, untagged_after=None))
    assert plan.refused is not None
    assert plan.refused.message
    assert (plan.removals, plan.blobs, plan.files, plan.tags) == ((), (), (), ())


def written_by_oras(name: str = "rancher/app:v1", kind: str = "dev.hauler/sigs") -> PlannedLayout:
    """A store of hauler's, in which an image and its signature had one name, and ORAS left it to the last."""
    layout = two_images()
    whole = f"index.docker.io/{name}"
    layout.image(None, "image")
    layout.entries[-1]["annotations"] = {"kind": "dev.hauler/image", IMAGE_NAME: whole}
    layout.image("v1", "signature")
    layout.entries[-1]["annotations"] = {REF_NAME: name, "kind": kind, IMAGE_NAME: whole}
    layout.write_index()
    return layout


@pytest.mark.parametrize("kind", ["sigs", "atts/" + "a" * 64, "referrers/" + "a" * 64])
@pytest.mark.parametrize("has_others", [True, False])
def test_a_layout_in_which_a_signature_has_the_tag_of_its_image_is_left_alone(kind: str, *, has_others: bool) -> None:
    """The image would go as one without a tag, also where another one has that tag without a name before it."""
    layout = written_by_oras(kind=f"dev.hauler/{kind}")
    layout.entries = layout.entries if has_others else layout.entries[2:]
    layout.write_index()
    *others, image, signature = layout.entries
    for choice in (keep_last(9), keep_last(9, untagged_after=None)):
        plan = layout.plan(choice)
        assert plan.refused is not None
        assert (plan.refused.code, plan.removals, plan.blobs) == ("not_judged", (), ())
        assert plan.refused.message == (
            f"{signature['digest']} has the tag v1, and is no image: hauler attached it to one, which has lost the "
            "tag to it, or is gone; the image would count as one without a tag, so give it back "
            "(oras tag --oci-layout LAYOUT@DIGEST v1, or rancher/app:v1 where another image has that tag; where "
            "other entries of index.json share a name, by hand, as oras would leave it to one of them), or where it "
            f"is gone, take away what was attached to it (layoutlift delete SOURCE team/app@{signature['digest']})"
        )
    layout.entries = [*others, tagged(image, "rancher/app:v1" if has_others else "v1"), signature]
    layout.write_index()
    assert layout.plan().refused is None


def tagged(image: dict[str, Any], name: str) -> dict[str, Any]:
    """As `oras tag` writes an entry: of what stood in it before, nothing stays."""
    return {**image, "annotations": {REF_NAME: name}}


def test_what_is_left_of_an_image_that_was_deleted_by_its_digest_goes_as_the_message_says() -> None:
    """Until then nothing is judged: in its image's place it would be the newest, and the image before it would go."""
    layout = written_by_oras()
    older, _, _, signature = layout.entries
    layout.entries = [{**older, "annotations": {REF_NAME: "rancher/app:v0"}}, signature]
    layout.write_index()
    refused = layout.plan().refused
    assert refused is not None
    assert f"(layoutlift delete SOURCE {APP}@{signature['digest']})" in refused.message
    removals = layout.plan(DeleteChoice(digest=Digest(signature["digest"]))).removals
    layout.entries = [entry for entry in layout.entries if entry["digest"] != removals[0].descriptor.digest]
    layout.write_index()
    assert fates(layout.plan()) == {"rancher/app:v0": CleanupAction.KEEP}


def test_of_two_images_that_lost_one_tag_none_is_guessed_to_have_it_back() -> None:
    layout = written_by_oras()
    image, signature = layout.entries[2:]
    layout.image("v1", "another signature")
    notes = {**signature["annotations"], REF_NAME: "rancher/other:v1", IMAGE_NAME: "index.docker.io/rancher/other:v1"}
    layout.entries = [tagged(image, "v1"), signature, {**layout.entries[-1], "annotations": notes}]
    layout.write_index()
    refused = layout.plan().refused
    assert refused is not None
    assert refused.code == "not_judged"


def test_who_deletes_the_tag_that_an_image_lost_to_its_signature_is_told_and_who_names_else_is_served() -> None:
    layout = written_by_oras()
    image, signature = layout.entries[2:]
    for tag in ("v1", "rancher/app:v1"):
        refused = layout.plan(DeleteChoice(tag=tag)).refused
        assert refused is not None
        assert refused.code == "not_judged"
    for choice, gone in (
        (DeleteChoice(tag="v2"), [layout.entries[1]]),
        (DeleteChoice(digest=Digest(image["digest"])), [image]),
        (DeleteChoice(digest=Digest(signature["digest"])), [signature]),
        (DeleteChoice(), layout.entries),
    ):
        removals = layout.plan(choice).removals
        assert [entry.descriptor.digest for entry in removals] == [entry["digest"] for entry in gone]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("rancher/app:sha256-" + "a" * 64 + ".sig", "dev.hauler/sigs"),
        ("rancher/app:v1", "dev.hauler/image"),
        ("rancher/app:v1", "dev.hauler/unheard-of"),
    ],
)
def test_a_tag_that_is_a_signatures_own_or_an_images_keeps_nothing_from_being_judged(name: str, kind: str) -> None:
    assert written_by_oras(name, kind).plan().refused is None


def begun(content: str, number: int = 1) -> str:
    """Where oras writes a blob at first."""
    return f"{APP}/ingest/{hashlib.sha256(content.encode()).hexdigest()}_{number}"


def test_blobs_that_writers_began_and_never_ended_go() -> None:
    layout = two_images()
    layout.files.put(begun("old", 4294967295), b"half of")
    layout.time = NOW - DAY / 2
    layout.files.put(begun("new"), b"half of")
    assert {file.name: file.action for file in layout.plan().files} == {
        begun("old", 4294967295).removeprefix(f"{APP}/"): CleanupAction.DELETE,
        begun("new").removeprefix(f"{APP}/"): CleanupAction.KEEP,
    }


@pytest.mark.parametrize(("algorithm", "length"), [("sha256", 64), ("sha512", 128)])
@pytest.mark.parametrize("number", ["1", "1234567890"])
def test_layers_that_crane_began_and_never_ended_go_and_keep_nothing_else(
    algorithm: str, length: int, number: str
) -> None:
    """So go-containerregistry names them, in the place of the layer; crane, ko and kaniko write by it."""
    layout = two_images()
    old, new = (f"blobs/{algorithm}/{each * length}{number}" for each in "ab")
    layout.files.put(f"{APP}/{old}", b"half of")
    layout.time = NOW - DAY / 2
    layout.files.put(f"{APP}/{new}", b"half of")
    plan = layout.plan()
    assert (plan.refused, bool(plan.removals)) == (None, True)
    assert {file.name: file.action for file in plan.files} == {old: CleanupAction.DELETE, new: CleanupAction.KEEP}
    assert {file.kind for file in plan.files} == {FileKind.INGEST}


@pytest.mark.parametrize(
    "name",
    [
        "sha256/" + "a" * 64 + "12345678901",
        "sha256/" + "a" * 64 + "1" * 64,
        "sha256/" + "a" * 128,
        "sha256/" + "A" * 64 + "1",
        "sha256/" + "a" * 64 + "_1",
        "sha256/" + "a" * 63 + "x1",
        "sha512/" + "a" * 64 + "1",
        "sha256/1234567890",
        "a" * 64 + "1",
        "sha256/x/" + "a" * 64 + "1",
    ],
)
def test_nothing_else_below_blobs_is_taken_for_a_layer_that_crane_began(name: str) -> None:
    layout = two_images()
    layout.files.put(f"{APP}/blobs/{name}", b"somebody's")
    refused = layout.plan().refused
    assert refused is not None
    assert refused.code == "not_judged"


@pytest.mark.parametrize("is_another", [False, True])
def test_uploads_that_were_never_ended_go_also_where_a_mount_sends_them_first(*, is_another: bool) -> None:
    """Unless a repository is called `ingest`; whatever else is sent to a layout is somebody's."""
    layout = two_images()
    sent, blob = begun("large"), layout.place(f"sha256:{'0' * 64}")
    others = [f"{APP}/ingest/notes.txt", f"{APP}/web/blobs/sha256/{'0' * 64}", f"{APP}/{'0' * 64}_1"]
    layout.files.uploads += [UnfinishedUpload(path, "id", NOW - 2 * DAY) for path in (sent, blob, *others)]
    if is_another:
        layout.files.put(f"{APP}/ingest/index.json", b"{}")
    found = {f"{APP}/{file.name}": (file.kind, file.action) for file in layout.plan().files}
    assert found == dict.fromkeys([blob] if is_another else [sent, blob], (FileKind.UPLOAD, CleanupAction.DELETE))


@pytest.mark.parametrize(
    "names",
    [
        ["ingest/notes.txt"],
        [f"ingest/{'0' * 64}"],
        [f"ingest/{'0' * 64}_1/data"],
        ["ingest/oci-layout", "ingest/index.json", f"ingest/blobs/sha256/{'0' * 64}", f"ingest/{'0' * 64}_1"],
        ["ingest/web/index.json", f"ingest/web/blobs/sha256/{'0' * 64}", f"ingest/web/ingest/{'0' * 64}_1"],
    ],
    ids=["another file", "no number", "a folder", "a repository", "a repository further below"],
)
def test_nothing_else_below_ingest_is_taken_for_what_writers_began(names: list[str]) -> None:
    layout = two_images()
    for name in names:
        layout.files.put(f"{APP}/{name}", b"somebody's")
    plan = layout.plan()
    assert plan.refused is None
    assert plan.files == ()


def test_a_referrers_tag_with_the_beginning_of_a_sha512_stays_with_its_subject_and_takes_no_place() -> None:
    """As distribution-spec v1.1.1 has it: the encoded part of a digest is cut to 64 characters."""
    layout = two_images()
    raw = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": layout.blob(b"{}"), "layers": []}).encode()
    encoded = hashlib.sha512(raw).hexdigest()
    layout.files.put(layout.place(f"sha512:{encoded}"), raw)
    subject = {"mediaType": MANIFEST, "digest": f"sha512:{encoded}", "size": len(raw)}
    layout.entries.append({**subject, "annotations": {REF_NAME: "v3"}})
    layout.image(f"sha512-{encoded[:64]}", "signature")
    plan = layout.plan(keep_last(2))
    assert fates(plan) == {
        "v1": CleanupAction.DELETE,
        "v2": CleanupAction.KEEP,
        "v3": CleanupAction.KEEP,
        f"sha512-{encoded[:64]}": CleanupAction.KEEP,
    }


def refusal(plan: RepositoryPlan) -> str | None:
    return plan.refused and plan.refused.code


@pytest.mark.parametrize(("place", "code"), [(0, None), (1, "content_not_found")], ids=["goes", "stays"])
@pytest.mark.parametrize("part", ["manifest", "layer"])
def test_what_goes_may_be_plainly_gone_and_what_stays_may_not(place: int, part: str, code: str | None) -> None:
    layout = two_images()
    digest = layout.entries[place]["digest"] if part == "manifest" else Digest.of(b"layer v%d" % (place + 1))
    _lose(layout, layout.place(digest))
    plan = layout.plan()
    assert refusal(plan) == code
    assert {tag.tag: tag.action for tag in plan.tags} == (
        {} if code else {"v1": CleanupAction.DELETE, "v2": CleanupAction.KEEP}
    )


@pytest.mark.parametrize("place", [0, 1], ids=["goes", "stays"])
def test_what_is_there_and_can_not_be_read_leaves_nothing_to_be_judged(place: int) -> None:
    layout = two_images()
    manifest = layout.place(layout.entries[place]["digest"])
    layout.files.put(manifest, b"x" * len(layout.files.contents()[manifest]))
    assert refusal(layout.plan()) == "digest_mismatch"


def test_a_fault_of_the_moment_is_not_taken_for_content_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    layout = two_images()
    going = layout.entries[0]["digest"]
    _lose(layout, layout.place(going))
    read = MemorySource.blob

    def flaky(source: MemorySource, path: str, descriptor: Descriptor) -> object:
        if descriptor.digest == going:
            raise SourceReadError("for the moment")
        return read(source, path, descriptor)

    monkeypatch.setattr(MemorySource, "blob", flaky)
    assert refusal(layout.plan()) == "source_read"


@pytest.mark.parametrize(("number", "code"), [(1, None), (2, "size_mismatch")], ids=["goes", "stays"])
def test_content_of_another_size_may_go_and_may_not_stay(number: int, code: str | None) -> None:
    layout = two_images()
    layout.files.put(layout.place(Digest.of(b"layer v%d" % number)), b"cut")
    assert refusal(layout.plan()) == code


def test_what_a_writer_stored_after_the_listing_is_not_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    layout = two_images()
    late, listing = layout.place(Digest.of(b"layer v2")), layout.files.list_files
    monkeypatch.setattr(
        layout.files, "list_files", lambda folder: (file for file in listing(folder) if file.path != late)
    )
    assert refusal(layout.plan()) is None


def test_a_layer_that_may_lawfully_be_absent_is_not_missed() -> None:
    layout = two_images()
    foreign = layout.blob(b"elsewhere", "application/vnd.oci.image.layer.nondistributable.v1.tar")
    layout.image("v3", layers=[foreign])
    _lose(layout, layout.place(foreign["digest"]))
    assert refusal(layout.plan()) is None


def test_only_what_was_never_named_or_marked_is_told_as_lost() -> None:
    layout = two_images()
    plan = layout.plan()
    assert (set(fates(plan).values()), plan.findings) == ({CleanupAction.KEEP, CleanupAction.DELETE}, ())
    lost = layout.entries.pop()
    layout.write_index()
    mark(layout, lost, NOW - DAY / 2)
    assert layout.plan().findings == ()


def dropped(layout: PlannedLayout, *, drops: bool = True, timing: Timing | None = None) -> bool:
    plan = layout.plan(keep_last(1, drop_empty_layouts=drops, untagged_after=0.0), timing)
    assert plan.refused is None
    return plan.drop_layout


def test_a_layout_goes_only_when_it_is_empty_and_the_policy_says_so() -> None:
    assert dropped(PlannedLayout())
    assert not dropped(PlannedLayout(), drops=False)
    assert not dropped(two_images())


def test_a_layout_with_something_that_waits_stays() -> None:
    layout = PlannedLayout()
    layout.files.put(begun("a writer's"), b"a wri")
    assert dropped(layout), "what a writer left long ago goes with it"
    layout.time = NOW
    layout.files.put(begun("another's"), b"anoth")
    assert not dropped(layout), "what a writer has just begun does not"


def test_a_layout_of_which_all_is_to_go_goes_when_its_blobs_have() -> None:
    layout = two_images()
    plan = layout.plan(DeleteChoice())
    assert (len(plan.removals), plan.drop_layout) == (2, False)


def test_a_layout_goes_with_its_last_entries_and_not_with_some_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer may have stored after the listing what one of them names."""
    layout = two_images()
    listing = layout.files.list_files
    monkeypatch.setattr(
        layout.files, "list_files", lambda folder: (file for file in listing(folder) if "/blobs/" not in file.path)
    )
    assert not dropped(layout)
    assert layout.plan(DeleteChoice()).drop_layout


@pytest.mark.parametrize(("hold", "goes"), [(0.5 * DAY, True), (2 * DAY, False)])
def test_a_layout_goes_when_the_last_of_its_quarantine_does(hold: float, goes: bool) -> None:
    layout = PlannedLayout()
    blob = layout.blob(b"layer")
    file = layout.files.stat_file(layout.place(blob["digest"]))
    assert file is not None
    layout.files.hide_files([file], ".layoutlift/trash/run")
    record = Record(Step.HIDE, APP, NOW - DAY, files=(file,), trash=".layoutlift/trash/run")
    Journal(layout.files, "run").announce(record)
    assert dropped(layout, timing=Timing(DAY, hold)) is goes


def test_who_was_told_to_end_plans_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def ends(*_: object) -> None:
        raise InterruptedRunError("now")

    layout = two_images()
    monkeypatch.setattr(MemorySource, "read_index", ends)
    with pytest.raises(InterruptedRunError):
        layout.plan()


def test_what_is_left_of_a_first_push_that_died_goes_as_other_blobs_do() -> None:
    """Its index names nothing and nobody lost a manifest: without one nothing can be named again."""
    world = World()
    for raw in image([1, 2]).blobs[:-1]:
        world.files.put(blob_path(raw), raw)
    policy = replace(keep_policy(1), drop_empty_layouts=True)
    for wait, action in ((1, CleanupAction.MARK), (GRACE - 1, CleanupAction.MARK), (1, CleanupAction.QUARANTINE)):
        world.now += wait
        plan = world.plan(policy)
        assert (plan.refused, plan.findings, {blob.action for blob in plan.blobs}) == (None, (), {action})
        assert world.apply_plan(plan)
    world.now += HOLD
    plan = world.plan(policy)
    assert plan.drop_layout
    assert world.apply_plan(plan)
    assert [path for path in world.files.contents() if not path.startswith(".layoutlift")] == []


@pytest.mark.parametrize(
    ("cut", "said"),
    [
        (0, "its index names nothing though there are manifests"),
        (1, "its index names nothing, and what is damaged here may have been a manifest: sha256:"),
    ],
)
def test_a_layout_whose_index_names_nothing_over_a_manifest_is_left_alone(cut: int, said: str) -> None:
    """Also over what is left of one, which is not said to be one."""
    world = World()
    for raw in image([1, 2]).blobs:
        world.files.put(blob_path(raw), raw)
    manifest = image([1, 2]).blobs[-1]
    world.files.put(blob_path(manifest), manifest[: len(manifest) - cut])
    refused = world.plan(keep_policy(1)).refused
    assert refused is not None
    assert refused.message.startswith(said)


def test_a_protected_manifest_over_which_an_index_names_nothing_keeps_its_layout_from_being_judged() -> None:
    layout = PlannedLayout()
    image = layout.image("v1")
    layout.protected = frozenset({Digest(image["digest"])})
    layout.entries.clear()
    layout.write_index()
    assert layout.plan().refused is not None
