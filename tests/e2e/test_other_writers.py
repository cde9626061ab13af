"""What is advised about layouts as other tools write them, done with the real ORAS command as it is written there."""

import json
import re
from pathlib import Path

import pytest

from infra.real_parts import Registry
from tasks.oci.reference import IMAGE_NAME
from tasks.operations.reports.advice import ADVICE
from tests.support.command import Layoutlift
from tests.support.layouts import REF_NAME, Descriptor, LayoutBuilder, hauled
from tests.support.real_parts import Cli
from tests.support.registry_view import RepositoryView

IMAGE = "rancher/foo:v1"


def advised(code: str, command: str, **names: object) -> list[str]:
    """The arguments of an ORAS command in the advice on a code, with names in place of what stands for them."""
    (found,) = re.findall(rf"\(oras ({command} [^)]*)\)", ADVICE[code])
    for name, here in names.items():
        found = found.replace(name, str(here))
    return found.split()


@pytest.fixture
def store(tmp_path: Path) -> LayoutBuilder:
    """An image and its signature in a store of hauler's, under one name."""
    layout = LayoutBuilder(tmp_path / "source" / "foo")
    hauled(layout, layout.image(layers=[b"image"], listed=False), "dev.hauler/image", IMAGE)
    hauled(layout, layout.image(layers=[b"signature"], listed=False), "dev.hauler/sigs", IMAGE)
    layout.write()
    return layout


def signature_tag(image: Descriptor) -> str:
    return f"{image['digest'].replace(':', '-')}.sig"


def test_a_signature_of_haulers_store_is_copied_beside_its_image_which_keeps_its_tag(
    layoutlift: Layoutlift, docker_registry: Registry, oras_cli: Cli, store: LayoutBuilder, prefix: str
) -> None:
    image, signature = store.entries
    index, target = store.path / "index.json", f"{docker_registry.host}/{prefix}"
    before = index.read_bytes()
    ended = layoutlift.migrate(store.path.parent, target)
    assert (ended.outcomes, ended.findings) == ({"foo:v1": "copied"}, {("foo", "signature_without_tag")})
    (finding,) = ended.report["findings"]
    assert "oras tag would take the image's own tag away" in finding["message"]
    names = {"LAYOUT": store.path, "DIGEST": signature["digest"], "TARGET": target, "REPOSITORY": "foo"}
    line = advised("signature_without_tag", "cp", **names, TAG=signature_tag(image))
    oras_cli(*line, "--to-plain-http")
    assert index.read_bytes() == before
    there = RepositoryView(docker_registry, f"{prefix}/foo")
    assert there.digest("v1") == image["digest"]
    assert there.digest(signature_tag(image)) == signature["digest"]


def test_an_image_that_lost_its_tag_to_its_signature_gets_it_back(
    layoutlift: Layoutlift, docker_registry: Registry, oras_cli: Cli, store: LayoutBuilder, prefix: str
) -> None:
    """What any ORAS command does that writes to such a store."""
    image, signature = store.entries
    source, target = store.path.parent, f"{docker_registry.host}/{prefix}"
    oras_cli("tag", "--oci-layout", f"{store.path}@{signature['digest']}", signature_tag(image))
    names = [each.get("annotations", {}).get("kind") for each in entries_with(store, IMAGE)]
    assert names == ["dev.hauler/sigs"]
    signed = f"foo:{signature_tag(image)}"
    assert layoutlift.migrate(source, target, code=1).outcomes == {"foo:v1": "tag_of_attached", signed: "copied"}
    names = {"LAYOUT": store.path, "DIGEST": image["digest"], "TAG": "v1"}
    oras_cli(*advised("tag_of_attached", "tag", **names))
    assert layoutlift.migrate(source, target).outcomes == {"foo:v1": "copied", signed: "up_to_date"}
    assert RepositoryView(docker_registry, f"{prefix}/foo").digest("v1") == image["digest"]


def test_what_has_only_a_digest_beside_two_of_one_tag_is_copied_and_takes_no_name(
    layoutlift: Layoutlift, docker_registry: Registry, oras_cli: Cli, tmp_path: Path, prefix: str
) -> None:
    """As `docker save` writes nginx:latest, alpine:latest and an image by its digest."""
    layout = LayoutBuilder(tmp_path / "source" / "dump")
    for name in ("nginx", "alpine"):
        image = layout.image(layers=[name.encode()], listed=False)
        layout.entry({**image, "annotations": {IMAGE_NAME: f"docker.io/library/{name}:latest"}}, "latest")
    image = layout.image(layers=[b"by digest"], listed=False)
    name = f"docker.io/library/app@{image['digest']}"
    layout.entry({**image, "annotations": {IMAGE_NAME: name}}, f"@{image['digest']}")
    layout.write()
    before = (layout.path / "index.json").read_bytes()
    target = f"{docker_registry.host}/{prefix}"
    names = {"LAYOUT": layout.path, "DIGEST": image["digest"], "TARGET": target, "REPOSITORY": "library/app"}
    oras_cli(*advised("digest_only", "cp", **names, TAG="v9"), "--to-plain-http")
    assert RepositoryView(docker_registry, f"{prefix}/library/app").digest("v9") == image["digest"]
    assert (layout.path / "index.json").read_bytes() == before
    ended = layoutlift.migrate(tmp_path / "source", target, "--split-by-name", code=1)
    assert ended.outcomes == {
        "library/nginx:latest": "copied",
        "library/alpine:latest": "copied",
        f"library/app:@{image['digest']}": "digest_only",
    }


def test_an_index_json_that_is_itself_the_index_of_an_image_is_named_by_the_digest_that_people_pull(
    layoutlift: Layoutlift, docker_registry: Registry, oras_cli: Cli, tmp_path: Path, prefix: str
) -> None:
    """As apko writes it: the entries are the platforms, and what lists them is no blob."""
    layout = LayoutBuilder(tmp_path / "source" / "app")
    for architecture in ("amd64", "arm64"):
        platform = {"architecture": architecture, "os": "linux"}
        image = layout.image(layers=[architecture.encode()], config=platform, listed=False)
        layout.entry({**image, "platform": platform})
    layout.write()
    target = f"{docker_registry.host}/{prefix}"
    ended = layoutlift.migrate(tmp_path / "source", target)
    assert (ended.outcomes, ended.findings) == ({}, {("app", "no_tags")})
    index = (layout.path / "index.json").read_bytes()
    oras_cli(*advised("no_tags", "manifest push", LAYOUT=layout.path, TAG="v1"))
    assert layoutlift.migrate(tmp_path / "source", target).outcomes == {"app:v1": "copied"}
    there = RepositoryView(docker_registry, f"{prefix}/app")
    assert there.manifest("v1") == index
    assert all(there.manifest(entry["digest"]) for entry in layout.entries)


def entries_with(layout: LayoutBuilder, ref_name: str) -> list[Descriptor]:
    entries = json.loads((layout.path / "index.json").read_text())["manifests"]
    return [each for each in entries if each.get("annotations", {}).get(REF_NAME) == ref_name]
