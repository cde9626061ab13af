"""Fixtures of the real parts, each started once a worker and skipped, with the way to get it, where missing."""

import itertools
import subprocess
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from infra.real_parts import (
    DebianRegistry,
    DistributionRegistry,
    Goofys,
    Mount,
    Rclone,
    Registry,
    S3Fs,
    SeaweedFS,
    Server,
    Toxiproxy,
    ZotRegistry,
    find_tool,
)
from tasks.oci.errors import ProgramMissingError
from tests.support.fault_proxy import FaultProxy

REGISTRY_FIXTURES = ("docker_registry", "distribution_registry", "zot_registry")
MOUNT_FIXTURES = ("s3fs_mount", "goofys_mount", "rclone_mount")
PartT = TypeVar("PartT", bound=Server)
_numbers = itertools.count(1)


@contextmanager
def skipped_where_unavailable() -> Iterator[None]:
    try:
        yield
    except ProgramMissingError as missing:
        pytest.skip(str(missing))


@contextmanager
def running(part: PartT) -> Iterator[PartT]:
    with skipped_where_unavailable():
        part.start()
    try:
        yield part
    finally:
        part.stop()


@dataclass(frozen=True)
class Cli:
    """A command-line program that tests call and whose failure fails them."""

    path: Path

    def __call__(self, *arguments: str | Path, cwd: Path | None = None) -> str:
        return self.run(*arguments, cwd=cwd, check=True).stdout

    def run(
        self, *arguments: str | Path, cwd: Path | None = None, check: bool = False
    ) -> subprocess.CompletedProcess[str]:
        outcome = subprocess.run(
            [str(self.path), *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False
        )
        if check and outcome.returncode != 0:
            pytest.fail(f"{self.path.name} {' '.join(map(str, arguments))}:\n{outcome.stdout}{outcome.stderr}")
        return outcome


@pytest.fixture(scope="session")
def docker_registry(tmp_path_factory: pytest.TempPathFactory) -> Generator[Registry]:
    with running(DebianRegistry(tmp_path_factory.mktemp("docker-registry"))) as registry:
        yield registry


@pytest.fixture(scope="session")
def distribution_registry(tmp_path_factory: pytest.TempPathFactory) -> Generator[Registry]:
    with running(DistributionRegistry(tmp_path_factory.mktemp("distribution"))) as registry:
        yield registry


@pytest.fixture(scope="session")
def zot_registry(tmp_path_factory: pytest.TempPathFactory) -> Generator[Registry]:
    with running(ZotRegistry(tmp_path_factory.mktemp("zot"))) as registry:
        yield registry


@pytest.fixture
def proxy(docker_registry: Registry) -> Generator[FaultProxy]:
    """The way to Debian's registry, on which is seen what is under way, and which may have faults."""
    made = FaultProxy(docker_registry.host)
    yield made
    made.stop()


@pytest.fixture(params=REGISTRY_FIXTURES)
def any_registry(request: pytest.FixtureRequest) -> Registry:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def private_registry(tmp_path_factory: pytest.TempPathFactory) -> Generator[Registry]:
    """A registry that asks for the name and password in its `.login`."""
    folder = tmp_path_factory.mktemp("private-registry")
    with running(DebianRegistry(folder, login=("lifter", "a pass:word"))) as registry:
        yield registry


@pytest.fixture
def own_registry(tmp_path: Path) -> Generator[Callable[..., Registry]]:
    """Start registries that a test may stop, kill or alter: `own_registry(ZotRegistry, login=None)`."""
    started: list[Registry] = []

    def start(kind: type[Registry] = DebianRegistry, **options: object) -> Registry:
        registry = kind(tmp_path / f"{kind.name}-{len(started)}", **options)
        with skipped_where_unavailable():
            started.append(registry.start())
        return registry

    yield start
    for registry in started:
        registry.stop()


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Generator[SeaweedFS]:
    with running(SeaweedFS(tmp_path_factory.mktemp("seaweedfs"))) as s3:
        yield s3


@pytest.fixture(scope="session")
def s3fs_mount(seaweedfs: SeaweedFS, tmp_path_factory: pytest.TempPathFactory) -> Generator[S3Fs]:
    """A bucket of its own, mounted writable: `.mountpoint` and `.bucket`."""
    bucket = seaweedfs.create_bucket("s3fs-bucket")
    with running(S3Fs(tmp_path_factory.mktemp("s3fs"), s3=seaweedfs, bucket=bucket)) as mount:
        yield mount


@pytest.fixture(scope="session")
def goofys_mount(seaweedfs: SeaweedFS, tmp_path_factory: pytest.TempPathFactory) -> Generator[Goofys]:
    bucket = seaweedfs.create_bucket("goofys-bucket")
    with running(Goofys(tmp_path_factory.mktemp("goofys"), s3=seaweedfs, bucket=bucket)) as mount:
        yield mount


@pytest.fixture(scope="session")
def rclone_mount(seaweedfs: SeaweedFS, tmp_path_factory: pytest.TempPathFactory) -> Generator[Rclone]:
    bucket = seaweedfs.create_bucket("rclone-bucket")
    with running(Rclone(tmp_path_factory.mktemp("rclone"), s3=seaweedfs, bucket=bucket)) as mount:
        yield mount


def empty_folder(mount: Mount) -> Path:
    """A folder on a mount that no other test uses."""
    folder = mount.mountpoint / f"test-{next(_numbers)}"
    folder.mkdir()
    return folder


@pytest.fixture
def mounted_folder(s3fs_mount: S3Fs) -> Path:
    """An empty folder on the s3fs mount that no other test uses."""
    return empty_folder(s3fs_mount)


@pytest.fixture(scope="session")
def toxiproxy(tmp_path_factory: pytest.TempPathFactory) -> Generator[Toxiproxy]:
    with running(Toxiproxy(tmp_path_factory.mktemp("toxiproxy"))) as proxies:
        yield proxies


@pytest.fixture
def prefix() -> str:
    """A repository prefix that no other test uses in the registries of the session."""
    return f"test-{next(_numbers)}"


@pytest.fixture(scope="session")
def oras_cli() -> Cli:
    """The ORAS CLI: `oras_cli("repo", "tags", "--plain-http", name)` returns its output."""
    with skipped_where_unavailable():
        return Cli(find_tool("oras"))


@pytest.fixture(scope="session")
def skopeo_cli() -> Cli:
    with skipped_where_unavailable():
        return Cli(find_tool("skopeo"))
