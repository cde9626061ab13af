"""A file is read as it is now, and a pipe, which has nothing the second time, once."""

import os
from pathlib import Path

import pytest

from tasks.stores.given_files import read_file_or_pipe


def filled(content: bytes) -> int:
    reader, writer = os.pipe()
    os.write(writer, content)
    os.close(writer)
    return reader


def test_a_file_is_read_as_it_is_now_and_no_further_than_wanted(tmp_path: Path) -> None:
    (path := tmp_path / "file").write_bytes(b"first")
    assert read_file_or_pipe(path) == b"first"
    path.write_bytes(b"second")
    assert (read_file_or_pipe(path), read_file_or_pipe(path, 3)) == (b"second", b"sec")


def test_a_pipe_is_the_same_each_time_and_another_of_its_name_is_another() -> None:
    for content in (b"first", b"second"):
        reader = filled(content)
        path = Path(f"/dev/fd/{reader}")
        try:
            assert (read_file_or_pipe(path), read_file_or_pipe(path)) == (content, content)
        finally:
            os.close(reader)


def test_what_is_not_there_is_told_each_time(tmp_path: Path) -> None:
    path = tmp_path / "later"
    with pytest.raises(FileNotFoundError):
        read_file_or_pipe(path)
    path.write_bytes(b"come")
    assert read_file_or_pipe(path) == b"come"
