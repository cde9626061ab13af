"""A verification says of each tag what became of it, and misses nothing that refers to it or lists what does."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import MissingAtTargetError, ReferrersLostError
from tasks.oci.reference import referrers_tag
from tasks.operations.referrers.referrer_lists import ReferrerLists
from tasks.operations.reports.findings import is_harmful
from tasks.operations.reports.results import Depth, TagResult
from tasks.operations.source.enumeration import enumerate_repository
from tasks.operations.verifying.verification import RepositoryVerifier
from tasks.operations.verifying.verify_work import VerifyWork
from tasks.operations.work.planning import CopyPolicy, Untagged
from tasks.operations.work.repository_work import units_of
from tasks.operations.work.spare_hands import SpareHands
from tasks.ports import RemoteManifest
from tasks.stores.directory.layout_directory import LayoutDirectory
from tests.support.engine import Engine
from tests.support.layouts import OCI_MANIFEST, LayoutBuilder, image_of
from tests.support.memory_stores import MemoryTarget


class Hiding(MemoryTarget):
    """A target that lists every referrer but those that are `hidden`."""

    def __init__(self, *, referrers_api: bool = True) -> None:
        super().__init__(referrers_api=referrers_api)
        self.hidden: set[Digest] = set()

    def list_referrers(self, repository: str, subject: Digest) -> frozenset[Digest] | None:
        listed = super().list_referrers(repository, subject)
        return None if listed is None else listed - self.hidden


class World:
    """A layout, and a target that has what the layout had when it was migrated."""

    def __init__(self, layout: LayoutBuilder, hands: SpareHands) -> None:
        self.layout, self.hands, self.target = layout, hands, Hiding()

    def migrate(self, **policy: Any) -> None:
        made = Engine(self.layout.write().parent, self.target, CopyPolicy(**policy))
        assert {str(result.outcome) for result in made.one()} == {"copied"}

    def lose(self, *entries: dict[str, Any]) -> None:
        for entry in entries:
            del self.target._asked("app").manifests[Digest(entry["digest"])]

    def hide(self, *entries: dict[str, Any]) -> None:
        self.target.hidden |= {Digest(entry["digest"]) for entry in entries}

    def work(self, policy: CopyPolicy) -> VerifyWork:
        source, target = LayoutDirectory(str(self.layout.write().parent)), self.target
        verifier = RepositoryVerifier(target, "app", policy.depth, self.hands)
        return VerifyWork(
            enumerate_repository(source, "app"),
            "app",
            verifier,
            ReferrerLists(target),
            policy,
            host="memory",
            target_tags=target.list_tags("app"),
        )

    def results(self, **policy: Any) -> dict[str | None, TagResult]:
        work = self.work(CopyPolicy(**policy))
        done: Iterator[TagResult] = (
            result
            for unit in units_of(work.inventory, work.inventory.tags, work._policy)
            for result in work.execute(unit)
        )
        return {result.tag: result for result in done}

    def codes(self, **policy: Any) -> dict[str | None, str]:
        """What is wrong with each tag, or what became of it."""
        return {tag: result.code or str(result.outcome) for tag, result in self.results(**policy).items()}


@pytest.fixture
def world(tmp_path: Path, hands: SpareHands) -> World:
    return World(LayoutBuilder(tmp_path / "app"), hands)


def test_of_tags_with_one_digest_the_one_that_is_missing_has_a_problem_and_no_other(world: World) -> None:
    image = world.layout.image("there", layers=[b"layer"])
    world.layout.entry(image, "gone")
    world.layout.referrer(image)
    world.migrate()
    del world.target._asked("app").tags["gone"]
    results = world.results()
    there, gone = results["there"], results["gone"]
    assert (str(gone.outcome), gone.code, gone.verified) == ("failed", MissingAtTargetError.code, None)
    assert "does not have the tag gone" in str(gone.message)
    assert (str(there.outcome), there.verified, there.referrers) == ("up_to_date", "manifest", 1)


def test_a_tag_that_is_missing_is_said_to_be_that_whatever_became_of_its_referrers(world: World) -> None:
    sbom = world.layout.referrer(world.layout.image("v1", layers=[b"layer"]))
    world.migrate()
    world.hide(sbom)
    assert world.codes() == {"v1": ReferrersLostError.code}
    del world.target._asked("app").tags["v1"]
    assert world.codes() == {"v1": MissingAtTargetError.code}


def test_what_is_chosen_without_a_tag_is_proved_too(world: World) -> None:
    untagged = world.layout.image(layers=[b"layer"])
    assert world.codes(untagged=Untagged.ALL) == {None: MissingAtTargetError.code}
    world.migrate(untagged=Untagged.ALL)
    result = world.results(untagged=Untagged.ALL)[None]
    assert (str(result.outcome), result.target) == ("up_to_date", f"memory/app@{untagged['digest']}")


def test_a_list_is_read_once_for_all_parts_of_a_graph_that_are_in_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As attestations of one image in an index."""
    image = world.layout.image("v1", layers=[b"layer"])
    parts = [world.layout.referrer(image, content=bytes([number]), listed=False) for number in range(9)]
    world.layout.index(parts, "multi")
    world.migrate()
    asked: list[Digest] = []
    really = Hiding.list_referrers

    def list_referrers(target: Hiding, repository: str, subject: Digest) -> frozenset[Digest] | None:
        asked.append(subject)
        return really(target, repository, subject)

    monkeypatch.setattr(Hiding, "list_referrers", list_referrers)
    assert world.codes() == {"v1": "up_to_date", "multi": "up_to_date"}
    assert asked == [image["digest"]]
    world.hide(parts[4])
    assert world.codes() == {"v1": "up_to_date", "multi": ReferrersLostError.code}


@pytest.mark.parametrize("harm", [World.lose, World.hide])
@pytest.mark.parametrize("broken", ["sbom", "signature", "part of the signature"])
def test_a_referrer_that_is_missing_or_not_listed_is_found_at_any_depth(
    world: World, harm: Callable[..., None], broken: str
) -> None:
    layout = world.layout
    first, second = (layout.image(layers=[bytes([number])], listed=False) for number in range(2))
    sbom = layout.referrer(layout.index([first, second], "v1"))
    part = layout.referrer(first, content=b"part", listed=False)
    signature = layout.index([part], subject=sbom, annotations={"of": "the SBOM"})
    world.migrate()
    assert world.results()["v1"].referrers == 2
    harm(world, {"sbom": sbom, "signature": signature, "part of the signature": part}[broken])
    assert world.codes() == {"v1": (MissingAtTargetError if harm is World.lose else ReferrersLostError).code}


def test_referrers_that_are_left_out_are_not_asked_for(world: World) -> None:
    sbom = world.layout.referrer(world.layout.image("v1", layers=[b"layer"]))
    world.migrate()
    world.lose(sbom)
    assert world.codes() == {"v1": MissingAtTargetError.code}
    result = world.results(referrers=False)["v1"]
    assert (str(result.outcome), result.referrers) == ("up_to_date", 0)


@pytest.mark.parametrize("harm", [World.lose, World.hide])
@pytest.mark.parametrize("is_member", [True, False])
def test_a_member_of_a_list_and_what_signs_it_is_found_missing_or_not_listed(
    world: World, harm: Callable[..., None], *, is_member: bool
) -> None:
    subject = {"mediaType": OCI_MANIFEST, "digest": Digest.of(b"not here"), "size": 8}
    tag = referrers_tag(subject["digest"])
    members = [world.layout.referrer(subject, content=bytes([number]), listed=False) for number in range(2)]
    world.layout.index(members, tag)
    signature = world.layout.referrer(members[0], content=b"signature")
    world.migrate()
    result = world.results()[tag]
    assert (str(result.outcome), result.verified, result.referrers) == ("up_to_date", "manifest", 2)
    harm(world, members[0] if is_member else signature)
    assert world.codes() == {tag: (MissingAtTargetError if harm is World.lose else ReferrersLostError).code}


@pytest.mark.parametrize("by_tag", [True, False])
def test_a_list_is_named_at_the_target_only_where_the_target_keeps_it_under_its_tag(
    world: World, *, by_tag: bool
) -> None:
    world.target = Hiding(referrers_api=not by_tag)
    image = world.layout.image("v1", layers=[b"layer"])
    tag = referrers_tag(Digest(image["digest"]))
    world.layout.index([world.layout.referrer(image)], tag)
    world.migrate()
    assert world.results()[tag].target == (f"memory/app:{tag}" if by_tag else None)


@pytest.mark.timeout(30)
def test_lists_that_lead_in_a_circle_are_walked_once(world: World) -> None:
    world.target = Hiding(referrers_api=False)
    one, other = (world.layout.image(name, layers=[name.encode()]) for name in ("one", "other"))
    for subject, referrer in ((one, other), (other, one)):
        world.layout.index([referrer], referrers_tag(Digest(subject["digest"])))
    world.migrate()
    results = world.results()
    assert {tag: results[tag].referrers for tag in ("one", "other")} == {"one": 2, "other": 2}


def test_tags_that_the_target_has_besides_are_named_and_lists_and_what_was_refused_are_not(world: World) -> None:
    image = world.layout.image("v1", layers=[b"layer"])
    world.migrate()
    for layer in (b"one", b"other"):
        world.layout.image("shared", layers=[layer])
    manifest = world.target.fetch_manifest("app", "v1")
    assert isinstance(manifest, RemoteManifest)
    others = [*(f"extra-{number}" for number in range(8)), "sha256-of-release"]
    subject = referrers_tag(Digest(image["digest"]))
    lists = [subject, f"{subject}.sig", f"sha512-{'0' * 128}", f"sha512-{'0' * 64}"]
    for tag in ("shared", *others, *lists):
        world.target.push_manifest("app", tag, manifest)
    work = world.work(CopyPolicy())
    assert [(finding.path, finding.code) for finding in work.finish()] == [("app", "extra_at_target")] * 9
    assert [finding.message for finding in work.finish()] == [
        f"memory/app:{tag} is not at the source" for tag in others
    ]


def test_where_the_target_lists_no_tags_that_is_said_and_not_that_it_has_none_besides(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As to a login that may read and not list, or where the list of a large repository takes too long."""
    world.layout.image("v1", layers=[b"layer"])
    world.migrate()
    monkeypatch.setattr(world.target, "list_tags", lambda _: None)
    (told,) = world.work(CopyPolicy()).finish()
    assert (told.path, told.code) == ("app", "tags_not_listed")
    assert told.message.startswith("memory/app: ")
    assert not is_harmful(told)


def test_what_a_verification_names_has_the_type_that_the_source_gives_it(world: World) -> None:
    image = Descriptor.from_json(world.layout.image("v1", layers=[b"layer"]))
    world.migrate()
    result = world.results()["v1"]
    assert (result.target, result.digest, result.media_type) == ("memory/app:v1", image.digest, image.media_type)


def test_a_referrer_that_is_missing_is_said_to_be_one_and_of_what(world: World) -> None:
    """Else the tag seems to lack a part, and who looks at it finds nothing wrong."""
    image = world.layout.image("v1", layers=[b"layer"])
    sbom = world.layout.referrer(image)
    world.migrate()
    world.lose(sbom)
    message = world.results()["v1"].message
    assert str(message).startswith(f"{sbom['digest']}, a referrer of {image['digest']}: the target does not have")


def test_a_size_that_only_a_referrer_gives_to_a_blob_is_said_to_be_that_referrers(world: World) -> None:
    layer = world.layout.blob(b"layer")
    image = image_of(world.layout, "v1", [layer])
    world.migrate()
    body = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": layer, "layers": [layer | {"size": 4}]}
    raw = json.dumps(body | {"subject": image}).encode()
    lying = world.layout.entry(world.layout.blob(raw, OCI_MANIFEST), None)
    world.target.push_manifest("app", lying["digest"], RemoteManifest(raw, OCI_MANIFEST))
    message = world.results(depth=Depth.BLOBS)["v1"].message
    assert str(message).startswith(f"{lying['digest']}, a referrer of {image['digest']}: ")
