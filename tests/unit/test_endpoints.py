"""What of a SOURCE argument is refused before anything is read."""

import sys
from pathlib import Path

import pytest

from tasks.cleanup_applies import open_writable
from tasks.endpoints import open_source
from tasks.oci.errors import ConfigurationError
from tasks.stores.pacing import Stop
from tasks.stores.s3_address import BucketAccess


@pytest.mark.parametrize("encoding", ["ascii", "iso8859-1"])
def test_a_folder_is_read_only_where_its_names_are_read_as_utf_8(
    encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_source(str(tmp_path))
    open_writable(str(tmp_path), BucketAccess(), Stop())
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: encoding)
    with pytest.raises(ConfigurationError, match=f"{encoding}.*: set LC_ALL=C.UTF-8 or PYTHONUTF8=1"):
        open_source(str(tmp_path))
    with pytest.raises(ConfigurationError, match="PYTHONUTF8"):
        open_writable(str(tmp_path), BucketAccess(), Stop())


def test_a_folder_that_can_not_be_looked_at_is_named_with_the_reason(tmp_path: Path) -> None:
    place = str(tmp_path / ("x" * 300))
    for act in (lambda: open_source(place), lambda: open_writable(place, BucketAccess(), Stop())):
        with pytest.raises(ConfigurationError, match=r"x is not a directory; .* \(File name too long\)"):
            act()
    with pytest.raises(ConfigurationError, match="nothing at all is not a directory"):
        open_source(str(tmp_path / "nothing at all"))
