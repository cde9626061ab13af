"""What becomes of the tags of a repository when the target, the source or others get in the way."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.real_parts import wait_until
from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import (
    BatchUnfinishedError,
    ContentNotFoundError,
    LayoutliftError,
    ManifestRefusedError,
    MissingReferencedContentError,
    ReferrerConflictError,
    RegistryUnavailableError,
    SourceReadError,
    SourceUnavailableError,
    TargetUnavailableError,
    UnexpectedAnswerError,
)
from tasks.oci.image_layout import REFERRER_SUBJECT
from tasks.oci.media_types import IMAGE_INDEX
from tasks.oci.reference import referrers_tag
from tasks.oci.registry_profiles import RegistryKind, profile_of
from tasks.operations.copying.copy_tools import CopyTools
from tasks.operations.in_step.since_last import tag_changes
from tasks.operations.referrers.referrer_lists import ReferrerListing, ReferrerLists
from tasks.operations.reports.results import Depth, RepositoryInventory, TagEntry
from tasks.operations.source.enumeration import enumerate_repository
from tasks.operations.work import freshness
from tasks.operations.work.planning import CopyPolicy, OnConflict, Untagged
from tasks.operations.work.repository_work import units_of
from tasks.operations.work.spare_hands import SpareHands
from tasks.ports import BlobArrival, BlobContent, RemoteManifest
from tasks.stores.directory.layout_directory import LayoutDirectory
from tasks.stores.verified_content import VerifiedContent
from tests.support.engine import Engine
from tests.support.forgetting_target import ForgettingTarget
from tests.support.layouts import FOREIGN_LAYER, OCI_MANIFEST, LayoutBuilder, image_of
from tests.support.memory_stores import MemoryTarget

OTHERS = RemoteManifest(
    b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}',
    "application/vnd.oci.image.index.v1+json",
)
"""What somebody else pushes."""


@pytest.fixture
def layout(tmp_path: Path) -> LayoutBuilder:
    return LayoutBuilder(tmp_path / "source" / "app")


class Scripted(MemoryTarget):
    """A target before whose writes something happens: `before["v1"]` is called before that tag is written."""

    def __init__(self, **options: bool) -> None:
        super().__init__(**options)
        self.before: dict[str, Callable[[], object]] = {}
        self.pushed: list[str] = []
        self.blobs_sent: list[str] = []
        self.blobs_read: list[str] = []
        self.asked: list[str] = []
        self.fetched: list[str] = []

    def push_manifest(self, repository: str, reference: str, manifest: RemoteManifest) -> None:
        if reference in self.before:
            self.before[reference]()
        self.pushed.append(reference)
        super().push_manifest(repository, reference, manifest)

    def push_blob(self, repository: str, content: BlobContent, mount_from: str | None = None) -> BlobArrival:
        self.blobs_sent.append(str(content.descriptor.digest))
        return super().push_blob(repository, content, mount_from)

    def fetch_blob(self, repository: str, descriptor: Descriptor) -> VerifiedContent:
        self.blobs_read.append(str(descriptor.digest))
        return super().fetch_blob(repository, descriptor)

    def resolve_manifest(self, repository: str, reference: str) -> Digest | None:
        self.asked.append(reference)
        return super().resolve_manifest(repository, reference)

    def fetch_manifest(self, repository: str, reference: str) -> RemoteManifest | None:
        self.fetched.append(reference)
        return super().fetch_manifest(repository, reference)


class Lossy(MemoryTarget):
    """Has no blob while it is `lossy`."""

    lossy = False

    def has_blob(self, repository: str, descriptor: object) -> bool:
        return not self.lossy and super().has_blob(repository, descriptor)


def raising(error: Exception) -> Callable[[], object]:
    def act() -> object:
        raise error

    return act


def engine(layout: LayoutBuilder, target: MemoryTarget, **policy: object) -> Engine:
    return Engine(layout.write().parent, target, CopyPolicy(**policy))


def outcomes(made: Engine) -> dict[str, str]:
    return {str(result.tag): result.code or str(result.outcome) for result in made.one()}


def test_a_tag_that_the_target_refuses_is_not_the_fate_of_another_with_its_digest(layout: LayoutBuilder) -> None:
    image = layout.image("good", layers=[b"layer"])
    layout.entry(image, "bad")
    target = Scripted()
    target.before["bad"] = raising(ManifestRefusedError("this name is reserved", status=400))
    made = engine(layout, target)
    assert outcomes(made) == {"good": "copied", "bad": "manifest_refused"}
    assert target.list_tags("app") == {"good"}


@pytest.mark.parametrize("depth", Depth)
def test_a_tag_that_the_target_shows_a_little_later_is_proved_where_this_run_pushed_it(
    layout: LayoutBuilder, depth: Depth
) -> None:
    class Late(MemoryTarget):
        def resolve_manifest(self, repository: str, reference: str) -> Digest | None:
            return None if reference == "v1" else super().resolve_manifest(repository, reference)

        def resolve_pushed(self, repository: str, tag: str, digest: Digest) -> Digest | None:
            assert tag == "v1"
            return digest

    layout.image("v1", layers=[b"layer"])
    assert outcomes(engine(layout, Late(), depth=depth)) == {"v1": "copied"}


def test_what_only_its_author_can_mend_is_refused_and_all_else_has_failed(layout: LayoutBuilder) -> None:
    """So that nobody tries again in vain, or gives up where trying again helps."""
    layout.index([layout.blob(b'{"schemaVersion":2}', OCI_MANIFEST)], "broken")
    for tag in ("reserved", "busy", "fine"):
        layout.image(tag, layers=[tag.encode()])
    target = Scripted()
    target.before["reserved"] = raising(ManifestRefusedError("this name is reserved", status=400))
    target.before["busy"] = raising(RegistryUnavailableError("for the moment", status=503))
    results = {result.tag: result for result in engine(layout, target).one()}
    assert {tag: str(result.outcome) for tag, result in results.items()} == {
        "broken": "refused",
        "reserved": "refused",
        "busy": "failed",
        "fine": "copied",
    }
    assert {tag: result.verified for tag, result in results.items() if result.verified} == {"fine": "manifest"}


def test_a_target_that_lists_no_tags_is_asked_for_each(layout: LayoutBuilder) -> None:
    """Otherwise what others have there would be overwritten without a word."""

    class ListsNothing(Scripted):
        def list_tags(self, repository: str) -> None:  # type: ignore[override]
            del repository

    layout.image("theirs", layers=[b"layer"])
    layout.image("ours", layers=[b"other"])
    target = ListsNothing()
    target.push_manifest("app", "theirs", OTHERS)
    assert outcomes(engine(layout, target)) == {"theirs": "conflict", "ours": "copied"}
    assert target.resolve_manifest("app", "theirs") == Digest.of(OTHERS.raw)


def test_a_tag_that_can_not_be_confirmed_is_not_the_fate_of_one_to_copy(layout: LayoutBuilder) -> None:
    class CanNotSay(MemoryTarget):
        def resolve_manifest(self, repository: str, reference: str) -> Digest | None:
            if ":" in reference:
                raise RegistryUnavailableError("for the moment", status=503)
            return super().resolve_manifest(repository, reference)

    image = layout.image("there", layers=[b"layer"])
    target = CanNotSay()
    assert outcomes(engine(layout, target)) == {"there": "copied"}
    layout.entry(image, "wanted")
    assert outcomes(engine(layout, target)) == {"there": "registry_unavailable", "wanted": "copied"}


def test_a_tagged_referrer_is_listed_before_it_is_tagged(layout: LayoutBuilder) -> None:
    """So that a run that fails or dies between the two lists it the next time: it meets a tag that is missing."""
    subject = layout.image("v1", layers=[b"layer"])
    layout.referrer(subject, tag="sbom")
    target = Scripted(referrers_api=False)
    fallback = referrers_tag(Digest(subject["digest"]))
    target.before[fallback] = raising(RegistryUnavailableError("for the moment", status=503))
    made = engine(layout, target, referrers=False)
    assert outcomes(made)["sbom"] == "registry_unavailable"
    assert "sbom" not in target.list_tags("app")
    target.before.clear()
    assert outcomes(made)["sbom"] == "copied"
    assert fallback in target.list_tags("app")


def test_a_tagged_referrer_that_is_there_already_is_listed_too(layout: LayoutBuilder) -> None:
    subject = layout.image("v1", layers=[b"layer"])
    layout.referrer(subject, tag="sbom")
    target = MemoryTarget(referrers_api=False)
    made = engine(layout, target, referrers=False)
    assert set(outcomes(made).values()) == {"copied"}
    fallback = referrers_tag(Digest(subject["digest"]))
    del target._asked("app").tags[fallback]
    made.forget()
    assert set(outcomes(made).values()) == {"up_to_date"}
    assert fallback in target.list_tags("app")


@pytest.mark.parametrize("error", [SourceReadError, SourceUnavailableError])
def test_what_could_not_be_read_for_the_moment_does_not_count_as_without_a_subject(
    layout: LayoutBuilder, error: type[LayoutliftError]
) -> None:
    """Noted as proved, the tag would never be looked at again, and its subject not list it."""
    subject = layout.image("v1", layers=[b"layer"])
    referrer = layout.referrer(subject, tag="sbom")
    target = MemoryTarget(referrers_api=False)
    made = engine(layout, target, referrers=False)
    made.copy()
    fallback = referrers_tag(Digest(subject["digest"]))
    del target._asked("app").tags[fallback]
    made.forget()

    class Unreadable(LayoutDirectory):
        def blob(self, path: str, descriptor: Descriptor) -> BlobContent:
            if descriptor.digest == referrer["digest"]:
                raise error("for the moment")
            return super().blob(path, descriptor)

    made.wrap = lambda _: Unreadable(str(made.root))
    assert outcomes(made) == {"v1": "up_to_date", "sbom": error.code}
    made.wrap = lambda source: source
    assert outcomes(made) == {"v1": "up_to_date", "sbom": "up_to_date"}
    assert fallback in target.list_tags("app")


def test_referrers_count_only_where_the_target_lists_them(layout: LayoutBuilder) -> None:
    class ListsNothing(MemoryTarget):
        def list_referrers(self, repository: str, subject: Digest) -> frozenset[Digest]:
            return frozenset()

    layout.referrer(layout.image("v1", layers=[b"layer"]))
    (result,) = engine(layout, ListsNothing()).one()
    assert (str(result.outcome), result.referrers) == ("copied", 0)


class TakesTagsForDigests(MemoryTarget):
    """As GitLab does with tags that it does not have."""

    def __init__(self) -> None:
        super().__init__(referrers_api=False)
        self.lists = 0
        self.fails: LayoutliftError | None = None

    def fetch_manifest(self, repository: str, reference: str) -> RemoteManifest | None:
        return super().fetch_manifest(repository, reference.replace("sha256-", "sha256:"))

    def list_tags(self, repository: str) -> frozenset[str]:
        self.lists += 1
        if self.lists > 1 and self.fails is not None:
            raise self.fails
        return super().list_tags(repository)


@pytest.mark.parametrize("platforms", [0, 2])
def test_a_target_that_answers_the_subject_for_its_list_lists_nothing(layout: LayoutBuilder, platforms: int) -> None:
    """GitLab takes the tag for the digest: what an index lists are no referrers, and an image is no broken list."""
    children = [layout.image(layers=[bytes([number])], listed=False) for number in range(platforms)]
    subject = layout.index(children, "v1") if children else layout.image("v1", layers=[b"layer"])
    sbom = layout.referrer(subject)
    target = TakesTagsForDigests()
    results, findings = engine(layout, target).copy()
    assert (results, findings) == ({"app:v1": "copied"}, {("app", "referrer_lost")})
    (kept,) = (m for m in target._asked("app").manifests.values() if Digest(sbom["digest"]) in str(m.manifests))
    assert [entry.digest for entry in kept.manifests] == [sbom["digest"]]


@pytest.mark.parametrize("fails", [None, UnexpectedAnswerError("for the list", status=400)])
def test_for_all_its_referrers_such_a_target_is_asked_once_which_tags_it_has(
    layout: LayoutBuilder, fails: LayoutliftError | None
) -> None:
    for number in range(5):
        layout.referrer(layout.image(f"v{number}", layers=[bytes([number])]))
    target = TakesTagsForDigests()
    target.fails = fails
    results, _ = engine(layout, target).copy()
    assert set(results.values()) == {"copied"}
    assert target.lists == 2  # once to plan
    assert len([tag for tag in MemoryTarget.list_tags(target, "app") if tag.startswith("sha256-")]) == 5


class CountsLists(MemoryTarget):
    """Counts how often it was asked for referrers by its API."""

    asked = 0

    def list_referrers(self, repository: str, subject: Digest) -> frozenset[Digest] | None:
        self.asked += 1
        return super().list_referrers(repository, subject)


def own_named(layout: LayoutBuilder, content: dict[str, Any]) -> str:
    """The tag that is made of the digest of what it names, as oc-mirror gives it to what it takes by digest."""
    tag = referrers_tag(Digest(content["digest"]))
    layout.entry(content, tag)
    return tag


@pytest.mark.parametrize("referrers_api", [True, False])
@pytest.mark.parametrize("referrers", [True, False])
def test_what_has_its_own_digest_for_a_tag_is_brought_under_it(
    layout: LayoutBuilder, *, referrers_api: bool, referrers: bool
) -> None:
    platforms = [layout.image(layers=[name], listed=False) for name in (b"arm", b"amd")]
    contents = [layout.index(platforms, listed=False), layout.image(layers=[b"alone"], listed=False)]
    tags = [own_named(layout, each) for each in contents]
    target = MemoryTarget(referrers_api=referrers_api)
    made = engine(layout, target, referrers=referrers)
    for outcome in ("copied", "up_to_date"):
        assert made.copy() == ({f"app:{tag}": outcome for tag in tags}, set())
        assert [target.resolve_manifest("app", tag) for tag in tags] == [each["digest"] for each in contents]


@pytest.mark.parametrize("is_platform", [True, False])
def test_what_would_be_listed_under_the_own_name_of_its_subject_is_lost_and_the_name_stays(
    layout: LayoutBuilder, *, is_platform: bool
) -> None:
    """Where there is no API, the list would be under the very tag."""
    subject = layout.image(layers=[b"layer"], listed=False)
    sbom = layout.referrer(subject)
    if is_platform:
        layout.index([subject], "v1")
    tag = own_named(layout, subject)
    target = MemoryTarget(referrers_api=False)
    made = engine(layout, target)
    for outcome in ("copied", "up_to_date"):
        tags = [*(["v1"] if is_platform else []), tag]
        assert made.copy() == ({f"app:{each}": outcome for each in tags}, {("app", "referrer_lost")})
        assert f"app:{tag} names {subject['digest']} itself" in made.findings[0].message
        assert "--exclude-referrers" in made.findings[0].message
        assert target.resolve_manifest("app", tag) == subject["digest"]
    assert target.resolve_manifest("app", sbom["digest"]) == sbom["digest"]
    assert engine(layout, MemoryTarget(referrers_api=True)).copy()[1] == set()


def test_where_the_own_name_of_a_subject_is_not_chosen_it_is_told_that_it_is_the_source_that_has_it(
    layout: LayoutBuilder,
) -> None:
    """A later run may bring it."""
    subjects = [layout.image(f"v{number}", layers=[bytes([number])]) for number in range(5)]
    for subject in subjects:
        layout.referrer(subject)
    tags = [own_named(layout, subject) for subject in subjects]
    target = CountsLists(referrers_api=False)
    made = engine(layout, target)
    made.include = (":v*",)
    assert made.copy() == ({f"app:v{number}": "copied" for number in range(5)}, {("app", "referrer_lost")})
    assert target.list_tags("app") == {f"v{number}" for number in range(5)}
    messages = " ".join(finding.message for finding in made.findings)
    for tag, subject in zip(tags, subjects, strict=True):
        assert f"app:{tag} names {subject['digest']} itself at the source, and" in messages
    assert target.asked <= 2  # by two workers
    made.include = ()
    outcomes_now, _ = made.copy()
    assert {outcomes_now[f"app:{tag}"] for tag in tags} == {"copied"}


@pytest.mark.parametrize("is_member", [True, False])
def test_an_own_name_that_others_gave_at_the_target_is_not_overwritten_with_a_list(
    layout: LayoutBuilder, *, is_member: bool
) -> None:
    subject = layout.image("v1", layers=[b"layer"])
    tag = referrers_tag(Digest(subject["digest"]))
    target = MemoryTarget(referrers_api=False)
    engine(layout, target).copy()
    theirs = target.fetch_manifest("app", subject["digest"])
    assert theirs is not None
    target.push_manifest("app", tag, theirs)
    sbom = layout.referrer(subject, listed=not is_member)
    if is_member:
        layout.index([sbom], tag)
    outcomes_now, findings = engine(layout, target).copy()
    if is_member:
        assert outcomes_now[f"app:{tag}"] == "referrer_lost"
    else:
        assert findings == {("app", "referrer_lost"), ("app", "referrers_copied")}
    assert target.resolve_manifest("app", tag) == subject["digest"]


def listed_elsewhere(layout: LayoutBuilder, *members: dict[str, object]) -> str:
    """The tag of a list of referrers whose subject is not here."""
    tag = referrers_tag(Digest.of(b"not here"))
    layout.index(members, tag)
    return tag


def test_a_list_whose_member_was_deleted_at_the_target_is_not_up_to_date(layout: LayoutBuilder) -> None:
    signature = layout.image(layers=[b"signature"], listed=False)
    tag = listed_elsewhere(layout, signature)
    made = engine(layout, MemoryTarget(referrers_api=False))
    assert outcomes(made) == {tag: "copied"}
    assert outcomes(made) == {tag: "up_to_date"}
    del made.target._asked("app").manifests[Digest(signature["digest"])]
    made.forget()
    assert outcomes(made) == {tag: "copied"}
    assert made.target.resolve_manifest("app", signature["digest"]) == signature["digest"]


@pytest.mark.parametrize("depth", Depth)
def test_a_list_of_whose_member_a_part_was_deleted_at_the_target_is_not_up_to_date(
    layout: LayoutBuilder, depth: Depth
) -> None:
    part = layout.image(layers=[b"part"], listed=False)
    tag = listed_elsewhere(layout, layout.index([part], listed=False))
    made = engine(layout, MemoryTarget(referrers_api=False), depth=depth)
    assert outcomes(made) == {tag: "copied"}
    del made.target._asked("app").manifests[Digest(part["digest"])]
    made.forget()
    assert outcomes(made) == {tag: "copied"}
    assert made.target.resolve_manifest("app", part["digest"]) == part["digest"]


def test_members_of_a_list_are_proved_as_deep_as_asked_for(layout: LayoutBuilder) -> None:
    tag = listed_elsewhere(layout, layout.image(layers=[b"signature"], listed=False))
    target = MemoryTarget(referrers_api=False)
    assert outcomes(engine(layout, target)) == {tag: "copied"}
    del target._asked("app").blobs[Digest.of(b"signature")]
    (result,) = engine(layout, target, depth=Depth.BLOBS).one()
    assert (str(result.outcome), result.verified) == ("copied", Depth.BLOBS)
    assert Digest.of(b"signature") in target._asked("app").blobs


@pytest.mark.parametrize("depth", Depth)
@pytest.mark.parametrize("referrers_api", [True, False])
def test_members_of_a_list_that_were_proved_are_not_asked_for_again(
    layout: LayoutBuilder, depth: Depth, referrers_api: bool
) -> None:
    nowhere = {"mediaType": OCI_MANIFEST, "digest": Digest.of(b"not here"), "size": 8}
    members = [layout.referrer(nowhere, content=bytes([number]), listed=False) for number in range(3)]
    layout.referrer(members[0])
    tag = listed_elsewhere(layout, *members)
    target = Scripted(referrers_api=referrers_api)
    made = engine(layout, target, depth=depth)
    assert outcomes(made) == {tag: "copied"}
    target.asked.clear()
    target.fetched.clear()
    (again,) = made.one()
    assert (str(again.outcome), again.verified, again.referrers) == ("up_to_date", depth, 3)
    assert target.asked == ([] if referrers_api else [nowhere["digest"]]), "a subject that is there tells of the API"
    assert target.fetched == ([] if referrers_api else [tag])


@pytest.mark.parametrize("started", [False, True], ids=["new", "removed since an earlier run"])
def test_a_target_that_does_not_have_a_repository_is_not_taken_for_one_without_the_api(
    layout: LayoutBuilder, started: bool
) -> None:
    """Some answer alike to both."""

    class HasNoRepository(MemoryTarget):
        def list_referrers(self, repository: str, subject: Digest) -> frozenset[Digest] | None:
            return super().list_referrers(repository, subject) if self._asked(repository).manifests else None

    nowhere = {"mediaType": OCI_MANIFEST, "digest": Digest.of(b"not here"), "size": 8}
    tag = listed_elsewhere(layout, layout.referrer(nowhere, listed=False))
    made = engine(layout, HasNoRepository())
    if started:
        made.ledger.note_started("app")
    assert outcomes(made) == {tag: "copied"}
    assert made.target.list_tags("app") == frozenset(), "clients ask the API"


def test_a_list_that_was_migrated_is_no_change(layout: LayoutBuilder) -> None:
    listed_elsewhere(layout, layout.image(layers=[b"signature"], listed=False))
    made = engine(layout, MemoryTarget(referrers_api=False))
    made.copy()
    inventory = enumerate_repository(LayoutDirectory(made.root), "app")
    assert list(tag_changes(inventory, made.ledger.tags_of("app", "app"))) == []
    assert made.ledger.brought_to("app", "app") == {}, "others are in it, so it is never deleted"


def test_a_list_whose_proof_failed_is_proved_again(layout: LayoutBuilder) -> None:
    signature = layout.image(layers=[b"signature"], listed=False)
    tag = listed_elsewhere(layout, signature)
    made = engine(layout, Lossy(referrers_api=False), depth=Depth.BLOBS)
    assert outcomes(made) == {tag: "copied"}
    del made.target._asked("app").tags[tag]
    made.target.lossy = True
    assert outcomes(made) == {tag: "missing_at_target"}
    assert outcomes(made) == {tag: "missing_at_target"}


def test_a_list_that_the_target_does_not_give_back_is_not_noted_as_proved(layout: LayoutBuilder) -> None:
    class Hiding(MemoryTarget):
        def list_referrers(self, repository: str, subject: Digest) -> frozenset[Digest] | None:
            return frozenset()

    subject = layout.image(layers=[b"layer"], listed=False)
    tag = referrers_tag(Digest(subject["digest"]))
    layout.index([layout.referrer(subject, listed=False)], tag)
    made = engine(layout, Hiding())
    assert outcomes(made) == {tag: "referrer_lost"}
    noted = made.ledger.entry("app", tag)
    assert noted is not None
    assert noted.verified is None


@pytest.mark.parametrize("referrers_api", [True, False])
def test_a_list_without_members_is_no_obstacle(layout: LayoutBuilder, referrers_api: bool) -> None:
    """As is left where the last signature was deleted."""
    tag = listed_elsewhere(layout)
    made = engine(layout, MemoryTarget(referrers_api=referrers_api))
    assert [outcomes(made), outcomes(made)] == [{tag: "copied"}, {tag: "up_to_date"}]


def test_a_list_that_moved_is_proved_again(layout: LayoutBuilder, tmp_path: Path) -> None:
    members = [layout.image(layers=[bytes([number])], listed=False) for number in range(2)]
    tag = listed_elsewhere(layout, members[0])
    made = engine(layout, MemoryTarget(referrers_api=False))
    assert outcomes(made) == {tag: "copied"}
    layout.entries.clear()
    listed_elsewhere(layout, *members)
    layout.write()
    assert outcomes(made) == {tag: "copied"}
    assert made.target.resolve_manifest("app", members[1]["digest"]) == members[1]["digest"]


def test_a_list_that_can_not_be_read_is_not_up_to_date(layout: LayoutBuilder) -> None:
    tag = listed_elsewhere(layout)
    listed = layout.blob_path(layout.entries[-1])
    made = engine(layout, MemoryTarget())
    listed.write_bytes(listed.read_bytes()[:-1])
    assert outcomes(made) == {tag: "size_mismatch"}


def theirs(target: MemoryTarget, subject: Digest, *entries: object) -> None:
    """A list of referrers that others keep, with an annotation of theirs."""
    body = {"schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": entries, "annotations": {"a": "theirs"}}
    target.push_manifest("app", referrers_tag(subject), RemoteManifest(json.dumps(body).encode(), IMAGE_INDEX))


def test_a_list_of_others_that_names_what_was_deleted_takes_new_ones_all_the_same(layout: LayoutBuilder) -> None:
    subject = layout.image("v1", layers=[b"layer"])
    sbom = layout.referrer(subject)
    target = MemoryTarget(referrers_api=False)
    target.push_manifest("app", "other", OTHERS)
    stays, goes = (RemoteManifest(OTHERS.raw + space, OTHERS.media_type) for space in (b" ", b"\n"))
    for other in (stays, goes):
        target.push_manifest("app", Digest.of(other.raw), other)
    entries = [
        Descriptor(other.media_type, Digest.of(other.raw), len(other.raw)).to_json() for other in (stays, goes)
    ]
    theirs(target, Digest(subject["digest"]), *entries)
    del target._asked("app").manifests[Digest.of(goes.raw)]
    assert outcomes(engine(layout, target)) == {"v1": "copied"}
    kept = json.loads(target.fetch_manifest("app", referrers_tag(Digest(subject["digest"]))).raw)
    assert [entry["digest"] for entry in kept["manifests"]] == [Digest.of(stays.raw), sbom["digest"]]
    assert kept["annotations"] == {"a": "theirs"}


def test_what_is_no_digest_in_a_list_of_others_is_no_obstacle(layout: LayoutBuilder) -> None:
    class Lenient(MemoryTarget):
        def fetch_manifest(self, repository: str, reference: str) -> RemoteManifest | None:
            odd = b'{"manifests":[{"digest":[]},{"digest":"x:y"},null]}'
            return super().fetch_manifest(repository, reference) or RemoteManifest(odd, IMAGE_INDEX)

    layout.referrer(layout.image("v1", layers=[b"layer"]))
    made = engine(layout, Lenient(referrers_api=False))
    assert made.copy() == ({"app:v1": "copied"}, {("app", "referrer_lost")}), "with them, the list is not taken"


def test_what_refers_to_a_member_of_a_list_comes_along(layout: LayoutBuilder) -> None:
    """Though nothing else that is copied leads there."""
    sbom = layout.image(layers=[b"sbom"], listed=False)
    signature = layout.referrer(sbom)
    tag = listed_elsewhere(layout, sbom)
    made = engine(layout, MemoryTarget(referrers_api=False))
    for outcome in ("copied", "up_to_date"):
        assert outcomes(made) == {tag: outcome}
        assert made.target.resolve_manifest("app", signature["digest"]) == signature["digest"]
        assert referrers_tag(Digest(sbom["digest"])) in made.target.list_tags("app")
        del made.target._asked("app").manifests[Digest(signature["digest"])]
        made.forget()


@pytest.mark.parametrize("referrers_api", [True, False])
def test_a_run_that_knows_of_no_earlier_one_sends_nothing_of_a_list_twice(
    layout: LayoutBuilder, referrers_api: bool
) -> None:
    subject = {"mediaType": OCI_MANIFEST, "digest": Digest.of(b"not here"), "size": 8}
    layout.image("v1", layers=[b"layer"])
    sbom = layout.referrer(subject, listed=False)
    tag = referrers_tag(subject["digest"])
    layout.index([sbom], tag)
    layout.index([layout.image(layers=[b"part"], listed=False)], subject=sbom)
    target = Scripted(referrers_api=referrers_api)
    assert outcomes(engine(layout, target)) == {"v1": "copied", tag: "copied"}
    target.pushed.clear()
    target.blobs_sent.clear()
    assert outcomes(engine(layout, target)) == {"v1": "up_to_date", tag: "up_to_date"}
    assert target.pushed + target.blobs_sent == []


def test_a_referrer_of_which_a_part_was_deleted_is_sent_again(layout: LayoutBuilder) -> None:
    part = layout.image(layers=[b"part"], listed=False)
    layout.index([part], subject=layout.image("v1", layers=[b"layer"]))
    target = MemoryTarget()
    assert outcomes(engine(layout, target)) == {"v1": "copied"}
    del target._asked("app").manifests[Digest(part["digest"])]
    assert outcomes(engine(layout, target)) == {"v1": "up_to_date"}
    assert target.resolve_manifest("app", part["digest"]) == part["digest"]


@pytest.mark.parametrize("depth", Depth)
def test_a_part_that_refers_to_something_and_was_deleted_is_no_lost_referrer(
    layout: LayoutBuilder, depth: Depth
) -> None:
    image = layout.image("v1", layers=[b"layer"])
    attestation = layout.referrer(image, listed=False)
    layout.index([image, attestation], "v2")
    target = MemoryTarget()
    engine(layout, target).copy()
    del target._asked("app").manifests[Digest(attestation["digest"])]
    made = engine(layout, target, depth=depth)
    assert made.copy() == ({"app:v1": "up_to_date", "app:v2": "copied"}, set())


def test_what_a_list_of_referrers_holds_besides_manifests_is_named(layout: LayoutBuilder) -> None:
    listed_elsewhere(layout, layout.blob(b"{}", "application/vnd.example.unknown+json"))
    _, findings = engine(layout, MemoryTarget(referrers_api=False)).copy()
    assert findings == {("app", "unsupported_media_type")}


def test_a_tag_with_referrers_is_no_list_where_clients_ask_the_api(layout: LayoutBuilder) -> None:
    class ListsNothing(MemoryTarget):
        def list_referrers(self, repository: str, subject: Digest) -> frozenset[Digest]:
            return frozenset()

    members = [layout.image(layers=[b"signature"], listed=False)]
    tag = listed_elsewhere(layout, *members)
    made = engine(layout, ListsNothing())
    (lost,) = made.one()
    assert (lost.tag, lost.code) == (tag, "referrer_lost")
    (member,), subject = members, Digest.of(b"not here")
    assert lost.message == f"the target does not list {member['digest']} among referrers of {subject}"
    body = json.dumps({"schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": members}).encode()
    made.target.push_manifest("app", tag, RemoteManifest(body, IMAGE_INDEX))
    entries = [Descriptor.from_json(member) for member in members]
    listing = ReferrerLists(made.target).check("app", Digest.of(b"not here"), entries)
    assert listing is ReferrerListing.LOST


@pytest.mark.parametrize("depth", [Depth.MANIFEST, Depth.BLOBS])
def test_what_the_target_does_not_list_is_named_by_each_run_until_it_does(
    layout: LayoutBuilder, depth: Depth
) -> None:
    """A tag, a platform, and a part of a referrer, of which each refers to the image."""

    class ListsSome(MemoryTarget):
        lists = False
        questions = 0

        def list_referrers(self, repository: str, subject: Digest) -> frozenset[Digest] | None:
            self.questions += 1
            listed = super().list_referrers(repository, subject)
            return listed if self.lists or listed is None else listed & {Digest(attached["digest"])}

    image = layout.image("v1", layers=[b"layer"])
    layout.referrer(image, tag="sbom", content=b"tagged")
    layout.index([layout.referrer(image, content=b"a platform", listed=False)], "multi")
    attached = layout.index([layout.referrer(image, content=b"a part", listed=False)], subject=image)
    target = ListsSome()
    made = engine(layout, target, depth=depth)
    for outcome in ("copied", "up_to_date"):
        results, findings = made.copy()
        assert (set(results.values()), findings) == ({outcome}, {("app", "referrer_lost")})
        assert len(made.findings) == 3
    target.lists = True
    assert made.copy()[1] == set()
    before = target.questions
    assert made.copy()[1] == set()
    assert target.questions == before


def test_nor_is_a_list_proved_before_what_refers_to_its_members_is_listed(layout: LayoutBuilder) -> None:
    class ListsSome(MemoryTarget):
        lists = False

        def list_referrers(self, repository: str, subject: Digest) -> frozenset[Digest] | None:
            listed = super().list_referrers(repository, subject)
            return listed if self.lists or subject != sbom["digest"] else frozenset()

    tag = referrers_tag(Digest.of(b"not here"))
    subject = {"mediaType": OCI_MANIFEST, "digest": Digest.of(b"not here"), "size": 8}
    sbom = layout.referrer(subject, listed=False)
    layout.index([sbom], tag)
    layout.referrer(sbom)
    made = engine(layout, ListsSome())
    for outcome in ("copied", "up_to_date"):
        assert made.copy() == ({f"app:{tag}": outcome}, {("app", "referrer_lost")})
    made.target.lists = True
    assert made.copy() == ({f"app:{tag}": "up_to_date"}, set())


def test_a_list_is_written_once_for_all_parts_of_a_graph_that_are_in_it(layout: LayoutBuilder) -> None:
    """As attestations of one image in an index: written for each by itself, 160 of them took 2.8 MB."""
    image = layout.image("v1", layers=[b"layer"])
    attestations = [layout.referrer(image, content=bytes([number]), listed=False) for number in range(9)]
    layout.index(attestations, "multi")
    target = Scripted(referrers_api=False)
    assert outcomes(engine(layout, target)) == {"v1": "copied", "multi": "copied"}
    fallback = referrers_tag(Digest(image["digest"]))
    assert target.pushed.count(fallback) == 1
    listed = json.loads(target.fetch_manifest("app", fallback).raw)["manifests"]
    assert {each["digest"] for each in listed} == {each["digest"] for each in attestations}


def overwriting(layout: LayoutBuilder, **more: object) -> Engine:
    target = MemoryTarget()
    target.push_manifest("app", "v1", OTHERS)
    return engine(layout, target, on_conflict=OnConflict.OVERWRITE, backup_tag="old-{tag}", **more)


def test_what_is_overwritten_is_kept_first(layout: LayoutBuilder) -> None:
    layout.image("v1", layers=[b"layer"])
    made = overwriting(layout)
    assert outcomes(made) == {"v1": "copied"}
    assert made.target.resolve_manifest("app", "old-v1") == Digest.of(OTHERS.raw)


@pytest.mark.parametrize(("backup", "kept"), [(None, "was kept nowhere"), ("old-{tag}", "is kept as old-v1")])
def test_what_was_overwritten_of_others_is_named_once(layout: LayoutBuilder, backup: str | None, kept: str) -> None:
    layout.image("v1", layers=[b"layer"])
    layout.image("v2", layers=[b"another"])
    made = overwriting(layout)
    made.policy = replace(made.policy, backup_tag=backup)
    assert made.copy() == ({"app:v1": "copied", "app:v2": "copied"}, {("app", "tag_overwritten")})
    assert made.findings[0].message == f"memory/app:v1 had {Digest.of(OTHERS.raw)} from others, which {kept}"
    assert made.progress.totals.complete
    layout.entries.clear()
    layout.image("v1", layers=[b"moved on"])
    layout.write()
    assert made.copy() == ({"app:v1": "copied"}, set()), "what we wrote ourselves is nobody's loss"


@pytest.mark.parametrize(("backup", "kept"), [(None, "was kept nowhere"), ("old-{tag}", "is kept as old-v1")])
def test_so_it_is_where_a_later_attempt_finds_it_there_as_the_answer_was_lost(
    layout: LayoutBuilder, backup: str | None, kept: str
) -> None:
    class TakesAndFails(MemoryTarget):
        fails = True

        def push_tag(self, repository: str, tag: str, *more: Any) -> bool:
            written = super().push_tag(repository, tag, *more)
            if self.fails:
                raise RegistryUnavailableError("it answered 500", status=500)
            return written

    layout.image("v1", layers=[b"layer"])
    target = TakesAndFails()
    target.push_manifest("app", "v1", OTHERS)
    made = engine(layout, target, on_conflict=OnConflict.OVERWRITE, backup_tag=backup)
    with made.run() as tree:
        (batch,) = tree.survey().batches
        with pytest.raises(BatchUnfinishedError):
            tree.execute(batch, last_attempt=False)
        target.fails = False
        tree.execute(batch, last_attempt=True)
    assert made.outcomes == {"app:v1": "up_to_date"}
    assert [each.code for each in made.findings] == ["tag_overwritten"]
    assert made.findings[0].message == f"memory/app:v1 had {Digest.of(OTHERS.raw)} from others, which {kept}"
    assert made.copy() == ({"app:v1": "up_to_date"}, set())


def test_a_backup_never_overwrites_another_one(layout: LayoutBuilder) -> None:
    layout.image("v1", layers=[b"layer"])
    made = overwriting(layout)
    earlier = RemoteManifest(OTHERS.raw.replace(b"[]", b"[ ]"), OTHERS.media_type)
    made.target.push_manifest("app", "old-v1", earlier)
    assert outcomes(made) == {"v1": "backup_refused"}
    assert made.target.resolve_manifest("app", "old-v1") == Digest.of(earlier.raw)
    assert made.target.resolve_manifest("app", "v1") == Digest.of(OTHERS.raw)


def test_a_backup_never_takes_the_name_of_a_tag_of_the_source(layout: LayoutBuilder) -> None:
    layout.image("v1", layers=[b"layer"])
    layout.image("old-v1", layers=[b"another"])
    made = overwriting(layout)
    assert outcomes(made) == {"v1": "backup_refused", "old-v1": "copied"}
    assert made.target.resolve_manifest("app", "v1") == Digest.of(OTHERS.raw)


def test_what_we_wrote_ourselves_is_not_kept(layout: LayoutBuilder, tmp_path: Path) -> None:
    layout.image("v1", layers=[b"layer"])
    made = engine(layout, MemoryTarget(), on_conflict=OnConflict.OVERWRITE, backup_tag="old-{tag}")
    outcomes(made)
    moved = LayoutBuilder(tmp_path / "moved" / "app")
    moved.image("v1", layers=[b"another"])
    made.root = moved.write().parent
    assert outcomes(made) == {"v1": "copied"}
    assert made.target.list_tags("app") == {"v1"}


def test_of_what_is_gone_when_it_is_to_be_kept_nothing_is_kept(layout: LayoutBuilder) -> None:
    class GoneWhenRead(MemoryTarget):
        def fetch_manifest(self, repository: str, reference: str) -> RemoteManifest | None:
            return None if reference == "v1" else super().fetch_manifest(repository, reference)

    layout.image("v1", layers=[b"layer"])
    made = engine(layout, GoneWhenRead(), backup_tag="old-{tag}")
    assert outcomes(made) == {"v1": "copied"}
    layout.entries.clear()
    layout.image("v1", layers=[b"another"])
    layout.write()
    assert outcomes(made) == {"v1": "copied"}
    assert made.target.list_tags("app") == {"v1"}


def test_backups_of_very_many_tags_do_not_look_through_all_tags_for_each(
    layout: LayoutBuilder, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    class Counting(tuple[TagEntry, ...]):
        __slots__ = ()

        def __iter__(self) -> Iterator[TagEntry]:
            nonlocal looks
            looks += 1
            return super().__iter__()

    def counted(*parts: Any) -> RepositoryInventory:
        inventory = enumerate_repository(*parts)
        return replace(inventory, tags=Counting(inventory.tags))

    tags = [f"v{number}" for number in range(40)]
    for tag in tags:
        layout.image(tag, layers=[tag.encode()])
    made = overwriting(layout)
    for tag in tags:
        made.target.push_manifest("app", tag, OTHERS)
    monkeypatch.setattr("tests.support.engine.enumerate_repository", counted)
    assert outcomes(made) == dict.fromkeys(tags, "copied")
    assert {f"old-{tag}" for tag in tags} <= made.target.list_tags("app")
    assert looks < 10


def test_one_backup_that_is_refused_costs_no_other_tag(layout: LayoutBuilder) -> None:
    image = layout.image("v1", layers=[b"layer"])
    for tag in ("v2", "v3"):
        layout.entry(image, tag)
    made = overwriting(layout)
    made.target.push_manifest("app", "v2", made.target.fetch_manifest("app", "v1"))
    taken = RemoteManifest(OTHERS.raw + b" ", OTHERS.media_type)
    made.target.push_manifest("app", "old-v1", taken)
    assert outcomes(made) == {"v1": "backup_refused", "v2": "copied", "v3": "copied"}
    assert made.target.resolve_manifest("app", "v1") == made.target.resolve_manifest("app", "old-v2")
    assert made.target.resolve_manifest("app", "old-v1") == Digest.of(taken.raw)


def test_a_tag_that_was_written_is_ours_though_its_proof_failed(layout: LayoutBuilder) -> None:
    image = layout.image("v1", layers=[b"layer"])
    made = engine(layout, Lossy(), depth=Depth.BLOBS)
    made.target.lossy = True
    assert outcomes(made) == {"v1": "missing_at_target"}
    assert made.target.resolve_manifest("app", "v1") == image["digest"]
    assert made.ledger.brought_to("app", "app") == {"v1": image["digest"]}
    layout.entries.clear()
    layout.image("v1", layers=[b"another"])
    layout.write()
    made.target.lossy = False
    assert outcomes(made) == {"v1": "copied"}, "the source moved its tag; that is no conflict"


def test_referrers_are_proved_as_deep_as_what_they_refer_to(layout: LayoutBuilder) -> None:
    sbom = b"the sbom"

    class LosesTheSbom(MemoryTarget):
        def has_blob(self, repository: str, descriptor: object) -> bool:
            return descriptor.digest != Digest.of(sbom) and super().has_blob(repository, descriptor)

    layout.referrer(layout.image("v1", layers=[b"layer"]), content=sbom)
    assert outcomes(engine(layout, LosesTheSbom(), depth=Depth.BLOBS)) == {"v1": "missing_at_target"}
    assert outcomes(engine(layout, MemoryTarget(), depth=Depth.BLOBS)) == {"v1": "copied"}


def test_an_untagged_manifest_is_asked_for_after_the_copy(layout: LayoutBuilder) -> None:
    class KeepsNothingUntagged(MemoryTarget):
        def resolve_manifest(self, repository: str, reference: str) -> None:
            return None

    layout.image(None, layers=[b"layer"])
    made = engine(layout, KeepsNothingUntagged(), untagged="all")
    results, _ = made.copy()
    assert results == {"app:None": "missing_at_target"}


def test_a_vague_refusal_of_a_manifest_has_nothing_sent_again(layout: LayoutBuilder) -> None:
    """Distribution says MANIFEST_INVALID of a type that it does not take, and of a blob that it misses."""
    layout.image("v1", layers=[b"layer", b"another"], media_type=OCI_MANIFEST)
    target = Scripted()
    vague = MissingReferencedContentError("manifest invalid", status=400, codes=("MANIFEST_INVALID",))
    target.before["v1"] = raising(vague)
    assert outcomes(engine(layout, target)) == {"v1": "manifest_refused"}
    assert len(target.blobs_sent) == len(set(target.blobs_sent))


def test_a_vague_refusal_that_means_a_missing_blob_has_that_one_sent(layout: LayoutBuilder) -> None:
    layout.image("v1", layers=[b"layer", b"another"])
    target = Scripted()
    layer = Digest.of(b"layer")

    def lose() -> None:
        if target.blobs_sent.count(layer) == 1:
            del target._asked("app").blobs[layer]
            raise MissingReferencedContentError("manifest invalid", status=400, codes=("MANIFEST_INVALID",))

    target.before["v1"] = lose
    assert outcomes(engine(layout, target)) == {"v1": "copied"}
    assert {digest for digest in target.blobs_sent if target.blobs_sent.count(digest) == 2} == {layer}


# A tag that others push between our look and our write


class Meanwhile(Scripted):
    """While the blobs of an image are sent, others push a tag."""

    def __init__(self, tag: str, manifest: RemoteManifest = OTHERS) -> None:
        super().__init__()
        self._meanwhile = (tag, manifest)

    def push_blob(self, repository: str, content: BlobContent, mount_from: str | None = None) -> BlobArrival:
        if self._meanwhile is not None:
            (tag, manifest), self._meanwhile = self._meanwhile, None
            MemoryTarget.push_manifest(self, repository, tag, manifest)
        return super().push_blob(repository, content, mount_from)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every copy takes longer than what was read before it is believed."""
    monkeypatch.setattr(freshness, "FRESH_SECONDS", -1.0)


@pytest.mark.usefixtures("slow")
def test_a_tag_that_others_push_during_a_copy_is_theirs(layout: LayoutBuilder) -> None:
    image = layout.image("v1", layers=[b"layer"])
    layout.entry(image, "v2")
    target = Meanwhile("v1")
    assert outcomes(engine(layout, target)) == {"v1": "conflict", "v2": "copied"}
    assert target.resolve_manifest("app", "v1") == Digest.of(OTHERS.raw)


@pytest.mark.parametrize("is_new", [True, False])
def test_a_tag_that_the_target_does_not_list_yet_is_theirs(layout: LayoutBuilder, *, is_new: bool) -> None:
    class Lagging(Scripted):
        """Lists tags as they were a minute ago."""

        def list_tags(self, _: str) -> frozenset[str]:
            return frozenset(() if is_new else ("v0",))

    layout.image("v1", layers=[b"layer"])
    target = Lagging()
    target.push_manifest("app", "v1", OTHERS)
    made = engine(layout, target)
    target.profile = profile_of(RegistryKind.QUAY, "")
    assert outcomes(made) == {"v1": "conflict"}
    assert target.resolve_manifest("app", "v1") == Digest.of(OTHERS.raw)


@pytest.mark.usefixtures("slow")
def test_a_tag_that_came_with_the_same_content_during_a_copy_is_not_written_again(layout: LayoutBuilder) -> None:
    """By others, or by an attempt whose proof failed for the moment; the target may let no tag be written twice."""
    digest = Digest(layout.image("v1", layers=[b"layer"])["digest"])

    class Came(Scripted):
        def resolve_manifest(self, repository: str, reference: str) -> Digest | None:
            return digest if reference == "v1" else super().resolve_manifest(repository, reference)

    target = Came()
    target.before["v1"] = raising(ManifestRefusedError("the tag is immutable", status=400))
    assert outcomes(engine(layout, target)) == {"v1": "copied"}


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("earlier", [False, True], ids=["new", "in the place of ours"])
def test_an_equal_tag_that_others_push_during_a_copy_was_not_brought(layout: LayoutBuilder, *, earlier: bool) -> None:
    """Or it would be deleted at the target when it vanishes at the source."""
    target = Scripted()
    made = engine(layout, target)
    if earlier:
        layout.image("v1", layers=[b"earlier"])
        layout.write()
        assert outcomes(made) == {"v1": "copied"}
        layout.entries.clear()
    image = layout.image("v1", layers=[b"layer"])
    equal = RemoteManifest(layout.blob_path(image).read_bytes(), OCI_MANIFEST)
    sbom = layout.referrer(image)
    layout.write()
    target.pushed.clear()
    target.before[sbom["digest"]] = lambda: MemoryTarget.push_manifest(target, "app", "v1", equal)
    assert outcomes(made) == {"v1": "copied"}
    assert target.pushed == [image["digest"], sbom["digest"]]
    assert made.ledger.tags_of("app", "app") == {"v1": image["digest"]}
    assert made.ledger.brought_to("app", "app") == {}


@pytest.mark.usefixtures("slow")
def test_a_tag_that_others_push_during_a_copy_is_kept_before_it_is_overwritten(layout: LayoutBuilder) -> None:
    layout.image("v1", layers=[b"layer"])
    target = Meanwhile("v1")
    made = engine(layout, target, on_conflict=OnConflict.OVERWRITE, backup_tag="old-{tag}")
    assert outcomes(made) == {"v1": "copied"}
    assert target.resolve_manifest("app", "old-v1") == Digest.of(OTHERS.raw)


@pytest.mark.usefixtures("slow")
def test_a_tag_of_ours_that_others_move_during_a_copy_is_theirs(layout: LayoutBuilder) -> None:
    layout.image("v1", layers=[b"layer"])
    target = Meanwhile("elsewhere")
    made = engine(layout, target)
    assert outcomes(made) == {"v1": "copied"}
    layout.entries.clear()
    layout.image("v1", layers=[b"another"])
    layout.write()
    target._meanwhile = ("v1", OTHERS)
    assert outcomes(made) == {"v1": "conflict"}
    assert target.resolve_manifest("app", "v1") == Digest.of(OTHERS.raw)


def write_without_an_answer(target: Scripted, raw: bytes) -> None:
    """Have the target take app:v1 when it is next asked to, and not say so."""

    def lost() -> None:
        target.before.clear()
        target.push_manifest("app", "v1", RemoteManifest(raw, OCI_MANIFEST))
        raise UnexpectedAnswerError("the answer was lost")

    target.before["v1"] = lost


class Unavailable(Scripted):
    """Takes a tag when it is told for the second time to, and something happens in between."""

    def __init__(self, meanwhile: RemoteManifest | None) -> None:
        super().__init__()
        self._meanwhile = meanwhile

    def push_tag(self, repository: str, tag: str, manifest: RemoteManifest, may_write: Callable[[], bool]) -> bool:
        assert may_write()
        if self._meanwhile is not None:
            self.push_manifest(repository, tag, self._meanwhile)
        return super().push_tag(repository, tag, manifest, may_write)


@pytest.mark.usefixtures("slow")
def test_a_tag_that_others_push_between_two_attempts_is_theirs(layout: LayoutBuilder) -> None:
    """The target may have asked for a pause of minutes, or been away."""
    layout.image("v1", layers=[b"layer"])
    target = Unavailable(OTHERS)
    assert outcomes(engine(layout, target)) == {"v1": "conflict"}
    assert target.resolve_manifest("app", "v1") == Digest.of(OTHERS.raw)


@pytest.mark.usefixtures("slow")
def test_a_tag_that_others_push_between_two_attempts_is_kept_before_it_is_overwritten(layout: LayoutBuilder) -> None:
    layout.image("v1", layers=[b"layer"])
    target = Unavailable(OTHERS)
    made = engine(layout, target, on_conflict=OnConflict.OVERWRITE, backup_tag="old-{tag}")
    assert outcomes(made) == {"v1": "copied"}
    assert target.resolve_manifest("app", "old-v1") == Digest.of(OTHERS.raw)


@pytest.mark.usefixtures("slow")
def test_a_tag_that_was_taken_and_whose_answer_was_lost_is_ours(layout: LayoutBuilder) -> None:
    image = layout.image("v1", layers=[b"layer"])
    target = Unavailable(RemoteManifest(layout.blob_path(image).read_bytes(), OCI_MANIFEST))
    made = engine(layout, target)
    assert outcomes(made) == {"v1": "copied"}
    assert target.pushed == ["v1"]
    assert made.ledger.brought_to("app", "app") == {"v1": image["digest"]}


@pytest.mark.usefixtures("slow")
def test_a_tag_that_came_to_be_ours_meanwhile_is_no_conflict(layout: LayoutBuilder) -> None:
    """As when the answer to an earlier attempt was lost."""
    image = layout.image("v1", layers=[b"layer"])
    target = Scripted()
    write_without_an_answer(target, layout.blob_path(image).read_bytes())
    made = engine(layout, target)
    assert outcomes(made) == {"v1": "unexpected_answer"}
    assert outcomes(made) == {"v1": "up_to_date"}


def test_a_tag_that_a_killed_run_wrote_is_ours_though_the_source_has_moved_since(layout: LayoutBuilder) -> None:
    """Nobody noted that it was brought; it was noted before that it would be."""
    image = layout.image("v1", layers=[b"layer"])
    target = Scripted()
    write_without_an_answer(target, layout.blob_path(image).read_bytes())
    made = engine(layout, target)
    assert outcomes(made) == {"v1": "unexpected_answer"}
    layout.entries.clear()
    moved = layout.image("v1", layers=[b"another"])
    layout.write()
    assert outcomes(made) == {"v1": "copied"}
    assert target.resolve_manifest("app", "v1") == moved["digest"]
    target.push_manifest("app", "v1", RemoteManifest(layout.blob_path(image).read_bytes(), OCI_MANIFEST))
    assert outcomes(made) == {"v1": "conflict"}, "who moves it back by hand means it"


def test_what_a_killed_run_wrote_needs_no_backup_though_the_source_has_moved_since(layout: LayoutBuilder) -> None:
    """The source had it; the backup's tag is taken besides, so that the tag would never follow."""
    image = layout.image("v1", layers=[b"layer"])
    layout.image("old-v1", layers=[b"another of ours"])
    target = Scripted()
    write_without_an_answer(target, layout.blob_path(image).read_bytes())
    made = engine(layout, target, backup_tag="old-{tag}")
    assert outcomes(made)["v1"] == "unexpected_answer"
    layout.entries.pop(0)
    moved = layout.image("v1", layers=[b"another"])
    layout.write()
    assert outcomes(made) == {"v1": "copied", "old-v1": "up_to_date"}
    assert target.resolve_manifest("app", "v1") == moved["digest"]


def test_what_was_just_read_is_not_asked_for_again(layout: LayoutBuilder) -> None:
    layout.image("v1", layers=[b"layer"])
    target = Scripted()
    assert outcomes(engine(layout, target)) == {"v1": "copied"}
    assert target.asked == ["v1"], "once, as the proof after the copy"


def test_what_is_there_without_a_tag_is_asked_for_once(layout: LayoutBuilder) -> None:
    part = layout.image(None, layers=[b"layer"], listed=False)
    index = layout.index([part])
    made = engine(layout, target := Scripted(), untagged="all")
    made.copy()
    target.asked.clear()
    assert made.copy() == ({"app:None": "up_to_date"}, set())
    assert target.asked == [index["digest"], part["digest"]]


def test_a_list_of_referrers_that_holds_nothing_is_filled(layout: LayoutBuilder) -> None:
    subject = layout.image("v1")
    layout.referrer(subject)
    layout.write()
    target = MemoryTarget(referrers_api=False)
    nothing = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":null}'
    target.push_manifest("app", referrers_tag(Digest(subject["digest"])), RemoteManifest(nothing, OTHERS.media_type))
    (result,) = Engine(layout.path.parent, target).one()
    assert (str(result.outcome), result.referrers) == ("copied", 1)


@pytest.mark.parametrize("raw", [b'{"manifests":{"a":1}}', b'{"manifests":7}', b"{}", b"7", b"["])
def test_a_list_of_referrers_that_is_none_is_a_conflict(raw: bytes) -> None:
    class Holds(MemoryTarget):
        def fetch_manifest(self, repository: str, reference: str) -> RemoteManifest:
            return RemoteManifest(raw, OTHERS.media_type)

    with pytest.raises(ReferrerConflictError):
        ReferrerLists(Holds(referrers_api=False)).check("app", Digest.of(b"subject"), ())


def test_one_list_that_the_target_does_not_give_is_no_word_about_the_others() -> None:
    odd = Digest.of(b"odd")

    class Odd(MemoryTarget):
        def list_referrers(self, repository: str, subject: Digest) -> frozenset[Digest] | None:
            return None if subject == odd else super().list_referrers(repository, subject)

    lists = ReferrerLists(Odd())
    found = [lists.check("app", subject, ()) for subject in (Digest.of(b"a"), odd, Digest.of(b"b"))]
    assert found == [ReferrerListing.API, ReferrerListing.FALLBACK, ReferrerListing.API]


def test_a_tag_that_is_named_by_another_algorithm_is_refused_before_anything_is_sent(layout: LayoutBuilder) -> None:
    raw = json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": layout.blob(b"{}"), "layers": []})
    layout.entry(layout.blob(raw.encode(), OCI_MANIFEST, algorithm="sha512"), "v1")
    layout.write()
    target = Scripted()
    (result,) = Engine(layout.path.parent, target).one()
    assert (str(result.outcome), result.code) == ("refused", "unsupported_digest")
    assert (target.pushed, target.blobs_sent) == ([], [])


# What earlier runs proved, and what is noted for later ones


def lost_layer(made: Engine) -> Engine:
    """The target has lost the layer of an image that it had."""
    del made.target._asked("app").blobs[Digest.of(b"layer")]
    return made


def has_layer(made: Engine) -> bool:
    return Digest.of(b"layer") in made.target._asked("app").blobs


@pytest.mark.parametrize("ours", [False, True])
def test_what_others_brought_is_not_ours_because_we_filled_a_hole_in_it(layout: LayoutBuilder, *, ours: bool) -> None:
    """Or it would be deleted at the target when it vanishes at the source."""
    image = layout.image("v1", layers=[b"layer"])
    made = engine(layout, MemoryTarget(), depth=Depth.BLOBS)
    assert outcomes(made) == {"v1": "copied"}
    if not ours:
        made.forget()
    made.ledger.note_tag("app", "v1", image["digest"], None, 0, layout="app", found=not ours)
    assert outcomes(lost_layer(made)) == {"v1": "copied"}
    assert has_layer(made)
    assert made.ledger.brought_to("app", "app") == ({"v1": image["digest"]} if ours else {})


@pytest.mark.parametrize("proved", [None, Depth.MANIFEST, Depth.BLOBS])
def test_what_was_proved_less_deep_is_proved_again(layout: LayoutBuilder, proved: Depth | None) -> None:
    image = layout.image("v1", layers=[b"layer"])
    made = engine(layout, MemoryTarget(), depth=Depth.BLOBS)
    assert outcomes(made) == {"v1": "copied"}
    made.ledger.note_tag("app", "v1", image["digest"], proved, 0, layout="app")
    lost_layer(made)
    assert outcomes(made) == {"v1": "up_to_date" if proved is Depth.BLOBS else "copied"}
    assert has_layer(made) is (proved is not Depth.BLOBS)


def test_a_shallower_run_leaves_a_deeper_proof_as_it_is(layout: LayoutBuilder) -> None:
    """Or runs of two depths by turns would read all of the target again each time."""
    layout.image("v1", layers=[b"layer"])
    tag = listed_elsewhere(layout, layout.image(layers=[b"signature"], listed=False))
    target = Scripted(referrers_api=False)
    made = engine(layout, target, depth=Depth.CONTENT)
    assert outcomes(made) == {"v1": "copied", tag: "copied"}
    assert target.blobs_read != []
    made.policy = CopyPolicy(depth=Depth.MANIFEST)
    assert outcomes(made) == {"v1": "up_to_date", tag: "up_to_date"}
    target.blobs_read.clear()
    made.policy = CopyPolicy(depth=Depth.CONTENT)
    assert outcomes(made) == {"v1": "up_to_date", tag: "up_to_date"}
    assert target.blobs_read == []


@pytest.mark.parametrize("proved", Depth)
def test_a_deeper_proof_is_void_once_a_hole_was_filled(layout: LayoutBuilder, proved: Depth) -> None:
    layout.image("v1", layers=[b"layer"])
    made = engine(layout, MemoryTarget(), depth=proved)
    assert outcomes(made) == {"v1": "copied"}
    (manifest,) = made.target._asked("app").tags.values()
    del made.target._asked("app").manifests[manifest]
    made.policy = CopyPolicy(depth=Depth.MANIFEST)
    assert outcomes(made) == {"v1": "copied"}
    noted = made.ledger.entry("app", "v1")
    assert noted is not None
    assert noted.verified == Depth.MANIFEST


def proved(made: Engine, tag: str = "v1") -> str | None:
    """How deep a tag was proved, as it is noted."""
    noted = made.ledger.entry("app", tag)
    assert noted is not None
    return noted.verified


@pytest.mark.parametrize(
    ("lost", "depth", "expected"),
    [
        (None, Depth.BLOBS, [Depth.CONTENT] * 4),
        (b"layer", Depth.BLOBS, [Depth.BLOBS, Depth.BLOBS, Depth.BLOBS, Depth.CONTENT]),
        (b"own", Depth.BLOBS, [Depth.CONTENT, Depth.BLOBS, Depth.BLOBS, Depth.CONTENT]),
        (b"the sbom", Depth.BLOBS, [Depth.CONTENT, Depth.CONTENT, Depth.BLOBS, Depth.CONTENT]),
        ("sbom", Depth.MANIFEST, [Depth.CONTENT, Depth.CONTENT, Depth.MANIFEST, Depth.CONTENT]),
        (b"member", Depth.BLOBS, [Depth.CONTENT, Depth.CONTENT, Depth.CONTENT, Depth.BLOBS]),
        ("signature", Depth.MANIFEST, [Depth.CONTENT, Depth.CONTENT, Depth.CONTENT, Depth.MANIFEST]),
    ],
)
def test_what_is_proved_again_keeps_its_deeper_proof_where_nothing_was_lost(
    layout: LayoutBuilder, lost: bytes | str | None, depth: Depth, expected: list[Depth]
) -> None:
    """Tags share layers: what one has found lost and sent may be in any that is looked at after it."""
    layout.image("v0", layers=[b"layer"])
    layout.image("v1", layers=[b"layer", b"own"])
    sbom = layout.referrer(layout.image("v2", layers=[b"another"]), content=b"the sbom")
    member = layout.image(layers=[b"member"], listed=False)
    signature = layout.referrer(member, content=b"the signature")
    tags = ("v0", "v1", "v2", listed_elsewhere(layout, member))
    made = engine(layout, Scripted(referrers_api=False), depth=Depth.CONTENT)
    assert set(outcomes(made).values()) == {"copied"}
    stored = made.target._asked("app")
    if isinstance(lost, bytes):
        del stored.blobs[Digest.of(lost)]
    elif lost is not None:
        del stored.manifests[Digest({"sbom": sbom, "signature": signature}[lost]["digest"])]
    made.policy = CopyPolicy(depth=depth, prove_again=True)
    assert set(outcomes(made).values()) <= {"copied", "up_to_date"}
    assert [proved(made, tag) for tag in tags] == expected


def test_a_proof_of_another_image_proves_nothing_of_this_one(layout: LayoutBuilder) -> None:
    layout.image("v1", layers=[b"another"])
    made = engine(layout, MemoryTarget(), depth=Depth.BLOBS)
    assert outcomes(made) == {"v1": "copied"}
    layout.entries.clear()
    layout.image("v1", layers=[b"layer"])
    layout.write()
    somebody = Engine(made.root, made.target, CopyPolicy(on_conflict=OnConflict.OVERWRITE))
    assert outcomes(somebody) == {"v1": "copied"}
    assert outcomes(lost_layer(made)) == {"v1": "copied"}
    assert has_layer(made)


def test_a_tag_whose_manifest_the_target_has_and_does_not_give_is_written_again(layout: LayoutBuilder) -> None:
    """As where its tag and its bytes are kept apart, and the bytes were lost."""

    class KeepsTheTagAlone(Scripted):
        def fetch_manifest(self, repository: str, reference: str) -> RemoteManifest | None:
            return super().fetch_manifest(repository, reference) if "v1" in self.pushed else None

    layout.image("v1", layers=[b"layer"])
    target = KeepsTheTagAlone()
    made = engine(layout, target, depth=Depth.BLOBS)
    assert outcomes(made) == {"v1": "copied"}
    target.pushed.clear()
    made.forget()
    assert outcomes(made) == {"v1": "copied"}
    assert target.pushed == ["v1"]


@pytest.mark.parametrize("depth", Depth)
@pytest.mark.parametrize("of_a_list", [False, True], ids=["of a tag", "of a member of a list"])
def test_a_referrer_that_took_the_place_of_another_is_brought(
    layout: LayoutBuilder, depth: Depth, *, of_a_list: bool
) -> None:
    """As an SBOM that was made anew: there are as many as an earlier run proved, and they are not the same."""
    image = layout.image(None if of_a_list else "v1", layers=[b"layer"], listed=not of_a_list)
    if of_a_list:
        listed_elsewhere(layout, image)
    layout.referrer(image, content=b"old")
    made = engine(layout, MemoryTarget(referrers_api=False), depth=depth)
    assert set(outcomes(made).values()) == {"copied"}
    layout.entries.pop()
    new = layout.referrer(image, content=b"new")
    layout.write()
    assert set(outcomes(made).values()) <= {"up_to_date", "copied"}
    assert made.target.resolve_manifest("app", new["digest"]) == new["digest"]


def test_what_a_run_brought_or_only_found_is_noted_with_its_proof(layout: LayoutBuilder) -> None:
    layout.referrer(layout.image("v1", layers=[b"layer"]))
    made = engine(layout, MemoryTarget(), depth=Depth.BLOBS)
    assert outcomes(made) == {"v1": "copied"}
    assert made.ledger.brought_to("app", "app").keys() == {"v1"}
    somebody = Engine(made.root, made.target, made.policy)
    assert outcomes(somebody) == {"v1": "up_to_date"}
    assert (somebody.ledger.tags_of("app").keys(), somebody.ledger.brought_to("app", "app")) == ({"v1"}, {})
    for ledger in (made.ledger, somebody.ledger):
        entry = ledger.entry("app", "v1")
        assert entry is not None
        assert (entry.verified, entry.referrers) == (Depth.BLOBS, 1)


@pytest.mark.parametrize("kind", ["image", "list"])
def test_a_repository_is_noted_as_begun_before_anything_is_sent(layout: LayoutBuilder, kind: str) -> None:
    """Or a run that dies would leave blobs that the next one takes for nobody's."""
    seen: list[bool] = []

    class Watched(MemoryTarget):
        def push_blob(self, repository: str, content: BlobContent, mount_from: str | None = None) -> BlobArrival:
            seen.append(made.ledger.was_started(repository))
            return super().push_blob(repository, content, mount_from)

    if kind == "image":
        layout.image("v1", layers=[b"layer"])
    else:
        listed_elsewhere(layout, layout.image(layers=[b"signature"], listed=False))
    made = engine(layout, Watched(referrers_api=False))
    assert set(outcomes(made).values()) == {"copied"}
    assert len(seen) == 2
    assert all(seen)


# Proofs deeper than a look at manifests


class Loses(MemoryTarget):
    """A target that has less than it was sent."""

    def __init__(self, content: bytes, **options: bool) -> None:
        super().__init__(**options)
        self._content = Digest.of(content)

    def has_blob(self, repository: str, descriptor: Descriptor) -> bool:
        return descriptor.digest != self._content and super().has_blob(repository, descriptor)


def test_an_entry_without_a_tag_is_proved_as_deep_as_asked_for_and_mended(layout: LayoutBuilder) -> None:
    layout.image(None, layers=[b"layer"])
    policy = {"depth": Depth.BLOBS, "untagged": Untagged.ALL}
    assert outcomes(engine(layout, Loses(b"layer"), **policy)) == {"None": "missing_at_target"}
    made = engine(layout, MemoryTarget(), **policy)
    assert outcomes(made) == {"None": "copied"}
    assert outcomes(made) == {"None": "up_to_date"}
    assert outcomes(lost_layer(made)) == {"None": "copied"}
    assert has_layer(made)


class BrokenLinks(Scripted):
    """A target whose disk was full: it can't tell whether it has what is `broken` until that is sent once more."""

    broken: frozenset[Digest] = frozenset()
    status = 500

    def has_blob(self, repository: str, descriptor: Descriptor) -> bool:
        if descriptor.digest in self.broken:
            raise RegistryUnavailableError(f"HEAD {descriptor.digest}", status=self.status)
        return super().has_blob(repository, descriptor)

    def push_blob(self, repository: str, content: BlobContent, mount_from: str | None = None) -> BlobArrival:
        self.broken -= {content.descriptor.digest}
        return super().push_blob(repository, content, mount_from)


@pytest.mark.parametrize("is_list", [False, True])
def test_what_the_target_can_not_tell_of_for_good_is_sent_again_when_it_is_proved_again(
    layout: LayoutBuilder, *, is_list: bool
) -> None:
    tag = "v1"
    if is_list:
        tag = listed_elsewhere(layout, layout.image(layers=[b"layer"], listed=False))
    else:
        layout.image("v1", layers=[b"layer"])
    target = BrokenLinks(referrers_api=False)
    made = engine(layout, target, depth=Depth.BLOBS)
    assert outcomes(made) == {tag: "copied"}
    layer = Digest.of(b"layer")
    target.broken, made.policy = frozenset({layer}), replace(made.policy, prove_again=True)
    target.blobs_sent.clear()
    assert outcomes(made) == {tag: "copied"}
    assert target.blobs_sent == [layer]
    assert outcomes(made) == {tag: "up_to_date"}


class LostObjects(Scripted):
    """A target that asks a database what it has: of what its store has `lost` it says so until that is sent again."""

    lost: frozenset[Digest] = frozenset()

    def fetch_blob(self, repository: str, descriptor: Descriptor) -> VerifiedContent:
        found = super().fetch_blob(repository, descriptor)
        lost = raising(ContentNotFoundError(f"the target does not have {descriptor.digest}"))
        return replace(found, open_stream=lost) if descriptor.digest in self.lost else found

    def push_blob(self, repository: str, content: BlobContent, mount_from: str | None = None) -> BlobArrival:
        self.lost -= {content.descriptor.digest}
        return super().push_blob(repository, content, mount_from)


@pytest.mark.parametrize("is_list", [False, True])
def test_what_the_target_says_it_has_and_does_not_give_is_sent_again_when_it_is_proved_again(
    layout: LayoutBuilder, *, is_list: bool
) -> None:
    tag, layers = "v1", [b"layer", b"other", b"third"]
    if is_list:
        tag = listed_elsewhere(layout, layout.image(layers=layers, listed=False))
    else:
        layout.image("v1", layers=layers)
    target = LostObjects(referrers_api=False)
    made = engine(layout, target, depth=Depth.CONTENT)
    assert outcomes(made) == {tag: "copied"}
    target.lost = frozenset(map(Digest.of, layers[:2]))
    made.policy = replace(made.policy, prove_again=True)
    target.blobs_sent.clear()
    assert outcomes(made) == {tag: "copied"}
    assert target.blobs_sent == [Digest.of(layer) for layer in layers[:2]]
    assert outcomes(made) == {tag: "up_to_date"}


def test_nothing_is_sent_again_to_a_target_that_is_away_for_the_moment(layout: LayoutBuilder) -> None:
    layout.image("v1", layers=[b"layer"])
    tag = listed_elsewhere(layout, layout.image(layers=[b"signature"], listed=False))
    target = BrokenLinks(referrers_api=False)
    made = engine(layout, target, depth=Depth.BLOBS)
    assert outcomes(made) == {"v1": "copied", tag: "copied"}
    target.broken, target.status = frozenset({Digest.of(b"layer"), Digest.of(b"signature")}), 503
    made.policy = replace(made.policy, prove_again=True)
    target.pushed.clear()
    target.blobs_sent.clear()
    assert outcomes(made) == {"v1": "registry_unavailable", tag: "registry_unavailable"}
    assert (target.pushed, target.blobs_sent) == ([], [])


@pytest.mark.parametrize("depth", Depth)
def test_a_tag_that_names_something_else_right_after_it_was_written_is_not_proved(
    layout: LayoutBuilder, depth: Depth
) -> None:
    class Moves(MemoryTarget):
        def resolve_manifest(self, repository: str, reference: str) -> Digest | None:
            found = super().resolve_manifest(repository, reference)
            return Digest.of(b"something else") if reference == "v1" and found else found

    layout.image("v1", layers=[b"layer"])
    assert outcomes(engine(layout, Moves(), depth=depth)) == {"v1": "different_at_target"}


@pytest.mark.parametrize("depth", Depth)
def test_a_tag_that_others_move_right_after_it_was_written_is_not_the_fate_of_another(
    layout: LayoutBuilder, depth: Depth
) -> None:
    class Taken(MemoryTarget):
        def push_manifest(self, repository: str, reference: str, manifest: RemoteManifest) -> None:
            super().push_manifest(repository, reference, manifest)
            if reference == "v1":
                super().push_manifest(repository, reference, OTHERS)

    image = layout.image("v1", layers=[b"layer"])
    layout.entry(image, "v2")
    assert outcomes(engine(layout, Taken(), depth=depth)) == {"v1": "different_at_target", "v2": "copied"}


@pytest.mark.usefixtures("slow")
def test_a_conflict_is_told_as_one_whatever_becomes_of_others_with_its_digest(layout: LayoutBuilder) -> None:
    class Forgetful(Meanwhile):
        def resolve_manifest(self, repository: str, reference: str) -> Digest | None:
            return None if reference == "v2" else super().resolve_manifest(repository, reference)

    image = layout.image("v1", layers=[b"layer"])
    layout.entry(image, "v2")
    assert outcomes(engine(layout, Forgetful("v1"))) == {"v1": "conflict", "v2": "missing_at_target"}


def test_the_members_of_a_list_are_proved_after_they_were_sent(layout: LayoutBuilder) -> None:
    tag = listed_elsewhere(layout, layout.image(layers=[b"signature"], listed=False))
    target = Loses(b"signature", referrers_api=False)
    assert outcomes(engine(layout, target, depth=Depth.BLOBS)) == {tag: "missing_at_target"}


@pytest.mark.parametrize("part", ["manifest", "blob"])
def test_a_referrer_that_was_lost_is_sent_again_at_any_depth(layout: LayoutBuilder, part: str) -> None:
    sbom = layout.referrer(layout.image("v1", layers=[b"layer"]), content=b"the sbom")
    made = engine(layout, MemoryTarget(), depth=Depth.BLOBS)
    assert outcomes(made) == {"v1": "copied"}
    stored = made.target._asked("app")
    del (stored.manifests if part == "manifest" else stored.blobs)[
        Digest(sbom["digest"]) if part == "manifest" else Digest.of(b"the sbom")
    ]
    made.forget()
    assert set(outcomes(made).values()) <= {"up_to_date", "copied"}
    assert Digest(sbom["digest"]) in stored.manifests
    assert Digest.of(b"the sbom") in stored.blobs


def test_a_list_that_was_lost_is_written_again_at_any_depth(layout: LayoutBuilder) -> None:
    image = layout.image("v1", layers=[b"layer"])
    layout.referrer(image)
    made = engine(layout, MemoryTarget(referrers_api=False), depth=Depth.BLOBS)
    assert outcomes(made) == {"v1": "copied"}
    fallback = referrers_tag(Digest(image["digest"]))
    del made.target._asked("app").tags[fallback]
    made.forget()
    assert outcomes(made) == {"v1": "up_to_date"}
    assert fallback in made.target.list_tags("app")


def test_a_list_is_told_of_under_its_tag_only_where_the_target_keeps_it_there(layout: LayoutBuilder) -> None:
    nobody = {"mediaType": OCI_MANIFEST, "digest": Digest.of(b"not here"), "size": 8}
    tag = listed_elsewhere(layout, layout.referrer(nobody, listed=False))
    told = {}
    for api in (True, False):
        (result,) = engine(layout, MemoryTarget(referrers_api=api)).one()
        assert (str(result.outcome), result.referrers) == ("copied", 1)
        told[api] = result.target
    assert told == {True: None, False: f"memory/app:{tag}"}


def test_a_list_of_nothing_is_no_tag_at_the_target(layout: LayoutBuilder) -> None:
    """As oras leaves one when it deletes the last referrer: there is nothing to keep, and nothing is written."""
    tag = listed_elsewhere(layout)
    made = engine(layout, MemoryTarget(referrers_api=False))
    for outcome in ("copied", "up_to_date"):
        (result,) = made.one()
        assert (str(result.tag), str(result.outcome), result.target) == (tag, outcome, None)
    assert made.target.list_tags("app") == frozenset()


@pytest.mark.parametrize("by_tag", [True, False])
def test_a_list_tells_of_referrers_what_they_tell_of_themselves(layout: LayoutBuilder, *, by_tag: bool) -> None:
    """Clients choose from it by type, and some lists in layouts hold no more than digests."""
    image = layout.image("v1" if by_tag else None, layers=[b"layer"], listed=by_tag)
    sbom = layout.referrer(image, artifact_type="application/vnd.example", annotations={"a": "b"}, listed=False)
    tag = referrers_tag(Digest(image["digest"]))
    bare = {name: sbom[name] for name in ("mediaType", "digest", "size")}
    if by_tag:
        layout.index([bare], tag)
    else:
        listed = layout.index([bare], listed=False)
        layout.entry(listed | {"annotations": {REFERRER_SUBJECT[0]: image["digest"]}})
        layout.entry(image, "v1")
    target = MemoryTarget(referrers_api=False)
    engine(layout, target).copy()
    (entry,) = json.loads(target.fetch_manifest("app", tag).raw)["manifests"]
    assert entry == bare | {"artifactType": "application/vnd.example", "annotations": {"a": "b"}}


# Backups


def test_a_backup_that_an_earlier_attempt_made_is_no_obstacle(layout: LayoutBuilder) -> None:
    layout.image("v1", layers=[b"layer"])
    target = Scripted()
    target.push_manifest("app", "v1", OTHERS)
    target.before["v1"] = raising(RegistryUnavailableError("for the moment", status=503))
    made = engine(layout, target, on_conflict=OnConflict.OVERWRITE, backup_tag="old-{tag}")
    assert outcomes(made) == {"v1": "registry_unavailable"}
    assert target.resolve_manifest("app", "old-v1") == Digest.of(OTHERS.raw)
    target.before.clear()
    assert outcomes(made) == {"v1": "copied"}


def test_what_others_put_in_the_place_of_ours_is_kept_too(layout: LayoutBuilder) -> None:
    layout.image("v1", layers=[b"layer"])
    made = engine(layout, MemoryTarget(), on_conflict=OnConflict.OVERWRITE, backup_tag="old-{tag}")
    assert outcomes(made) == {"v1": "copied"}
    made.target.push_manifest("app", "v1", OTHERS)
    assert outcomes(made) == {"v1": "copied"}
    assert made.target.resolve_manifest("app", "old-v1") == Digest.of(OTHERS.raw)


def test_what_is_kept_of_a_repository_is_freed_when_it_is_finished(layout: LayoutBuilder, hands: SpareHands) -> None:
    """A run would else remember the blobs of all of its repositories by the name of each."""
    layout.index([layout.image(layers=[b"layer"], listed=False)], "v1")
    source, made = LayoutDirectory(str(layout.write().parent)), engine(layout, MemoryTarget())
    tools = CopyTools(source, made.target, hands, lambda content: content, lambda _: None)
    work = made.work(tools, enumerate_repository(source, "app"), "app")
    (unit,) = units_of(work.inventory, work.inventory.tags, made.policy)
    (result,) = work.execute(unit)
    assert str(result.outcome) == "copied"
    assert "app" in tools.blobs._guests.keys() & tools.manifests._guests.keys()
    work.finish()
    assert tools.blobs._guests == tools.manifests._guests == {}


def test_what_goes_without_a_tag_is_noted_under_none(layout: LayoutBuilder) -> None:
    """A tag of the ledger that the source does not have has vanished there, and may be deleted."""
    layout.image("v1", layers=[b"tagged"])
    layout.image(layers=[b"untagged"])
    made = engine(layout, MemoryTarget(), untagged=Untagged.ALL)
    assert made.copy()[0] == {"app:v1": "copied", "app:None": "copied"}
    assert made.ledger.tags_of("app").keys() == {"v1"}


class ForgettingManifests(ForgettingTarget):
    """Does not take those that are `refused`.

    `before["v1"]` is called before that tag is written.
    """

    def __init__(self) -> None:
        super().__init__()
        self.refused: dict[str, LayoutliftError] = {}
        self.before: dict[str, Callable[[], object]] = {}

    def push_manifest(self, repository: str, reference: str, manifest: RemoteManifest) -> None:
        if reference in self.refused:
            raise self.refused[reference]
        super().push_manifest(repository, reference, manifest)

    def push_tag(self, repository: str, tag: str, manifest: RemoteManifest, may_write: Callable[[], bool]) -> bool:
        self.before.get(tag, lambda: None)()
        return super().push_tag(repository, tag, manifest, may_write)


@pytest.fixture
def moved_part(layout: LayoutBuilder) -> tuple[Engine, ForgettingManifests, str]:
    """A tag that was brought together with an index that has its manifest for a part, and has been moved since."""
    part = layout.image("amd64", layers=[b"first"])
    layout.index([part], "v1")
    target = ForgettingManifests()
    made = engine(layout, target)
    made.copy()
    moved = LayoutBuilder(layout.path)
    moved.index([moved.image(layers=[b"first"], listed=False)], "v1")
    moved.image("amd64", layers=[b"second"])
    moved.write()
    return made, target, part["digest"]


def test_a_part_of_an_index_that_the_target_loses_with_its_tag_is_sent_again(
    moved_part: tuple[Engine, ForgettingManifests, str],
) -> None:
    made, target, part = moved_part
    assert made.copy()[0] == {"app:v1": "up_to_date", "app:amd64": "copied"}
    assert target.resolve_manifest("app", part) == part
    assert made.ledger.at_risk("app") == []


def test_a_part_that_could_not_be_sent_again_is_by_the_next_run(
    moved_part: tuple[Engine, ForgettingManifests, str],
) -> None:
    """Which finds all tags as they are to be, and the index proved."""
    made, target, part = moved_part
    target.refused[part] = RegistryUnavailableError("for the moment", status=503)
    outcomes, findings = made.copy()
    assert outcomes == {"app:v1": "up_to_date", "app:amd64": "copied"}
    assert findings == {("app", "registry_unavailable")}
    assert part in made.findings[0].message
    target.refused.clear()
    assert made.copy()[0] == {"app:v1": "up_to_date", "app:amd64": "up_to_date"}
    assert target.resolve_manifest("app", part) == part
    assert made.ledger.at_risk("app") == []


def test_what_one_tag_found_there_is_not_kept_as_long_as_another_may_take_it_away(layout: LayoutBuilder) -> None:
    """Two workers move the two tags of a manifest; the first that looks finds it there by the other's tag."""
    part = layout.image("latest", layers=[b"first"])
    layout.entry(part, "stable")
    layout.index([part], "v1")
    both_at_risk, target = threading.Event(), ForgettingManifests()
    made = engine(layout, target)
    made.copy()
    moved = LayoutBuilder(layout.path)
    moved.index([part], "v1")
    moved.image("latest", layers=[b"second"])
    moved.image("stable", layers=[b"third"])
    moved.write()

    def wait_for_latest() -> None:
        both_at_risk.set()
        wait_until(lambda: "app:latest" in made.outcomes, what="the other tag is done", deadline_seconds=10)

    target.before = {"latest": lambda: both_at_risk.wait(10), "stable": wait_for_latest}
    target.refused[part["digest"]] = RegistryUnavailableError("for the moment", status=503)
    outcomes = {"app:v1": "up_to_date", "app:latest": "copied", "app:stable": "copied"}
    assert made.copy() == (outcomes, {("app", "registry_unavailable")})
    target.refused.clear()
    assert made.copy()[1] == set()
    assert target.resolve_manifest("app", part["digest"]) == part["digest"]


class AskedForParts(ForgettingManifests):
    """Keeps the manifests that it is asked for by digest; goes away for good with the write of `last_tag`."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.last_tag: str | None = None
        self.is_away = False

    def resolve_manifest(self, repository: str, reference: str) -> Digest | None:
        if self.is_away:
            raise TargetUnavailableError("away")
        if Digest.or_none(reference) is not None:
            self.asked.append(reference)
        return super().resolve_manifest(repository, reference)

    def push_tag(self, repository: str, tag: str, manifest: RemoteManifest, may_write: Callable[[], bool]) -> bool:
        self.is_away = self.is_away or tag == self.last_tag
        return super().push_tag(repository, tag, manifest, may_write)


@pytest.fixture
def forty_moved(layout: LayoutBuilder) -> tuple[Engine, AskedForParts, list[str]]:
    """As many tags, which are all moved, of manifests that the layout has still."""
    before = [layout.image(f"v{number}", layers=[b"first %d" % number])["digest"] for number in range(40)]
    target = AskedForParts()
    made = engine(layout, target)
    made.copy()
    moved = LayoutBuilder(layout.path)
    for number in range(40):
        moved.image(f"v{number}", layers=[b"second %d" % number])
    moved.write()
    target.asked.clear()
    return made, target, before


def test_a_moved_tag_costs_one_question_for_what_had_it(
    forty_moved: tuple[Engine, AskedForParts, list[str]],
) -> None:
    made, target, before = forty_moved
    outcomes, findings = made.copy()
    assert (set(outcomes.values()), findings) == ({"copied"}, set())
    assert sorted(digest for digest in target.asked if digest in before) == sorted(before)
    assert made.ledger.at_risk("app") == []


def test_a_target_that_goes_away_late_has_no_finding_for_each_tag_that_moved_well(
    forty_moved: tuple[Engine, AskedForParts, list[str]],
) -> None:
    made, target, _ = forty_moved
    target.last_tag = "v20"
    outcomes, _ = made.copy()
    moved_well = [tag for tag, outcome in outcomes.items() if outcome == "copied"]
    assert len(moved_well) >= 18
    assert len(made.findings) <= 2, "as many as there are workers"


def test_a_tag_moves_also_where_the_target_does_not_take_again_what_it_loses_with_it(
    moved_part: tuple[Engine, ForgettingManifests, str],
) -> None:
    made, target, part = moved_part
    target.refused[part] = ManifestRefusedError("only tags are taken", status=400)
    assert made.copy() == ({"app:v1": "up_to_date", "app:amd64": "copied"}, {("app", "manifest_refused")})
    assert target.resolve_manifest("app", part) is None
    assert made.copy()[1] == {("app", "manifest_refused")}, "as long as it is so"


def test_a_part_that_can_not_be_read_for_the_moment_is_sent_again_by_the_next_run(
    moved_part: tuple[Engine, ForgettingManifests, str],
) -> None:
    made, target, part = moved_part

    class Unreadable(LayoutDirectory):
        def blob(self, path: str, descriptor: Descriptor) -> BlobContent:
            if descriptor.digest == part:
                raise SourceReadError("for the moment")
            return super().blob(path, descriptor)

    made.wrap = lambda _: Unreadable(str(made.root))
    assert made.copy()[1] == {("app", "source_read")}
    made.wrap = lambda source: source
    assert made.copy()[1] == set()
    assert target.resolve_manifest("app", part) == part


def test_a_part_below_which_the_target_holds_damage_is_named_and_left_to_the_next_run(
    moved_part: tuple[Engine, ForgettingManifests, str],
) -> None:
    """It is whole in the layout: what does not count as broken there is not taken for kept."""
    made, target, part = moved_part
    blobs = target._asked("app").blobs
    blobs[Digest.of(b"first")] = b"cut"
    assert made.copy() == ({"app:v1": "up_to_date", "app:amd64": "copied"}, {("app", "damaged_at_target")})
    assert part in made.findings[0].message
    assert [at_risk.digest for at_risk in made.ledger.at_risk("app")] == [part]
    del blobs[Digest.of(b"first")]
    assert made.copy()[1] == set()
    assert target.resolve_manifest("app", part) == part


@pytest.mark.parametrize("says_type", [True, False])
def test_a_tag_is_moved_without_a_pull_where_the_layout_tells_what_had_it(
    layout: LayoutBuilder, *, says_type: bool
) -> None:
    """Docker Hub counts pulls, and allows few."""
    body = json.loads(layout.blob_path(layout.image(layers=[b"first"], listed=False)).read_bytes())
    body = body if says_type else {name: body[name] for name in body if name != "mediaType"}
    first = layout.blob(json.dumps(body).encode(), OCI_MANIFEST)
    layout.entry(first, "v1")
    layout.index([first], "index")
    target = Scripted()
    made = engine(layout, target)
    made.copy()
    moved = LayoutBuilder(layout.path)
    moved.index([first], "index")
    moved.image("v1", layers=[b"second"])
    moved.write()
    assert made.copy() == ({"app:index": "up_to_date", "app:v1": "copied"}, set())
    assert target.fetched == ([] if says_type else [first["digest"]])
    assert made.ledger.at_risk("app") == []


def test_what_a_killed_run_had_put_at_risk_is_sent_again_by_the_next(layout: LayoutBuilder) -> None:
    """The tag was moved by then, so that nothing but the ledger tells."""
    part = layout.image("amd64", layers=[b"first"])
    layout.index([part], "v1")
    target = MemoryTarget(deletes=True)
    made = engine(layout, target)
    made.copy()
    made.ledger.note_at_risk("app", Descriptor(part["mediaType"], Digest(part["digest"]), part["size"]))
    layout.entries = [entry for entry in layout.entries if entry["digest"] != part["digest"]]
    layout.write()
    target.delete_manifest("app", part["digest"])
    del target._asked("app").blobs[Digest.of(b"first")]
    assert made.copy()[0] == {"app:v1": "up_to_date"}
    assert target.resolve_manifest("app", part["digest"]) == part["digest"]
    assert made.progress.totals.traffic.blobs_pushed == 1


def test_what_is_at_risk_is_left_to_the_layout_that_has_it(layout: LayoutBuilder) -> None:
    layout.image("v1", layers=[b"layer"])
    made = engine(layout, MemoryTarget())
    elsewhere = Descriptor(OCI_MANIFEST, Digest.of(b"in another layout"), 17)
    made.ledger.note_at_risk("app", elsewhere)
    assert made.copy() == ({"app:v1": "copied"}, set())
    assert made.ledger.at_risk("app") == [elsewhere]


def test_a_layer_that_need_not_be_distributed_is_brought_again_where_the_layout_has_it(layout: LayoutBuilder) -> None:
    foreign = layout.blob(b"windows", FOREIGN_LAYER)
    image_of(layout, "v1", [foreign])
    target = MemoryTarget()
    made = engine(layout, target)
    made.copy()
    del target._asked("app").blobs[Digest.of(b"windows")]
    made.policy = replace(made.policy, depth=Depth.BLOBS, prove_again=True)
    assert made.copy()[0] == {"app:v1": "copied"}
    assert Digest.of(b"windows") in target._asked("app").blobs
