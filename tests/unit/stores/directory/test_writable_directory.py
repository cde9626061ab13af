"""What a mount says of a move is not taken for done; see tests/contract for all that every store keeps to."""

import os
from pathlib import Path

import pytest

from tasks.oci.errors import SourceWriteError
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
