"""What every source does, whichever it is: in memory, split, on a disk, in a process, on mounts, in a bucket."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.real_parts import SeaweedFS
from tasks.oci.descriptor import Descriptor
from tasks.oci.errors import (
    ContentNotFoundError,
    DigestMismatchError,
    InvalidLayoutError,
    LayoutliftError,
    SizeMismatchError,
)
from tasks.operations.source.split_source import SplitSource
from tasks.ports import Finding, Source
from tasks.stop import Stop
from tasks.stores.directory.layout_directory import LayoutDirectory
from tasks.stores.directory.layout_search import stray_files
from tasks.stores.directory.mount_patience import Patience
from tasks.stores.directory.watched_layouts import WatchedLayouts
from tasks.stores.directory.watched_process import WatchedProcess
from tests.support.buckets import open_bucket, upload, use_environment
from tests.support.layouts import LayoutBuilder, random_bytes
from tests.support.memory_stores import MemorySource
from tests.support.real_parts import MOUNT_FIXTURES, empty_folder

CONTENT = b"content"
LARGE = random_bytes(1, 3 * 1024 * 1024 + 1)
OpenSource = Callable[[], Source]
BUCKET = "source-contract"
_numbers = itertools.count()


def in_memory(root: Path) -> MemorySource:
    """A copy of a directory."""
    files = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    return MemorySource(files, modified=1.0)


def in_a_bucket(s3: SeaweedFS, root: Path, monkeypatch: pytest.MonkeyPatch) -> OpenSource:
    """A copy of a directory at a prefix of its own, made whenever the source is opened."""
    use_environment(s3, monkeypatch)

    def open_copy() -> Source:
        prefix = f"copy {next(_numbers)}/"
        upload(s3, root, BUCKET, prefix)
        return open_bucket(f"s3://{BUCKET}/{prefix}")

    return open_copy


MOUNTED = [pytest.param(mount, marks=pytest.mark.fuse) for mount in MOUNT_FIXTURES]


@pytest.fixture(params=["memory", "split", "directory", "process", "bucket", *MOUNTED])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def root(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where layouts are written; `open_source` reads them."""
    return empty_folder(request.getfixturevalue(kind)) if kind in MOUNT_FIXTURES else tmp_path


@pytest.fixture(scope="session")
def bucket_store(seaweedfs: SeaweedFS) -> SeaweedFS:
    seaweedfs.create_bucket(BUCKET)
    return seaweedfs


@pytest.fixture
def open_source(kind: str, root: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> OpenSource:
    if kind == "bucket":
        return in_a_bucket(request.getfixturevalue("bucket_store"), root, monkeypatch)
    if kind == "process":
        return lambda: WatchedLayouts(WatchedProcess(str(root), Patience()))
    if kind == "split":
        return lambda: SplitSource(in_memory(root), Stop())
    return lambda: in_memory(root) if kind == "memory" else LayoutDirectory(root, retry_wait=0)


@pytest.fixture
def layout(root: Path) -> LayoutBuilder:
    builder = LayoutBuilder(root / "app")
    builder.write()
    return builder


def test_layouts_are_listed_by_path_in_order(root: Path, open_source: OpenSource) -> None:
    paths = ["My App", "team", "team/app", "team/app/web", "été/日本"]
    for path in reversed(paths):
        LayoutBuilder(root / path).write()
    assert list(open_source().list_layouts()) == paths


def test_repositories_may_have_the_names_of_a_layouts_own_folders(root: Path, open_source: OpenSource) -> None:
    paths = ["team", "team/blobs", "team/blobs/blobs", "team/blobs/web", "team/ingest", "team/ingest/blobs/app"]
    for path in paths:
        layout = LayoutBuilder(root / path)
        layout.image("v1", layers=[path.encode()])
        layout.write()
    source = open_source()
    assert list(source.list_layouts()) == paths
    for path in paths:
        (entry,) = json.loads(source.read_index(path).raw)["manifests"]
        assert source.blob(path, Descriptor.from_json(entry)).read()


SESSION = ".sync/0b9c7a52-1111-4222-8333-444455556666"


@pytest.mark.parametrize(
    "own",
    [
        "blobs/sha256/README",
        "blobs/notes/README",
        "ingest/upload/data",
        ".uploads/data",
        "_uploads/upload.1",
        f"{SESSION}/app/oci-put-blob1",
    ],
)
def test_what_else_lies_in_a_layouts_own_folders_is_no_finding(
    layout: LayoutBuilder, own: str, open_source: OpenSource
) -> None:
    (layout.path / own).parent.mkdir(parents=True, exist_ok=True)
    (layout.path / own).write_bytes(CONTENT)
    assert list(open_source().list_layouts()) == ["app"]


def test_what_a_zot_is_just_fetching_is_no_repository(root: Path, open_source: OpenSource) -> None:
    """Each session is a layout until it is whole; of a first one there is no repository yet."""
    for path in ("team/web", f"team/web/{SESSION}/team/web", f"new/{SESSION}/new", "team/.sync/web"):
        LayoutBuilder(root / path).write()
    assert list(open_source().list_layouts()) == ["team/.sync/web", "team/web"]


def test_files_outside_of_layouts_are_one_finding_a_folder(root: Path, open_source: OpenSource) -> None:
    LayoutBuilder(root / "team" / "app").write()
    for name in ("b", "a", "d", "c"):
        (root / "team" / name).write_bytes(CONTENT)
    found, path = open_source().list_layouts()
    assert found == stray_files("team", 4, ["a", "b", "c", "d"])
    assert path == "team/app"


@pytest.mark.parametrize("own", [".layoutlift", "team/.layoutlift"])
def test_what_cleanup_keeps_at_a_source_is_no_layout_and_no_finding(
    root: Path, own: str, open_source: OpenSource
) -> None:
    LayoutBuilder(root / "team" / "app").write()
    LayoutBuilder(root / own / "trash" / "run" / "team" / "app").write()
    (root / own / "lease").write_bytes(b"{}")
    assert list(open_source().list_layouts()) == ["team/app"]


def test_the_source_itself_may_be_a_layout(root: Path, open_source: OpenSource) -> None:
    builder = LayoutBuilder(root)
    builder.image("v1")
    builder.write()
    source = open_source()
    assert list(source.list_layouts()) == ["."]
    (entry,) = json.loads(source.read_index(".").raw)["manifests"]
    assert source.blob(".", Descriptor.from_json(entry)).read()


def test_the_index_is_given_as_it_is_and_its_mark_follows_it(layout: LayoutBuilder, open_source: OpenSource) -> None:
    before = open_source().read_index("app")
    assert before.raw == (layout.path / "index.json").read_bytes()
    assert open_source().read_index("app") == before
    layout.image("v1")
    layout.write()
    assert open_source().read_index("app").etag != before.etag


@pytest.mark.parametrize("name", ["oci-layout", "index.json"])
@pytest.mark.parametrize("left", [None, b"{}", b""], ids=["missing", "another form", "empty"])
def test_a_broken_layout_is_listed_and_refused_when_read(
    layout: LayoutBuilder, open_source: OpenSource, name: str, left: bytes | None
) -> None:
    (layout.path / name).unlink()
    if left is not None:
        (layout.path / name).write_bytes(left)
    source = open_source()
    if isinstance(source, SplitSource):  # what names it holds is what nobody can tell
        assert [str(each) for each in source.list_layouts() if isinstance(each, str)] == []
        (told,) = source.list_layouts()
        assert isinstance(told, Finding)
        assert (told.path, told.code) == (".", InvalidLayoutError.code)
        return
    assert list(source.list_layouts()) == ["app"]
    if name == "oci-layout" or left is None:
        with pytest.raises(InvalidLayoutError):
            source.read_index("app")


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("data", [b"", CONTENT, LARGE], ids=["empty", "small", "large"])
def test_a_blob_is_read_as_often_as_asked(
    layout: LayoutBuilder, open_source: OpenSource, data: bytes, algorithm: str
) -> None:
    descriptor = Descriptor.from_json(layout.blob(data, algorithm=algorithm))
    blob = open_source().blob("app", descriptor)
    assert blob.descriptor == descriptor
    assert blob.read() == data
    with blob.chunks() as chunks:
        assert b"".join(bytes(chunk) for chunk in chunks) == data
    stat = open_source().stat_blob("app", descriptor.digest)
    assert stat is not None
    assert stat.size == len(data)
    assert stat.modified > 0


@pytest.mark.parametrize(
    ("left", "refusal"),
    [
        (CONTENT[:-1] + b"!", DigestMismatchError),
        (CONTENT[:-1], SizeMismatchError),
        (CONTENT + b"!", SizeMismatchError),
        (b"", SizeMismatchError),
        (None, ContentNotFoundError),
    ],
    ids=["altered", "short", "long", "zero", "missing"],
)
def test_a_blob_that_is_not_what_it_says_is_never_handed_out(
    layout: LayoutBuilder, open_source: OpenSource, left: bytes | None, refusal: type[LayoutliftError]
) -> None:
    written = layout.blob(CONTENT)
    layout.blob_path(written).unlink()
    if left is not None:
        layout.blob_path(written).write_bytes(left)
    source, descriptor = open_source(), Descriptor.from_json(written)
    with pytest.raises(refusal) as raised:
        source.blob("app", descriptor).read()
    assert not raised.value.transient
    stat = source.stat_blob("app", descriptor.digest)
    assert (None if stat is None else stat.size) == (None if left is None else len(left))


def test_content_of_one_layout_is_not_that_of_another(root: Path, open_source: OpenSource) -> None:
    descriptor = Descriptor.from_json(LayoutBuilder(root / "a").blob(CONTENT))
    for path in ("a", "b"):
        LayoutBuilder(root / path).write()
    source = open_source()
    assert source.blob("a", descriptor).read() == CONTENT
    assert source.stat_blob("b", descriptor.digest) is None
