"""The parts of all content: each blob is in one of them, and what is no part is said to be none."""

import pytest

from tasks.oci.digest import Digest
from tasks.oci.errors import ConfigurationError
from tasks.operations.choosing.content_part import ContentPart

DIGESTS = [Digest.of(bytes([number])) for number in range(100)]


@pytest.mark.parametrize("parts", [2, 7, 30])
def test_each_blob_is_in_one_part(parts: int) -> None:
    all_parts = [ContentPart.parse(f"{number}/{parts}") for number in range(1, parts + 1)]
    assert [sum(part.has(digest) for part in all_parts) for digest in DIGESTS] == [1] * len(DIGESTS)
    assert sum(map(all_parts[0].has, DIGESTS)) < len(DIGESTS)


@pytest.mark.parametrize("text", ["", "3", "0/7", "8/7", "1/1", "-1/7", "a/b", "1/2/3", "3/ 7", "1/10001"])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="not a part of all content"):
        ContentPart.parse(text)
