"""What changed is told apart from what can't be seen, and nothing is remembered that did not go well."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tasks.ledger.ledger import Ledger
from tasks.ledger.ledger_memory import LayoutNote
from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import InterruptedRunError, StateError
from tasks.oci.reference import REF_NAME, referrers_tag
from tasks.operations.choosing.newest import Newest, NewestBy
from tasks.operations.choosing.selection import Selection
from tasks.operations.in_step.since_last import (
    RememberedWork,
    UnchangedWork,
    changes_of,
    is_as_noted,
    is_unchanged,
    settings_mark,
    tag_changes,
    vanished_layouts,
)
from tasks.operations.reports.results import (
    Depth,
    Outcome,
    RefusedEntry,
    RepositoryInventory,
    TagEntry,
    TagResult,
)
from tasks.operations.work.repository_work import RepositoryWork, Unit
from tasks.ports import Finding
from tests.support.engine import MemoryLines

ONE, TWO = Digest.of(b"one"), Digest.of(b"two")


def inventory(refused: tuple[str, ...] = (), **tags: Digest) -> RepositoryInventory:
    return RepositoryInventory(
        "App",
        "etag",
        tuple(TagEntry(tag, Descriptor("application/x", digest, 3)) for tag, digest in tags.items()),
        refused=tuple(RefusedEntry(tag, None, None, "invalid_manifest", "no") for tag in refused),
    )


def test_tags_are_new_moved_vanished_or_as_they_were() -> None:
    changes = tag_changes(inventory(same=ONE, moved=TWO, new=ONE), {"same": ONE, "moved": ONE, "gone": TWO})
    assert [(c.tag, c.change, c.digest, c.before) for c in changes] == [
        ("gone", "vanished", None, TWO),
        ("moved", "moved", TWO, ONE),
        ("new", "new", ONE, None),
    ]


def test_a_tag_that_can_not_be_migrated_any_more_has_not_vanished() -> None:
    assert list(tag_changes(inventory(refused=("bad",)), {"bad": ONE})) == []


def test_findings_name_what_moved_or_vanished_and_not_what_is_new() -> None:
    found = list(changes_of(inventory(moved=TWO, new=ONE), "app", {"moved": ONE, "gone": TWO}, Selection()))
    assert [(each.path, each.code) for each in found] == [("App", "tag_vanished"), ("App", "tag_moved")]
    assert "app:gone" in found[0].message


def test_a_tag_that_moved_and_is_not_chosen_is_not_told_of_as_the_target_does_not_follow_it() -> None:
    signature = f"{referrers_tag(ONE)}.sig"
    here, noted = inventory(v1=TWO, latest=TWO, **{signature: TWO}), {"v1": ONE, "latest": ONE, signature: ONE}
    for exclude, told in (([], {"v1", "latest", signature}), ([":latest"], {"v1", signature})):
        found = changes_of(here, "app", noted, Selection.parse((), exclude))
        assert {each.message.split(" ")[0] for each in found} == told


def test_a_list_of_referrers_that_vanished_is_no_tag_that_the_target_keeps() -> None:
    noted = {referrers_tag(ONE): TWO, f"{referrers_tag(ONE)}.sig": TWO}
    assert [each.message.split(" ")[0] for each in changes_of(inventory(), "app", noted, Selection())] == [
        f"app:{referrers_tag(ONE)}.sig"
    ]


def test_an_image_with_its_own_digest_for_a_tag_is_told_of_as_others_are() -> None:
    tag = referrers_tag(ONE)
    (found,) = changes_of(inventory(), "app", {tag: ONE}, Selection())
    assert (found.code, found.message.split(" ")[0]) == ("tag_vanished", f"app:{tag}")
    entry = {"mediaType": "application/x", "digest": ONE, "size": 3, "annotations": {REF_NAME: tag}}
    index = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    assert not is_as_noted("app", index, {}, Selection())
    assert is_as_noted("app", index, {tag: ONE}, Selection())


def found_besides(*paths: str, code: str = "unreadable_directory") -> list[Finding]:
    return [Finding(path, code, "no layout") for path in paths]


@pytest.mark.parametrize(
    ("found", "unreadable", "vanished"),
    [
        (["a"], [], ["b", "b/deep"]),
        (["a", "b"], [], ["b/deep"]),
        (["a"], ["b"], []),
        (["a"], ["b/deep"], ["b"]),
        (["a"], ["."], []),
        (["a"], ["bb"], ["b", "b/deep"]),
    ],
)
def test_what_lies_below_an_unreadable_place_has_not_vanished(
    found: list[str], unreadable: list[str], vanished: list[str]
) -> None:
    told = vanished_layouts(["a", "b", "b/deep"], found, found_besides(*unreadable))
    assert [each.path for each in told] == vanished


@pytest.mark.parametrize(
    ("files_in", "vanished"),
    [
        (".", ["b", "b/deep"]),
        ("other", ["b", "b/deep"]),
        ("b", ["b/deep"]),
        ("b/notes", ["b", "b/deep"]),
        ("b/blobs/sha256", ["b/deep"]),
        ("b/deep/blobs", ["b"]),
        ("blobs/sha256", ["b", "b/deep"]),
    ],
)
def test_files_beside_the_layouts_hide_none_but_the_one_that_they_are_left_of(
    files_in: str, vanished: list[str]
) -> None:
    told = vanished_layouts(["a", "b", "b/deep"], ["a"], found_besides(files_in, code="not_a_layout"))
    assert [each.path for each in told] == vanished


def test_a_layout_of_which_an_entry_can_not_be_looked_at_has_not_vanished() -> None:
    told = vanished_layouts(["a", "b", "b/deep"], ["a"], found_besides("b/index.json", code="unreadable_entry"))
    assert [each.path for each in told] == ["b/deep"]
    assert not list(vanished_layouts(["."], ["a"], found_besides("oci-layout", code="unreadable_entry")))


def test_a_source_that_was_a_layout_itself_has_not_vanished_while_blobs_are_left() -> None:
    assert not list(vanished_layouts(["."], ["a"], found_besides("blobs/sha256", code="not_a_layout")))


IMAGE = Unit(Descriptor("application/x", ONE, 3), ("v1",))


def remembered(noted: Ledger) -> list[tuple[str | None, Depth | None, int]]:
    results = UnchangedWork(inventory(v1=ONE), "app", "host", noted).execute(IMAGE)
    assert {(str(result.outcome), result.target) for result in results} == {("up_to_date", "host/app:v1")}
    return [(result.tag, result.verified, result.referrers) for result in results]


def test_a_layout_that_is_unchanged_is_told_of_as_it_was_proved() -> None:
    ledger = Ledger(MemoryLines())
    assert remembered(ledger) == [("v1", None, 0)], "of what is not known nothing is said"
    ledger.note_tag("app", "v1", ONE, "blobs", 2, layout="App")
    assert remembered(ledger) == [("v1", Depth.BLOBS, 2)]
    ledger.note_tag("app", "v1", ONE, None, 1, layout="App")
    assert remembered(ledger) == [("v1", None, 1)]
    ledger.note_tag("app", "v1", TWO, "blobs", 2, layout="App")
    assert remembered(ledger) == [("v1", None, 0)], "it was another image"


def test_of_a_list_of_referrers_in_an_unchanged_layout_no_tag_is_claimed_at_the_target() -> None:
    """A target with the referrers API has none, and which kind it is was not asked. Its members alone count, as when
    it is migrated or verified.
    """
    ledger = Ledger(MemoryLines())
    tag = referrers_tag(TWO)
    here = replace(inventory(), referrers={TWO: (IMAGE.descriptor,) * 3})
    for known in (False, True):
        (result,) = UnchangedWork(here, "app", "host", ledger).execute(Unit(IMAGE.descriptor, (tag,), TWO))
        assert (str(result.outcome), result.target, result.referrers) == ("up_to_date", None, 3 * known)
        ledger.note_tag("app", tag, ONE, "blobs", 4, layout="App")  # one of the three has a referrer itself


def test_an_untagged_entry_of_an_unchanged_layout_has_a_result_too() -> None:
    work = UnchangedWork(inventory(), "app", "host", Ledger(MemoryLines()))
    [result] = work.execute(Unit(IMAGE.descriptor, ()))
    assert (result.tag, result.target, work.asks_target) == (None, f"host/app@{ONE}", False)


class Work(RepositoryWork):
    """Whose results and findings are as a test says."""

    def __init__(self, of: RepositoryInventory) -> None:
        super().__init__(of, "host/app")
        self.codes: list[str | None] = []
        self.told: list[Finding] = []

    def _execute(self, unit: Unit) -> list[TagResult]:
        code = self.codes.pop(0)
        return [
            self._result(unit, tag, Outcome.COPIED if code is None else Outcome.FAILED, code=code) for tag in "ab"
        ]

    def found(self) -> list[Finding]:
        return self.told


BROKEN = Finding("App", "content_not_found", "a referrer")
REFUSED = RefusedEntry("bad", None, None, "invalid_manifest", "no")


@pytest.mark.parametrize(
    ("inventory_of", "codes", "found", "is_whole"),
    [
        (inventory(v1=ONE), [None], [], True),
        (inventory(v1=ONE), ["transport", None], [], True),
        (inventory(v1=ONE), [None, "transport"], [], False),
        (inventory(v1=ONE), ["transport"], [], False),
        (inventory(v1=ONE), [None], [BROKEN], False),
        (replace(inventory(v1=ONE), findings=(BROKEN,)), [None], [], False),
        (replace(inventory(v1=ONE), refused=(REFUSED,)), [None], [], False),
    ],
)
def test_only_a_layout_of_which_all_went_well_in_the_end_is_remembered_as_whole(
    inventory_of: RepositoryInventory, codes: list[str | None], found: list[Finding], is_whole: bool
) -> None:
    ledger = Ledger(MemoryLines())
    work = Work(inventory_of)
    work.codes, work.told = list(codes), found
    made = RememberedWork(work, "app", ledger, "settings", Selection())
    for code in codes:
        assert [result.code for result in made.execute(IMAGE)] == [code, code]
    assert made.finish() == found
    assert ledger.layout("App") == LayoutNote("app", "etag" if is_whole else "", "settings")


def test_what_was_skipped_is_not_whole_and_a_plan_notes_nothing() -> None:
    ledger = Ledger(MemoryLines())
    made = RememberedWork(Work(inventory(v1=ONE)), "app", ledger, None, Selection())
    assert [result.code for result in made.skip(IMAGE, InterruptedRunError("now"))] == ["interrupted"]
    assert made.finish() == []
    assert ledger.layout("App") is None
    made = RememberedWork(Work(inventory(v1=ONE)), "app", ledger, "settings", Selection())
    made.skip(IMAGE, InterruptedRunError("now"))
    made.finish()
    assert ledger.layout("App") == LayoutNote("app", "", "settings")
    assert made.refuse(REFUSED).code == "invalid_manifest"


@pytest.mark.parametrize(
    ("code", "etag"),
    [("missing_at_target", ""), ("conflict", ""), (None, "etag"), (InterruptedRunError.code, "etag")],
)
def test_a_problem_counts_against_a_layout_though_the_run_does_not_reach_its_end(code: str | None, etag: str) -> None:
    """It was killed, or cancelled before all slices were begun: what was not come to is as it was noted."""
    lines = MemoryLines()
    Ledger(lines).note_layout("App", "app", "etag", "settings")
    work = Work(inventory(v1=ONE))
    work.codes = [code]
    RememberedWork(work, "app", Ledger(lines), "settings", Selection()).execute(IMAGE)
    assert Ledger(lines).layout("App") == LayoutNote("app", etag, "settings")


def test_a_problem_of_a_layout_that_no_run_was_done_with_or_in_a_plan_notes_nothing() -> None:
    for settings, noted in (("settings", None), (None, LayoutNote("app", "etag", "settings"))):
        ledger, work = Ledger(MemoryLines()), Work(inventory(v1=ONE))
        if noted is not None:
            ledger.note_layout("App", "app", "etag", "settings")
        work.codes = ["conflict"]
        RememberedWork(work, "app", ledger, settings, Selection()).execute(IMAGE)
        assert ledger.layout("App") == noted


def test_a_note_that_can_not_be_taken_back_is_a_finding_and_costs_no_result() -> None:
    class Full(MemoryLines):
        is_full = False

        def append(self, line: dict[str, Any], *, before_it_is_so: bool = False) -> None:
            if self.is_full:
                raise StateError("no space is left")
            super().append(line, before_it_is_so=before_it_is_so)

    lines, work = Full(), Work(inventory(v1=ONE))
    ledger = Ledger(lines)
    ledger.note_layout("App", "app", "etag", "settings")
    lines.is_full, work.codes = True, ["conflict"]
    made = RememberedWork(work, "app", ledger, "settings", Selection())
    assert [result.code for result in made.execute(IMAGE)] == ["conflict"] * 2
    assert [(found.path, found.code) for found in made.found()] == [("App", StateError.code)]


def test_what_changed_since_the_last_run_is_told_with_what_was_found() -> None:
    ledger = Ledger(MemoryLines())
    ledger.note_tag("app", "v1", TWO, None, 0, layout="App")
    for settings in (None, "settings"):
        work = Work(inventory(v1=ONE))
        work.told = [BROKEN]
        assert [found.code for found in RememberedWork(work, "app", ledger, settings, Selection()).finish()] == [
            "content_not_found",
            "tag_moved",
        ]


@pytest.mark.parametrize("code", ["tag_overwritten", "referrers_copied"])
def test_what_a_run_has_done_besides_is_no_doubt_about_what_is_there_now(code: str) -> None:
    """A tag of others was overwritten, or a signature came to what was there."""
    ledger, work = Ledger(MemoryLines()), Work(inventory(v1=ONE))
    work.told = [Finding("App", code, "so it was")]
    assert RememberedWork(work, "app", ledger, "settings", Selection()).finish() == work.told
    assert ledger.layout("App") == LayoutNote("app", "etag", "settings")


def test_a_ledger_that_can_not_be_written_is_a_finding() -> None:
    class Full(MemoryLines):
        def append(self, line: dict[str, Any], *, before_it_is_so: bool = False) -> None:
            raise StateError("no space is left")

    [found] = RememberedWork(Work(inventory()), "app", Ledger(Full()), "settings", Selection()).finish()
    assert (found.path, found.code) == ("App", StateError.code)


def test_the_mark_of_settings_changes_with_each_of_them() -> None:
    marks = {settings_mark("app", ("a",), "none"), settings_mark("app", (), "none"), settings_mark("b", (), "none")}
    assert len(marks) == 3
    assert settings_mark("app", ("a",), "none") in marks


def noted_run(ledger: Ledger, layout: str, **tags: Digest) -> None:
    """A run that brought tags of a layout to the repository `team`, and was done with it."""
    for tag, digest in tags.items():
        ledger.note_tag("team", tag, digest, "manifest", 0, layout=layout)
    ledger.note_layout(layout, "team", "etag", "settings")


@pytest.mark.parametrize(
    ("others", "unchanged"),
    [({}, True), ({"v2": TWO}, True), ({"v1": ONE}, True), ({"v1": TWO}, False)],
    ids=["none", "a tag of its own", "the same tag", "another tag of that name"],
)
def test_a_layout_is_not_unchanged_once_another_one_has_written_its_tags(
    others: dict[str, Digest], unchanged: bool
) -> None:
    lines = MemoryLines()
    noted_run(Ledger(lines), "App", v1=ONE)
    noted_run(Ledger(lines), "Web", **others)
    assert is_unchanged(inventory(v1=ONE), "team", Ledger(lines), "settings", Selection()) is unchanged
    assert not is_unchanged(inventory(v1=ONE), "team", Ledger(lines), "other settings", Selection())
    assert not is_unchanged(inventory(v1=ONE), "team", Ledger(MemoryLines()), "settings", Selection())


def test_a_layout_is_not_unchanged_once_a_run_of_its_own_that_was_killed_has_moved_its_tags() -> None:
    """The index became again what it had been, so its mark is that of the note; the target has the other digest."""
    lines = MemoryLines()
    noted_run(Ledger(lines), "team", v1=ONE)
    Ledger(lines).note_tag("team", "v1", TWO, None, 0, layout="team")
    assert not is_unchanged(replace(inventory(v1=ONE), path="team"), "team", Ledger(lines), "settings", Selection())


def test_a_layout_is_not_unchanged_where_a_run_was_killed_that_was_about_to_move_its_tags() -> None:
    """What is noted after a tag was written is written a moment later: all that such a run left may be its intent."""
    lines = MemoryLines()
    noted_run(Ledger(lines), "App", v1=ONE, latest=ONE)
    Ledger(lines).note_coming("team", "v1", TWO, layout="App")
    here = inventory(v1=ONE, latest=ONE)
    assert not is_unchanged(here, "team", Ledger(lines), "settings", Selection())
    assert is_unchanged(here, "team", Ledger(lines), "settings", Selection.parse(["App:latest"]))
    Ledger(lines).note_tag("team", "v1", ONE, "manifest", 0, layout="App", found=True)
    assert is_unchanged(here, "team", Ledger(lines), "settings", Selection()), "a later run has looked at it"


def test_a_layout_is_not_unchanged_of_which_no_run_is_known_to_have_left_a_tag_there() -> None:
    """Such as one that a run deleted which had lost its lock, after another one had found it there and noted that."""
    lines = MemoryLines()
    noted_run(Ledger(lines), "App", v1=ONE, v2=TWO)
    Ledger(lines).forget_tag("team", "v2")
    here = inventory(v1=ONE, v2=TWO)
    assert not is_unchanged(here, "team", Ledger(lines), "settings", Selection())
    assert is_unchanged(here, "team", Ledger(lines), "settings", Selection.parse(["App:v1"]))


def test_what_a_run_may_leave_out_makes_no_layout_another_one() -> None:
    """An entry without a tag has no note of its own, and a list of referrers has none where the target keeps none."""
    lines = MemoryLines()
    noted_run(Ledger(lines), "App", v1=ONE)
    untagged = TagEntry(None, Descriptor("application/x", TWO, 3))
    here = inventory(v1=ONE, **{referrers_tag(ONE): TWO})
    here = replace(here, tags=(*here.tags, untagged))
    assert is_unchanged(here, "team", Ledger(lines), "settings", Selection())


def test_a_tag_that_is_not_chosen_does_not_make_a_layout_another_one() -> None:
    """A run of everything brought it once; it moved at the source since, and the runs with patterns leave it."""
    lines = MemoryLines()
    noted_run(Ledger(lines), "App", v1=ONE, latest=TWO)
    chosen = Selection.parse(["App:v*"])
    assert is_unchanged(inventory(v1=ONE, latest=ONE), "team", Ledger(lines), "settings", chosen)
    assert not is_unchanged(inventory(v1=TWO, latest=ONE), "team", Ledger(lines), "settings", chosen)
    newest = Selection.parse(newest=Newest(1, NewestBy.NAME))
    other = Digest.of(b"other")
    assert is_unchanged(inventory(v1=ONE, latest=other), "team", Ledger(lines), "settings", newest)
    assert not is_unchanged(inventory(v1=other, latest=TWO), "team", Ledger(lines), "settings", newest)


def test_referrers_by_their_tag_come_with_what_is_chosen_and_are_looked_at() -> None:
    lines, signature = MemoryLines(), f"sha256-{ONE.encoded}.sig"
    noted_run(Ledger(lines), "App", v1=ONE, **{signature: TWO})
    here = inventory(v1=ONE, **{signature: ONE})
    assert not is_unchanged(here, "team", Ledger(lines), "settings", Selection.parse(["App:v*"]))
