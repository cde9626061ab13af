"""What reaches a target with a graph and in which order, and that nothing is sent or asked for twice."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.oci.digest import Digest
from tasks.oci.errors import (
    ImmutableTagError,
    ManifestRefusedError,
    MissingReferencedContentError,
    PayloadTooLargeError,
)
from tasks.oci.reference import referrers_tag
from tasks.operations.reports.findings import is_harmful
from tasks.operations.source.graph_walk import MAX_NESTING
from tasks.operations.work.planning import CopyPolicy, Untagged
from tasks.ports import RemoteManifest
from tests.support.engine import Engine
from tests.support.layouts import OCI_MANIFEST, LayoutBuilder
from tests.support.memory_stores import MemoryTarget

Act = Callable[[], object]


class Noting(MemoryTarget):
    """A target that notes what it is sent and asked for."""

    def __init__(self, **options: bool) -> None:
        super().__init__(**options)
        self.pushed: list[str] = []
        self.asked: list[str] = []
        self.lists_asked: list[str] = []
        self.misses: dict[str, list[Act]] = {}
        """What happens before each push of a reference, one after the other."""

    def push_manifest(self, repository: str, reference: str, manifest: RemoteManifest) -> None:
        self.pushed.append(reference)
        if self.misses.get(reference):
            self.misses[reference].pop(0)()
        super().push_manifest(repository, reference, manifest)

    def resolve_manifest(self, repository: str, reference: str) -> Digest | None:
        self.asked.append(reference)
        return super().resolve_manifest(repository, reference)

    def list_referrers(self, repository: str, subject: Digest) -> frozenset[Digest] | None:
        self.lists_asked.append(subject)
        return super().list_referrers(repository, subject)


class Immutable(MemoryTarget):
    """A target without the referrers API that lets no tag be moved."""

    def __init__(self) -> None:
        super().__init__(referrers_api=False)

    def push_manifest(self, repository: str, reference: str, manifest: RemoteManifest) -> None:
        if self.resolve_manifest(repository, reference) not in {None, Digest.of(manifest.raw)}:
            raise ImmutableTagError(f"{reference} is immutable", status=400)
        super().push_manifest(repository, reference, manifest)


@pytest.fixture
def layout(tmp_path: Path) -> LayoutBuilder:
    return LayoutBuilder(tmp_path / "source" / "app")


def engine(layout: LayoutBuilder, target: MemoryTarget, **policy: object) -> Engine:
    return Engine(layout.write().parent, target, CopyPolicy(**policy))


def ended(made: Engine) -> list[tuple[str, int]]:
    """The outcome of each unit, and how many referrers it has."""
    return [(result.code or str(result.outcome), result.referrers) for result in made.one()]


def anew(made: Engine) -> Engine:
    """Another run that does not know of those before."""
    return Engine(made.root, made.target, made.policy)


def test_a_manifest_that_nothing_refers_to_is_sent_once(layout: LayoutBuilder) -> None:
    layout.image("v1", layers=[b"layer"])
    target = Noting()
    assert ended(engine(layout, target)) == [("copied", 0)]
    assert target.pushed == ["v1"]


def test_an_entry_without_a_tag_arrives_by_its_digest(layout: LayoutBuilder) -> None:
    image = layout.image(None, layers=[b"layer"])
    target = Noting()
    made = engine(layout, target, untagged=Untagged.ALL)
    assert [ended(made), ended(made)] == [[("copied", 0)], [("up_to_date", 0)]]
    assert target.pushed == [image["digest"]]
    assert made.ledger.tags_of("app") == {}


def test_a_subject_is_there_before_its_referrers_and_its_tag_after_them(layout: LayoutBuilder) -> None:
    image = layout.image("v1", layers=[b"layer"])
    sbom = layout.referrer(image)
    target = Noting()
    assert ended(engine(layout, target)) == [("copied", 1)]
    assert target.pushed == [image["digest"], sbom["digest"], "v1"]
    assert (target.asked, target.lists_asked) == (["v1"], [image["digest"]]), "of a new tag nothing else is asked"


def test_referrers_that_nobody_asked_for_stay_behind(layout: LayoutBuilder) -> None:
    layout.referrer(layout.image("v1", layers=[b"layer"]))
    target = Noting()
    made = engine(layout, target, referrers=False)
    assert [ended(made), ended(anew(made))] == [[("copied", 0)], [("up_to_date", 0)]]
    assert target.pushed == ["v1"]


def test_what_refers_to_a_part_of_a_referrer_counts_in_every_run(layout: LayoutBuilder) -> None:
    part = layout.image(layers=[b"SBOM of a platform"], listed=False)
    layout.index([part], subject=layout.image("v1", layers=[b"layer"]))
    layout.referrer(part, content=b"signature")
    target = Noting()
    made = engine(layout, target)
    assert ended(made) == [("copied", 2)]
    target.asked.clear()
    assert ended(made) == [("up_to_date", 2)]
    assert target.asked == ["v1"], "the run before has proved the rest"


def test_a_listed_referrer_whose_parts_can_not_be_read_is_not_the_fate_of_its_subject(layout: LayoutBuilder) -> None:
    image = layout.image("v1", layers=[b"layer"])
    sboms = layout.index([layout.image(listed=False)], subject=image, listed=False)
    layout.index([sboms], referrers_tag(Digest(image["digest"])))
    layout.blob_path(sboms).unlink()
    made = engine(layout, Noting())
    assert [ended(made)[0], ended(made)[0]] == [("copied", 0), ("up_to_date", 0)]


def test_referrers_of_referrers_count_and_what_is_there_is_not_sent_again(layout: LayoutBuilder) -> None:
    sbom = layout.referrer(layout.image("v1", layers=[b"layer"]))
    layout.referrer(sbom, content=b"signature")
    target = Noting()
    made = engine(layout, target)
    assert ended(made) == [("copied", 2)]
    target.pushed.clear()
    target.asked.clear()
    assert ended(made) == [("up_to_date", 2)]
    assert target.asked == ["v1"], "the run before has proved the rest"
    assert ended(anew(made)) == [("up_to_date", 2)]
    assert target.pushed == []


def test_referrers_that_share_a_part_keep_nothing_from_coming_along_that_refers_to_them(
    layout: LayoutBuilder,
) -> None:
    image = layout.image("v1", layers=[b"layer"])
    shared = layout.image(layers=[b"shared"], listed=False)
    one, _ = (layout.index([shared], subject=image, annotations={"of": name}) for name in ("one", "other"))
    signature = layout.referrer(one, content=b"signature")
    of_the_signature = layout.referrer(signature, content=b"of the signature")
    target = Noting()
    assert ended(engine(layout, target)) == [("copied", 4)]
    assert of_the_signature["digest"] in target.pushed


def test_the_members_of_a_list_of_referrers_are_not_sent_again(layout: LayoutBuilder) -> None:
    sbom = layout.image(layers=[b"sbom"], listed=False)
    layout.referrer(sbom, content=b"signature")
    tag = referrers_tag(Digest.of(b"not here"))
    layout.index([sbom], tag)
    target = Noting(referrers_api=False)
    made = engine(layout, target)
    assert ended(made) == [("copied", 1)]
    target.pushed.clear()
    assert ended(made) == ended(anew(made)) == [("up_to_date", 1)]
    assert target.pushed == []


def test_a_referrer_that_is_broken_at_the_source_is_named_and_neither_counted_nor_listed(
    layout: LayoutBuilder,
) -> None:
    image = layout.image("v1", layers=[b"layer"])
    layout.blob_path(layout.referrer(image)).unlink()
    target = Noting(referrers_api=False)
    made = engine(layout, target)
    outcomes, findings = made.copy()
    assert (outcomes, findings) == ({"app:v1": "copied"}, {("app", "content_not_found")})
    assert [result.referrers for result in made.results] == [0]
    assert target.list_tags("app") == {"v1"}


def test_a_referrer_that_is_damaged_at_the_target_is_named_and_not_the_fate_of_its_tag(layout: LayoutBuilder) -> None:
    image = layout.image("v1", layers=[b"layer"])
    made = engine(layout, Noting())
    made.copy()
    layout.referrer(image, content=b"signature")
    layout.write()
    made.target._asked("app").blobs[Digest.of(b"signature")] = b"cut"
    assert made.copy() == ({"app:v1": "up_to_date"}, {("app", "damaged_at_target")})


def test_a_list_whose_tag_can_not_be_moved_is_not_the_fate_of_what_it_belongs_to(
    layout: LayoutBuilder,
) -> None:
    """Its tag would have to move for each further signature, and there are targets that let none move."""
    image = layout.image("v1", layers=[b"layer"])
    first = layout.referrer(image, content=b"the first signature")
    made = engine(layout, Immutable())
    assert made.copy() == ({"app:v1": "copied"}, set())
    second = layout.referrer(image, content=b"another")
    layout.entry(image, "v2")
    layout.write()
    lost, sent = ("app", "referrer_lost"), ("app", "referrers_copied")
    assert made.copy() == ({"app:v1": "up_to_date", "app:v2": "copied"}, {lost, sent})
    assert made.copy() == ({"app:v1": "up_to_date", "app:v2": "up_to_date"}, {lost}), "as long as it is lost"
    found = {each["digest"]: made.target.resolve_manifest("app", each["digest"]) for each in (first, second)}
    assert found == {digest: digest for digest in found}
    (finding,) = made.findings
    assert "is immutable" in finding.message


@pytest.mark.parametrize("refusal", [ManifestRefusedError, MissingReferencedContentError, PayloadTooLargeError])
def test_a_list_that_is_refused_is_not_the_fate_of_what_it_belongs_to(
    layout: LayoutBuilder, refusal: type[ManifestRefusedError]
) -> None:
    """Of some thousand referrers it is larger than a manifest may be, which distribution calls invalid."""

    class TakesNoList(MemoryTarget):
        def push_manifest(self, repository: str, reference: str, manifest: RemoteManifest) -> None:
            if reference.startswith("sha256-"):
                raise refusal("request body too large", status=400, codes=("MANIFEST_INVALID",))
            super().push_manifest(repository, reference, manifest)

    sbom = layout.referrer(layout.image("v1", layers=[b"layer"]))
    made = engine(layout, TakesNoList(referrers_api=False))
    assert made.copy() == ({"app:v1": "copied"}, {("app", "referrer_lost")})
    assert made.copy() == ({"app:v1": "up_to_date"}, {("app", "referrer_lost")}), "as long as it is lost"
    assert made.target.resolve_manifest("app", sbom["digest"]) == sbom["digest"]
    (finding,) = made.findings
    assert "request body too large" in finding.message


@pytest.mark.parametrize("refusal", [ManifestRefusedError, MissingReferencedContentError, PayloadTooLargeError])
def test_a_referrer_that_is_refused_is_not_the_fate_of_what_it_refers_to(
    layout: LayoutBuilder, refusal: type[ManifestRefusedError]
) -> None:
    """Such as an SBOM that is larger than a proxy lets through, or one with a layer that has URLs."""
    image = layout.image("v1", layers=[b"layer"])
    sbom = layout.referrer(image)

    class TakesNoReferrer(MemoryTarget):
        def push_manifest(self, repository: str, reference: str, manifest: RemoteManifest) -> None:
            if reference == sbom["digest"]:
                raise refusal("not this one", status=400, codes=("MANIFEST_BLOB_UNKNOWN",))
            super().push_manifest(repository, reference, manifest)

    made = engine(layout, TakesNoReferrer())
    assert [set(made.copy()[0].values()) for _ in range(2)] == [{"copied"}, {"up_to_date"}]
    (finding,) = made.findings
    assert finding.message.startswith(f"{sbom['digest']}, a referrer of {image['digest']}: ")
    assert (finding.message.endswith("not this one"), is_harmful(finding)) == (True, True)


def test_a_list_tag_that_holds_something_else_is_not_the_fate_of_what_it_belongs_to(layout: LayoutBuilder) -> None:
    class HoldsAnImage(Noting):
        def fetch_manifest(self, repository: str, reference: str) -> RemoteManifest | None:
            found = super().fetch_manifest(repository, reference)
            return RemoteManifest(b'{"layers":[]}', OCI_MANIFEST) if reference.startswith("sha256-") else found

    layout.referrer(layout.image("v1", layers=[b"layer"]))
    made = engine(layout, target := HoldsAnImage(referrers_api=False))
    assert made.copy() == ({"app:v1": "copied"}, {("app", "referrer_lost")})
    assert not any(reference.startswith("sha256-") for reference in target.pushed), "theirs stays"
    (finding,) = made.findings
    assert "holds something that lists no referrers" in finding.message


@pytest.mark.parametrize("of_a_list", [False, True], ids=["of a tag", "of a member of a list"])
def test_a_referrer_that_could_not_be_copied_is_missed_by_every_run_until_it_can_be(
    layout: LayoutBuilder, of_a_list: bool
) -> None:
    """Most of all by the second one, which finds everything else at the target."""
    image = layout.image(None if of_a_list else "v1", layers=[b"layer"], listed=not of_a_list)
    if of_a_list:
        layout.index([image], referrers_tag(Digest.of(b"not here")))
    sbom = layout.referrer(image, content=b"its layer")
    path = layout.blob_path(layout.blob(b"its layer"))
    path.unlink()
    made = engine(layout, Noting(referrers_api=False))
    findings = [made.copy()[1] for _ in range(4)]
    assert findings == [{("app", "content_not_found")}] * 4
    path.write_bytes(b"its layer")
    outcomes, found = made.copy()
    assert (set(outcomes.values()), found) == ({"up_to_date"}, {("app", "referrers_copied")})
    assert made.target.resolve_manifest("app", sbom["digest"]) == sbom["digest"]


def test_what_refers_to_something_as_a_part_of_a_referrer_is_listed(layout: LayoutBuilder) -> None:
    other = layout.image("v0", layers=[b"other"])
    attestation = layout.referrer(other, listed=False)
    layout.index([attestation], subject=layout.image("v1", layers=[b"layer"]))
    target = Noting(referrers_api=False)
    assert ended(engine(layout, target)) == [("copied", 0), ("copied", 1)]
    assert referrers_tag(Digest(other["digest"])) in target.list_tags("app")


@pytest.mark.parametrize("listed", [True, False], ids=["in a list", "as a part of a referrer"])
def test_what_refers_to_something_besides_is_listed_there_though_it_is_at_the_target_already(
    layout: LayoutBuilder, listed: bool
) -> None:
    """As after a run that ended between the two."""
    image = layout.image("v1", layers=[b"layer"])
    attestation = layout.referrer(layout.image("v0", layers=[b"other"]), listed=False)
    if listed:
        layout.index([attestation], referrers_tag(Digest(image["digest"])))
    else:
        layout.index([attestation], subject=image)
    target = Noting(referrers_api=False)
    made = engine(layout, target)
    ended(made)
    everything = target.list_tags("app")
    (of_the_other,) = everything - {"v0", "v1", referrers_tag(Digest(image["digest"]))}
    del target._asked("app").tags[of_the_other]
    assert {outcome for outcome, _ in ended(anew(made))} == {"up_to_date"}
    assert target.list_tags("app") == everything


def test_a_member_of_a_list_that_refers_to_something_besides_is_listed_there_though_neither_is_here(
    layout: LayoutBuilder,
) -> None:
    other = {"mediaType": OCI_MANIFEST, "digest": Digest.of(b"nor is this"), "size": 1}
    listed = referrers_tag(Digest.of(b"not here"))
    layout.index([layout.index([layout.referrer(other, listed=False)], listed=False)], listed)
    target = Noting(referrers_api=False)
    made = engine(layout, target)
    ended(made)
    assert target.list_tags("app") == {listed, referrers_tag(other["digest"])}
    del target._asked("app").tags[referrers_tag(other["digest"])]
    ended(anew(made))
    assert target.list_tags("app") == {listed, referrers_tag(other["digest"])}


@pytest.mark.timeout(30)
def test_lists_that_lead_in_a_circle_are_copied_once(layout: LayoutBuilder) -> None:
    one, other = (layout.image(name, layers=[name.encode()]) for name in ("one", "other"))
    for subject, referrer in ((one, other), (other, one)):
        layout.index([referrer], referrers_tag(Digest(subject["digest"])))
    made = engine(layout, Noting(referrers_api=False))
    assert ended(made)[:2] == [("copied", 2), ("copied", 2)]
    assert ended(anew(made))[:2] == [("up_to_date", 2), ("up_to_date", 2)]


def test_a_part_that_is_broken_at_the_source_by_now_is_proved_at_the_target_all_the_same(
    layout: LayoutBuilder,
) -> None:
    child = layout.image(layers=[b"layer"], listed=False)
    layout.index([child], "v1")
    made = engine(layout, Noting())
    assert ended(made) == [("copied", 0)]
    layout.blob_path(child).unlink()
    assert ended(anew(made)) == [("up_to_date", 0)]


def test_a_part_that_the_target_misses_after_all_is_sent_again(layout: LayoutBuilder) -> None:
    child = layout.image(layers=[b"layer"], listed=False)
    layout.index([child], "v1")
    target = Noting()
    target.misses["v1"] = [target._asked("app").manifests.clear]
    assert ended(engine(layout, target)) == [("copied", 0)]
    assert target.pushed == [child["digest"], "v1", child["digest"], "v1"]


def test_a_target_that_goes_on_to_miss_what_it_has_is_quoted(layout: LayoutBuilder) -> None:
    layout.image("v1", layers=[b"layer"])
    target = Noting()

    def miss() -> None:
        raise MissingReferencedContentError("it is not here", status=404, codes=("MANIFEST_BLOB_UNKNOWN",))

    target.misses["v1"] = [miss, miss]
    assert ended(engine(layout, target)) == [(MissingReferencedContentError.code, 0)]


@pytest.mark.parametrize(("levels", "outcome"), [(MAX_NESTING, "copied"), (MAX_NESTING + 1, "nesting_too_deep")])
def test_indexes_may_be_nested_so_deep_and_no_deeper(layout: LayoutBuilder, levels: int, outcome: str) -> None:
    nested = layout.image(layers=[b"layer"], listed=False)
    for _ in range(levels):
        nested = layout.index([nested], listed=False)
    layout.entry(nested, "v1")
    assert ended(engine(layout, Noting())) == [(outcome, 0)]


def test_a_part_that_breaks_the_specification_is_named_where_the_tag_is_told_of(layout: LayoutBuilder) -> None:
    """Of the platforms of an image, somebody has to find the broken one."""
    broken = layout.blob(b'{"schemaVersion":2}', OCI_MANIFEST)
    layout.index([layout.image(listed=False), broken], "v1")
    (result,) = engine(layout, Noting()).one()
    assert (result.code, result.message) == (
        "invalid_manifest",
        f"{broken['digest']}: the image manifest has no config",
    )


def test_a_platform_that_the_layout_lacks_is_told_from_a_lost_blob(layout: LayoutBuilder) -> None:
    """As docker save leaves those that were never pulled."""
    lost = layout.image(layers=[b"arm64"], listed=False)
    layout.index([layout.image(layers=[b"amd64"], listed=False), lost], "v1")
    layout.blob_path(lost).unlink()
    (result,) = engine(layout, MemoryTarget()).one()
    assert result.code == "content_not_found"
    assert result.message is not None
    assert result.message.endswith("does not exist, and an index lists it")
