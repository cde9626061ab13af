"""Opens what a bucket keeps of earlier indexes, once somebody asks for it. No Prefect."""

from __future__ import annotations

from functools import cache
from threading import Lock
from typing import TYPE_CHECKING

from tasks.stores.bucket.s3_address import BucketAddress, is_bucket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tasks.stores.bucket.old_contents import OldContents
    from tasks.stores.bucket.s3_address import BucketAccess
    from tasks.stores.pacing import Stop


def old_indexes(source: str, access: BucketAccess, stop: Stop) -> Callable[[str, float], Iterable[bytes]]:
    """See `PlanTools.old_indexes`."""
    if not is_bucket(source):
        return lambda _path, _since: ()
    opening = Lock()

    @cache
    def opened() -> OldContents:
        from tasks.stores.bucket.old_contents import OldContents  # noqa: PLC0415 - directories don't wait for the SDK
        from tasks.stores.bucket.s3_client import make_client  # noqa: PLC0415
        from tasks.stores.bucket.s3_versions import VersionedS3Bucket  # noqa: PLC0415

        address = BucketAddress.parse(source)
        bucket = VersionedS3Bucket(make_client(access), address.bucket, access, below=address.prefix, stop=stop)
        return OldContents(bucket, address)

    def old(path: str, since: float) -> Iterable[bytes]:
        with opening:  # layouts are planned beside each other, and who may not read is told so once for all of them
            contents = opened()
        return contents.of(path, "index.json", since)

    return old
