"""What no index names any more is named again: whole, at its top, and under a name that nobody has."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tasks.oci.errors import InterruptedRunError
from tasks.operations.cleanup.deciding.blob_decisions import BlobRules
from tasks.operations.cleanup.planning.plan_tools import PlanTools
from tasks.operations.cleanup.planning.recovering import plan_recovery
from tasks.operations.cleanup.records.holdings import Holdings
from tasks.operations.cleanup.values import CleanupAction, RepositoryPlan, Timing
from tests.support.memory_stores import MemorySource
from tests.support.planned_layout import APP, NOW, REF_NAME, Json, PlannedLayout

INDEX = "application/vnd.oci.image.index.v1+json"


class Lost(PlannedLayout):
    """A layout that names `stays`, and lost what is stored by `lost_image` and `lost_index`."""

    def __init__(self) -> None:
        super().__init__()
        self.before: list[dict[str, Json] | list[Json]] = []
        """Tags of earlier indexes, or their entries, the newest first; one without any can't be read."""
        self.read: list[dict[str, Json] | list[Json]] = []
        self.replaced = self.time
        """When the last of them was written."""
        self.stays = self.image("stays")

    def lost_image(self, layer: str, **fields: Any) -> Json:
        image = self.image(None, layer, **fields)
        self.entries.pop()
        self.write_index()
        return image

    def lost_index(self, *children: Json) -> Json:
        return self.blob(json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": children}).encode(), INDEX)

    def recovery(self, source: MemorySource | None = None) -> RepositoryPlan:
        source = source or MemorySource(self.files.contents())
        rules = BlobRules(NOW, Timing(0.0, 0.0), 0.0, 0.0, sweeps=False)
        tools = PlanTools(source, self.files, Holdings(self.files), rules, map, old_indexes=self.old_indexes)
        return plan_recovery(tools, APP).plan

    def old_indexes(self, path: str, since: float) -> Iterator[bytes]:
        assert path == APP
        for before in self.before if since <= self.replaced else ():
            self.read.append(before)
            entries = before if isinstance(before, list) else [tagged(*each) for each in before.items()]
            yield json.dumps({"schemaVersion": 2, "manifests": entries}).encode() if entries else b"{"

    def named(self) -> set[tuple[str | None, str]]:
        plan = self.recovery()
        assert (plan.refused, plan.path) == (None, APP)
        added = {(tag.tag, tag.digest) for tag in plan.tags if tag.action is CleanupAction.ADD}
        assert added == {(each.tag, each.descriptor.digest) for each in plan.additions if each.tag is not None}
        return {(each.tag, each.descriptor.digest) for each in plan.additions}

    def gaps(self) -> dict[str, str]:
        """What is said of each manifest that can't be named again."""
        plan = self.recovery()
        assert {finding.code for finding in plan.findings} <= {"content_not_found"}
        return {finding.message.partition(": ")[0]: finding.message for finding in plan.findings}


@pytest.fixture
def layout() -> Lost:
    return Lost()


def tagged(tag: str, image: Json, **annotations: str) -> Json:
    return {**image, "annotations": {REF_NAME: tag, **annotations}}


def made_up(image: Json) -> tuple[str, str]:
    return f"recovered-{image['digest'][7:19]}", image["digest"]


def test_where_nothing_is_lost_nothing_is_named(layout: Lost) -> None:
    assert layout.named() == set()


def test_what_was_lost_gets_the_name_that_it_says_or_one_of_its_digest(layout: Lost) -> None:
    wanted = layout.lost_image("a", annotations={REF_NAME: "v1"})
    others = [
        layout.lost_image("b"),
        layout.lost_image("c", annotations={REF_NAME: "stays"}),
        layout.lost_image("d", annotations={REF_NAME: "no tag"}),
    ]
    assert layout.named() == {("v1", wanted["digest"]), *map(made_up, others)}


def test_a_tag_with_a_digest_behind_it_is_not_free(layout: Lost) -> None:
    layout.pinned("1.25")
    lost = layout.lost_image("a", annotations={REF_NAME: "1.25"})
    assert layout.named() == {made_up(lost)}


def test_what_an_earlier_index_has_gets_its_tags_back_where_they_are_free(layout: Lost) -> None:
    lost, moved, unknown = layout.lost_image("a"), layout.lost_image("b"), layout.lost_image("c")
    layout.before = [{}, {"v1": lost, "latest": lost}, {"v1": moved, "stays": moved}]
    assert layout.named() == {("v1", lost["digest"]), ("latest", lost["digest"]), made_up(moved), made_up(unknown)}
    reasons = {tag.tag: "earlier index.json" in tag.reason for tag in layout.recovery().tags if tag.tag}
    assert reasons["v1"]
    assert not reasons[made_up(moved)[0]]


def test_a_manifest_s_own_word_takes_no_tag_that_an_earlier_index_has_for_another(layout: Lost) -> None:
    images = [layout.lost_image(layer, annotations={REF_NAME: "v1"}) for layer in "ab"]
    for had, other in (images, images[::-1]):  # whichever digest comes first
        layout.before = [{"v1": had}]
        assert layout.named() == {("v1", had["digest"]), made_up(other)}


def test_no_more_earlier_indexes_are_read_than_find_what_is_lost(layout: Lost) -> None:
    layout.before = [{"v1": layout.lost_image("a")}, {"v2": layout.stays}]
    layout.recovery()
    assert layout.read == layout.before[:1]


def test_a_tag_that_moved_on_is_not_given_back_whatever_else_the_newer_index_has(layout: Lost) -> None:
    lost, other = layout.lost_image("a"), layout.lost_image("b")
    moved = tagged("moves", layout.stays)
    twice = [tagged("latest", lost), tagged("latest", other)]
    layout.before = [[moved, *twice], {"moves": lost, "latest": other, "v1": other}]
    assert layout.named() == {made_up(lost), ("v1", other["digest"])}


def test_a_tag_of_an_entry_that_is_broken_is_not_given_back(layout: Lost) -> None:
    lost, other = layout.lost_image("a"), layout.lost_image("b")
    layout.before = [[tagged("moves", {"digest": "none"})], {"moves": lost, "v1": other}]
    assert layout.named() == {made_up(lost), ("v1", other["digest"])}


def test_of_a_layout_of_many_images_no_tag_comes_back_without_its_image(layout: Lost) -> None:
    others = [layout.lost_image(layer) for layer in "abc"]
    own = layout.lost_image("d")
    by_name = {"io.containerd.image.name": "docker.io/library/alpine:3.1"}
    entries = [tagged("3.1", others[0], **by_name), tagged("localhost/nginx:3.2", others[1])]
    layout.before = [[*entries, tagged(f"registry.example.com/{APP}:v1", own)], {"3.2": others[2]}]
    assert layout.named() == {*map(made_up, others), ("v1", own["digest"])}


def test_of_a_layout_of_one_image_its_tag_comes_back_whatever_else_the_image_is_called(layout: Lost) -> None:
    """As builders name it by the registry that it was meant for."""
    lost = layout.lost_image("a")
    layout.before = [[tagged("v1", lost, **{"io.containerd.image.name": "registry.example.com/team/other:v1"})]]
    assert layout.named() == {("v1", lost["digest"])}


def test_nothing_is_given_back_by_what_is_older_than_an_entry_that_hides_its_tag(layout: Lost) -> None:
    lost, other = layout.lost_image("a"), layout.lost_image("b")
    layout.before = [[{"digest": "none"}, tagged("v1", lost)], {"v2": other}]
    assert layout.named() == {("v1", lost["digest"]), made_up(other)}
    assert layout.read == layout.before[:1]


def test_where_nothing_is_lost_no_earlier_index_is_read(layout: Lost) -> None:
    layout.before = [{"v1": layout.stays}]
    layout.recovery()
    assert layout.read == []


def test_what_was_stored_after_all_earlier_indexes_has_none_read(layout: Lost) -> None:
    layout.before = [{"v1": layout.stays}] * 200
    layout.time += 1
    new = layout.lost_image("a")
    assert layout.named() == {made_up(new)}
    assert layout.read == []
    layout.time -= 1
    old = layout.lost_image("b")
    assert layout.named() == {made_up(new), made_up(old)}
    assert layout.read[:200] == layout.before


def test_of_two_that_say_the_same_name_one_gets_it(layout: Lost) -> None:
    both = [layout.lost_image(layer, annotations={REF_NAME: "v1"}) for layer in "ab"]
    named = layout.named()
    assert {digest for _, digest in named} == {image["digest"] for image in both}
    (first,) = [digest for tag, digest in named if tag == "v1"]
    assert named == {("v1", first), *(made_up(image) for image in both if image["digest"] != first)}


def test_parts_come_back_with_what_they_are_part_of_and_referrers_without_a_name(layout: Lost) -> None:
    inner = layout.lost_index(layout.lost_image("a"), layout.lost_image("b"))
    outer = layout.lost_index(inner)
    signature = layout.lost_image("signature", subject=outer)
    of_what_stays = layout.lost_image("of what stays", subject=layout.stays)
    last = layout.lost_image("z")
    assert layout.named() == {
        made_up(outer),
        (None, signature["digest"]),
        (None, of_what_stays["digest"]),
        made_up(last),
    }


def test_parts_of_an_index_get_the_tags_back_that_they_had_and_no_other(layout: Lost) -> None:
    parts = amd64, arm64, _ = [layout.lost_image(layer) for layer in "abc"]
    index = layout.lost_index(*parts)
    layout.before = [{"v1": index, "v1-amd64": amd64, "v1-arm64": arm64, "stays": arm64}]
    named = {("v1", index["digest"]), ("v1-amd64", amd64["digest"]), ("v1-arm64", arm64["digest"])}
    assert layout.named() == named
    layout.before = []
    assert layout.named() == {made_up(index)}


def test_a_part_that_had_a_tag_is_named_also_where_its_index_is_not_whole(layout: Lost) -> None:
    whole, gone = layout.lost_image("a"), layout.lost_image("b")
    index = layout.lost_index(whole, gone)
    layout.files._files.pop(layout.place(gone["digest"]))
    layout.before = [{"v1": index, "v1-amd64": whole}]
    assert layout.named() == {("v1-amd64", whole["digest"])}
    assert layout.gaps().keys() == {index["digest"]}


def test_a_part_of_what_is_named_is_not_lost(layout: Lost) -> None:
    index = layout.lost_index(layout.lost_index(layout.lost_image("a"), layout.lost_image("b")))
    layout.entries.append({**index, "annotations": {REF_NAME: "all"}})
    layout.write_index()
    assert layout.named() == set()


def test_what_is_not_whole_is_told_and_stays_unnamed(layout: Lost) -> None:
    broken, fine = layout.lost_image("gone"), layout.lost_image("fine")
    child = layout.lost_image("child")
    index = layout.lost_index(child)
    gone = layout.blob(b"layer gone")["digest"]
    layout.files._files.pop(layout.place(gone))
    layout.files._files.pop(layout.place(child["digest"]))
    assert layout.named() == {made_up(fine)}
    gaps = layout.gaps()
    assert gaps.keys() == {broken["digest"], index["digest"]}
    assert gone in gaps[broken["digest"]]
    assert child["digest"] in gaps[index["digest"]]


def test_a_part_that_can_not_be_understood_is_a_gap(layout: Lost) -> None:
    odd = layout.blob(b'{"schemaVersion":2}', "application/vnd.oci.image.manifest.v1+json")
    index = layout.lost_index(odd)
    assert layout.named() == set()
    assert "can't be read" in layout.gaps()[index["digest"]]


def test_a_layer_that_may_lawfully_be_absent_is_no_gap(layout: Lost) -> None:
    foreign = layout.blob(b"elsewhere", "application/vnd.oci.image.layer.nondistributable.v1.tar")
    config = layout.blob(b"{}", "application/vnd.oci.image.config.v1+json")
    image = layout.lost_image("x", layers=[foreign], config=config)
    layout.files._files.pop(layout.place(foreign["digest"]))
    assert layout.named() == {made_up(image)}


def test_what_is_damaged_and_unnamed_keeps_nothing_else_from_coming_back(layout: Lost) -> None:
    """A writer that died in the middle of a push leaves such files."""
    image, damaged = layout.lost_image("a"), layout.blob(b"x" * 100)
    layout.files.put(layout.place(damaged["digest"]), b"y" * 100)
    plan = layout.recovery()
    assert [each.descriptor.digest for each in plan.additions] == [image["digest"]]
    [finding] = plan.findings
    assert (finding.path, finding.code) == (APP, "digest_mismatch")
    assert damaged["digest"] in finding.message


def test_a_layout_that_is_not_understood_whole_is_left_alone(layout: Lost) -> None:
    layout.lost_image("a")
    place = layout.place(layout.stays["digest"])
    layout.files.put(place, b"x" * len(layout.files.contents()[place]))
    plan = layout.recovery()
    assert (plan.additions, plan.refused and plan.refused.code) == ((), "digest_mismatch")


def test_who_was_told_to_end_plans_nothing(layout: Lost) -> None:
    class Ends(MemorySource):
        def read_index(self, path: str) -> None:  # type: ignore[override]
            raise InterruptedRunError(path)

    with pytest.raises(InterruptedRunError):
        layout.recovery(Ends({}))
