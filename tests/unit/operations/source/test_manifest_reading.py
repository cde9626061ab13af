"""A manifest is read only where it can be one, by its type and its size."""

from dataclasses import replace

import pytest

from tasks.oci.descriptor import Descriptor
from tasks.oci.digest import Digest
from tasks.oci.errors import ContentNotFoundError, InvalidManifestError, UnsupportedMediaTypeError
from tasks.oci.manifest import MAX_MANIFEST_SIZE
from tasks.oci.media_types import IMAGE_MANIFEST
from tasks.operations.source.manifest_reading import read_manifest
from tests.support.memory_stores import MemorySource

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@pytest.mark.parametrize("size", [1, 5 * 1024 * 1024], ids=["small", "larger than any manifest"])
def test_what_is_no_manifest_is_named_as_that_and_not_read(size: int) -> None:
    nothing = MemorySource({})
    with pytest.raises(UnsupportedMediaTypeError, match=r"tar\+gzip is not a type of manifest"):
        read_manifest(nothing, "app", Descriptor(LAYER, Digest.of(b"layer"), size))


def test_a_manifest_that_registries_would_not_take_for_its_size_is_not_read() -> None:
    large = Descriptor(IMAGE_MANIFEST, Digest.of(b""), MAX_MANIFEST_SIZE + 1)
    with pytest.raises(InvalidManifestError, match="registries take 4194304 at most"):
        read_manifest(MemorySource({}), "app", large)
    with pytest.raises(ContentNotFoundError):
        read_manifest(MemorySource({}), "app", replace(large, size=MAX_MANIFEST_SIZE))
