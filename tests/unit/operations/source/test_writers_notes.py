"""Of what cosign saved and hauler stored, an image's tag is the image's, and each signature is told what it needs."""

from pathlib import Path

import pytest

from tasks.oci.digest import Digest
from tasks.operations.source.enumeration import enumerate_repository
from tasks.stores.directory.layout_directory import LayoutDirectory
from tests.support.engine import Engine
from tests.support.layouts import LayoutBuilder, hauled
from tests.support.memory_stores import MemoryTarget


def test_a_signature_that_cosign_saved_without_a_tag_is_named_with_the_one_that_it_needs(tmp_path: Path) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    image = layout.image("v1", layers=[b"signed"])
    signature = layout.image(layers=[b"signature"], listed=False)
    layout.entry({**signature, "annotations": {"kind": "dev.cosignproject.cosign/sigs"}})
    layout.write()
    made = Engine(tmp_path, MemoryTarget())
    assert made.copy() == ({"app:v1": "copied"}, {("app", "signature_without_tag")})
    assert made.progress.totals.complete, "a remark, as of whatever has no tag"
    tag = f"{image['digest'].replace(':', '-')}.sig"
    assert made.findings[0].message.endswith(f": {tag}")
    layout.entry(signature, tag)
    layout.write()
    assert Engine(tmp_path, MemoryTarget()).copy() == ({"app:v1": "copied", f"app:{tag}": "copied"}, set())


@pytest.mark.parametrize("writer", ["dev.hauler", "dev.cosignproject.cosign"], ids=["hauler 2", "hauler 1"])
@pytest.mark.parametrize("is_first", [True, False])
def test_in_a_store_of_haulers_a_tag_is_of_the_image_and_not_of_what_is_attached_to_it(
    tmp_path: Path, writer: str, *, is_first: bool
) -> None:
    layout = LayoutBuilder(tmp_path / "store")
    platform = layout.image(layers=[b"arm"], listed=False)
    index = layout.index([platform], listed=False)
    hexes = [each["digest"][7:] for each in (index, platform)]
    signatures = [layout.image(layers=[name], listed=False) for name in (b"of the index", b"of the platform")]
    sbom = layout.referrer(index, listed=False)
    hauled(layout, index, f"{writer}/imageIndex")
    hauled(layout, signatures[0], f"{writer}/sigs")
    hauled(layout, signatures[1], f"{writer}/sigs/{hexes[1]}")
    hauled(layout, sbom, f"{writer}/referrers/{sbom['digest'][7:]}")
    layout.entries.sort(key=lambda entry: (entry["digest"] == index["digest"]) is not is_first)
    layout.write()
    target = MemoryTarget()
    made = Engine(tmp_path, target)
    assert made.copy() == ({"store:latest": "copied"}, {("store", "signature_without_tag")})
    assert target.resolve_manifest("store", "latest") == index["digest"]
    assert target.list_referrers("store", Digest(index["digest"])) == {sbom["digest"]}
    who = {"dev.hauler": "hauler"}.get(writer, "cosign")
    assert {finding.message for finding in made.findings} == {
        f"{each['digest']}, which {who} saved, does not have the tag under which cosign looks for it: "
        f"sha256-{of}.sig (oras tag would take the image's own tag away: copy it there instead)"
        for each, of in zip(signatures, hexes, strict=True)
    }


@pytest.mark.parametrize(
    "kinds", [("image", "image", "sigs"), ("sigs", "atts"), ("image", "unheard-of")], ids="-".join
)
def test_of_several_images_or_none_under_one_tag_of_a_store_none_is_guessed(
    tmp_path: Path, kinds: tuple[str, ...]
) -> None:
    layout = LayoutBuilder(tmp_path / "store")
    for number, kind in enumerate(kinds):
        hauled(layout, layout.image(layers=[bytes([number])], listed=False), f"dev.hauler/{kind}")
    layout.write()
    assert Engine(tmp_path, MemoryTarget()).copy() == ({"store:latest": "tag_collision"}, set())


@pytest.mark.parametrize("tags", [(), ("v1", "v2")], ids=["no image", "two images"])
def test_which_image_a_signature_is_of_is_not_guessed(tmp_path: Path, tags: tuple[str, ...]) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    for tag in tags:
        layout.image(tag, layers=[tag.encode()])
    signature = layout.image(layers=[b"signature"], listed=False)
    layout.entry({**signature, "annotations": {"kind": "dev.cosignproject.cosign/sigs"}})
    layout.write()
    (finding,) = enumerate_repository(LayoutDirectory(tmp_path), "app").findings
    assert finding.message.endswith(
        f"{signature['digest']}, which cosign saved, does not have the tag under which "
        "cosign looks for it: sha256-<hex of its image>.sig"
    )


@pytest.mark.parametrize("kind", ["sigs", "atts/" + "a" * 64, "referrers/" + "a" * 64])
def test_a_tag_that_only_a_signature_of_haulers_has_is_refused_as_its_image_has_lost_it(
    tmp_path: Path, kind: str
) -> None:
    """As ORAS leaves a store that it writes to: of several entries with one name it keeps that of the last alone."""
    layout = LayoutBuilder(tmp_path / "store")
    image = layout.image(layers=[b"image"], listed=False)
    layout.entry({**image, "annotations": {"kind": "dev.hauler/image"}})
    signature = layout.image(layers=[b"signature"], listed=False)
    hauled(layout, signature, f"dev.hauler/{kind}")
    layout.write()
    made = Engine(tmp_path, MemoryTarget())
    assert made.copy()[0] == {"store:latest": "tag_of_attached"}
    (refused,) = made.results
    assert refused.message == (
        f"{signature['digest']} has the tag latest, and is no image: hauler attached it to one, "
        "which has lost the tag to it, or is gone"
    )
    layout.entry(image, "latest")
    layout.write()
    assert Engine(tmp_path, MemoryTarget()).copy()[0] == {"store:latest": "copied"}


def test_what_hauler_attached_may_have_the_tag_under_which_cosign_looks_for_it(tmp_path: Path) -> None:
    layout = LayoutBuilder(tmp_path / "store")
    image = layout.image("v1", layers=[b"image"])
    tag = f"{image['digest'].replace(':', '-')}.sig"
    hauled(layout, layout.image(layers=[b"signature"], listed=False), "dev.hauler/sigs", f"library/nginx:{tag}")
    layout.write()
    assert Engine(tmp_path, MemoryTarget()).copy() == ({"store:v1": "copied", f"store:{tag}": "copied"}, set())
