"""What a mount says of a move is not taken for done; see tests/contract for all that every store keeps to."""

import errno
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.oci.errors import SourceUnavailableError, SourceWriteError
from tasks.stores.directory import writable_directory
from tasks.stores.directory.writable_directory import DirectoryWriter


class CopiesHalf(DirectoryWriter):
    """On a mount that renames by copying, and says that all went well."""

    def _rename(self, path: str, to: str) -> None:
        super()._rename(path, to)
        os.truncate(Path(self._root) / to, 1)


def test_a_file_that_was_moved_and_is_not_there_in_full_is_named(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"content")
    files = CopiesHalf(tmp_path)
    file = files.stat_file("blob")
    assert file is not None
    with pytest.raises(SourceWriteError, match=r"blob was moved to .* and is not there in full"):
        files.hide_files([file], ".layoutlift/trash/run")


def test_a_full_disk_is_told_with_what_has_to_be_done_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        SourceWriteError, match=r"lease can't be written: No space left on device; .* made free before"
    ):
        DirectoryWriter(tmp_path).write_file(".layoutlift/lease", b"{}", None)
    assert [path.name for path in tmp_path.rglob("*")] == [".layoutlift", "drafts"]


def test_no_two_set_the_clock_at_once_as_some_mounts_refuse_the_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever of them, as each repository that is cleaned up beside others has a writer of its own."""
    opened, most, write = [0], [0], os.write
    second_came = threading.Event()

    def seen(descriptor: int, raw: bytes) -> int:
        opened[0] += 1
        most[0] = max(most[0], opened[0])
        if opened[0] > 1:
            second_came.set()
        second_came.wait(0.2)  # with nothing in its way, the second comes at once
        opened[0] -= 1
        return write(descriptor, raw)

    monkeypatch.setattr(os, "write", seen)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: DirectoryWriter(tmp_path).now(), range(2)))
    assert most == [1]


def test_nothing_is_made_where_a_mount_went_just_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the last look whether it is there."""
    source = tmp_path / "mount"
    source.mkdir()
    writer = DirectoryWriter(source)
    monkeypatch.setattr(writable_directory, "_is_mount", lambda _: True)
    assert writer.now()
    shutil.rmtree(source / ".layoutlift")
    monkeypatch.undo()
    with pytest.raises(SourceUnavailableError, match="was taken away"):
        writer.write_file("app/index.json", b"{}", None)
    assert list(source.iterdir()) == []
