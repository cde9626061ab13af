"""What a file system says becomes an error of ours, whatever it is."""

import errno
import os

import pytest

from tasks.oci.errors import LayoutliftError
from tasks.stores.directory.file_errors import translate


@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_every_error_of_a_file_system_has_a_translation(number: int) -> None:
    translated = translate(OSError(number, os.strerror(number)), "app/index.json")
    assert isinstance(translated, LayoutliftError)
    assert "app/index.json" in str(translated)
