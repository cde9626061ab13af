"""The trees of image layouts that are copied, written once into a cache outside the clone, keyed by parameters."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from infra.layout_builder import LayoutBuilder, random_bytes

KIB, MB = 1024, 1_000_000
PIECE = 50 * MB
VERSION = "org.opencontainers.image.version"
FORMAT = 1  # to be raised when the same parameters come to mean other bytes


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A tree of `repositories` with `tags` each; of an image's `layers`, some are shared.

    Shared layers are those of a base image: `shared_by_all` repositories have the same, `shared_by_tags` are the
    same for the tags of one repository. The configuration blob is shared by all, as `oras push` writes it.
    """

    name: str
    repositories: int
    tags: int
    layers: int
    layer_size: int
    shared_by_all: int = 0
    shared_by_tags: int = 0

    @property
    def tag_count(self) -> int:
        """How many tags have to arrive."""
        return self.repositories * self.tags

    @property
    def repository_names(self) -> list[str]:
        """The repositories, all on one level, because that is all that the usual script can do."""
        return [f"app-{number:04}" for number in range(self.repositories)]

    @property
    def tag_names(self) -> list[str]:
        """The tags of each repository."""
        return [f"v1.{number}.0" for number in range(self.tags)]

    @property
    def key(self) -> str:
        """What this tree is called in the cache."""
        parameters = json.dumps({"format": FORMAT, **asdict(self)}, sort_keys=True)
        return f"{self.name}-{hashlib.sha256(parameters.encode()).hexdigest()[:12]}"

    def references(self) -> Iterator[str]:
        """Every `repository:tag`."""
        for repository in self.repository_names:
            yield from (f"{repository}:{tag}" for tag in self.tag_names)

    def write(self, root: Path) -> None:
        """Write the tree below `root`."""
        base = [self._layer(f"base {number}") for number in range(self.shared_by_all)]
        for repository in self.repository_names:
            layout = LayoutBuilder(root / repository)
            own = [self._layer(f"{repository} {number}") for number in range(self.shared_by_tags)]
            for tag in self.tag_names:
                layers = [*base, *own, *self._unique_layers(repository, tag)]
                layout.image(tag, layers=layers, annotations={VERSION: tag})
            layout.write()

    def _unique_layers(self, repository: str, tag: str) -> list[bytes]:
        count = self.layers - self.shared_by_all - self.shared_by_tags
        return [self._layer(f"{repository}:{tag} {number}") for number in range(count)]

    def _layer(self, what: str) -> bytes:
        seed = int.from_bytes(hashlib.sha256(what.encode()).digest()[:8])
        sizes = [PIECE] * (self.layer_size // PIECE) + [self.layer_size % PIECE]
        return b"".join(random_bytes(seed + number, size) for number, size in enumerate(sizes) if size)


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload(name="tiny", repositories=1, tags=2, layers=1, layer_size=KIB),
        Workload(name="small", repositories=50, tags=20, layers=2, layer_size=4 * KIB),
        Workload(
            name="mixed",
            repositories=10,
            tags=10,
            layers=5,
            layer_size=2 * MB,
            shared_by_all=2,
            shared_by_tags=1,
        ),
        Workload(name="big", repositories=3, tags=1, layers=1, layer_size=700 * MB),
        Workload(name="wide", repositories=1, tags=20_000, layers=2, layer_size=4 * KIB),
        Workload(name="index", repositories=1, tags=100_000, layers=1, layer_size=KIB, shared_by_all=1),
        Workload(name="few", repositories=10, tags=20, layers=2, layer_size=4 * KIB),
    )
}


def cache_folder() -> Path:
    """The folder, outside the clone, that keeps trees and finished measurements."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "layoutlift" / "benchmarks"


def ready(workload: Workload) -> Path:
    """The tree's root; written at the first call, moved into its place whole."""
    place = cache_folder() / "workloads" / workload.key
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        print(f"bench: writing the tree {workload.name}", flush=True)
        being_written = Path(tempfile.mkdtemp(dir=place.parent, prefix=".being-written-"))
        try:
            workload.write(being_written)
            being_written.replace(place)
        except BaseException:
            shutil.rmtree(being_written)
            raise
    return place


def read_once(root: Path) -> None:
    """Read every file, so that no contender pays for the disk alone."""
    for path in root.rglob("*"):
        if path.is_file():
            with path.open("rb", buffering=0) as file:
                while file.read(MB):
                    pass
