"""Every referrer of the source, in whichever convention its layout has it, is one at the target."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.real_parts import Registry
from tests.support.command import Layoutlift
from tests.support.layouts import OCI_INDEX, LayoutBuilder, random_bytes
from tests.support.real_parts import Cli
from tests.support.registry_view import RepositoryView

ANNOTATIONS = {"made": "by hand"}
SBOM, SIGNATURE = "application/vnd.example.sbom.v1+json", "application/vnd.example.signature.v1"
OLAREG = "org.opencontainers.image.referrer.subject"
CONVENTIONS = ("entries", "fallback_tags", "annotations")


@dataclass(frozen=True)
class Referred:
    """An image with two referrers, the first of which has one itself."""

    convention: str
    image: dict[str, Any]
    sboms: tuple[dict[str, Any], ...]
    signature: dict[str, Any]

    @property
    def lists(self) -> Iterator[tuple[dict[str, Any], tuple[dict[str, Any], ...]]]:
        yield self.image, self.sboms
        yield self.sboms[0], (self.signature,)

    @property
    def tree(self) -> dict[str, Any]:
        """What `oras discover` should find, digests of referrers within digests."""
        first, second = self.sboms
        return {first["digest"]: {self.signature["digest"]: {}}, second["digest"]: {}}


def write(path: Path, convention: str) -> Referred:
    """A layout of its own for each convention."""
    layout = LayoutBuilder(path / convention.replace("_", "-"))
    listed = convention == "entries"
    image = layout.image("v1", layers=[random_bytes(CONVENTIONS.index(convention), 1000)])
    sboms = tuple(
        layout.referrer(image, artifact_type=SBOM, content=content, listed=listed, annotations=ANNOTATIONS)
        for content in (b'{"first":1}', b'{"second":2}')
    )
    signature = layout.referrer(sboms[0], artifact_type=SIGNATURE, content=b"signed", listed=listed)
    written = Referred(convention, image, sboms, signature)
    for subject, referrers in written.lists if not listed else ():
        index = layout.index([referrer | {"annotations": ANNOTATIONS} for referrer in referrers], listed=False)
        if convention == "fallback_tags":
            layout.entry(index, fallback_tag(subject))
        else:
            layout.entry(index | {"annotations": {OLAREG: subject["digest"]}})
    layout.write()
    return written


def fallback_tag(subject: dict[str, Any]) -> str:
    return subject["digest"].replace(":", "-")


def discovered(oras: Cli, *reference: str) -> dict[str, Any]:
    """What `oras discover` lists, digests of referrers within digests, at any depth."""
    found = json.loads(oras("discover", "--format", "json", *reference))

    def tree(node: dict[str, Any]) -> dict[str, Any]:
        return {child["digest"]: tree(child) for child in node.get("referrers") or node.get("manifests") or ()}

    return tree(found)


def fallback_digests(repository: RepositoryView, subject: dict[str, Any]) -> set[str]:
    raw = repository.manifest(fallback_tag(subject))
    return set() if raw is None else {entry["digest"] for entry in json.loads(raw)["manifests"]}


def test_oras_discovers_every_referrer_two_levels_deep(
    layoutlift: Layoutlift, any_registry: Registry, oras_cli: Cli, prefix: str, tmp_path: Path
) -> None:
    written = {convention.replace("_", "-"): write(tmp_path, convention) for convention in CONVENTIONS}
    target = f"{any_registry.host}/{prefix}"
    ended = layoutlift.migrate(tmp_path, target)
    assert ended.report["findings"] == []
    for name, each in written.items():
        assert (ended.rows[name, "v1"]["outcome"], ended.rows[name, "v1"]["referrers"]) == ("copied", 3)
        assert discovered(oras_cli, "--plain-http", f"{target}/{name}:v1") == each.tree
    # The others are more than oras itself sees in a layout.
    assert discovered(oras_cli, "--oci-layout", f"{tmp_path / 'entries'}:v1") == written["entries"].tree
    layoutlift.verify(tmp_path, target, "--depth", "content")
    again = layoutlift.migrate(tmp_path, target)
    for name in written:
        assert (again.rows[name, "v1"]["outcome"], again.rows[name, "v1"]["referrers"]) == ("up_to_date", 3)


def test_fallback_tags_list_the_referrers_where_there_is_no_api(
    layoutlift: Layoutlift, distribution_registry: Registry, prefix: str, tmp_path: Path
) -> None:
    written = [write(tmp_path, convention) for convention in CONVENTIONS]
    layoutlift.migrate(tmp_path, f"{distribution_registry.host}/{prefix}")
    for each in written:
        repository = RepositoryView(distribution_registry, f"{prefix}/{each.convention.replace('_', '-')}")
        for subject, referrers in each.lists:
            assert fallback_digests(repository, subject) == {referrer["digest"] for referrer in referrers}
        entries = json.loads(repository.manifest(fallback_tag(each.image)) or b"")["manifests"]
        assert {entry["artifactType"] for entry in entries} == {SBOM}
        assert [entry["annotations"] for entry in entries] == [ANNOTATIONS] * 2


def test_a_fallback_tag_at_the_target_keeps_its_foreign_entries(
    layoutlift: Layoutlift, docker_registry: Registry, oras_cli: Cli, prefix: str, tmp_path: Path
) -> None:
    written = {convention: write(tmp_path, convention) for convention in CONVENTIONS}
    foreign = {}
    for convention, each in written.items():
        repository = RepositoryView(docker_registry, f"{prefix}/{convention.replace('_', '-')}")
        foreign[convention] = repository.push_image("theirs")
        size = len(repository.manifest("theirs") or b"")
        entry = {"mediaType": written["entries"].image["mediaType"], "digest": foreign[convention], "size": size}
        body = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}
        repository.push_manifest(fallback_tag(each.image), body)
    layoutlift.migrate(tmp_path, f"{docker_registry.host}/{prefix}")
    for convention, each in written.items():
        repository = RepositoryView(docker_registry, f"{prefix}/{convention.replace('_', '-')}")
        expected = {foreign[convention], *(sbom["digest"] for sbom in each.sboms)}
        assert fallback_digests(repository, each.image) == expected


def test_signatures_under_tags_of_cosign_come_along(
    layoutlift: Layoutlift, any_registry: Registry, prefix: str, tmp_path: Path
) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    image = layout.image("v1", layers=[b"layer"])
    other = layout.image("v2", layers=[b"other"])
    signed = {
        f"{fallback_tag(image)}{suffix}": layout.image(f"{fallback_tag(image)}{suffix}", layers=[suffix.encode()])
        for suffix in (".sig", ".att", ".sbom")
    }
    layout.image(f"{fallback_tag(other)}.sig", layers=[b"of the other"])
    layout.write()
    ended = layoutlift.migrate(tmp_path, f"{any_registry.host}/{prefix}", "--include", "app:v1")
    assert set(ended.outcomes) == {"app:v1", *(f"app:{tag}" for tag in signed)}
    repository = RepositoryView(any_registry, f"{prefix}/app")
    assert {tag: repository.digest(tag) for tag in signed} == {t: d["digest"] for t, d in signed.items()}
    assert repository.digest("v2") is None


def test_what_refers_to_a_part_or_to_a_referrer_of_a_chosen_tag_comes_along_by_its_name(
    layoutlift: Layoutlift, docker_registry: Registry, prefix: str, tmp_path: Path
) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    amd64, other = layout.image(layers=[b"amd64"], listed=False), layout.image("v2", layers=[b"other"])
    image = layout.index([layout.index([amd64])], "v1")
    sbom = layout.referrer(image)
    attested = layout.image(f"{fallback_tag(image)}.att", layers=[b"attestation"])
    signed = [f"{fallback_tag(each)}.sig" for each in (amd64, sbom, attested)]
    for tag in (*signed, f"{fallback_tag(other)}.sig"):
        layout.image(tag, layers=[tag.encode()])
    layout.write()
    ended = layoutlift.migrate(tmp_path, f"{docker_registry.host}/{prefix}", "--include", "app:v1")
    assert set(ended.outcomes) == {f"app:{tag}" for tag in ("v1", f"{fallback_tag(image)}.att", *signed)}


def test_referrers_that_refer_to_each_other_in_a_circle_of_lists_end(
    layoutlift: Layoutlift, zot_registry: Registry, prefix: str, tmp_path: Path
) -> None:
    """Digests can't be in a circle, lists by tag can: the list of an image names its own referrer's subject."""
    layout = LayoutBuilder(tmp_path / "app")
    image = layout.image("v1", layers=[b"layer"])
    sbom = layout.referrer(image, listed=False)
    layout.entry(layout.index([sbom], listed=False), fallback_tag(image))
    layout.entry(layout.index([image], listed=False), fallback_tag(sbom))
    layout.write()
    ended = layoutlift.migrate(tmp_path, f"{zot_registry.host}/{prefix}", code=1)
    assert ended.rows["app", "v1"]["outcome"] == "copied"


def test_many_tags_that_refer_to_one_image_are_listed_in_one_run(
    layoutlift: Layoutlift, docker_registry: Registry, prefix: str, tmp_path: Path
) -> None:
    """Distribution 2.8 refuses their list while one of them is written by its tag: without trying again, 1 in 20."""
    layout = LayoutBuilder(tmp_path / "app")
    image = layout.image("v1", layers=[b"layer"])
    tagged = {f"sbom-{n}": layout.referrer(image, content=str(n).encode(), tag=f"sbom-{n}") for n in range(80)}
    layout.write()
    ended = layoutlift.migrate(tmp_path, f"{docker_registry.host}/{prefix}")
    assert set(ended.outcomes.values()) == {"copied"}
    repository = RepositoryView(docker_registry, f"{prefix}/app")
    assert fallback_digests(repository, image) == {each["digest"] for each in tagged.values()}


def test_exclude_referrers_leaves_them_behind(
    layoutlift: Layoutlift, zot_registry: Registry, oras_cli: Cli, prefix: str, tmp_path: Path
) -> None:
    write(tmp_path, "entries")
    write(tmp_path, "fallback_tags")
    target = f"{zot_registry.host}/{prefix}"
    ended = layoutlift.migrate(tmp_path, target, "--exclude-referrers")
    assert set(ended.outcomes.values()) == {"copied"}
    for name in ("entries", "fallback-tags"):
        assert discovered(oras_cli, "--plain-http", f"{target}/{name}:v1") == {}


def test_a_broken_referrer_that_is_left_behind_is_a_problem_of_no_command(
    layoutlift: Layoutlift, docker_registry: Registry, prefix: str, tmp_path: Path
) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    layout.referrer(layout.image("v1", layers=[b"layer"]), content=b"sbom")
    layout.write()
    layout.blob_path(layout.blob(b"sbom")).unlink()
    target = f"{docker_registry.host}/{prefix}"
    for run in (layoutlift.plan, layoutlift.migrate, layoutlift.verify):
        assert run(tmp_path, target, "--exclude-referrers").findings == set()
    assert layoutlift.plan(tmp_path, target, code=1).findings == {("app", "content_not_found")}


def test_referrers_that_stay_behind_are_counted_where_the_layout_is_taken_as_it_is(
    layoutlift: Layoutlift, docker_registry: Registry, prefix: str, tmp_path: Path
) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    layout.referrer(layout.image("v1", layers=[b"layer"]), content=b"comes along")
    layout.referrer(layout.image(layers=[b"the tag has moved"]), content=b"stays")
    layout.write()
    target = f"{docker_registry.host}/{prefix}"
    for run in (layoutlift.plan, layoutlift.migrate, layoutlift.verify):
        ended = run(tmp_path, target)
        assert ended.findings == {("app", "referrers_left")}
        assert " stays behind: what it refers to has no tag here, or is not here at all" in ended.stdout
    again = layoutlift.migrate(tmp_path, target, "--since-last")
    assert "--since-last, the target was not asked" in again.stdout, "a remark does not make a layout be asked for"
    for options in (["--untagged", "all"], ["--exclude-referrers"], ["--include", "app:v1"]):
        assert layoutlift.plan(tmp_path, target, *options).findings == set()
    assert layoutlift.check(tmp_path).findings == set()


def test_a_plan_and_a_run_name_what_was_attached_to_a_tag_since_it_was_migrated(
    layoutlift: Layoutlift, docker_registry: Registry, oras_cli: Cli, prefix: str, tmp_path: Path
) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    layout.image("v1", layers=[b"layer"])
    layout.write()
    target = f"{docker_registry.host}/{prefix}"
    layoutlift.migrate(tmp_path, target)
    (layoutlift.home / "sbom.json").write_text("[]")
    kind = ("--artifact-type", SBOM, "--disable-path-validation")
    oras_cli("attach", "--oci-layout", *kind, f"{layout.path}:v1", str(layoutlift.home / "sbom.json"))
    assert layoutlift.plan(tmp_path, target).findings == {("app", "referrers_to_copy")}
    assert layoutlift.plan(tmp_path, target, "--exclude-referrers").findings == set()
    migrated = layoutlift.migrate(tmp_path, target)
    assert migrated.totals["blobs_pushed"] == 2
    assert migrated.findings == {("app", "referrers_copied")}
    assert layoutlift.plan(tmp_path, target).findings == set()
