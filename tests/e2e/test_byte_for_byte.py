"""What the ORAS CLI and skopeo wrote through a real mount comes back from a registry as it was."""

from pathlib import Path

import pytest

from infra.real_parts import Registry
from tests.support import layout_view
from tests.support.command import Layoutlift
from tests.support.layouts import random_bytes
from tests.support.real_parts import Cli
from tests.support.registry_view import RepositoryView

ARTIFACT = ("--artifact-type", "application/vnd.example.app.v1")
pytestmark = pytest.mark.fuse


def push_with_oras(oras: Cli, layout: Path, scratch: Path) -> None:
    """Two tags with a blob in common, a multi-platform image, and an SBOM with a signature of its own."""
    for seed, tag in enumerate(("v1", "v2")):
        (scratch / "shared.bin").write_bytes(random_bytes(0, 50_000))
        (scratch / "own.bin").write_bytes(random_bytes(1 + seed, 1_500_000))
        (scratch / "empty.bin").write_bytes(b"")
        files = ("shared.bin", "own.bin", "empty.bin")
        oras("push", "--oci-layout", *ARTIFACT, f"{layout}:{tag}", *files, cwd=scratch)
    for platform in ("linux-amd64", "linux-arm64"):
        (scratch / "binary").write_text(platform)
        options = (*ARTIFACT, "--artifact-platform", platform.replace("-", "/"))
        oras("push", "--oci-layout", *options, f"{layout}:{platform}", "binary", cwd=scratch)
    oras("manifest", "index", "create", "--oci-layout", f"{layout}:multi", "linux-amd64", "linux-arm64")
    (scratch / "sbom.json").write_text('{"packages": []}')
    oras("attach", "--oci-layout", "--artifact-type", "example/sbom", f"{layout}:v1", "sbom.json", cwd=scratch)


def push_with_skopeo(skopeo: Cli, oras: Cli, layout: Path, scratch: Path, via: Registry) -> None:
    (scratch / "layer.bin").write_bytes(random_bytes(9, 30_000))
    (scratch / "config.json").write_text('{"architecture":"amd64","os":"linux","rootfs":{"type":"layers"}}')
    image = f"{via.host}/for-skopeo/{scratch.name}:v1"
    config = ("--config", "config.json:application/vnd.oci.image.config.v1+json")
    oras("push", "--plain-http", *config, image, "layer.bin:application/vnd.oci.image.layer.v1.tar", cwd=scratch)
    layout.parent.mkdir()
    skopeo("copy", "--src-tls-verify=false", f"docker://{image}", f"oci:{layout}:v1")
    skopeo("copy", "--src-tls-verify=false", f"docker://{image}", f"oci:{layout}:docker.io/library/app:2.0")


@pytest.fixture
def written(
    mounted_folder: Path, tmp_path: Path, oras_cli: Cli, skopeo_cli: Cli, docker_registry: Registry
) -> dict[str, Path]:
    """Layouts on the mount, by their path in the source."""
    push_with_oras(oras_cli, mounted_folder / "oras" / "app", tmp_path)
    push_with_skopeo(skopeo_cli, oras_cli, mounted_folder / "skopeo" / "app", tmp_path, docker_registry)
    return {path: mounted_folder / path for path in ("oras/app", "skopeo/app")}


def test_layouts_of_oras_and_skopeo_on_a_mount_come_back_byte_for_byte(
    written: dict[str, Path],
    mounted_folder: Path,
    layoutlift: Layoutlift,
    any_registry: Registry,
    oras_cli: Cli,
    skopeo_cli: Cli,
    prefix: str,
    tmp_path: Path,
) -> None:
    ended = layoutlift.migrate(mounted_folder, f"{any_registry.host}/{prefix}", "--depth", "content")
    assert set(ended.outcomes.values()) == {"copied"}
    assert {row["verified"] for row in ended.report["tags"]} == {"content"}
    assert set(ended.outcomes) == {
        *(f"oras/app:{tag}" for tag in ("v1", "v2", "linux-amd64", "linux-arm64", "multi")),
        *(f"skopeo/app:{tag}" for tag in ("v1", "2.0")),
    }
    for path, layout in written.items():
        repository = RepositoryView(any_registry, f"{prefix}/{path}")
        for name, digest in layout_view.tagged(layout).items():
            tag = name.rpartition(":")[2]
            image = f"{any_registry.host}/{prefix}/{path}:{tag}"
            expected = layout_view.graph(layout, digest)
            assert all(claimed == real for claimed, real in expected.items())
            assert repository.manifest(tag) == layout_view.content(layout, digest)
            back = tmp_path / "back" / path
            back.parent.mkdir(parents=True, exist_ok=True)
            oras_cli("copy", "--from-plain-http", image, "--to-oci-layout", f"{back}-oras:{tag}")
            assert layout_view.graph(Path(f"{back}-oras"), digest) == expected
            raw = skopeo_cli("inspect", "--raw", "--tls-verify=false", f"docker://{image}")
            assert raw.encode() == layout_view.content(layout, digest)
            options = ("--all", "--src-tls-verify=false")
            skopeo_cli("copy", *options, f"docker://{image}", f"dir:{back}-skopeo-{tag}")
            copied = layout_view.hashes_of_directory(Path(f"{back}-skopeo-{tag}"))
            assert expected.keys() - copied <= {digest}  # skopeo 1.9 drops artifactType from an index that it writes
