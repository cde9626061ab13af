"""What an entry of an index leads to is read only where it can be a manifest."""

import pytest

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import UnsupportedMediaTypeError
from tasks.operations.enumeration import read_manifest
from tasks.stores.memory import MemorySource

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@pytest.mark.parametrize("size", [1, 5 * 1024 * 1024], ids=["small", "larger than any manifest"])
def test_what_is_no_manifest_is_named_as_that_and_not_read(size: int) -> None:
    nothing = MemorySource({})
    with pytest.raises(UnsupportedMediaTypeError, match=r"tar\+gzip is not a type of manifest"):
        read_manifest(nothing, "app", Descriptor(LAYER, Digest.of(b"layer"), size))
