"""A directory of layouts is read to its last good byte, and nothing outside it is read at all."""

import errno
import io
import json
import os
import pickle
import stat
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import pytest

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import (
    ContentNotFoundError,
    DigestMismatchError,
    InvalidDigestError,
    InvalidLayoutError,
    LayoutliftError,
    OutsideSourceError,
    SizeMismatchError,
    SourceError,
    SourceReadError,
    SourceUnavailableError,
    is_transient,
)
from tasks.oci.image_layout import MAX_MARKER_SIZE
from tasks.ports import Buffer
from tasks.stores import sibling_blobs
from tasks.stores.directory import layout_directory
from tasks.stores.directory.file_errors import READ_ATTEMPTS
from tasks.stores.directory.layout_directory import LayoutDirectory
from tasks.stores.silence import LEAST_FAILURES
from tests.support.layouts import LayoutBuilder

CONTENT = b"content"


def directory(root: Path) -> LayoutDirectory:
    return LayoutDirectory(root, retry_wait=0)


@pytest.fixture
def layout(tmp_path: Path) -> LayoutBuilder:
    builder = LayoutBuilder(tmp_path / "source" / "app")
    builder.write()
    return builder


@pytest.fixture
def source(layout: LayoutBuilder) -> LayoutDirectory:
    return directory(layout.path.parent)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    path = tmp_path / "outside"
    path.mkdir()
    return path


def stored(layout: LayoutBuilder, content: bytes = CONTENT, algorithm: str = "sha256") -> Descriptor:
    return Descriptor.from_json(layout.blob(content, algorithm=algorithm))


def path_of(layout: LayoutBuilder, descriptor: Descriptor) -> Path:
    return layout.blob_path(descriptor.to_json())


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("content", [b"", b"x", CONTENT * 500_000])
def test_a_good_blob_is_read_whole(
    layout: LayoutBuilder, source: LayoutDirectory, content: bytes, algorithm: str
) -> None:
    blob = source.blob("app", stored(layout, content, algorithm))
    assert blob.read() == blob.read() == content


@pytest.mark.parametrize(
    ("left", "refusal"),
    [
        (CONTENT[:-1], SizeMismatchError),
        (CONTENT + b"x", SizeMismatchError),
        (b"", SizeMismatchError),
        (CONTENT[:-1] + b"X", DigestMismatchError),
    ],
    ids=["short", "long", "zero", "altered"],
)
def test_a_blob_that_is_not_what_it_says_is_never_handed_out(
    layout: LayoutBuilder, source: LayoutDirectory, left: bytes, refusal: type[LayoutliftError]
) -> None:
    descriptor = stored(layout)
    path_of(layout, descriptor).write_bytes(left)
    with pytest.raises(refusal):
        source.blob("app", descriptor).read()


def test_a_missing_blob_is_missing_for_good(layout: LayoutBuilder, source: LayoutDirectory) -> None:
    descriptor = stored(layout)
    path_of(layout, descriptor).unlink()
    with pytest.raises(ContentNotFoundError) as refusal:
        source.blob("app", descriptor).read()
    assert not is_transient(refusal.value)
    assert type(pickle.loads(pickle.dumps(refusal.value))) is ContentNotFoundError
    assert source.stat_blob("app", descriptor.digest) is None


def test_size_and_age_of_a_blob_are_told(layout: LayoutBuilder, source: LayoutDirectory) -> None:
    descriptor = stored(layout)
    os.utime(path_of(layout, descriptor), (1, 1_700_000_000))
    found = source.stat_blob("app", descriptor.digest)
    assert found is not None
    assert (found.size, found.modified) == (len(CONTENT), 1_700_000_000)


def test_a_blob_behind_a_link_that_leaves_the_source_is_not_read(
    layout: LayoutBuilder, source: LayoutDirectory, outside: Path
) -> None:
    descriptor = stored(layout)
    (outside / "secret").write_bytes(CONTENT)
    path_of(layout, descriptor).unlink()
    path_of(layout, descriptor).symlink_to(outside / "secret")
    with pytest.raises(OutsideSourceError):
        source.blob("app", descriptor).read()
    with pytest.raises(OutsideSourceError):
        source.stat_blob("app", descriptor.digest)


def test_a_marker_as_large_as_an_index_may_be_is_not_read(layout: LayoutBuilder, source: LayoutDirectory) -> None:
    with (layout.path / "oci-layout").open("r+b") as marker:
        marker.truncate(MAX_MARKER_SIZE + 1)
    with pytest.raises(InvalidLayoutError, match=f"more than the {MAX_MARKER_SIZE}"):
        source.read_index("app")


@pytest.mark.parametrize("linked", ["blobs", "blobs/sha256"])
def test_a_folder_of_blobs_that_leaves_the_source_is_not_read(
    layout: LayoutBuilder, source: LayoutDirectory, outside: Path, linked: str
) -> None:
    descriptor = stored(layout)
    (layout.path / linked).rename(outside / "moved")
    (layout.path / linked).symlink_to(outside / "moved")
    with pytest.raises(OutsideSourceError):
        source.blob("app", descriptor).read()


@pytest.mark.parametrize("name", ["index.json", "oci-layout"])
def test_a_layout_file_that_leaves_the_source_is_not_read(
    layout: LayoutBuilder, source: LayoutDirectory, outside: Path, name: str
) -> None:
    (layout.path / name).rename(outside / name)
    (layout.path / name).symlink_to(outside / name)
    with pytest.raises(OutsideSourceError):
        source.read_index("app")


def test_a_neighbour_whose_name_begins_like_the_source_is_outside(layout: LayoutBuilder, tmp_path: Path) -> None:
    neighbour = tmp_path / "source-2"
    neighbour.mkdir()
    (layout.path / "index.json").rename(neighbour / "index.json")
    (layout.path / "index.json").symlink_to(neighbour / "index.json")
    with pytest.raises(OutsideSourceError):
        directory(tmp_path / "source").read_index("app")


def test_a_path_that_climbs_out_is_not_read(layout: LayoutBuilder, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(OutsideSourceError):
        directory(tmp_path / "empty").read_index("../source/app")


def test_a_link_that_stays_inside_is_read(layout: LayoutBuilder, source: LayoutDirectory) -> None:
    descriptor = stored(layout)
    path = path_of(layout, descriptor)
    path.rename(layout.path.parent / "shared")
    path.symlink_to(layout.path.parent / "shared")
    assert source.blob("app", descriptor).read() == CONTENT


def test_the_source_itself_may_be_a_link(layout: LayoutBuilder, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(layout.path.parent)
    assert directory(tmp_path / "link").blob("app", stored(layout)).read() == CONTENT


@pytest.mark.parametrize("kind", ["pipe", "folder", "circle"])
def test_what_is_no_file_is_refused_at_once(layout: LayoutBuilder, source: LayoutDirectory, kind: str) -> None:
    path = layout.path / "index.json"
    path.unlink()
    {"pipe": lambda: os.mkfifo(path), "folder": path.mkdir, "circle": lambda: path.symlink_to(path)}[kind]()
    with pytest.raises(SourceError):
        source.read_index("app")


@pytest.mark.parametrize("place", ["outside", "in the layout"])
def test_a_device_or_pipe_is_not_even_opened(
    layout: LayoutBuilder, source: LayoutDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Opening one does something: a watchdog begins to count, and who writes into the pipe loses its reader."""
    path = layout.path / "index.json"
    path.unlink()
    pipe = tmp_path / "pipe" if place == "outside" else path
    os.mkfifo(pipe)
    if pipe != path:
        path.symlink_to(pipe)
    opened = []
    really = os.open

    def noted(name: str, flags: int) -> int:
        descriptor = really(name, flags)
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            opened.append(flags)
        return descriptor

    monkeypatch.setattr(os, "open", noted)
    with pytest.raises(SourceError):
        source.read_index("app")
    assert opened
    assert all(flags & os.O_PATH for flags in opened)


def test_a_blob_that_is_a_folder_is_no_blob(layout: LayoutBuilder, source: LayoutDirectory) -> None:
    descriptor = stored(layout)
    path_of(layout, descriptor).unlink()
    path_of(layout, descriptor).mkdir()
    with pytest.raises(SourceError):
        source.stat_blob("app", descriptor.digest)


@pytest.mark.parametrize("name", ["index.json", "oci-layout"])
def test_a_layout_without_one_of_its_files_is_refused(
    layout: LayoutBuilder, source: LayoutDirectory, name: str
) -> None:
    (layout.path / name).unlink()
    with pytest.raises(InvalidLayoutError, match=f"{name} is missing"):
        source.read_index("app")


def test_the_mark_of_an_index_changes_with_its_bytes(layout: LayoutBuilder, source: LayoutDirectory) -> None:
    before = source.read_index("app")
    assert json.loads(before.raw)["manifests"] == []
    assert source.read_index("app") == before
    (layout.path / "index.json").write_bytes(before.raw + b"\n")
    assert source.read_index("app").etag != before.etag


def test_an_index_larger_than_any_is_not_read(layout: LayoutBuilder, source: LayoutDirectory) -> None:
    os.truncate(layout.path / "index.json", 2**40)
    with pytest.raises(InvalidLayoutError, match="bytes"):
        source.read_index("app")


def test_a_name_that_is_not_utf_8_is_read(layout: LayoutBuilder, source: LayoutDirectory) -> None:
    odd = os.fsdecode(b"caf\xe9 \xff")
    layout.path.rename(layout.path.parent / odd)
    assert list(source.list_layouts()) == [odd]
    assert json.loads(source.read_index(odd).raw)["manifests"] == []


class FlakyOpen:
    """Opens files, after having failed some times as mounts do."""

    def __init__(self, number: int, times: int) -> None:
        self.number = number
        self.left = times
        self.calls = 0
        self.really = os.open

    def __call__(self, path: str, flags: int) -> int:
        self.calls += 1
        if self.left:
            self.left -= 1
            raise OSError(self.number, os.strerror(self.number), path)
        return self.really(path, flags)


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ENOENT, errno.EMFILE, errno.EHOSTDOWN])
def test_a_failure_that_passes_is_not_seen(
    layout: LayoutBuilder, source: LayoutDirectory, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    descriptor = stored(layout)
    monkeypatch.setattr(os, "open", FlakyOpen(number, READ_ATTEMPTS - 1))
    assert source.blob("app", descriptor).read() == CONTENT
    monkeypatch.setattr(os, "open", FlakyOpen(number, READ_ATTEMPTS - 1))
    assert source.stat_blob("app", descriptor.digest) is not None


class BusyFile(io.FileIO):
    """A file of a mount that says to ask again; so Python tells it of a raw file."""

    busy = 0

    def readinto(self, buffer: Buffer, /) -> int | None:
        return None if self.is_busy() else super().readinto(buffer)

    def readall(self) -> bytes:
        return None if self.is_busy() else super().readall()

    @classmethod
    def is_busy(cls) -> bool:
        cls.busy -= 1
        return cls.busy >= 0


def test_a_mount_that_says_to_ask_again_is_asked_again(
    layout: LayoutBuilder, source: LayoutDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    descriptor = stored(layout)
    monkeypatch.setattr(layout_directory.io, "FileIO", BusyFile)
    for read in (source.blob("app", descriptor).read, lambda: source.read_index("app").raw):
        monkeypatch.setattr(BusyFile, "busy", READ_ATTEMPTS - 1)
        assert read()
        monkeypatch.setattr(BusyFile, "busy", 100)
        with pytest.raises(SourceReadError, match="Resource temporarily unavailable"):
            read()


@pytest.mark.parametrize(
    ("number", "expected", "calls"),
    [
        (errno.EIO, SourceReadError, READ_ATTEMPTS),
        (errno.ENOENT, ContentNotFoundError, READ_ATTEMPTS),
        (errno.ENOTDIR, ContentNotFoundError, READ_ATTEMPTS),
        (errno.ENOTCONN, SourceUnavailableError, 1),
        (errno.EACCES, SourceError, 1),
        (errno.ENAMETOOLONG, SourceError, 1),
        (errno.ELOOP, OutsideSourceError, 1),
    ],
    ids=lambda value: errno.errorcode.get(value) if isinstance(value, int) and value > 3 else None,
)
def test_what_a_mount_says_becomes_our_exception(
    layout: LayoutBuilder,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    expected: type[LayoutliftError],
    calls: int,
) -> None:
    source, descriptor = directory(layout.path.parent), stored(layout)
    flaky = FlakyOpen(number, 100)
    monkeypatch.setattr(os, "open", flaky)
    with pytest.raises(LayoutliftError) as raised:
        source.blob("app", descriptor).read()
    assert type(raised.value) is expected
    assert flaky.calls == calls


@pytest.mark.parametrize("call", ["fstat", "readlink"])
def test_a_mount_that_dies_after_opening_is_told_apart_too(
    layout: LayoutBuilder, source: LayoutDirectory, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    blob = source.blob("app", stored(layout))

    def dead(*_arguments: object) -> None:
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

    with monkeypatch.context() as patched:
        patched.setattr(os, call, dead)
        errors = [error_of(act) for act in (blob.read, lambda: source.read_index("app"))]
    assert [type(error) for error in errors] == [SourceUnavailableError] * 2


def error_of(act: Callable[[], object]) -> Exception | None:
    """What an act raises; pytest itself asks the file system, which is broken meanwhile."""
    try:
        act()
    except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it
        return error
    return None


@pytest.mark.parametrize("number", [errno.ENOTCONN, errno.EIO, errno.ENOENT])
def test_a_source_that_is_gone_is_said_so(
    source: LayoutDirectory, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def gone(*_arguments: object, **_options: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(os, "stat", gone)
        with pytest.raises(SourceUnavailableError):
            list(source.list_layouts())
    monkeypatch.setattr(os, "scandir", gone)
    with pytest.raises(SourceUnavailableError):
        list(source.list_layouts())


def test_a_blob_below_a_hostile_digest_can_not_be_asked_for(source: LayoutDirectory) -> None:
    with pytest.raises(InvalidDigestError):
        source.stat_blob("app", Digest("sha256:../../../etc/passwd"))


def test_a_tree_of_which_no_folder_can_be_listed_any_more_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As through s3fs, whose store is away: each folder is given up by itself, after minutes."""
    for number in range(LEAST_FAILURES):
        (tmp_path / f"app-{number}").mkdir()
    listed = os.scandir

    def scandir(path: str) -> object:
        if path.rpartition("/")[2].startswith("app-"):
            raise OSError(errno.EIO, "Input/output error")
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(layout_directory, "SILENT_SECONDS", 0.0)
    with pytest.raises(SourceUnavailableError, match="nothing could be listed"):
        list(LayoutDirectory(tmp_path, retry_wait=0.0).list_layouts())


def test_many_empty_blobs_are_found_by_listing_all_and_nothing_outside_is(
    layout: LayoutBuilder, source: LayoutDirectory, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sibling_blobs, "WORTH_A_LISTING", -1)
    blobs = [stored(layout, raw) for raw in (b"one", b"two", b"three")]
    for blob in blobs:
        path_of(layout, blob).write_bytes(b"")
    other, linked = (LayoutBuilder(layout.path.parent / name) for name in ("z", "linked"))
    for raw in (b"one", b"two"):
        stored(other, raw)
    (other.path / "blobs" / "sha256" / "notes").write_bytes(CONTENT)
    elsewhere = LayoutBuilder(outside)
    stored(elsewhere, b"three")
    for each in (other, linked, elsewhere):
        each.write()
    (linked.path / "blobs").symlink_to(outside / "blobs")
    scanned: list[str] = []
    monkeypatch.setattr(source, "_scan", lambda path: scanned.append(path) or LayoutDirectory._scan(source, path))
    assert source.blob("app", blobs[0]).read() == b"one"
    assert source.blob("app", blobs[1]).read() == b"two"
    assert "z/blobs/sha256" in scanned, "all was listed"
    assert not [path for path in scanned if path.startswith("linked/blobs")]
    with pytest.raises(SizeMismatchError, match="no other layout"):
        source.blob("app", blobs[2]).read()


def test_a_source_that_may_not_be_listed_is_named_as_it_was_given(
    layout: LayoutBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del layout

    def refuse(path: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    monkeypatch.chdir(tmp_path)
    (tmp_path / "bucket").mkdir()
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(SourceUnavailableError, match="can't be listed: bucket can't be read: Permission denied"):
        list(LayoutDirectory("bucket").list_layouts())


@pytest.mark.parametrize("written", [0, 20], ids=["nothing", "a part"])
def test_an_index_that_is_being_written_is_read_once_more(tmp_path: Path, written: int) -> None:
    """ORAS writes it in place."""
    index = LayoutBuilder(tmp_path / "app").write() / "index.json"
    whole = index.read_bytes()
    index.write_bytes(whole[:written])
    source = LayoutDirectory(tmp_path, pause=lambda _: index.write_bytes(whole))
    assert source.read_index("app").raw == whole


class _ReadInParts(io.FileIO):
    """A file that is read by two reads; `between` is called once, when the first has given something of an index."""

    between: ClassVar[list[Callable[[], object]]] = []

    def readall(self) -> bytes:
        begin = self.read(4096)
        if len(begin) == 4096 and self.between:
            self.between.pop()()
        return begin + super().readall()


def test_an_index_that_is_written_in_place_while_it_is_read_is_never_a_mix_of_two(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ORAS writes its entries in any order: one could be there twice, and another not at all."""
    layout = LayoutBuilder(tmp_path / "app")
    for number in range(50):
        layout.image(f"v{number:02}")
    index = layout.write() / "index.json"
    before = index.read_bytes()
    layout.entries.reverse()
    layout.write()
    after = index.read_bytes()
    assert len(after) == len(before) > 2 * 4096
    index.write_bytes(before)
    os.utime(index, (1, 1))
    monkeypatch.setattr(io, "FileIO", _ReadInParts)
    monkeypatch.setattr(_ReadInParts, "between", [lambda: index.write_bytes(after)])
    assert LayoutDirectory(tmp_path, retry_wait=0.001).read_index("app").raw == after


def test_an_index_that_stays_broken_is_given_as_it_is(tmp_path: Path) -> None:
    index = LayoutBuilder(tmp_path / "app").write() / "index.json"
    index.write_bytes(b'{"schemaVersion":2,')
    waits: list[float] = []
    assert LayoutDirectory(tmp_path, retry_wait=0.1, pause=waits.append).read_index("app").raw == index.read_bytes()
    assert waits == [0.1]


def test_a_directory_keeps_no_earlier_indexes(tmp_path: Path) -> None:
    LayoutBuilder(tmp_path / "app").write()
    assert list(LayoutDirectory(tmp_path).old_indexes("app", 0.0)) == []
