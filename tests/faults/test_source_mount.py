"""What mounts do besides hanging: errors that pass, errors that stay, short reads, flipped bits."""

import errno
import io
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path

import pytest

from infra.real_parts import Registry
from tasks.oci.errors import SourceReadError
from tasks.operations.cleanup.planning.gone_layouts import is_gone
from tasks.stores.directory.directory_files import DirectoryFiles
from tasks.stores.directory.file_errors import READ_ATTEMPTS
from tasks.stores.directory.layout_directory import LayoutDirectory
from tasks.stores.directory.mount_patience import Patience
from tasks.stores.directory.watched_writer import WatchedWritable
from tasks.stores.registry.registry_store import RegistryStore
from tests.support.command import Layoutlift
from tests.support.content import blob, tree
from tests.support.faulty_files import FaultyFiles
from tests.support.layouts import LayoutBuilder, random_bytes
from tests.support.real_parts import skipped_where_unavailable
from tests.support.registry_view import RepositoryView

pytestmark = pytest.mark.fuse
BLOBS, INDEX, ANY = "*/blobs/*", "*/index.json", "*"
ALWAYS = 10**9


class CountingDirectory(LayoutDirectory):
    """Counts the files that it opens."""

    opened = 0

    def _open(self, relative: str) -> io.FileIO:
        self.opened += 1
        return super()._open(relative)


@pytest.fixture
def files(tmp_path: Path) -> Generator[FaultyFiles]:
    """A tree of two repositories with two tags each, through the faulty file system."""
    source = tree(tmp_path / "source", 2, 2, size=300_000)
    with skipped_where_unavailable():
        faulty = FaultyFiles(source, tmp_path)
    with faulty:
        yield faulty


def test_a_mount_that_this_user_may_not_look_at_is_said_so(layoutlift: Layoutlift, files: FaultyFiles) -> None:
    """As FUSE answers everybody but the user who mounted, without `allow_other`."""
    files.fail({"call": "getattr", "path": ANY, "error": errno.EACCES, "times": ALWAYS})
    for command in (["ls"], ["delete", "app-0"]):
        ended = layoutlift(command[0], files.mountpoint, *command[1:], code=2)
        assert ended.stderr == (
            f"layoutlift: this user may not look at the source {files.mountpoint}; "
            "a mount that another user made needs -o allow_other\n"
        )


def test_a_folder_that_is_said_not_to_be_there_for_the_moment_is_never_left_out_of_a_listing(
    files: FaultyFiles,
) -> None:
    """Of what a cleanup does not see there, it would take for unneeded what is needed."""
    whole = set(DirectoryFiles(files.mountpoint).list_files("."))
    files.fail({"call": "getattr", "path": "/app-0", "error": errno.ENOENT, "times": 2})
    assert set(DirectoryFiles(files.mountpoint).list_files(".")) == whole
    files.fail({"call": "getattr", "path": "/app-0", "error": errno.ENOENT, "times": ALWAYS})
    with pytest.raises(SourceReadError, match="app-0 is listed, and said not to be there"):
        list(DirectoryFiles(files.mountpoint).list_files("."))


def test_an_index_that_is_said_not_to_be_there_for_the_moment_does_not_count_as_removed(files: FaultyFiles) -> None:
    with closing(WatchedWritable(str(files.mountpoint), Patience())) as writable:
        for look in (writable.files, writable.open_layouts().open_files()):
            files.fail({"call": "getattr", "path": INDEX, "error": errno.ENOENT, "times": 2})
            assert look.stat_file("app-0/index.json")
            files.fail({"call": "getattr", "path": INDEX, "error": errno.ENOENT, "times": 2})
            assert look.read_file("app-0/index.json")
            files.fail({"call": "getattr", "path": "*/app-0", "error": errno.ENOENT, "times": 2})
            assert not is_gone(look, "app-0", map)


@pytest.mark.parametrize(
    ("call", "path", "error"),
    [
        ("open", BLOBS, errno.ENOENT),
        ("getattr", BLOBS, errno.ENOENT),
        ("open", INDEX, errno.ENOENT),
        ("open", INDEX, errno.EIO),
        ("read", INDEX, errno.EIO),
        ("read", BLOBS, errno.EIO),
        ("read", BLOBS, errno.ESTALE),
        ("read", BLOBS, errno.EAGAIN),
        ("readdir", ANY, errno.EIO),
        ("readdir", ANY, errno.EAGAIN),
    ],
)
def test_an_error_that_passes_costs_nothing(
    layoutlift: Layoutlift,
    files: FaultyFiles,
    docker_registry: Registry,
    prefix: str,
    call: str,
    path: str,
    error: int,
) -> None:
    files.fail({"call": call, "path": path, "error": error, "times": 2})
    ended = layoutlift.migrate(files.mountpoint, f"{docker_registry.host}/{prefix}")
    assert ended.totals["copied"] == 4


@pytest.mark.parametrize(
    ("call", "error", "code"),
    [
        pytest.param("read", errno.EIO, "source_read", marks=pytest.mark.soak),  # the batch is tried again for 25 s
        ("open", errno.ENOENT, "content_not_found"),
        ("open", errno.EACCES, "source"),
        ("read", "flip", "digest_mismatch"),
    ],
)
def test_a_layer_that_stays_broken_costs_its_tag_and_no_other(
    layoutlift: Layoutlift,
    files: FaultyFiles,
    docker_registry: Registry,
    prefix: str,
    call: str,
    error: object,
    code: str,
) -> None:
    layer = LayoutBuilder(files.mountpoint.parent / "scratch").blob(random_bytes(0, 300_000))["digest"]
    files.fail({"call": call, "path": f"*{layer.partition(':')[2]}", "error": error, "times": ALWAYS})
    ended = layoutlift.migrate(files.mountpoint, f"{docker_registry.host}/{prefix}", code=1)
    assert ended.outcomes == {
        "app-0:v0": code,
        "app-0:v1": "copied",
        "app-1:v0": "copied",
        "app-1:v1": "copied",
    }
    assert RepositoryView(docker_registry, f"{prefix}/app-0").tags == {"v1"}
    files.fail()
    again = layoutlift.migrate(files.mountpoint, f"{docker_registry.host}/{prefix}")
    assert (again.totals["copied"], again.totals["up_to_date"]) == (1, 3)


@pytest.mark.parametrize("size", [1_000, 2_000_000], ids=["one request", "a stream"])
def test_a_file_that_can_not_be_read_is_opened_four_times_and_no_more(
    files: FaultyFiles, docker_registry: Registry, make_store: Callable[..., RegistryStore], prefix: str, size: int
) -> None:
    layer = random_bytes(1, size)
    content = blob(layer)
    layout = files.mountpoint.parent / "source" / "app-0"
    (layout / "blobs" / "sha256" / content.descriptor.digest.encoded).write_bytes(layer)
    files.fail({"call": "read", "path": BLOBS, "error": errno.EIO, "times": ALWAYS})
    source = CountingDirectory(files.mountpoint, retry_wait=0.01)
    with pytest.raises(SourceReadError):
        make_store(docker_registry.host).push_blob(f"{prefix}/app", source.blob("app-0", content.descriptor))
    assert source.opened == 1 + READ_ATTEMPTS


@pytest.mark.parametrize("fault", ["flip", "short"])
def test_altered_bytes_are_never_tagged_however_often_they_come(
    layoutlift: Layoutlift, files: FaultyFiles, docker_registry: Registry, prefix: str, fault: str
) -> None:
    files.fail({"call": "read", "path": BLOBS, "error": fault, "times": ALWAYS})
    ended = layoutlift.migrate(files.mountpoint, f"{docker_registry.host}/{prefix}", code=1)
    assert ended.totals["copied"] == 0
    assert RepositoryView(docker_registry, f"{prefix}/app-0").tags == set()


def test_a_short_read_in_the_middle_is_noticed_or_read_on(
    layoutlift: Layoutlift, files: FaultyFiles, docker_registry: Registry, prefix: str
) -> None:
    files.fail({"call": "read", "path": BLOBS, "error": "short", "times": 5})
    layoutlift.migrate(files.mountpoint, f"{docker_registry.host}/{prefix}")
    assert (
        layoutlift.verify(files.mountpoint, f"{docker_registry.host}/{prefix}", "--depth", "content").totals["tags"]
        == 4
    )


def test_a_file_whose_size_is_stale_is_noticed(
    layoutlift: Layoutlift, files: FaultyFiles, docker_registry: Registry, prefix: str
) -> None:
    """s3fs keeps sizes for 15 minutes, whatever was written elsewhere meanwhile."""
    files.fail({"call": "getattr", "path": "*/app-0/blobs/*", "error": "empty", "times": ALWAYS})
    ended = layoutlift.migrate(files.mountpoint, f"{docker_registry.host}/{prefix}", code=1)
    assert set(ended.outcomes.values()) == {"size_mismatch", "copied"}


def test_a_folder_that_can_not_be_listed_hides_no_other(
    layoutlift: Layoutlift, files: FaultyFiles, docker_registry: Registry, prefix: str
) -> None:
    files.fail({"call": "readdir", "path": "/app-0", "error": errno.EACCES, "times": ALWAYS})
    ended = layoutlift.migrate(files.mountpoint, f"{docker_registry.host}/{prefix}", code=1)
    assert ended.findings == {("app-0", "unreadable_directory")}
    assert ended.totals["copied"] == 2


def test_a_mount_that_reports_being_gone_stops_the_run(
    layoutlift: Layoutlift, files: FaultyFiles, docker_registry: Registry, prefix: str
) -> None:
    files.fail({"call": "read", "path": BLOBS, "error": errno.ENOTCONN, "times": ALWAYS})
    ended = layoutlift.migrate(files.mountpoint, f"{docker_registry.host}/{prefix}", code=1)
    assert set(ended.outcomes.values()) == {"source_unavailable"}
    assert "gone" in ended.output
