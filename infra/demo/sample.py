"""The lightweight registry that the demo lifts: a few teams' repositories, written as their users write them."""

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from infra.layout_builder import LayoutBuilder, random_bytes

SAMPLE_SIZE = 200_000
ARTIFACT_TYPE = "application/vnd.example.app.v1"
SBOM_TYPE = "application/vnd.example.sbom.v1+json"
CREATED = "org.opencontainers.image.created=2026-01-01T00:00:00Z"
APPS = {"team/app": ("v1.0.0", "v1.1.0", "latest"), "team/app/web": ("v2.0.0",), "tools/cli": ("0.1", "0.2")}
PLATFORMS = ("linux/amd64", "linux/arm64")
MULTI_PLATFORM = "team/multi"


class OrasWriter:
    """Writes the sample with the real ORAS CLI, from files in a folder of its own."""

    def __init__(self, oras: Path, scratch: Path) -> None:
        self.oras = oras
        self.scratch = scratch
        self.scratch.mkdir(parents=True, exist_ok=True)

    def write(self, source: Path) -> None:
        """Push every repository into its layout below `source`."""
        for repository, tags in APPS.items():
            for number, tag in enumerate(tags):
                self._push(source / repository, tag, seed=number)
        self._attach_sbom(source / "team/app", "v1.0.0")
        self._push_multi_platform(source / MULTI_PLATFORM)

    def _push(self, layout: Path, tag: str, *, seed: int, options: Sequence[str] = ()) -> None:
        (self.scratch / "content.bin").write_bytes(random_bytes(seed, SAMPLE_SIZE))
        layout.parent.mkdir(parents=True, exist_ok=True)
        artifact = ("--artifact-type", ARTIFACT_TYPE, "--annotation", CREATED, *options)
        self._oras("push", "--oci-layout", *artifact, f"{layout}:{tag}", "content.bin")

    def _attach_sbom(self, layout: Path, tag: str) -> None:
        (self.scratch / "sbom.json").write_text('{"packages": []}')
        self._oras("attach", "--oci-layout", "--artifact-type", SBOM_TYPE, f"{layout}:{tag}", "sbom.json")

    def _push_multi_platform(self, layout: Path) -> None:
        tags = [platform.replace("/", "-") for platform in PLATFORMS]
        for seed, (platform, tag) in enumerate(zip(PLATFORMS, tags, strict=True)):
            self._push(layout, tag, seed=10 + seed, options=("--artifact-platform", platform))
        self._oras("manifest", "index", "create", "--oci-layout", f"{layout}:v1", *tags)

    def _oras(self, *arguments: str) -> None:
        """Run the CLI in the scratch folder: it takes files by relative names only."""
        command = [str(self.oras), *arguments]
        outcome = subprocess.run(command, cwd=self.scratch, capture_output=True, text=True, check=False)
        if outcome.returncode != 0:
            raise SystemExit(f"{' '.join(command)}:\n{outcome.stdout}{outcome.stderr}")


def write_without_oras(source: Path) -> None:
    """Write the same sample with the layout builder."""
    for repository, tags in APPS.items():
        layout = LayoutBuilder(source / repository)
        images = [layout.image(tag, layers=[random_bytes(seed, SAMPLE_SIZE)]) for seed, tag in enumerate(tags)]
        if repository == "team/app":
            layout.referrer(images[0], artifact_type=SBOM_TYPE)
        layout.write()
    multi = LayoutBuilder(source / MULTI_PLATFORM)
    multi.index([_platform_image(multi, seed, platform) for seed, platform in enumerate(PLATFORMS)], "v1")
    multi.write()


def _platform_image(layout: LayoutBuilder, seed: int, platform: str) -> dict[str, object]:
    system, architecture = platform.split("/")
    named = {"os": system, "architecture": architecture}
    image = layout.image(platform.replace("/", "-"), layers=[random_bytes(10 + seed, SAMPLE_SIZE)], config=named)
    return image | {"platform": named}


def writer(oras: Path | None, scratch: Path) -> Callable[[Path], None]:
    """Choose how the sample is written: as users do where ORAS is there."""
    return write_without_oras if oras is None else OrasWriter(oras, scratch).write
