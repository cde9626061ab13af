"""A plan says of lists of referrers what a migration would do with them, as it does of tags."""

from dataclasses import replace
from pathlib import Path

import pytest

from tasks.ledger.ledger import Ledger
from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import RegistryUnavailableError
from tasks.oci.reference import referrers_tag
from tasks.oci.registry_profiles import GENERIC
from tasks.operations.reports.results import Depth, TagResult
from tasks.operations.source.enumeration import enumerate_repository
from tasks.operations.source.source_graph import Census
from tasks.operations.work.planning import CopyPolicy, OnConflict
from tasks.operations.work.repository_work import units_of
from tasks.operations.work.spare_hands import SpareHands
from tasks.ports import BlobArrival, BlobContent, Finding, RemoteManifest
from tasks.stores.directory.layout_directory import LayoutDirectory
from tests.support.archive import Archive
from tests.support.engine import Engine
from tests.support.layouts import OCI_INDEX, OCI_MANIFEST, LayoutBuilder
from tests.support.memory_stores import MemoryTarget

THEIRS = b'{"schemaVersion":2,"manifests":[]}'
"""Content that others have pushed."""


def planned(made: Engine) -> list[str]:
    """The outcome, or code, that a plan gives each tag of the repository `app`."""
    return [result.code or str(result.outcome) for result in plan_of(made)]


def plan_of(
    made: Engine,
    told: list[Finding] | None = None,
    *,
    policy: CopyPolicy | None = None,
    census: Census | None = None,
    kind: type[LayoutDirectory] = LayoutDirectory,
) -> list[TagResult]:
    """The results; what is said besides is `told`."""
    source, hands, policy = kind(made.root), SpareHands(1), policy or made.policy
    inventory = enumerate_repository(source, "app")
    units = units_of(inventory, inventory.tags, policy)
    work = made.works(source, hands, policy, census).plan(made.target)(inventory, "app", units)
    results = [result for unit in units for result in work.execute(unit)]
    hands.close()
    if told is not None:
        told += work.finish()
    return results


@pytest.mark.parametrize(("backup", "kept"), [(None, "kept nowhere"), ("old-{tag}", "kept as old-v1")])
def test_a_tag_of_others_that_would_be_overwritten_is_named_with_what_it_has(
    tmp_path: Path, backup: str | None, kept: str
) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    layout.image("v1", layers=[b"layer"])
    layout.image("v2", layers=[b"another"])
    layout.write()
    target = MemoryTarget()
    target.push_manifest("app", "v1", RemoteManifest(THEIRS, OCI_INDEX))
    made = Engine(tmp_path, target, CopyPolicy(on_conflict=OnConflict.OVERWRITE, backup_tag=backup))
    told: list[Finding] = []
    assert {str(each.outcome) for each in plan_of(made, told)} == {"to_copy"}
    (found,) = told
    assert (found.path, found.code) == ("app", "to_overwrite")
    assert f"memory/app:v1 has {Digest.of(THEIRS)}" in found.message
    assert found.message.endswith(kept)


def test_what_another_layout_of_the_source_brought_is_not_said_to_be_of_others(tmp_path: Path) -> None:
    """A `--rename` leads there; as the source had it, it gets no backup."""
    for name in ("app", "other"):
        layout = LayoutBuilder(tmp_path / name)
        image = layout.image("v1", layers=[name.encode()])
        layout.write()
    policy = CopyPolicy(on_conflict=OnConflict.OVERWRITE, backup_tag="old-{tag}")
    made = Engine(tmp_path, MemoryTarget(), policy, include=("other",), rename=("app=moved", "other=app"))
    assert made.copy() == ({"other:v1": "copied"}, set())
    told: list[Finding] = []
    plan_of(made, told)
    made.include, made.rename = ("app",), ()
    assert made.copy() == ({"app:v1": "copied"}, {("app", "tag_overwritten")})
    planned, done = (each.message.partition("v1 ha")[2] for each in (*told, *made.findings))
    brought = f"{image['digest']} from the layout 'other'"
    assert planned == f"s {brought}, which would be overwritten, and kept nowhere, as the source had it"
    assert done == f"d {brought}, which was kept nowhere, as the source had it"
    assert made.target.list_tags("app") == {"v1"}


def bytes_to_copy(made: Engine) -> tuple[int, int]:
    """Of all that was chosen, and of what is to be copied."""
    census = Census()
    plan_of(made, census=census)
    return census.bytes_unique, census.bytes_to_copy


def test_what_the_registry_would_not_take_is_not_to_be_copied_nor_what_refers_to_it(tmp_path: Path) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    layout.referrer(layout.image("good", layers=[b"x" * 900]), content=b"x" * 1001)
    layout.write()
    made = Engine(tmp_path, MemoryTarget(profile=replace(GENERIC, largest_blob=1000)), CopyPolicy())
    _, good = bytes_to_copy(made)
    assert 900 < good < 1900, "the referrer is refused"
    layout.referrer(layout.image("large", layers=[b"y" * 1001]), content=b"y" * 900)
    layout.write()
    assert [each.code for each in plan_of(made)] == [None, "payload_too_large"]
    whole, to_copy = bytes_to_copy(made)
    assert (to_copy, whole > good + 2900) == (good, True)


def test_a_plan_says_how_much_is_to_be_copied_which_is_nothing_after_a_run(tmp_path: Path) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    image = layout.image("v1", layers=[b"x" * 1000])
    layout.referrer(image, content=b"y" * 500)
    layout.write()
    made = Engine(tmp_path, MemoryTarget(), CopyPolicy())
    whole, to_copy = bytes_to_copy(made)
    assert whole == to_copy > 1500
    made.copy()
    assert bytes_to_copy(made) == (whole, 0)
    layout.image("v2", layers=[b"x" * 1000, b"z" * 200])
    layout.write()
    more, to_copy = bytes_to_copy(made)
    assert more - whole + 1000 <= to_copy < more


def archived(made: Engine) -> list[str]:
    """How many blobs a plan calls archived, of a source whose blobs all are."""
    told: list[Finding] = []
    plan_of(made, told, kind=Archive)
    return [each.message.partition(" are ")[0] for each in told if each.code == "archived"]


def test_a_plan_counts_as_archived_only_what_a_migration_would_read(tmp_path: Path) -> None:
    """What was migrated before a lifecycle rule took it need not be restored, which costs money."""
    layout = LayoutBuilder(tmp_path / "app")
    image = layout.image("v1", layers=[b"1", b"2", b"3", b"4"])
    layout.write()
    made = Engine(tmp_path, MemoryTarget(), CopyPolicy())
    assert archived(made) == ["5 blobs"]
    made.copy()
    assert archived(made) == []
    layout.image("v2", layers=[b"1", b"2", b"new", b"newer"])
    layout.write()
    assert archived(made) == ["2 blobs"], "what it shares with a tag that is there is not read"
    layout.referrer(image, content=b"SBOM")
    layout.write()
    assert archived(made) == ["4 blobs"], "what refers to a tag that is there is brought, too"


@pytest.mark.parametrize("referrers_api", [True, False])
def test_a_list_that_the_target_has_is_planned_as_up_to_date(tmp_path: Path, referrers_api: bool) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    subject = {"mediaType": OCI_MANIFEST, "digest": Digest.of(b"not here"), "size": 8}
    tag = referrers_tag(Digest.of(b"not here"))
    first = layout.referrer(subject, content=b"1", listed=False)
    layout.index([first], tag)
    layout.write()
    made = Engine(tmp_path, MemoryTarget(referrers_api=referrers_api), CopyPolicy())
    assert planned(made) == ["to_copy"]
    assert set(made.copy()[0].values()) == {"copied"}
    assert planned(made) == ["up_to_date"]
    (again,) = plan_of(made)
    assert again.target == (None if referrers_api else f"memory/app:{tag}"), "with an API there is no tag"
    layout.entries.clear()
    layout.index([first, layout.referrer(subject, content=b"2", listed=False)], tag)
    layout.write()
    assert planned(made) == ["to_copy"]


def test_referrers_of_a_tag_that_is_there_are_planned_when_the_target_lacks_them_and_then_no_more(
    tmp_path: Path,
) -> None:
    """As when images are signed that were migrated before."""
    layout = LayoutBuilder(tmp_path / "app")
    image = layout.image("v1", layers=[b"layer"])
    layout.write()
    made = Engine(tmp_path, MemoryTarget(), CopyPolicy())
    made.copy()
    sbom = layout.referrer(image, content=b"SBOM")
    layout.referrer(sbom, content=b"signature")
    layout.write()
    told: list[Finding] = []
    (planned_v1,) = plan_of(made, told)
    assert (planned_v1.tag, str(planned_v1.outcome)) == ("v1", "up_to_date")
    assert [(each.path, each.code) for each in told] == [("app", "referrers_to_copy")]
    assert told[0].message == f"2 referrers of what is there would be copied, {sbom['digest']} among them"
    assert made.copy() == ({"app:v1": "up_to_date"}, {("app", "referrers_copied")}), "no row of a tag tells of it"
    (finding,) = made.findings
    assert finding.message == f"2 referrers of what was there already were copied, {sbom['digest']} among them"
    told.clear()
    plan_of(made, told)
    assert told == []
    assert made.copy() == ({"app:v1": "up_to_date"}, set())


def test_a_plan_asks_for_no_referrer_that_a_run_has_proved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    sbom = layout.referrer(layout.image("v1", layers=[b"layer"]))
    layout.write()
    made = Engine(tmp_path, MemoryTarget(), CopyPolicy())
    made.copy()
    asked: list[str] = []
    really = MemoryTarget.resolve_manifest

    def resolve(target: MemoryTarget, repository: str, reference: str) -> Digest | None:
        asked.append(reference)
        return really(target, repository, reference)

    monkeypatch.setattr(MemoryTarget, "resolve_manifest", resolve)
    plan_of(made)
    assert asked == ["v1"]
    plan_of(made, policy=replace(made.policy, depth=Depth.CONTENT))
    assert asked == ["v1", "v1", sbom["digest"]], "it was not proved so deep"


@pytest.mark.parametrize("taken", ["at the source", "at the target", "by the same", "by nothing"])
def test_a_backup_whose_tag_is_taken_is_refused_by_the_plan_and_by_the_migration(tmp_path: Path, taken: str) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    layout.image("v1", layers=[b"ours"])
    if taken == "at the source":
        layout.image("old-v1", layers=[b"another of ours"])
    layout.write()
    policy = CopyPolicy(on_conflict=OnConflict.OVERWRITE, backup_tag="old-{tag}")
    made = Engine(tmp_path, MemoryTarget(), policy)
    theirs, other = (RemoteManifest(THEIRS + b" " * spaces, OCI_INDEX) for spaces in (1, 2))
    made.target.push_manifest("app", "v1", theirs)
    if taken in {"at the target", "by the same"}:
        made.target.push_manifest("app", "old-v1", other if taken == "at the target" else theirs)
    is_refused = taken in {"at the source", "at the target"}
    assert {r.tag: r.code or str(r.outcome) for r in plan_of(made)}["v1"] == (
        "backup_refused" if is_refused else "to_copy"
    )
    outcomes, _ = made.copy()
    assert outcomes["app:v1"] == ("backup_refused" if is_refused else "copied")


def test_a_backup_whose_tag_gets_too_long_is_refused_by_the_plan_and_by_the_migration(tmp_path: Path) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    long = "v" * 125
    layout.image(long, layers=[b"ours"])
    layout.write()
    made = Engine(tmp_path, MemoryTarget(), CopyPolicy(on_conflict=OnConflict.OVERWRITE, backup_tag="old-{tag}"))
    made.target.push_manifest("app", long, RemoteManifest(THEIRS, OCI_INDEX))
    assert planned(made) == ["backup_refused"]
    assert made.copy()[0] == {f"app:{long}": "backup_refused"}
    assert made.target.list_tags("app") == {long}


def assert_moves_without_a_backup(made: Engine, layout: LayoutBuilder) -> None:
    """The tag follows the source, though others have the backup's: the source had what is overwritten."""
    made.target.push_manifest("app", "old-v1", RemoteManifest(THEIRS, OCI_INDEX))
    layout.entries.clear()
    layout.image("v1", layers=[b"moved"])
    layout.write()
    assert planned(made) == ["to_copy"]
    assert made.copy()[0] == {"app:v1": "copied"}


def test_what_a_killed_run_wrote_is_planned_without_a_backup(tmp_path: Path) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    image = layout.image("v1", layers=[b"first"])
    layout.write()
    made = Engine(tmp_path, MemoryTarget(), CopyPolicy(on_conflict=OnConflict.OVERWRITE, backup_tag="old-{tag}"))
    made.copy()
    made.forget()
    made.ledger.note_coming("app", "v1", image["digest"], layout="app")
    made.ledger = Ledger(made.lines)
    assert_moves_without_a_backup(made, layout)


def test_what_an_earlier_run_wrote_is_planned_without_a_backup(tmp_path: Path) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    layout.image("v1", layers=[b"first"])
    layout.write()
    made = Engine(tmp_path, MemoryTarget(), CopyPolicy(on_conflict=OnConflict.OVERWRITE, backup_tag="old-{tag}"))
    made.copy()
    assert_moves_without_a_backup(made, layout)


class BrokenLink(MemoryTarget):
    """A target that can't tell whether it has the blob, or manifest, `broken` until that is sent once more."""

    profile = GENERIC
    broken: Digest | None = None
    status = 500

    def has_blob(self, repository: str, descriptor: Descriptor) -> bool:
        if descriptor.digest == self.broken:
            raise RegistryUnavailableError(f"HEAD {descriptor.digest}", status=self.status)
        return super().has_blob(repository, descriptor)

    def push_blob(self, repository: str, content: BlobContent, mount_from: str | None = None) -> BlobArrival:
        self.broken = None if content.descriptor.digest == self.broken else self.broken
        return super().push_blob(repository, content, mount_from)

    def resolve_manifest(self, repository: str, reference: str) -> Digest | None:
        if reference == self.broken:
            raise RegistryUnavailableError(f"HEAD {reference}", status=self.status)
        return super().resolve_manifest(repository, reference)

    def push_manifest(self, repository: str, reference: str, manifest: RemoteManifest) -> None:
        self.broken = None if Digest.of(manifest.raw) == self.broken else self.broken
        super().push_manifest(repository, reference, manifest)


@pytest.mark.parametrize("depth", Depth)
def test_a_referrer_of_which_the_target_cannot_tell_for_good_is_planned_as_the_migration_sends_it(
    tmp_path: Path, depth: Depth
) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    sbom = layout.referrer(layout.image("v1", layers=[b"layer"]))
    layout.write()
    target = BrokenLink()
    made = Engine(tmp_path, target, CopyPolicy(depth=depth))
    made.copy()
    made.forget()
    target.broken = Digest(sbom["digest"])
    assert planned(made) == ["to_copy"]
    assert made.copy() == ({"app:v1": "copied"}, set())
    assert planned(made) == ["up_to_date"]


def test_a_referrer_of_which_the_target_cannot_tell_for_now_fails_only_the_tags_that_are_there(
    tmp_path: Path,
) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    image = layout.image("v1", layers=[b"layer"])
    layout.write()
    target = BrokenLink()
    made = Engine(tmp_path, target, CopyPolicy())
    made.copy()
    target.broken, target.status = Digest(layout.referrer(image)["digest"]), 503
    layout.entry(image, "v2")
    layout.write()
    assert planned(made) == ["registry_unavailable", "to_copy"]


def proved_again(made: Engine, told: list[Finding] | None = None) -> list[tuple[str, str | None]]:
    """What a plan says of each tag of the repository `app` that is to prove all of it again."""
    results = plan_of(made, told, policy=replace(made.policy, prove_again=True))
    return [(str(result.tag), result.code or str(result.outcome)) for result in results]


def as_done(planned: list[tuple[str, str | None]]) -> dict[str, str | None]:
    """What a migration says of each tag for which a plan says that."""
    return {f"app:{tag}": "copied" if said == "to_copy" else said for tag, said in planned}


@pytest.mark.parametrize("depth", Depth)
@pytest.mark.parametrize(
    "lost",
    ["nothing", "layer", "manifest", "part", "sbom", "SBOM", "signature", "member", "size", "link", "sbom's link"],
)
def test_a_plan_that_proves_again_says_what_a_migration_that_does_brings(
    tmp_path: Path, depth: Depth, lost: str
) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    image, other = layout.image("v1", layers=[b"layer"]), layout.image("v2", layers=[b"another"])
    part = layout.image(layers=[b"part"], listed=False)
    layout.index([part, other], "multi")
    sbom = layout.referrer(image, content=b"SBOM")
    member = layout.image(layers=[b"member"], listed=False)
    signature = layout.referrer(member, content=b"signature")
    layout.index([member], referrers_tag(Digest.of(b"not here")))
    layout.write()
    target = BrokenLink(referrers_api=False)
    made = Engine(tmp_path, target, CopyPolicy(depth=depth))
    made.copy()
    assert set(as_done(proved_again(made)).values()) == {"up_to_date"}
    stored = target._asked("app")
    manifests = {"manifest": image, "part": part, "sbom": sbom, "signature": signature, "member": member}
    if lost in manifests:
        del stored.manifests[Digest(manifests[lost]["digest"])]
    elif lost == "size":
        stored.blobs[Digest.of(b"layer")] = b"laye"
    elif lost == "link":
        target.broken = Digest.of(b"layer")
    elif lost == "sbom's link":
        target.broken = Digest(sbom["digest"])
    elif lost != "nothing":
        del stored.blobs[Digest.of(lost.encode())]
    told: list[Finding] = []
    planned = proved_again(made, told)
    made.policy = replace(made.policy, prove_again=True)
    done, findings = made.copy()
    assert done == as_done(planned)
    if lost != "signature":  # what refers to a member of a list is told of by the migration alone
        assert {each.code.replace("to_copy", "copied") for each in told} == {code for _, code in findings}
