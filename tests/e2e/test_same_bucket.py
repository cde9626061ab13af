"""Whatever is in a bucket, it is the same registry through every mount and natively."""

import itertools
import tempfile
from collections.abc import Callable, Generator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from infra.real_parts import Goofys, Mount, Rclone, S3Fs, SeaweedFS, wait_until
from tasks.stores.directory.layout_directory import LayoutDirectory
from tests.support.buckets import open_bucket, seen, upload, use_environment
from tests.support.layouts import DOCKER_MANIFEST, OCI_MANIFEST, LayoutBuilder
from tests.support.real_parts import running

BUCKET = "same-bucket"
KINDS: tuple[type[Mount], ...] = (S3Fs, Goofys, Rclone)
NAMES = ("app", "Team", "web 2", "été", "日本", "a+b%20&=#?", "x.y_z", "sha256", "blobs", "ingest")
REF_NAMES = ("v1", "v2", "latest", "registry.example/team/app:full", "not a tag!", "", "a" * 200)
_numbers = itertools.count()

Paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map("/".join)
Defects = st.sampled_from(["", "", "", "no marker", "no index", "empty index", "cut index", "lost blob", "altered"])


@dataclass(frozen=True)
class Shape:
    """What a layout holds: an image for each name, in both types, with or without what refers to it."""

    ref_names: tuple[str | None, ...]
    docker: bool
    platforms: bool
    referred: bool
    defect: str

    def write(self, path: Path) -> None:
        layout = LayoutBuilder(path)
        for number, ref_name in enumerate(self.ref_names):
            kind = DOCKER_MANIFEST if self.docker else OCI_MANIFEST
            image = layout.image(ref_name, layers=[f"{path.name} {number}".encode(), b""], media_type=kind)
            if self.referred:
                layout.referrer(image)
        if self.platforms:
            layout.index([layout.image(layers=[b"arm"]), layout.image(layers=[b"amd"], listed=False)], "multi")
        layout.write()
        self._damage(path)

    def _damage(self, path: Path) -> None:
        index = path / "index.json"
        blobs = sorted(each for each in path.glob("blobs/sha256/*") if each.stat().st_size)
        match self.defect:
            case "no marker":
                (path / "oci-layout").unlink()
            case "no index":
                index.unlink()
            case "empty index":
                index.write_bytes(b"")
            case "cut index":
                index.write_bytes(index.read_bytes()[:-5])
            case "lost blob" if blobs:
                blobs[0].unlink()
            case "altered" if blobs:
                blobs[0].write_bytes(b"!" + blobs[0].read_bytes()[1:])


Shapes = st.builds(
    Shape,
    st.lists(st.none() | st.sampled_from(REF_NAMES), max_size=4).map(tuple),
    *(st.booleans() for _ in range(3)),
    Defects,
)
Trees = st.dictionaries(Paths, Shapes | st.just("a stray file"), min_size=1, max_size=4)


def write_tree(root: Path, tree: dict[str, Shape | str]) -> None:
    for path, shape in sorted(tree.items()):
        if isinstance(shape, Shape):
            shape.write(root / path)
        else:
            (root / path).mkdir(parents=True, exist_ok=True)
            (root / path / "read me.txt").write_text(shape)


@pytest.fixture(scope="session")
def mounts(seaweedfs: SeaweedFS, tmp_path_factory: pytest.TempPathFactory) -> Generator[list[Mount]]:
    """One bucket, mounted by each program at once, read-only."""
    seaweedfs.create_bucket(BUCKET)
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp
        yield [
            stack.enter_context(running(kind(folder(kind.name), s3=seaweedfs, bucket=BUCKET, read_only=True)))
            for kind in KINDS
        ]


@pytest.fixture
def write_everywhere(
    seaweedfs: SeaweedFS, monkeypatch: pytest.MonkeyPatch
) -> Callable[[dict[str, Shape | str], Path], str]:
    """Write a tree to a folder and, under a prefix of its own that is returned, to the bucket."""
    use_environment(seaweedfs, monkeypatch)

    def write(tree: dict[str, Shape | str], root: Path) -> str:
        write_tree(root, tree)
        prefix = f"tree-{next(_numbers)}"
        upload(seaweedfs, root, BUCKET, f"{prefix}/")
        return prefix

    return write


@pytest.mark.fuse
@settings(
    deadline=None, max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(Trees)
def test_a_bucket_is_the_same_registry_through_every_path(
    mounts: list[Mount],
    write_everywhere: Callable[[dict[str, Shape | str], Path], str],
    tree: dict[str, Shape | str],
) -> None:
    with tempfile.TemporaryDirectory() as root:
        prefix = write_everywhere(tree, Path(root))
        written = seen(LayoutDirectory(root))
    event(f"{sum(isinstance(shape, Shape) for shape in tree.values())} layouts")
    assert seen(open_bucket(f"s3://{BUCKET}/{prefix}")) == written
    for mount in mounts:
        wait_until((mount.mountpoint / prefix).is_dir, what=f"{mount.name} shows a folder that is new")
        assert seen(LayoutDirectory(mount.mountpoint / prefix)) == written, mount.name
