"""Tags are deleted at a target one by one, and never with what they share a digest with."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from tasks.ledger.ledger import Ledger
from tasks.ledger.ledger_memory import LayoutNote
from tasks.oci.digest import Digest
from tasks.oci.errors import (
    PermissionDeniedError,
    RegistryError,
    SourceReadError,
    TooManyVanishedError,
    TransportError,
)
from tasks.oci.media_types import IMAGE_INDEX, IMAGE_MANIFEST
from tasks.operations.in_step.vanished import DeletionLimits, VanishedRemoval, VanishedTag
from tasks.operations.work import freshness
from tasks.ports import BlobArrival, BlobContent, RemoteManifest
from tasks.registry_ports import Deletion
from tests.support.engine import MemoryLines
from tests.support.forgetting_target import ForgettingTarget
from tests.support.memory_stores import MemoryTarget

BODY = {"schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": []}
REF_NAME = "org.opencontainers.image.ref.name"


def push(target: MemoryTarget, tag: str, text: str = "") -> Digest:
    raw = json.dumps({**BODY, "annotations": {"text": text}}).encode()
    target.push_manifest("app", tag, RemoteManifest(raw, IMAGE_INDEX))
    return Digest.of(raw)


def brought(target: MemoryTarget, lines: MemoryLines, *tags: str) -> list[VanishedTag]:
    """Push tags of one digest, as an earlier run did."""
    ledger = Ledger(lines)
    for tag in tags:
        ledger.note_tag("app", tag, push(target, tag), "manifest", 0, layout="app")
    ledger.note_layout("app", "app", "etag", "settings")
    return [VanishedTag("app", "app", tag, push(target, tag)) for tag in tags]


def removal(target: MemoryTarget, ledger: Ledger, *, is_needed: bool = False) -> VanishedRemoval:
    """At a source whose layouts need all manifests for something else, or none."""
    return VanishedRemoval(target, ledger, lambda *_: is_needed, lambda: True)


def remove(target: MemoryTarget, lines: MemoryLines, *vanished: VanishedTag, is_needed: bool = False) -> list[str]:
    execute = removal(target, Ledger(lines), is_needed=is_needed).execute
    return [finding.code for finding in execute(vanished, gone={"app"})]


@pytest.mark.parametrize("deletes_tags", [True, False])
def test_other_tags_of_the_digest_stay(deletes_tags: bool) -> None:
    target, lines = MemoryTarget(deletes_tags=deletes_tags), MemoryLines()
    goes, _ = brought(target, lines, "goes", "stays")
    assert remove(target, lines, goes) == ["tag_deleted"]
    assert target.list_tags("app") == {"stays"}
    assert target.resolve_manifest("app", goes.digest) is not None
    assert set(Ledger(lines).tags_of("app")) == {"stays"}
    assert Ledger(lines).layouts() == ["app"]
    stand_ins = target._asked("app")
    assert stand_ins.manifests.keys() == {goes.digest}
    assert stand_ins.blobs == ({} if deletes_tags else {Digest.of(b"{}"): b"{}"}), "only where it has to be"


def test_deleting_by_digest_would_be_noticed_here() -> None:
    target, lines = MemoryTarget(), MemoryLines()
    goes, _ = brought(target, lines, "goes", "stays")
    assert target.delete_manifest("app", goes.digest) is Deletion.DELETED
    assert not target.list_tags("app")


def test_a_layout_is_forgotten_with_its_last_tag() -> None:
    target, lines = MemoryTarget(), MemoryLines()
    assert remove(target, lines, *brought(target, lines, "a", "b")) == ["tag_deleted", "tag_deleted"]
    assert not Ledger(lines).layouts()


def test_whether_a_layout_has_a_tag_left_is_looked_up_once() -> None:
    """Each look goes through all tags of the repository: with one a tag, 20,000 of them took 40 minutes."""

    class Counting(Ledger):
        looks = 0

        def brought_to(self, repository: str, layout: str) -> dict[str, str]:
            self.looks += 1
            return super().brought_to(repository, layout)

    target, lines = MemoryTarget(), MemoryLines()
    vanished = brought(target, lines, *(f"v{i}" for i in range(50)))
    ledger = Counting(lines)
    findings = removal(target, ledger).execute(vanished, gone={"app"})
    assert [finding.code for finding in findings] == ["tag_deleted"] * 50
    assert (ledger.layouts(), ledger.looks) == ([], 1)


def test_a_layout_is_forgotten_before_it_is_said_that_its_last_tag_is_gone() -> None:
    """Who hears that may end the run."""
    target, lines = MemoryTarget(), MemoryLines()
    vanished, ledger = brought(target, lines, "a", "b"), Ledger(lines)
    findings = removal(target, ledger).execute(vanished, gone={"app"})
    known = [len(ledger.layouts()) for _ in findings]
    assert known == [1, 0]


def test_a_layout_that_lost_one_of_its_tags_is_not_remembered_as_whole_if_it_comes_back() -> None:
    target, lines = MemoryTarget(), MemoryLines()
    goes, _ = brought(target, lines, "goes", "stays")
    assert remove(target, lines, goes) == ["tag_deleted"]
    assert Ledger(lines).layout("app") == LayoutNote("app", "", "")
    told = (line for line in lines.lines if line.get("etag") == "" or "gone" in line)
    said = ["layout" if "layout" in line else "tag" for line in told]
    assert said == ["layout", "tag"], "before the tag goes: the run may die over it"


def test_no_layout_of_the_repository_is_remembered_as_whole_once_one_of_its_tags_went() -> None:
    """The other layout lost the tag, too, and may have it again before a run looks at it."""
    target, lines = MemoryTarget(), MemoryLines()
    Ledger(lines).note_layout("other", "app", "etag", "settings")
    Ledger(lines).note_layout("elsewhere", "team", "etag", "settings")
    goes, _ = brought(target, lines, "goes", "stays")
    assert remove(target, lines, goes) == ["tag_deleted"]
    assert Ledger(lines).layout("other") == LayoutNote("app", "", "")
    assert Ledger(lines).layout("elsewhere") == LayoutNote("team", "etag", "settings")


def test_a_tag_that_others_moved_is_theirs() -> None:
    target, lines = MemoryTarget(), MemoryLines()
    (moved,) = brought(target, lines, "v1")
    theirs = push(target, "v1", "theirs")
    assert remove(target, lines, moved) == ["tag_kept"]
    assert target.resolve_manifest("app", "v1") == theirs
    assert not Ledger(lines).tags_of("app")


@pytest.mark.parametrize("deletes_tags", [True, False])
def test_a_tag_that_others_push_before_it_is_deleted_is_theirs(
    monkeypatch: pytest.MonkeyPatch, *, deletes_tags: bool
) -> None:
    """As in a pause that the target wants, between two attempts."""

    class Paused(MemoryTarget):
        def push_tag(
            self, repository: str, tag: str, manifest: RemoteManifest, may_write: Callable[[], bool]
        ) -> bool:
            push(self, tag, "theirs")
            return super().push_tag(repository, tag, manifest, may_write)

        def delete_tag(self, repository: str, tag: str, may_delete: Callable[[], bool]) -> Deletion:
            if deletes_tags:
                push(self, tag, "theirs")
            return super().delete_tag(repository, tag, may_delete)

    monkeypatch.setattr(freshness, "FRESH_SECONDS", -1.0)
    target, lines = Paused(deletes_tags=deletes_tags), MemoryLines()
    (goes,) = brought(target, lines, "v1")
    assert remove(target, lines, goes) == ["tag_kept"]
    assert target.resolve_manifest("app", "v1") == push(MemoryTarget(), "v1", "theirs")


@pytest.mark.parametrize("deletes_tags", [True, False])
def test_nothing_is_changed_any_more_once_the_look_at_the_source_is_too_old(*, deletes_tags: bool) -> None:
    """It may become so in any request; what has no finding is left."""
    answers = 0
    while True:
        target, lines = MemoryTarget(deletes_tags=deletes_tags), MemoryLines()
        vanished = brought(target, lines, "a", "b")
        believed = iter([True] * answers)
        removal = VanishedRemoval(target, Ledger(lines), lambda *_: False, partial(next, believed, False))
        told = [finding.code for finding in removal.execute(vanished, gone=())]
        assert target.list_tags("app") == {"a", "b"} - {each.tag for each in vanished[: len(told)]}
        assert target.resolve_manifest("app", vanished[0].digest) is not None
        if told == ["tag_deleted"] * 2:
            break
        answers += 1
    assert answers == (4 if deletes_tags else 6)


def test_a_target_that_does_not_delete_is_not_changed() -> None:
    target, lines = MemoryTarget(deletes=False), MemoryLines()
    (goes,) = brought(target, lines, "v1")
    assert remove(target, lines, goes) == ["deletion_unsupported"]
    assert target.resolve_manifest("app", "v1") == goes.digest
    assert (target._asked("app").manifests.keys(), target._asked("app").blobs) == ({goes.digest}, {})
    assert set(Ledger(lines).tags_of("app")) == {"v1"}
    assert Ledger(lines).layouts() == ["app"]


def test_a_tag_that_the_target_holds_is_not_overwritten_to_be_deleted() -> None:
    class Locked(MemoryTarget):
        def delete_tag(self, *_: object) -> Deletion:
            raise RegistryError("REGISTRY_DISALLOWED_OPERATION", status=405)

        def push_tag(self, *_: object) -> bool:
            raise AssertionError

    target, lines = Locked(), MemoryLines()
    (goes,) = brought(target, lines, "v1")
    assert remove(target, lines, goes) == ["registry"]
    assert target.resolve_manifest("app", "v1") == goes.digest


def test_a_target_is_asked_once_whether_it_deletes() -> None:
    asked: list[str] = []

    class Asked(MemoryTarget):
        def delete_manifest(self, repository: str, reference: str) -> Deletion:
            asked.append(reference)
            return super().delete_manifest(repository, reference)

    target, lines = Asked(), MemoryLines()
    assert remove(target, lines, *brought(target, lines, "a", "b")) == ["tag_deleted"] * 2
    assert [reference for reference in asked if ":" not in reference] == ["a", "b"]
    assert len(asked) == 3


def test_a_tag_that_is_gone_from_the_target_already_is_forgotten() -> None:
    target, lines = MemoryTarget(deletes=False), MemoryLines()
    (goes,) = brought(target, lines, "v1")
    del target._asked("app").tags["v1"]
    assert remove(target, lines, goes) == ["tag_deleted"]
    assert not Ledger(lines).tags_of("app")
    assert not Ledger(lines).layouts()


def test_a_tag_that_can_not_be_deleted_after_all_is_put_back() -> None:
    class DeletesNothingThatIsThere(MemoryTarget):
        def delete_manifest(self, repository: str, reference: str) -> Deletion:
            there = ":" not in reference or self.resolve_manifest(repository, reference) is not None
            return Deletion.UNSUPPORTED if there else Deletion.MISSING

    target, lines = DeletesNothingThatIsThere(), MemoryLines()
    (goes,) = brought(target, lines, "v1")
    assert remove(target, lines, goes) == ["deletion_unsupported"]
    assert target.resolve_manifest("app", "v1") == goes.digest


@pytest.mark.parametrize("given", [None, RemoteManifest(b"{}", IMAGE_MANIFEST)])
def test_what_others_have_under_a_tag_is_theirs_also_where_it_can_not_be_read(given: RemoteManifest | None) -> None:
    class Unread(MemoryTarget):
        def fetch_manifest(self, repository: str, reference: str) -> RemoteManifest | None:
            return given

    target, lines = Unread(), MemoryLines()
    (moved,) = brought(target, lines, "v1")
    theirs = push(target, "v1", "theirs")
    assert remove(target, lines, moved) == ["tag_kept"]
    assert target.resolve_manifest("app", "v1") == theirs


def test_the_blob_of_a_stand_in_is_what_its_descriptor_says() -> None:
    seen: list[bytes] = []

    class Reading(MemoryTarget):
        def push_blob(self, repository: str, content: BlobContent, mount_from: str | None = None) -> BlobArrival:
            with content.chunks() as chunks:
                seen.append(b"".join(chunks))
            assert Digest.of(content.read()) == Digest.of(seen[-1]) == content.descriptor.digest
            return super().push_blob(repository, content, mount_from)

    target, lines = Reading(deletes_tags=False), MemoryLines()
    assert remove(target, lines, *brought(target, lines, "v1")) == ["tag_deleted"]
    assert seen == [b"{}"]


def test_what_became_of_each_tag_is_said_in_their_order_and_with_its_place() -> None:
    target, lines = MemoryTarget("registry.example"), MemoryLines()
    vanished = brought(target, lines, "c", "a", "b")
    messages = [finding.message for finding in removal(target, Ledger(lines)).execute(vanished, gone=())]
    assert [message.split()[0] for message in messages] == [f"registry.example/app:{tag}" for tag in "abc"]


class DiesOnce(MemoryTarget):
    """Breaks where the stand-in is under the tag already."""

    broken = False

    def delete_manifest(self, repository: str, reference: str) -> Deletion:
        if not self.broken and ":" in reference and self.resolve_manifest(repository, reference) is not None:
            self.broken = True
            raise TransportError("gone")
        return super().delete_manifest(repository, reference)


def test_a_run_that_died_over_a_stand_in_is_finished_by_the_next() -> None:
    target, lines = DiesOnce(deletes_tags=False), MemoryLines()
    goes, _ = brought(target, lines, "goes", "stays")
    assert remove(target, lines, goes) == ["transport"]
    stand_in = target.resolve_manifest("app", "goes")
    assert stand_in != goes.digest
    assert Ledger(lines).tags_of("app")["goes"] == stand_in, "ours to overwrite, should the source have it again"
    assert remove(target, lines, goes) == ["tag_deleted"]
    assert target.list_tags("app") == {"stays"}


CALLS = ("resolve_manifest", "fetch_manifest", "push_blob", "push_manifest", "delete_manifest")


def failing(target: MemoryTarget, monkeypatch: pytest.MonkeyPatch, at: int, *, late: bool) -> list[str]:
    """Have the call `at` of a target get no answer, before or after it was done; the calls so far."""
    calls: list[str] = []

    def counted(name: str, ask: Callable[..., object], *given: object) -> object:
        calls.append(name)
        if len(calls) == at and not late:
            raise TransportError("reset")
        answer = ask(*given)
        if len(calls) == at:
            raise TransportError("reset")
        return answer

    for name in CALLS:
        monkeypatch.setattr(target, name, partial(counted, name, getattr(target, name)))
    return calls


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("deletes_tags", [True, False])
def test_whichever_answer_is_missing_other_tags_stay_and_the_next_run_ends_it(
    deletes_tags: bool, late: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    at, told = 1, [""]
    while told != ["tag_deleted"]:
        target, lines = MemoryTarget(deletes_tags=deletes_tags), MemoryLines()
        goes, _ = brought(target, lines, "goes", "stays")
        with monkeypatch.context() as patched:
            calls = failing(target, patched, at, late=late)
            told = remove(target, lines, goes)
        assert told == (["transport"] if len(calls) >= at else ["tag_deleted"])
        assert target.resolve_manifest("app", "stays") == goes.digest
        assert remove(target, lines, goes) == ["tag_deleted"]
        assert target.list_tags("app") == {"stays"}
        assert set(Ledger(lines).tags_of("app")) == {"stays"}
        at += 1
    assert at > len(CALLS)


class KeepsWhatItHas(MemoryTarget):
    """Deletes neither tags nor manifests, but says so only of those that it has."""

    def delete_manifest(self, repository: str, reference: str) -> Deletion:
        there = self.resolve_manifest(repository, reference) is not None
        return Deletion.UNSUPPORTED if there else Deletion.MISSING


def test_what_is_put_back_is_what_was_brought() -> None:
    target, lines = KeepsWhatItHas(), MemoryLines()
    (goes,) = brought(target, lines, "v1")
    assert remove(target, lines, goes) == ["deletion_unsupported"]
    assert target.resolve_manifest("app", "v1") == goes.digest
    assert Ledger(lines).brought_to("app", "app") == {"v1": goes.digest}


def test_what_was_not_brought_is_not_put_back() -> None:
    """As what an answer is that the target leads elsewhere for."""
    others = RemoteManifest(json.dumps(BODY).encode(), IMAGE_INDEX)

    class GivesOthers(KeepsWhatItHas):
        def fetch_manifest(self, repository: str, reference: str) -> RemoteManifest | None:
            return others

    target, lines = GivesOthers(), MemoryLines()
    (goes,) = brought(target, lines, "v1")
    assert remove(target, lines, goes) == ["deletion_unsupported"]
    assert target.resolve_manifest("app", Digest.of(others.raw)) is None


def test_a_tag_that_can_not_be_put_back_is_not_said_to_be_as_it_was() -> None:
    class GivesNothing(KeepsWhatItHas):
        def fetch_manifest(self, repository: str, reference: str) -> RemoteManifest | None:
            return None

    target, lines = GivesNothing(), MemoryLines()
    (goes,) = brought(target, lines, "v1")
    (told,) = removal(target, Ledger(lines)).execute([goes], gone=())
    stand_in = target.resolve_manifest("app", "v1")
    assert stand_in != goes.digest
    assert told.message.endswith(f"; it names a stand-in now ({stand_in})")


class SaysSo(MemoryTarget):
    """Answers that it deletes, and keeps everything."""

    def delete_manifest(self, repository: str, reference: str) -> Deletion:
        return Deletion.DELETED


@pytest.mark.parametrize("deletes_tags", [True, False])
def test_what_others_push_to_a_tag_right_after_it_was_deleted_is_theirs(*, deletes_tags: bool) -> None:
    """It is not said that the registry does not delete, and the next run does not take theirs for ours."""

    class PushedAgain(Forgetting):
        def delete_manifest(self, repository: str, reference: str) -> Deletion:
            if not deletes_tags and ":" not in reference:
                return Deletion.UNSUPPORTED
            deleted = super().delete_manifest(repository, reference)
            if deleted is Deletion.DELETED:
                MemoryTarget.push_manifest(self, repository, "v1", theirs)
            return deleted

    target, lines, theirs = PushedAgain(), MemoryLines(), RemoteManifest(json.dumps(BODY).encode(), IMAGE_INDEX)
    (goes,) = brought(target, lines, "v1")
    assert remove(target, lines, goes, is_needed=True) == ["tag_kept"]
    assert target.resolve_manifest("app", "v1") == Digest.of(theirs.raw)
    assert target.resolve_manifest("app", goes.digest) == goes.digest, "it went with its tag, and was needed"
    assert not Ledger(lines).tags_of("app")
    assert Ledger(lines).at_risk("app") == []


def test_a_target_that_only_says_so_is_found_out() -> None:
    target, lines = SaysSo(), MemoryLines()
    (goes,) = brought(target, lines, "v1")
    assert remove(target, lines, goes) == ["deletion_unsupported"]


@pytest.mark.parametrize(
    ("limits", "vanished", "of"),
    [(DeletionLimits(), 101, 1000), (DeletionLimits(), 26, 100), (DeletionLimits(0), 1, 9)],
)
def test_limits_hold(limits: DeletionLimits, vanished: int, of: int) -> None:
    with pytest.raises(TooManyVanishedError):
        limits.check(vanished, of)
    limits.check(0, of)
    limits.check(0, 0)
    DeletionLimits().check(25, 100)
    replace(limits, max_tags=None, max_percent=None).check(of, of)


def test_a_percentage_that_is_barely_beyond_is_told_as_that() -> None:
    with pytest.raises(TooManyVanishedError, match=r"63 of the 250 tags that were migrated \(25\.2 %\) vanished"):
        DeletionLimits().check(63, 250)


def test_what_stands_in_for_a_tag_is_a_manifest_of_its_own_as_the_specification_wants_one() -> None:
    """Some registries take one that lacks something, and others don't."""
    target, lines = MemoryTarget(deletes_tags=False), MemoryLines()
    pushed: list[bytes] = []
    push_manifest = target.push_manifest

    def noting(repository: str, reference: str, manifest: RemoteManifest) -> None:
        pushed.append(manifest.raw)
        push_manifest(repository, reference, manifest)

    gone = brought(target, lines, "a", "b")
    target.push_manifest = noting  # type: ignore[method-assign]
    assert remove(target, lines, *gone) == ["tag_deleted"] * 2
    empty = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": Digest.of(b"{}"), "size": 2}
    for body in map(json.loads, pushed):
        assert (body["schemaVersion"], body["mediaType"]) == (2, IMAGE_MANIFEST)
        assert (body["config"], body["layers"]) == (empty, [empty])
    assert len(set(pushed)) == 2


class Forgetting(ForgettingTarget):
    """Takes no manifest unless it `takes` them."""

    def __init__(self) -> None:
        super().__init__()
        self.takes = True

    def push_manifest(self, repository: str, reference: str, manifest: RemoteManifest) -> None:
        if not self.takes:
            raise TransportError("reset")
        super().push_manifest(repository, reference, manifest)


def test_what_goes_with_its_last_tag_is_sent_again_if_it_is_needed() -> None:
    target, lines = Forgetting(), MemoryLines()
    first, last = brought(target, lines, "first", "last")
    assert remove(target, lines, first, last, is_needed=True) == ["tag_deleted"] * 2
    assert target.resolve_manifest("app", last.digest) == last.digest
    assert not target.list_tags("app")
    assert Ledger(lines).at_risk("app") == []
    assert [line["at_risk"]["digest"] for line in lines.lines if "at_risk" in line] == [last.digest] * 2


def test_what_nothing_needs_goes_with_its_last_tag() -> None:
    target, lines = Forgetting(), MemoryLines()
    (goes,) = brought(target, lines, "v1")
    assert remove(target, lines, goes) == ["tag_deleted"]
    assert target.resolve_manifest("app", goes.digest) is None
    assert Ledger(lines).at_risk("app") == []


def test_the_source_is_asked_only_for_what_has_gone_with_its_tag() -> None:
    """It reads all indexes of the repository then."""
    asked: list[Digest] = []

    def may_need(_repository: str, digest: Digest) -> bool:
        asked.append(digest)
        return True

    for target, times in ((MemoryTarget(), 0), (MemoryTarget(deletes_tags=False), 0), (Forgetting(), 1)):
        lines = MemoryLines()
        vanished = brought(target, lines, "a", "b")
        findings = VanishedRemoval(target, Ledger(lines), may_need, lambda: True).execute(vanished, gone=())
        assert [finding.code for finding in findings] == ["tag_deleted"] * 2
        assert len(asked) == times


def test_what_has_gone_is_sent_again_and_told_where_the_source_does_not_say_whether_it_is_needed() -> None:
    def may_need(_repository: str, _digest: Digest) -> bool:
        raise SourceReadError("for the moment")

    target, lines = Forgetting(), MemoryLines()
    (goes,) = brought(target, lines, "v1")
    (told,) = VanishedRemoval(target, Ledger(lines), may_need, lambda: True).execute([goes], gone=())
    assert told.code == "source_read"
    assert told.message.startswith(f"memory/app:v1 vanished at the source, and was deleted; {goes.digest} was sent ")
    assert target.resolve_manifest("app", goes.digest) == goes.digest
    assert Ledger(lines).at_risk("app") == []
    assert not Ledger(lines).tags_of("app")


class ForgettingMoved(Forgetting):
    """Deletes no tag of what an index has for a part, as a zot of 2023."""

    def delete_tag(self, repository: str, tag: str, may_delete: Callable[[], bool]) -> Deletion:
        return Deletion.UNSUPPORTED


def test_what_goes_where_a_stand_in_takes_its_place_is_sent_again_however_many_tags_go() -> None:
    target, lines = ForgettingMoved(), MemoryLines()
    vanished = brought(target, lines, "a", "b")
    assert remove(target, lines, *vanished, is_needed=True) == ["tag_deleted"] * 2
    assert target.resolve_manifest("app", vanished[0].digest) == vanished[0].digest
    assert Ledger(lines).at_risk("app") == []


def test_what_could_not_be_deleted_is_at_no_risk() -> None:
    class Refusing(Forgetting):
        def delete_tag(self, repository: str, tag: str, may_delete: Callable[[], bool]) -> Deletion:
            raise PermissionDeniedError("denied", status=403)

    target, lines = Refusing(), MemoryLines()
    (stays,) = brought(target, lines, "v1")
    assert remove(target, lines, stays) == ["permission_denied"]
    assert Ledger(lines).at_risk("app") == []


def test_what_can_not_be_sent_again_is_named_and_stays_noted_as_at_risk() -> None:
    target, lines = Forgetting(), MemoryLines()
    (goes,) = brought(target, lines, "v1")
    target.takes = False
    (told,) = removal(target, Ledger(lines), is_needed=True).execute([goes], gone=())
    assert told.code == "transport"
    assert told.message.startswith(f"memory/app:v1 vanished at the source, and was deleted; {goes.digest}, ")
    assert [manifest.digest for manifest in Ledger(lines).at_risk("app")] == [goes.digest]
    assert not Ledger(lines).tags_of("app")


def test_what_may_go_is_noted_before_the_tag_is_deleted() -> None:
    class Killed(Forgetting):
        def delete_manifest(self, repository: str, reference: str) -> Deletion:
            deleted = super().delete_manifest(repository, reference)
            if ":" not in reference:
                raise TransportError("reset")
            return deleted

    target, lines = Killed(), MemoryLines()
    (goes,) = brought(target, lines, "v1")
    assert remove(target, lines, goes, is_needed=True) == ["transport"]
    (at_risk,) = Ledger(lines).at_risk("app")
    assert (at_risk.digest, at_risk.media_type) == (goes.digest, IMAGE_INDEX)


@pytest.mark.parametrize("given", [None, RemoteManifest(b"{}", IMAGE_MANIFEST)])
def test_a_tag_stays_whose_manifest_is_needed_and_can_not_be_kept(given: RemoteManifest | None) -> None:
    class Unread(Forgetting):
        def fetch_manifest(self, repository: str, reference: str) -> RemoteManifest | None:
            return given

    target, lines = Unread(), MemoryLines()
    (goes,) = brought(target, lines, "v1")
    assert remove(target, lines, goes, is_needed=True) == ["different_at_target"]
    assert target.resolve_manifest("app", "v1") == goes.digest
    assert set(Ledger(lines).tags_of("app")) == {"v1"}


@pytest.mark.parametrize("is_needed", [False, True])
def test_a_manifest_that_the_target_refuses_to_give_keeps_its_tag_only_if_it_is_needed(is_needed: bool) -> None:
    class Refusing(Forgetting):
        def fetch_manifest(self, repository: str, reference: str) -> RemoteManifest | None:
            raise RegistryError("not this one")

    target, lines = Refusing(), MemoryLines()
    (goes,) = brought(target, lines, "v1")
    assert remove(target, lines, goes, is_needed=is_needed) == ["registry" if is_needed else "tag_deleted"]
    assert target.list_tags("app") == ({"v1"} if is_needed else frozenset())
