"""What an answer of an S3 store says is taken as it comes, however much there is of it."""

import tracemalloc

from tasks.stores.bucket.s3_answers import OBJECT_MARKERS, pages_of


def test_a_listing_of_very_many_pages_is_read_with_none_of_them_in_memory() -> None:
    pages = ({"IsTruncated": True, "NextContinuationToken": f"{number:0500}"} for number in range(5_000))
    tracemalloc.start()
    try:
        read = sum(1 for _ in pages_of(lambda **_: next(pages, {}), "s3://bucket", OBJECT_MARKERS))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert read == 5_001
    assert peak < 100_000
