from pathlib import Path

import pytest

from tasks.oci.errors import SourceUnavailableError
from tasks.stores.benchmark.folder_area import FolderArea


def test_a_mount_that_goes_away_is_named_in_one_line(tmp_path: Path) -> None:
    area = FolderArea(tmp_path, "20260102T000000-bbbbbb")
    area.claim()
    for path in sorted(tmp_path.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    with pytest.raises(SourceUnavailableError, match="layoutlift-benchmark can't be used: No such file"):
        area.empty()
    with pytest.raises(SourceUnavailableError, match="layoutlift-benchmark can't be used: No such file"):
        area.release()
