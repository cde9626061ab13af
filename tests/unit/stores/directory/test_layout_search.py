"""Every layout is found, at any depth and under any name; what is none is a finding and hides nothing."""

import errno
import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.oci.errors import SourceError, SourceReadError, SourceUnavailableError
from tasks.ports import Finding
from tasks.stores.directory.layout_directory import LayoutDirectory
from tasks.stores.directory.layout_search import PAUSES, find_layouts, stray_files
from tests.support.layouts import LayoutBuilder


def search(root: Path) -> list[str | Finding]:
    return list(LayoutDirectory(root, retry_wait=0).list_layouts())


def layouts(found: list[str | Finding]) -> list[str]:
    return [path for path in found if isinstance(path, str)]


def findings(found: list[str | Finding]) -> list[tuple[str, str]]:
    return [(finding.path, finding.code) for finding in found if isinstance(finding, Finding)]


def test_nested_layouts_of_any_name_are_found_in_order(tmp_path: Path) -> None:
    paths = ["team", "team/app", "team/app/web", "My Team/Tab\there", "日本/語", "a/b/c/d/e"]
    for path in paths:
        LayoutBuilder(tmp_path / path).write()
    assert search(tmp_path) == sorted(paths)


def test_the_source_itself_may_be_a_layout_and_hold_others(tmp_path: Path) -> None:
    LayoutBuilder(tmp_path).write()
    LayoutBuilder(tmp_path / "inner").write()
    assert search(tmp_path) == [".", "inner"]


@settings(max_examples=25, deadline=None)
@given(st.sets(st.sampled_from(["a", "a/b", "a/b/c", "b c", "d", "d/Ü", "blob/x"])))
def test_exactly_the_layouts_that_were_written_are_found(paths: set[str]) -> None:
    import tempfile  # noqa: PLC0415 - a folder an example

    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            LayoutBuilder(Path(folder) / path).write()
        assert search(Path(folder)) == sorted(paths, key=lambda path: path.split("/"))


@pytest.mark.parametrize("name", ["oci-layout", "index.json"])
def test_a_broken_layout_is_listed_so_that_reading_it_names_the_reason(tmp_path: Path, name: str) -> None:
    LayoutBuilder(tmp_path / "broken").write()
    (tmp_path / "broken" / name).unlink()
    LayoutBuilder(tmp_path / "good").write()
    assert search(tmp_path) == ["broken", "good"]


def test_stray_files_are_a_finding_and_those_inside_a_layout_are_none(tmp_path: Path) -> None:
    layout = LayoutBuilder(tmp_path / "app")
    layout.blob(b"x")
    (layout.write() / "README").touch()
    for number in range(5):
        (tmp_path / f"stray{number}").touch()
    found = search(tmp_path)
    assert layouts(found) == ["app"]
    assert findings(found) == [(".", "not_a_layout")]


def test_an_empty_folder_is_a_finding_but_for_those_that_are_always_empty(tmp_path: Path) -> None:
    """A mount that is gone looks so. A layout that was dropped leaves its folders, and file systems have one."""
    LayoutBuilder(tmp_path / "app").write()
    for name in ("dropped/blobs/sha256", "dropped/ingest", "dropped/.uploads", "dropped/_uploads"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("app/.uploads", "app/_uploads", "app/.sync", "fetched/.sync"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("mounted", "team/mounted", "app/ingest/x", "lost+found"):
        (tmp_path / name).mkdir(parents=True)
    found = search(tmp_path)
    assert layouts(found) == ["app"]
    assert findings(found) == [("mounted", "empty_folder"), ("team/mounted", "empty_folder")]


def test_the_folders_of_a_layouts_content_are_not_looked_into(tmp_path: Path) -> None:
    for path in ("app", "app/blobs", "app/blobs/sha256/hidden", "app/blobs/blobs/sha512", "app/sha256"):
        LayoutBuilder(tmp_path / path).write()
    (tmp_path / "app" / "blobs" / "sha512").symlink_to(tmp_path.parent)
    assert search(tmp_path) == ["app", "app/blobs", "app/sha256"]


def test_blobs_without_a_layout_are_a_finding(tmp_path: Path) -> None:
    LayoutBuilder(tmp_path / "lost").blob(b"x")
    assert findings(search(tmp_path)) == [("lost/blobs/sha256", "not_a_layout")]


def test_links_are_reported_and_not_followed(tmp_path: Path) -> None:
    source, outside = tmp_path / "source", tmp_path / "source-outside"
    LayoutBuilder(source / "app").write()
    LayoutBuilder(outside).write()
    (source / "again").symlink_to("app")
    (source / "loop").symlink_to(".")
    (source / "out").symlink_to(outside)
    found = search(source)
    assert layouts(found) == ["app"]
    assert findings(found) == [
        ("again", "link_not_followed"),
        ("loop", "link_not_followed"),
        ("out", "outside_source"),
    ]


def test_a_link_in_a_circle_hides_no_layout(tmp_path: Path) -> None:
    LayoutBuilder(tmp_path / "good").write()
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "nowhere").symlink_to("missing")
    found = search(tmp_path)
    assert layouts(found) == ["good"]
    assert findings(found) == [(".", "not_a_layout")]


def entry(name: str, *, directory: bool = False, broken: int = 0) -> os.DirEntry[str]:
    """An entry as `scandir` gives it; `broken` is the number of the error that a mount gives instead."""

    def look(*, follow_symlinks: bool = True) -> None:
        if broken:
            raise OSError(broken, os.strerror(broken))

    def is_dir(*, follow_symlinks: bool = True) -> bool:
        if broken != errno.ENOENT:  # of which Python says that it is no directory, and no file
            look()
        return directory

    return SimpleNamespace(  # type: ignore[return-value]
        name=name, is_symlink=lambda: False, is_dir=is_dir, is_file=lambda **_: not (directory or broken), stat=look
    )


@pytest.mark.parametrize("error", [errno.EIO, errno.ESTALE, errno.ENOENT, errno.EACCES])
def test_an_entry_that_can_not_be_looked_at_hides_no_layout(error: int) -> None:
    tree = {
        ".": [entry("bad", broken=error), entry("good", directory=True)],
        "good": [entry("index.json")],
    }
    pauses: list[float] = []
    found = list(find_layouts("/source", tree.__getitem__, pauses.append))
    assert layouts(found) == ["good"]
    assert findings(found) == [("bad", "unreadable_entry")]
    assert pauses == ([] if error == errno.EACCES else list(PAUSES))


def back_again(name: str) -> os.DirEntry[str]:
    """A folder of which the mount said that it is not there, but for the last time that it was asked."""

    def no(**_: bool) -> bool:
        return False

    folder = SimpleNamespace(st_mode=stat.S_IFDIR)
    return SimpleNamespace(  # type: ignore[return-value]
        name=name, is_symlink=no, is_dir=no, is_file=no, stat=lambda **_: folder
    )


@pytest.mark.parametrize(
    "first", [entry("late", broken=errno.EIO), entry("late", broken=errno.ENOENT), back_again("late")]
)
def test_an_entry_that_can_not_be_looked_at_for_the_moment_is_looked_at_again(first: os.DirEntry[str]) -> None:
    """A layout that the mount says for a moment is not there would be passed over, and count as vanished."""
    looks = iter([[first], [entry("late", directory=True)]])
    found = list(find_layouts("/source", lambda path: next(looks) if path == "." else [entry("index.json")], float))
    assert found == ["late"]


@pytest.mark.parametrize("times", [1, len(PAUSES), len(PAUSES) + 1])
def test_a_directory_that_can_not_be_listed_for_the_moment_comes_last_and_hides_no_other(times: int) -> None:
    failures = ["bad"] * times
    pauses: list[float] = []

    def scan(path: str) -> list[os.DirEntry[str]]:
        if path in failures:
            failures.remove(path)
            raise SourceReadError("bad can't be read: Input/output error")
        return [entry("bad", directory=True), entry("good", directory=True)] if path == "." else [entry("oci-layout")]

    found = list(find_layouts("/source", scan, pauses.append))
    is_lost = times > len(PAUSES)
    assert layouts(found) == (["good"] if is_lost else ["good", "bad"])
    assert findings(found) == ([("bad", "unreadable_directory")] if is_lost else [])
    assert pauses == list(PAUSES[:times])


def test_a_directory_that_may_not_be_listed_is_not_tried_again() -> None:
    def scan(path: str) -> list[os.DirEntry[str]]:
        if path != ".":
            raise SourceError("bad can't be read: Permission denied")
        return [entry("bad", directory=True)]

    pauses: list[float] = []
    assert findings(list(find_layouts("/source", scan, pauses.append))) == [("bad", "unreadable_directory")]
    assert pauses == []


def test_a_mount_that_dies_on_the_way_ends_the_search() -> None:
    def scan(path: str) -> list[os.DirEntry[str]]:
        if path == ".":
            return [entry("a", directory=True)]
        raise SourceUnavailableError("the mount is gone")

    with pytest.raises(SourceUnavailableError):
        list(find_layouts("/source", scan))


@pytest.mark.parametrize("name", ["missing", "file"])
def test_a_source_that_is_no_directory_is_said_so(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SourceUnavailableError, match="mounted"):
        search(tmp_path / name)


@pytest.mark.parametrize(
    ("count", "said"), [(1, "a file that belongs to no layout: 'a'"), (2, "2 files that belong ")]
)
def test_one_stray_file_is_not_files(count: int, said: str) -> None:
    assert stray_files(".", count, ["a", "b"][:count]).message.startswith(said)
