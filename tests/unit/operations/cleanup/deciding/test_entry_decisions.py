"""Which entries stay, of those that have no tag of their own."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from tasks.file_ports import StoredFile
from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.image_layout import REFERRER_SUBJECT
from tasks.oci.media_types import IMAGE_INDEX, IMAGE_MANIFEST
from tasks.oci.reference import IMAGE_NAME, referrers_tag
from tasks.operations.choosing.noted_times import CREATED
from tasks.operations.choosing.tag_order import OrderBy
from tasks.operations.cleanup.applying.fresh_view import FreshView, still_wanted
from tasks.operations.cleanup.deciding.choices import DeleteChoice, PolicyChoice
from tasks.operations.cleanup.deciding.entry_decisions import EntryDecisions, decide_entries
from tasks.operations.cleanup.deciding.policy import (
    Period,
    Referrers,
    RepositoryPolicy,
    TagRule,
    select_repositories,
    select_tags,
)
from tasks.operations.cleanup.layout.graph import Graph, Node
from tasks.operations.cleanup.layout.layout_view import Entry, LayoutView
from tasks.operations.cleanup.values import CleanupAction, IndexEntry
from tests.support.graph_looks import counted_looks
from tests.support.planned_layout import DAY, NOW, REF_NAME, PlannedLayout, keep_last

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tasks.operations.choosing.tag_order import DatedTag
    from tasks.operations.cleanup.deciding.retention import Verdict

CHILD, INDEX, SIGNATURE, MOVED, LAYER = (Digest.of(name) for name in (b"c", b"i", b"s", b"m", b"l"))


def entry(tag: str | None, digest: Digest, media_type: str = IMAGE_MANIFEST) -> Entry:
    return Entry(tag, tag, Descriptor(media_type, digest, 1))


def decisions(
    choice: DeleteChoice, child_tag: str | None = None, child_subject: Digest | None = None
) -> EntryDecisions:
    """An index tagged v1 with one child, a signature of that child, and a manifest whose tag moved away."""
    entries = (entry("v1", INDEX, IMAGE_INDEX), entry(child_tag, CHILD), entry(None, SIGNATURE), entry(None, MOVED))
    blobs = {digest: StoredFile(digest, 1, 1.0, "e") for digest in (CHILD, INDEX, SIGNATURE, MOVED, LAYER)}
    graph = Graph(
        {
            INDEX: Node((CHILD,), is_index=True),
            CHILD: Node((LAYER,), subject=child_subject),
            SIGNATURE: Node(subject=CHILD),
            MOVED: Node((LAYER,)),
        }
    )
    view = LayoutView("app", "e", entries, blobs, (), ())
    return decide_entries(view, graph, choice, 2.0, forced={}, stray_since={})


def test_children_and_referrers_of_what_stays_stay() -> None:
    decided = decisions(DeleteChoice(tag="other"))
    assert [verdict.keep for verdict in decided.verdicts] == [True, True, True, True]
    assert set(decided.needed) == {CHILD, INDEX, SIGNATURE, MOVED, LAYER}


def test_children_and_referrers_go_with_their_index_and_what_others_need_stays() -> None:
    decided = decisions(DeleteChoice(tag="v1"))
    assert [verdict.keep for verdict in decided.verdicts] == [False, False, False, True]
    assert set(decided.needed) == {MOVED, LAYER}
    assert set(decided.before) == {CHILD, INDEX, SIGNATURE, MOVED, LAYER}


def test_all_of_a_repository_goes_also_a_part_that_refers_to_what_is_gone() -> None:
    for subject in (None, Digest.of(b"gone")):
        decided = decisions(DeleteChoice(), child_subject=subject)
        assert [verdict.keep for verdict in decided.verdicts] == [False, False, False, False]
        assert not decided.needed


def noted(*times: str | None) -> list[str | None]:
    """What a policy is told of a tag with an entry for each of these times, all of the same content."""
    seen: list[DatedTag] = []

    class Asked(DeleteChoice):
        def tags(self, tags: Sequence[DatedTag]) -> Mapping[str, Verdict]:
            seen.extend(tags)
            return super().tags(tags)

    entries = tuple(
        Entry("v1", "v1", Descriptor(IMAGE_MANIFEST, MOVED, 1, annotations={CREATED: time} if time else {}))
        for time in times
    )
    blobs = {MOVED: StoredFile(MOVED, 1, 0.0, "e")}  # of no known age
    choice = Asked(tag="v1", order_by=OrderBy.CREATED)
    view = LayoutView("app", "e", entries, blobs, (), ())
    decide_entries(view, Graph({MOVED: Node()}), choice, 2e9, forced={}, stray_since={})
    return [None if tag.when is None else datetime.fromtimestamp(tag.when, UTC).isoformat() for tag in seen]


def test_of_entries_with_the_same_content_the_newest_says_how_old_a_tag_is() -> None:
    old, new = "2020-01-01T00:00:00+00:00", "2026-01-01T00:00:00+00:00"
    assert noted(old, new) == noted(new, old) == [new]
    assert noted(new, None) == noted(None, new) == [new]
    assert noted(new, "2099-01-01T00:00:00Z") == noted("2099-01-01T00:00:00Z", None) == [None]


def test_who_names_a_part_of_an_index_takes_nothing_from_it_unless_it_has_a_tag_of_its_own() -> None:
    decided = decisions(DeleteChoice(digest=CHILD))
    assert [verdict.keep for verdict in decided.verdicts] == [True, True, True, True]
    decided = decisions(DeleteChoice(tag="child"), child_tag="child")
    assert [verdict.keep for verdict in decided.verdicts] == [True, False, True, True]
    assert decided.verdicts[1].is_demanded


LONG = 1000 * DAY
"""Longer than anything has been stored."""


def left(layout: PlannedLayout, **policy: Any) -> list[bool]:
    """Which entries stay when the newest tag by name is kept."""
    plan = layout.plan(keep_last(1, **policy))
    assert plan.refused is None
    gone = [(entry.tag, entry.descriptor.digest) for entry in plan.removals]
    return [(body.get("annotations", {}).get(REF_NAME), body["digest"]) not in gone for body in layout.entries]


def made(layout: PlannedLayout, tag: str, when: str) -> None:
    """An image for which its writer noted when it was made."""
    layout.image(tag)
    layout.entries[-1]["annotations"][CREATED] = when
    layout.write_index()


def bare(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: entry[name] for name in ("mediaType", "digest", "size")}


@pytest.mark.parametrize("order_by", [OrderBy.CREATED, OrderBy.SEMVER, OrderBy.NAME])
def test_in_a_bucket_that_was_copied_periods_are_those_in_which_tags_were_made(order_by: OrderBy) -> None:
    """All of it is stored on one day."""
    layout = PlannedLayout()
    for month in range(1, 5):
        made(layout, f"nightly-{month}", f"2026-0{month}-15T00:00:00Z")
    monthly = TagRule(select_tags(["*"]), "*", keep_periods=((Period.MONTHLY, 3),))
    assert left(layout, order_by=order_by, rules=(monthly,)) == [False, True, True, True]


@pytest.mark.parametrize("note", [None, "1970-01-01T00:00:00Z", "yesterday"])
def test_what_one_tag_has_noted_of_a_manifest_goes_for_its_other_tags(note: str | None) -> None:
    """Of `v1,latest` that are pushed together, one has the time; the other counted as of the day of a copy."""
    layout = PlannedLayout()
    for number in range(1, 4):
        made(layout, f"v{number}", f"2024-0{number}-01T00:00:00Z")
        layout.entries.append({**layout.entries[-1], "annotations": {REF_NAME: f"alias-{number}"}})
        if note is not None:
            layout.entries[-1]["annotations"][CREATED] = note
    made(layout, "newest", "2026-11-20T00:00:00Z")
    assert left(layout, order_by=OrderBy.CREATED, rules=keep_last(3).policy.rules) == [False] * 4 + [True] * 3


def test_a_tag_with_two_contents_stays_with_both() -> None:
    layout = PlannedLayout()
    for layer in ("one", "two"):
        layout.image("v1", layer)
    layout.image("v2")
    assert left(layout) == [True, True, True]


@pytest.mark.parametrize("are_full", [True, False], ids=["whole references", "names beside the tag"])
def test_rules_count_the_tags_of_each_image_by_itself_where_a_layout_holds_many(*, are_full: bool) -> None:
    """As skopeo, containerd and `docker save` write them: the newest of all of them is the newest of one."""
    layout = PlannedLayout()
    for name, tag in (("one", "1"), ("one", "2"), ("two", "8"), ("two", "9"), (None, "6"), (None, "7")):
        layout.image(tag)
        reference = f"registry.example/{name}:{tag}"
        if name is not None:
            notes = {REF_NAME: reference} if are_full else {REF_NAME: tag, IMAGE_NAME: reference}
            layout.entries[-1]["annotations"] = notes
    layout.write_index()
    assert left(layout) == [False, True] * 3
    [noticed] = layout.plan().findings
    assert noticed.code == "several_images"


@pytest.mark.parametrize(
    ("references", "stays"),
    [
        (["registry.example/one:{}", "registry.example/two:{}"], False),
        (["registry.example/one:{}", "{}"], False),
        (["registry.example/team/app:{}", "{}"], True),
        (["old.example/one:{}", "new.example/one:{}"], True),
    ],
    ids=["two images", "an image and the layout itself", "the layout by its name and without", "two registries"],
)
def test_a_tag_is_disputed_only_by_what_has_the_same_name_before_it(references: list[str], *, stays: bool) -> None:
    layout = PlannedLayout()
    for reference in references:
        for tag in ("1", "2"):
            layout.image(reference.format(tag), f"{reference} {tag}")
    assert left(layout) == [stays, True] * 2


def test_one_name_of_all_tags_is_no_matter_wherever_they_come_from() -> None:
    layout = PlannedLayout()
    for tag, registry in (("1", "old.example"), ("2", "new.example")):
        layout.image(tag)
        layout.entries[-1]["annotations"] = {REF_NAME: f"{registry}/app:{tag}"}
    layout.write_index()
    assert left(layout) == [False, True]
    assert layout.plan().findings == ()


def test_a_tag_with_a_digest_behind_it_is_one() -> None:
    """As containerd writes an image that was pulled by both."""
    layout = PlannedLayout()
    for tag in ("1", "2"):
        layout.pinned(tag)
    first = layout.entries[0]["annotations"][REF_NAME]
    assert left(layout) == [False, True]
    assert [entry.tag for entry in layout.plan(DeleteChoice(tag="1")).removals] == [first]
    assert left(layout, protected_tags=select_tags(["1"])) == [True, True]
    layout.image("1", "moved")
    assert left(layout) == [True, True, True], "nobody can say which of both is right"


def test_an_entry_under_what_is_no_tag_stays() -> None:
    layout = PlannedLayout()
    layout.image("no tag!", "other")
    layout.image("v1")
    layout.image("v2")
    assert left(layout) == [True, False, True]


def test_an_entry_without_a_tag_goes_with_the_tags_of_its_manifest_however_young_it_is() -> None:
    layout = PlannedLayout()
    layout.image("v1")
    layout.entries.append(bare(layout.entries[0]))
    layout.image("v2")
    assert left(layout, untagged_after=LONG) == [False, False, True]


def test_referrers_of_referrers_go_with_the_first_subject_however_young_they_are() -> None:
    layout = PlannedLayout()
    layout.image("v1")
    sbom = layout.image(None, "sbom", subject=bare(layout.entries[0]))
    layout.image(None, "signature", subject=sbom)
    layout.image("v2")
    assert left(layout, orphans_after=LONG) == [False, False, False, True]


def test_a_referrer_of_a_part_that_has_no_entry_goes_with_the_index() -> None:
    layout = PlannedLayout()
    child = layout.image(None, "child")
    layout.entries.clear()
    body = {"schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": [child]}
    layout.entries.append({**layout.blob(json.dumps(body).encode(), IMAGE_INDEX), "annotations": {REF_NAME: "v1"}})
    layout.image(None, "signature", subject=child)
    layout.image("v2")
    assert left(layout, orphans_after=LONG) == [False, False, True]


@pytest.mark.parametrize(("after", "stays"), [(DAY, False), (LONG, True), (None, True)])
def test_a_referrer_whose_subject_has_left_the_index_is_an_orphan(after: float | None, *, stays: bool) -> None:
    """Its subject's blobs are still there."""
    layout = PlannedLayout()
    subject = layout.image("v1")
    layout.image(None, "sbom", subject=subject)
    layout.image("v2")
    del layout.entries[0]
    layout.write_index()
    assert left(layout, orphans_after=after) == [stays, True]


WITHOUT_IMAGES = "its subject is not there, nor any image with a tag: it may be of what lies elsewhere"


@pytest.mark.parametrize("other", [[], ["sbom"], ["replaced"], ["signed sbom"], ["referred to"]])
def test_what_lies_in_a_repository_of_referrers_alone_is_no_orphan(other: list[str]) -> None:
    """As cosign puts signatures into one of their own (COSIGN_REPOSITORY): what they sign is elsewhere."""
    layout = PlannedLayout()
    for number in range(2):
        layout.image(f"sha256-{number:064x}.sig")
    if other == ["sbom"]:
        layout.image("v1", subject=PlannedLayout().image("elsewhere"))
    elif other == ["replaced"]:
        layout.image(None, "a signature whose tag moved on")
    elif other == ["signed sbom"]:
        layout.image(own_name(layout.image(None, "an sbom whose tag moved on")) + ".sig")
    elif other == ["referred to"]:
        layout.image(None, "signature", subject=layout.image(None, "an sbom whose tag moved on"))
    assert left(layout, untagged_after=LONG) == [True] * len(layout.entries)
    assert layout.plan().tags[0].reason == WITHOUT_IMAGES
    assert len(layout.plan(DeleteChoice()).removals) == len(layout.entries)
    layout.image("v2")
    assert left(layout)[:2] == [False, False]


def untagged_index(layout: PlannedLayout, *children: Mapping[str, Any]) -> None:
    body = {"schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": list(map(bare, children))}
    layout.entries.append(layout.blob(json.dumps(body).encode(), IMAGE_INDEX))


def test_an_index_without_a_tag_is_an_image_beside_which_orphans_are() -> None:
    layout = PlannedLayout()
    layout.image(None, "orphan", subject=PlannedLayout().image("gone"))
    untagged_index(layout, layout.image(None, "image"))
    layout.write_index()
    assert left(layout, untagged_after=LONG) == [False, True, True]


def test_a_list_of_referrers_that_was_replaced_is_no_image_without_a_tag() -> None:
    """It has none any more, as each new one takes it."""
    layout = PlannedLayout()
    orphan = layout.image(None, "orphan", subject=PlannedLayout().image("elsewhere"))
    for members in ([], [orphan]):
        untagged_index(layout, *members)
    layout.write_index()
    assert left(layout, untagged_after=LONG) == [True, True, True]


def test_referrers_that_are_kept_keep_the_content_of_their_subject() -> None:
    layout = PlannedLayout()
    subject = layout.image("v1")
    layout.image(None, "sbom", subject=subject)
    layout.image("v2")
    assert left(layout, referrers=Referrers.KEEP) == [False, True, True]
    plan = layout.plan(keep_last(1, referrers=Referrers.KEEP))
    assert {blob.action for blob in plan.blobs} == {CleanupAction.KEEP}


def test_a_referrer_with_a_tag_of_its_own_is_judged_by_its_tag() -> None:
    layout = PlannedLayout()
    layout.image("v2", "sbom", subject=layout.image("v1"))
    assert left(layout) == [False, True]


@pytest.mark.parametrize("name", REFERRER_SUBJECT)
def test_a_list_of_referrers_that_names_its_subject_in_the_index_stays_with_it(name: str) -> None:
    layout = PlannedLayout()
    subjects = [layout.image(tag) for tag in ("v1", "v2")]
    for subject in subjects:
        layout.image(None, subject["digest"])
        layout.entries[-1] = {**layout.entries[-1], "annotations": {name: subject["digest"]}}
    layout.write_index()
    assert left(layout, untagged_after=LONG) == [False, True, False, True]
    assert left(layout, untagged_after=DAY) == [False, True, False, True]


@pytest.mark.parametrize("image_stays", [True, False])
def test_a_signature_that_cosign_saved_goes_or_stays_with_the_one_image_beside_it(*, image_stays: bool) -> None:
    """It has neither a tag nor a subject, and would count as untagged."""
    layout = PlannedLayout()
    layout.image("v1")
    layout.image(None, "signature")
    layout.entries[1]["annotations"] = {"kind": "dev.cosignproject.cosign/sigs"}
    layout.write_index()
    keeps = keep_last(1) if image_stays else DeleteChoice(tag="v1")
    plan = layout.plan(keeps)
    assert plan.refused is None
    assert len(plan.removals) == (0 if image_stays else 2)


@pytest.mark.parametrize("notes", [{"kind": "sigs"}, {"kind": "dev.cosignproject.cosign/sigs", REF_NAME: "signed"}])
def test_what_another_writer_calls_so_or_has_a_tag_of_its_own_does_not_go_with_the_image(
    notes: dict[str, str],
) -> None:
    layout = PlannedLayout()
    layout.image("v1")
    layout.image(None, "signature")
    layout.entries[1]["annotations"] = notes
    layout.write_index()
    assert len(layout.plan(DeleteChoice(tag="v1")).removals) == 1


@pytest.mark.parametrize("named_by", ["tag", *REFERRER_SUBJECT])
@pytest.mark.parametrize("stays", ["manifest", "name"])
def test_what_refers_to_one_thing_in_its_manifest_and_to_another_by_name_stays_with_either(
    named_by: str, stays: str
) -> None:
    layout = PlannedLayout()
    goes, kept = layout.image("v1"), layout.image("v2")
    in_manifest, by_name = (kept, goes) if stays == "manifest" else (goes, kept)
    layout.image(None, "sbom", subject=bare(in_manifest))
    name, subject = (
        (REF_NAME, by_name["digest"].replace(":", "-")) if named_by == "tag" else (named_by, by_name["digest"])
    )
    layout.entries[-1] = {**layout.entries[-1], "annotations": {name: subject}}
    layout.write_index()
    assert left(layout) == [False, True, True]
    del layout.entries[0]  # so that one of both is not there at all
    layout.write_index()
    assert left(layout) == [True, True]


def test_a_referrer_that_somebody_named_goes_though_its_subject_stays() -> None:
    decided = decisions(DeleteChoice(digest=SIGNATURE))
    assert [verdict.keep for verdict in decided.verdicts] == [True, True, False, True]


def test_who_names_a_tag_takes_no_orphan_with_it() -> None:
    layout = PlannedLayout()
    layout.image(None, "sbom", subject=layout.image("v0"))
    layout.image("v1")
    layout.image("v2")
    del layout.entries[0]
    layout.write_index()
    assert [entry.tag for entry in layout.plan(DeleteChoice(tag="v1")).removals] == ["v1"]


def test_tags_of_referrers_and_disputed_ones_take_nobodys_place() -> None:
    layout = PlannedLayout()
    layout.image("a1")
    subject = layout.image("a2")
    layout.image(f"sha256-{subject['digest'][7:]}.sig", "signature")
    for layer in ("one", "two"):
        layout.image("z", layer)
    assert left(layout) == [False, True, True, True, True]


def under_their_own_digests() -> PlannedLayout:
    """An image and an index as oc-mirror names what it is told to take by digest, and one with a tag of people's."""
    layout = PlannedLayout()
    platforms = [layout.image(None, name) for name in ("amd", "arm")]
    body = {"schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": platforms}
    index, image = layout.blob(json.dumps(body).encode(), IMAGE_INDEX), layout.image(None, "alone")
    layout.entries = [{**each, "annotations": {REF_NAME: own_name(each)}} for each in (index, image)]
    layout.image("v1")
    return layout


def own_name(image: Mapping[str, Any]) -> str:
    return referrers_tag(Digest(image["digest"]))


def test_what_has_its_own_digest_for_a_tag_does_not_refer_to_itself_and_go_with_itself() -> None:
    layout = under_their_own_digests()
    rule = TagRule(select_tags(["pr-*"]), "pr-*", keep_last=1)
    policy = RepositoryPolicy("trial", select_repositories(["**"]), (rule,), order_by=OrderBy.NAME)
    for choice in (PolicyChoice(policy, frozenset(), NOW), DeleteChoice(tag="other")):
        assert layout.plan(choice).removals == ()
    assert [entry.tag for entry in layout.plan(DeleteChoice(tag="v1")).removals] == ["v1"]


def test_what_has_its_own_digest_for_a_tag_is_decided_on_as_tags_are() -> None:
    layout = under_their_own_digests()
    one, other = map(own_name, layout.entries[:2])
    assert sorted(left(layout)[:2]) == [False, True]
    assert [entry.tag for entry in layout.plan(DeleteChoice(tag=one)).removals] == [one]
    named = layout.plan(DeleteChoice(digest=Digest(layout.entries[1]["digest"]))).removals
    assert [entry.tag for entry in named] == [other]


@pytest.mark.parametrize("rule", [{"keep_last": 2}, {"keep_periods": ((Period.DAILY, 2),)}])
def test_what_has_its_own_digest_for_a_tag_takes_no_place_of_what_people_named(rule: Mapping[str, Any]) -> None:
    layout = PlannedLayout()
    for day, tag in enumerate(["v1", "v2", *"abc"], start=1):
        made(layout, tag, f"2026-01-0{day}T00:00:00Z")
    for each in layout.entries[2:]:
        each["annotations"][REF_NAME] = own_name(each)
    layout.write_index()
    rules = (TagRule(select_tags(["*"]), "*", **rule),)
    assert left(layout, order_by=OrderBy.CREATED, rules=rules) == [True, True, False, True, True]


@pytest.mark.parametrize("annotation", REFERRER_SUBJECT)
def test_what_is_noted_as_a_list_of_itself_is_none(annotation: str) -> None:
    layout = PlannedLayout()
    image = layout.image("v1")
    layout.entries[0] = {**image, "annotations": {REF_NAME: "v1", annotation: image["digest"]}}
    layout.write_index()
    assert left(layout) == [True]


def test_what_a_kept_tag_refers_to_stays_without_a_tag_and_what_refers_to_it_under_one() -> None:
    layout = PlannedLayout()
    layout.image("v2", "sbom", subject=layout.image(None, "subject"))
    layout.image("a-signature", "signature", subject=bare(layout.entries[1]))
    assert left(layout, untagged_after=DAY) == [True, True, True]


def test_a_long_chain_of_referrers_is_gone_along_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its length is up to whoever writes the layout; looked at anew for each of them, 3,000 took 17 s."""
    chain = [Digest.of(str(number).encode()) for number in range(300)]
    graph = Graph({digest: Node(subject=before) for before, digest in pairwise([None, *chain])})
    entries = (entry("v1", chain[0]), *(entry(None, digest) for digest in chain[1:]))
    blobs = {digest: StoredFile(digest, 1, 1.0, "e") for digest in chain}
    looks = counted_looks(monkeypatch)
    view = LayoutView("app", "e", entries, blobs, (), ())
    decided = decide_entries(view, graph, DeleteChoice(tag="other"), 2.0, forced={}, stray_since={})
    assert all(verdict.keep for verdict in decided.verdicts)
    fresh = FreshView(entries, blobs, {}, (), (), graph)
    assert still_wanted(fresh, [IndexEntry(None, each.descriptor) for each in entries[1:]]) == []
    assert len(looks) < 10 * len(chain)
